/*
 * generate: a request of POST /generate as Ollama's POST /api/generate, by the presets (common/presets.h). Pure. What it takes is for
 * users in docs/generate.md.
 *
 * The body is changed where it lies, as it may have megabytes of images: what goes is written over by spaces, what comes is put before
 * a closing brace. All that is not read here stays as it is, byte for byte: a 20-digit seed, a schema, a context.
 */
#ifndef PROXY_GENERATE_H
#define PROXY_GENERATE_H

#include "common/buf.h"
#include "common/presets.h"

enum { GENERATE_WHY_BYTES = 1024 };

struct generate_rules {
    const struct presets *presets; /* borrowed, as are those that it gives */
    uint64_t image_bytes_max;      /* of one image, decoded */
};

struct generate {
    const struct preset *preset;  /* the first of its models is in the body; NULL: the client has named its model */
    unsigned load_options;        /* of those that a model is loaded with, the preset's: bits, 1 << enum load_option */
    int is_stream;                /* as it was asked for; -1: not said */
    char why[GENERATE_WHY_BYTES]; /* what is wrong with the request, where, and what would be right: every mistake */
};

/* Makes a body of /generate one of Ollama's (api/types.go GenerateRequest, v0.9.5); names of members are compared as Go does, and of several
 * the last counts. 0; the status of a refusal: 400, 413, 415, with g->why; -ENOMEM. What it refuses stays JSON, if it was, and says the same. */
int generate_read(struct generate *g, const struct generate_rules *rules, struct buf *body) WARN_UNUSED;

/* What the backend says went wrong, in words for who can do something about it: the text, or what is in room now. */
const char *generate_error(int status, const char *model, const char *text, char room[GENERATE_WHY_BYTES]);

#endif
