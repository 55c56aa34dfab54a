/*
 * shelf: the models of the hub's cache, as a job of ollama-preload lists them. Pure, bounded.
 */
#ifndef PROXY_SERVE_SHELF_H
#define PROXY_SERVE_SHELF_H

#include "common/sys.h"

enum { SHELF_MODELS = 1000, SHELF_TEXT_BYTES = 4096 };

enum shelf_format { SHELF_SAFETENSORS, SHELF_GGUF, SHELF_OTHER };

/* Texts are "" where the list says null, or one that is too long; numbers -1. */
struct shelf_model {
    const char *name, *revision, *local_path, *file, *architecture, *description, *backend, *pulled_at;
    enum shelf_format format;
    int has_chat_template, is_preferred_quantized;
    unsigned files_n; /* of GGUF, in its snapshot */
    int64_t size_bytes, context_n, load_ns;
};

struct shelf;

/* An empty one; NULL: no memory. */
struct shelf *shelf_new(void);
/* NULL afterwards; harmless where it is. */
void shelf_free(struct shelf **s);
/* A list begins; each of its lines; its end: only then what is known is replaced, and only where the list's last line has come. line: 0; -EINVAL where
 * it is none of the list's (the rest may still be); -EFBIG, -ENOMEM. end: 0; -ENODATA: nothing has changed. */
void shelf_begin(struct shelf *s);
int shelf_line(struct shelf *s, const char *json, size_t json_n) WARN_UNUSED;
int shelf_end(struct shelf *s) WARN_UNUSED;
/* By its name, else by that in other cases; `:latest` behind it is nothing. NULL: it is not there. Borrowed until shelf_end. */
const struct shelf_model *shelf_find(const struct shelf *s, const char *name);
/* The nth, by name; NULL behind the last. */
const struct shelf_model *shelf_at(const struct shelf *s, size_t nth);
/* Where the cache is ("" before the first list), and how many bytes are free there; -1: not known. */
const char *shelf_cache(const struct shelf *s, int64_t *free_bytes);

#endif
