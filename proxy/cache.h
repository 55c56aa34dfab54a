/*
 * cache: whole answers of the optimizer's, kept in memory for who asks the same again. What has not been used for the longest goes first;
 * what is too old, or was made by a model that is another one by now, is never told. Pure.
 *
 * All that it holds counts in limit_bytes: answers, what stands beside them, answers that are still being gathered, and those that have
 * lost their place while somebody is being sent them.
 */
#ifndef PROXY_CACHE_H
#define PROXY_CACHE_H

#include "common/buf.h"
#include "common/siphash.h"

#include <stdint.h>

enum {
    CACHE_KEY_BYTES = SIPHASH_BYTES,
    CACHE_ENTRIES = 4096,     /* no more are kept, however small */
    CACHE_SHARE = 4,          /* an answer of more than one in so many of limit_bytes is not kept */
    CACHE_MODELS = 2,         /* that have made one answer */
    CACHE_DIGEST_BYTES = 16,  /* what is kept of a model's digest (installed.h) */
};

struct cache_model {
    const char *name;
    unsigned char digest[CACHE_DIGEST_BYTES];
};

/* An answer, and what is told of it beside its body. */
struct cache_answer {
    const char *type;     /* Content-Type */
    const char *strategy; /* by which it was made; it outlives the cache; NULL: none */
    uint64_t tokens_received_n, tokens_saved_n;
    struct cache_model models[CACHE_MODELS]; /* … and by which models */
    size_t models_n;
};

struct cache_entry {
    struct cache_answer answer;
    const char *bytes;
    size_t bytes_n;
    int64_t made_ms;
    /* the cache's own */
    struct cache *cache;
    struct cache_entry *next;             /* in its bucket */
    struct cache_entry *newer, *older;    /* by use */
    size_t cost_bytes;                    /* the memory that it takes */
    size_t holders_n;
    int is_kept;                          /* it has a place: who asks finds it */
    unsigned char key[CACHE_KEY_BYTES];
};

struct cache {
    size_t limit_bytes; /* 0: nothing is kept */
    int64_t ttl_ms;
    size_t bytes;       /* of all that it holds */
    size_t entries_n;   /* that are kept */
    struct cache_entry *newest, *oldest;
    struct cache_entry **buckets; /* owned; NULL before the first entry */
};

/* Takes no memory before something is kept. */
void cache_init(struct cache *c, size_t limit_bytes, int64_t ttl_ms);
/* Nobody may hold an entry, nor gather an answer any more. */
void cache_fini(struct cache *c);

/* The answer to this key; NULL: there is none, or it is too old, and has gone. It counts as used. Good until the next call that may let it
 * go: cache_hold. */
struct cache_entry *cache_find(struct cache *c, const unsigned char key[CACHE_KEY_BYTES], int64_t now_ms);
/* It is not to be found any more. */
void cache_drop(struct cache_entry *e);

/* While it is being sent it stays, whatever becomes of its place. */
void cache_hold(struct cache_entry *e);
/* … no more: *e is NULL then. Harmless where it is so before. */
void cache_release(struct cache_entry **e);

/* An answer that is being gathered. */
struct cache_draft {
    struct cache *cache; /* borrowed; NULL: it is not gathered, or was given up */
    struct buf bytes;
};

/* Nothing is there of it yet. It takes no memory before cache_draft_add. */
void cache_draft_begin(struct cache_draft *d, struct cache *c);
/* More of it. Where there is no room for it, it is given up. */
void cache_draft_add(struct cache_draft *d, const char *bytes, size_t bytes_n);
/* It is not to be kept; harmless where none is gathered. */
void cache_draft_drop(struct cache_draft *d);
/* It is whole: it is kept, in the place of what had this key, and the draft is none any more. All else is copied. Where there is no room
 * it is not kept. */
void cache_keep(struct cache_draft *d, const unsigned char key[CACHE_KEY_BYTES], const struct cache_answer *answer, int64_t now_ms);

#endif
