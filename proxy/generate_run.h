/*
 * generate_run: what the files of generate share, and nobody else: generate.c (reads and judges a request), generate_change.c (makes it Ollama's).
 */
#ifndef PROXY_GENERATE_RUN_H
#define PROXY_GENERATE_RUN_H

#include "common/json_read.h"
#include "proxy/generate.h"
#include "proxy/json_splice.h"
#include "proxy/mistakes.h"

/* The members of a request that are read here, and their names. */
enum generate_member {
    GENERATE_PROMPT,
    GENERATE_MODEL,
    GENERATE_PRESET,
    GENERATE_STREAM,
    GENERATE_OPTIONS,
    GENERATE_SYSTEM,
    GENERATE_KEEP_ALIVE,
    GENERATE_IMAGES,
    GENERATE_IMAGE,
    GENERATE_MESSAGES,
    GENERATE_MEMBERS_N
};
extern const char *const generate_names[GENERATE_MEMBERS_N];

/* Two words for one option: the presets', and Ollama's. */
enum { GENERATE_BATCH_SIZE, GENERATE_NUM_BATCH, GENERATE_BATCH_N };
extern const char *const generate_batch_names[GENERATE_BATCH_N];

/* One request on its way. */
struct generate_run {
    const struct generate_rules *rules;
    struct generate *g;
    char *bytes; /* the body's */
    struct json_value values[GENERATE_MEMBERS_N];
    struct json_value batch[GENERATE_BATCH_N];
    struct mistakes mistakes;
    int status;                   /* of the mistakes so far */
    size_t images_n;
    const struct preset *options; /* whose options it has: g->preset, or the one that it names beside a model */
    uint32_t named;               /* which of these the request names itself: bits */
    const char *options_end;      /* the closing brace of its own; NULL: it has none */
    int has_options;              /* … and something is in there */
    struct json_splice splice;    /* what is put in; all else is blanked where it stands */
};

/* Whether a member is there: neither absent nor null. */
static inline int generate_is_there(const struct generate_run *r, enum generate_member member)
{
    return r->values[member].kind != JSON_NULL;
}
/* … and a text that is not empty. */
static inline int generate_has_text(const struct generate_run *r, enum generate_member member)
{
    return r->values[member].kind == JSON_STRING && r->values[member].n > 2;
}

/* Changes the body, which was found to be without a mistake. 0 or -ENOMEM. */
int generate_change(struct generate_run *r, struct buf *body) WARN_UNUSED;

#endif
