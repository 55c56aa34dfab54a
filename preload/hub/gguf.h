/*
 * gguf: what the head of a GGUF file says of its model. Pure but for where the bytes come from; nothing in them is trusted.
 * Source: the GGUF specification of ggml, versions 2 and 3
 */
#ifndef PRELOAD_HUB_GGUF_H
#define PRELOAD_HUB_GGUF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { GGUF_TEXT_BYTES = 200 };

struct gguf {
    char architecture[64];
    char name[GGUF_TEXT_BYTES];
    int64_t context_n; /* -1: it does not say */
    int has_chat_template;
};

/* Bytes at a place of the file: how many, 0 at its end, or -errno. */
typedef ssize_t gguf_read_fn(void *context, void *bytes, size_t bytes_n, uint64_t at);

/* 0; -EINVAL for what is no GGUF file of version 2 or 3, or breaks off within its head; what was found until then stays. */
int gguf_read(struct gguf *out, gguf_read_fn *fn, void *context) __attribute__((warn_unused_result));

#endif
