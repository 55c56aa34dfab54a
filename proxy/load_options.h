/*
 * load_options: what a model is loaded with, and whether a request would make Ollama load it again. Pure.
 *
 * Ollama reloads a model where one of these differs from what it was loaded with (server/sched.go needsReload, v0.9.5). What
 * a request does not name has the model's, or the server's, own value, which nobody knows here.
 */
#ifndef PROXY_LOAD_OPTIONS_H
#define PROXY_LOAD_OPTIONS_H

#include "common/buf.h"

enum load_option {
    LOAD_NUM_CTX,
    LOAD_NUM_BATCH,
    LOAD_NUM_GPU,
    LOAD_MAIN_GPU,
    LOAD_NUM_THREAD,
    LOAD_USE_MMAP, /* 0, 1 */
    LOAD_OPTION_COUNT
};

enum { LOAD_ALL_OPTIONS = (1 << LOAD_OPTION_COUNT) - 1, LOAD_VALUE_BYTES = 24 };

/* Those that are named. */
struct load_options {
    unsigned set; /* bits, 1 << enum load_option; values of others are 0 */
    int64_t values[LOAD_OPTION_COUNT];
};

/* As in a request's options. */
const char *load_option_name(enum load_option option);
/* Its value in JSON. */
void load_option_json(enum load_option option, int64_t value, char out[LOAD_VALUE_BYTES]);

/* Whether it names an option. */
int load_options_has(const struct load_options *o, unsigned option);
/* Does not name it any more. */
void load_options_drop(struct load_options *o, enum load_option option);
/* Names an option. */
void load_options_set(struct load_options *o, enum load_option option, int64_t value);
/* Whether both name the same, with the same values. */
int load_options_equal(const struct load_options *a, const struct load_options *b);

/* How much a request insists on its options: bits of those that must be loaded just as they are wanted, and of those that are a
 * proposal (a preset's): what is loaded will do, but for a context that is smaller. */
struct load_terms {
    unsigned fixed, soft;
};

/* Whether what asks for `wanted` can be answered by what was loaded with `loaded`: then 1, and *ride is what it must name in
 * addition, or instead, and *dropped the bits of what it must not name, so that Ollama sees no difference. What it does not name rides on
 * what is loaded, and so does a num_ctx that is smaller. */
int load_options_fit(const struct load_options *wanted, const struct load_terms *terms, const struct load_options *loaded,
                     struct load_options *ride, unsigned *dropped);

/* What is to be loaded where they don't fit: `wanted`, and what was loaded where it names nothing and nothing is fixed. */
void load_options_merge(const struct load_options *wanted, unsigned fixed, const struct load_options *loaded, struct load_options *out);

/* `{"num_ctx":8192}`, appended. 0, -ENOMEM or -EFBIG. */
int load_options_write(const struct load_options *o, struct buf *out) WARN_UNUSED;

#endif
