/*
 * last_load: what was loaded last, as it is kept in state_dir: one JSON object, what a load's body says. Pure.
 */
#ifndef PROXY_LAST_LOAD_H
#define PROXY_LAST_LOAD_H

#include "proxy/ask.h"

#define LAST_LOAD_FILE "last-load.json"
enum { LAST_LOAD_BYTES = 4096 }; /* ours have some hundred; what is longer is nobody's */

struct last_load {
    char model[CONTRACT_NAME_BYTES]; /* "": none */
    struct load_options options;
    int64_t keep_alive_ms; /* or ASK_KEEP_UNSAID, ASK_KEEP_FOR_EVER */
};

/* 1 where they are the same, for the same time. */
int last_load_equal(const struct last_load *a, const struct last_load *b);
/* Whether last_load_read takes it. */
int last_load_is_good(const struct last_load *l);

/* Appends it, with a newline. 0, -ENOMEM or -EFBIG. */
int last_load_write(const struct last_load *l, struct buf *out) WARN_UNUSED;

/* 0, or -EINVAL where that is no such object: another model's name than Ollama would take, options that no load has, anything
 * behind it. Members that are not known count for nothing. */
int last_load_read(struct last_load *out, const char *json, size_t json_n) WARN_UNUSED;

#endif
