/*
 * engine_words: the command of an engine, [engine:NAME], for one model: its template's words with what they stand for. No word becomes several,
 * whatever is filled in, as they were split before; no shell reads them. Pure.
 */
#ifndef COMMON_ENGINE_WORDS_H
#define COMMON_ENGINE_WORDS_H

#include "common/conf.h"

enum { ENGINE_URL_BYTES = 512 };

/* What may stand in a template, as bits. */
enum engine_placeholder {
    ENGINE_PATH = 1,   /* %(path)s, the model's folder, absolute */
    ENGINE_FILE = 2,   /* %(file)s, the file in it that is to be loaded, absolute */
    ENGINE_MODEL = 4,  /* %(model)s, ORG/NAME */
    ENGINE_PORT = 8,   /* %(port)s */
    ENGINE_LENGTH = 16, /* %(length)s, tokens of context */
    ENGINE_GPUS = 32,  /* %(gpus)s, how many */
};

struct engine_values {
    const char *path, *model;
    const char *file; /* within path; "": none */
    uint16_t port;
    int64_t length_n;
    unsigned gpus_n;
    int is_quantized, has_remote_code; /* whether their flags are appended; gpu_flags are where gpus_n is not 0 */
};

/* Which placeholders are in a text: bits of enum engine_placeholder; -EINVAL with the reason where one is unknown. */
int engine_placeholders(const char *text, char *why) WARN_UNUSED;
/* The words of its command, and the flags that hold, appended to *out. 0; -EINVAL: a template that no configuration has; -ENOMEM. */
int engine_words(const struct conf_engine *e, const struct engine_values *v, struct list *out) WARN_UNUSED;
/* Its environment's NAME=value, the same way. */
int engine_environment(const struct conf_engine *e, const struct engine_values *v, struct list *out) WARN_UNUSED;
/* What it is asked to see whether it is ready. 0; -EINVAL; -ENAMETOOLONG. */
int engine_ready(const struct conf_engine *e, uint16_t port, char url[ENGINE_URL_BYTES]) WARN_UNUSED;

#endif
