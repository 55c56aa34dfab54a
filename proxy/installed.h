/*
 * installed: which models the backend has, as far as GET /api/tags has told. What was listed is believed until somebody knows better, as
 * who asks for it finds out; what was not listed is missing for a moment only, as others pull and create models too. And which they are:
 * their digests, that of the manifest (Ollama's server/routes.go ListHandler, v0.9.5), which is another one when anything of a model is. Pure.
 */
#ifndef PROXY_INSTALLED_H
#define PROXY_INSTALLED_H

#include "common/buf.h"

enum {
    INSTALLED_MODELS = 1024,         /* where there are more, each may be there: nobody pulls then */
    INSTALLED_NAMES_BYTES = 256 * 1024,
    INSTALLED_FRESH_MS = 30000,      /* so long what was not listed is missing */
    INSTALLED_DIGEST_BYTES = 16,     /* that are kept of a digest: the first ones */
};

enum installed_verdict {
    INSTALLED_YES,
    INSTALLED_NO,
    INSTALLED_UNKNOWN, /* its list is to be asked for */
};

struct installed {
    struct buf names; /* each with a NUL behind it */
    size_t names_n;
    int is_cut;             /* there are more */
    int64_t fresh_until_ms; /* 0: it is not */
    int64_t listed_ms;      /* when the list was asked for; -1: there is none, or it is doubted */
    int64_t same_since_ms;  /* … when the first of those was that had the same models and digests one after the other; -1: there is none */
    uint64_t sum;           /* of names and digests, in any order */
    uint32_t hashes[INSTALLED_MODELS]; /* beside the names, as places are */
    uint32_t places[INSTALLED_MODELS];
    unsigned char digests[INSTALLED_MODELS][INSTALLED_DIGEST_BYTES]; /* all zero: it was not said */
};

void installed_init(struct installed *i);
void installed_fini(struct installed *i);

/* An answer to GET /api/tags (Ollama docs/api.md, "List Local Models") that was asked for at asked_ms. 0; -EINVAL where it is no list of
 * models, and nothing has changed; -ENOMEM: nothing is known then. */
int installed_read(struct installed *i, const char *json, size_t json_n, int64_t asked_ms) WARN_UNUSED;

/* Whether this model was listed the last time. */
int installed_is_listed(const struct installed *i, const char *model);
/* Whether it is there, as far as that is believed now. */
enum installed_verdict installed_look(const struct installed *i, const char *model, int64_t now_ms);
/* The first bytes of the digest that this model was listed with the last time; NULL: nobody knows. */
const unsigned char *installed_digest(const struct installed *i, const char *model);
/* Whether what was not listed counts as missing. */
static inline int installed_is_fresh(const struct installed *i, int64_t now_ms)
{
    return now_ms < i->fresh_until_ms;
}

/* What was not listed may be there by now, and what was may be another one. */
void installed_doubt(struct installed *i);
/* What was listed may be gone, too. */
void installed_forget(struct installed *i);

#endif
