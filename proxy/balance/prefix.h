/*
 * prefix: which backend has the start of a conversation in its cache. A prompt is cut where its messages end; each cut is known by a hash of
 * all before it. A backend that has answered a prompt has its cuts, as long as its cache may hold them: one slot holds one conversation. Pure.
 */
#ifndef PROXY_BALANCE_PREFIX_H
#define PROXY_BALANCE_PREFIX_H

#include "common/contract.h"

enum { PREFIX_CUTS = 16 };

/* The cuts of one prompt, from its start on: where there are more messages, the first one and the last ones. */
struct prefix {
    size_t cuts_n;
    uint64_t hashes[PREFIX_CUTS];
    uint32_t tokens[PREFIX_CUTS]; /* expected up to there */
};

struct prefixes;

/* NULL: no memory. Bounded: the longest unused goes first. */
struct prefixes *prefixes_new(void);
/* With all that it knows. */
void prefixes_free(struct prefixes **p);
/* A backend with so many slots has answered it. */
void prefixes_note(struct prefixes *p, int backend, size_t slots_n, const char *model, const struct prefix *prefix);
/* How many of its tokens are thought to be in that backend's cache. */
int64_t prefixes_cached_tokens(const struct prefixes *p, int backend, const char *model, const struct prefix *prefix);
void prefixes_forget_backend(struct prefixes *p, int backend);
/* … but for what these models have there: the others were unloaded, and their caches with them. names: borrowed for the call. */
void prefixes_keep_models(struct prefixes *p, int backend, const char *const *names, size_t names_n);

#endif
