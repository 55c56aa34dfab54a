/*
 * upstream_models: which models a backend lists: GET /v1/models of the OpenAI API ({"data":[{"id",…},…]}), or GET /api/tags of Ollama's
 * ({"models":[{"name",…},…]}); bounded. Pure.
 */
#ifndef PROXY_UPSTREAM_MODELS_H
#define PROXY_UPSTREAM_MODELS_H

#include "common/buf.h"
#include "common/conf.h"

enum {
    UPSTREAM_MODELS_N = 1024,
    UPSTREAM_MODELS_BYTES = 256 * 1024,
    UPSTREAM_NAME_BYTES = 200, /* the longest name is shorter, as that of a request */
};

struct upstream_models {
    struct buf rows; /* of each its numbers, its name and its owner, a NUL behind either */
    size_t models_n;
};

/* One of them. */
struct upstream_model {
    const char *name, *owner; /* borrowed */
    uint64_t created_s;       /* since 1970; 0: it does not say */
    uint64_t context_n;       /* tokens; 0: likewise */
    uint64_t size_bytes;      /* 0: likewise, as all that follows, of no list of a backend's */
    const char *format, *family; /* borrowed; NULL: likewise */
    int is_raw;               /* it has no place for tools, nor for a conversation */
};

void upstream_models_init(struct upstream_models *m);
void upstream_models_fini(struct upstream_models *m);

/* The answer, in the place of what was known. What has no name, a name that is too long, or no room, is left out, and so is one that
 * came before. owner: where it is not said who owns it. 0; -EINVAL where it is no list, -ENOMEM: nothing has changed. */
int upstream_models_read(struct upstream_models *m, const char *json, size_t json_n, const char *owner) WARN_UNUSED;

/* Only those that these names (as [backend:NAME] models has them) stand for; and all that are named in full, listed or not. 0, or -ENOMEM:
 * nothing has changed. */
int upstream_models_narrow(struct upstream_models *m, const struct list *names, const char *owner) WARN_UNUSED;

/* The one behind `at`, all zero for the first; 1, or 0 behind the last. */
int upstream_models_next(const struct upstream_models *m, struct upstream_model *at);
/* The one of this name: byte by byte, or, with is_ollama, as Ollama tells names apart. 1 with *out, or 0. */
int upstream_models_find(const struct upstream_models *m, const char *name, int is_ollama, struct upstream_model *out);

#endif
