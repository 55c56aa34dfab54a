/*
 * facts: what a model's own files say of it: config.json, the tokenizer's, the head of a GGUF file, an index of weights. What is not there, or is broken,
 * is not known.
 */
#ifndef PRELOAD_HUB_FACTS_H
#define PRELOAD_HUB_FACTS_H

#include "preload/hub/gguf.h"

#include "common/buf.h"

enum { FACTS_FILE_BYTES = 16 * 1024 * 1024, FACTS_TEXT_BYTES = 200 };

struct facts {
    int64_t context_n; /* tokens; -1: unknown */
    int has_chat_template;
    char architecture[FACTS_TEXT_BYTES];
    char name[FACTS_TEXT_BYTES]; /* that it gives itself */
};

/* folder: of the snapshot; gguf_file: the one to load within it, or NULL. */
void facts_read(struct facts *facts, const char *folder, const char *gguf_file);
/* Pure: what config.json, and tokenizer_config.json, say; adds to what is known. */
void facts_take_config(struct facts *facts, const char *json);
void facts_take_tokenizer(struct facts *facts, const char *json);
/* Each file that an index of weights names, until fn returns other than 0, which is returned. 0; -EINVAL where it is no index; -errno. */
int facts_each_weights(const char *folder, const char *index_path, int (*fn)(void *context, const char *name), void *context) WARN_UNUSED;

#endif
