/*
 * limits: how many requests, and tokens, each key may have in a minute, and each address of those who have no key.
 *
 * Token buckets: a minute's worth at once, and then as much as comes back evenly. What an answer took is known at its end, and taken then: a
 * bucket of tokens may go below zero, and nothing passes until it is above it again. Pure; time is an argument. IPv6 counts by its first 64 bits,
 * as that is what one subscriber gets; all of loopback is one.
 *
 * The table of addresses is bounded: who has most left of what is his makes room, as he loses least by being forgotten, which is
 * nothing where his buckets are full. So a crowd of addresses gives none of them more than it has itself.
 */
#ifndef PROXY_LIMITS_H
#define PROXY_LIMITS_H

#include "common/buf.h"
#include "common/network.h"

enum limit_kind { LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_KINDS };

enum {
    LIMITS_SETS = 512, /* of addresses that share a few rows, by a hash whose seed nobody outside knows */
    LIMITS_WAYS = 8,   /* rows in each */
    LIMITS_PARTS = 60000, /* of one request or token, as limits_set counts */
};

/* For whom a request counts. All zero: for nobody. */
struct limits_who {
    int64_t per_minute[LIMIT_KINDS]; /* 0: no limit */
    const char *key;                 /* the name of its key, borrowed; NULL: it has none, and counts for its address */
    size_t key_index;
    struct ip ip;
};

struct limits_row;

/* All zero: no limit is in force, and there is no memory. */
struct limits {
    struct limits_row *keys;      /* by index */
    struct limits_row *addresses; /* LIMITS_SETS of LIMITS_WAYS */
    uint64_t seed;
};

/* Of one limit, behind the request. */
struct limits_left {
    int64_t limit;     /* a minute; 0: there is none */
    int64_t remaining; /* whole ones, never below zero */
    int64_t reset_ms;  /* until the bucket is full again */
};

struct limits_verdict {
    enum limit_kind refused_by; /* LIMIT_KINDS: it passes */
    int64_t retry_ms;           /* when one would pass; 0: now */
    struct limits_left left[LIMIT_KINDS];
};

/* keys_n, has_addresses: for whom there may be limits. 0 or -ENOMEM. */
int limits_init(struct limits *l, size_t keys_n, int has_addresses) WARN_UNUSED;
void limits_fini(struct limits *l);
/* Whom an address counts as. */
void limits_address(const struct ip *from, struct ip *out);

/* A request comes: whether it passes. One that is refused takes nothing. needs_tokens: its answer will have some. */
void limits_enter(struct limits *l, const struct limits_who *who, int needs_tokens, int64_t now_ms, struct limits_verdict *out);
/* Its answer took so many. */
void limits_take(struct limits *l, const struct limits_who *who, int64_t tokens_n, int64_t now_ms);

/* What is left of all that others count as well: parts, below zero where it is owed. */
void limits_set(struct limits *l, const struct limits_who *who, const int64_t parts[LIMIT_KINDS], int64_t now_ms);

/* Appends the lines of an answer's head that tell what is left, each with its CRLF. 0 or -errno.
 * https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers: x-ratelimit-limit-requests and so on; durations as Go writes
 * them (6m0s, 120ms). */
int limits_lines(const struct limits_verdict *v, struct buf *out) WARN_UNUSED;
/* A refusal in words: which limit, where it is set, when to try again. */
void limits_text(const struct limits_who *who, const struct limits_verdict *v, char *out, size_t out_n);
/* Seconds, rounded up, for Retry-After. RFC 9110 section 10.2.3 */
int64_t limits_retry_s(const struct limits_verdict *v);

#endif
