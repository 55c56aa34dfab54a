/*
 * pick: which files of a repository are a model, for the engines that are there. Pure. The same rules say of a snapshot what it is.
 */
#ifndef PRELOAD_HUB_PICK_H
#define PRELOAD_HUB_PICK_H

#include "preload/hub/settings.h"
#include "preload/hub/tree.h"

enum pick_quantize { PICK_AUTO, PICK_Q4, PICK_FP32, PICK_FP16, PICK_NO };
/* Safetensors: what Transformers and vLLM read, their older *.bin included. Other: weights of another kind alone. None: no weights at all. */
enum pick_format { PICK_NONE, PICK_SAFETENSORS, PICK_GGUF, PICK_OTHER };

struct picked {
    enum pick_format format;
    const char *file;       /* of GGUF: the one that is loaded, the first of several parts; borrowed from the tree */
    uint64_t weights_bytes; /* of those that were picked */
    int is_quantized;       /* 4 bits are preferred: R1.6 */
};

/* The word of a request: auto, q4, fp32, fp16, no. 0 or -EINVAL. */
int pick_quantize_of(const char *word, enum pick_quantize *out) WARN_UNUSED;
/* Its word in JSON: safetensors, gguf, other. */
const char *pick_format_name(enum pick_format format);

/* Marks the files that are wanted. */
void pick(struct tree *tree, const struct settings *settings, enum pick_quantize quantize, struct picked *out);

/* What a path's name says it is. */
int pick_is_safetensors(const char *path); /* weights, *.bin of PyTorch too */
int pick_is_gguf(const char *path);        /* weights; not the parts of one that are for images alone */
int pick_is_gguf_first(const char *path);  /* … of several parts the first one */
static inline int pick_is_weights(const char *path)
{
    return pick_is_safetensors(path) || pick_is_gguf(path);
}
/* Of `NAME-00002-of-00005.ENDING`: where the number begins, and how many parts there are; NULL where it is none. */
const char *pick_part(const char *path, unsigned *part, unsigned *parts_n);
/* 1 for a GGUF file of 4 bits, by its name. */
int pick_is_q4(const char *path);
/* How far down the list of what is preferred a GGUF file stands: 0 is the best. */
unsigned pick_rank(const char *path, enum pick_quantize quantize);

#endif
