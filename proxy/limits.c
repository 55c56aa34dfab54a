/*
 * See limits.h. Counted in parts, of which a limit of N a minute gives N back in each millisecond: so nothing is rounded, whatever
 * the limit is.
 */
#include "proxy/limits.h"

#include "common/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MINUTE_MS = LIMITS_PARTS, /* as many parts are one */
    V6_BYTES = 8,      /* of an address that count: a /64 */
};

#define MOST_TOKENS ((int64_t)1 << 40) /* of one answer that are believed; a bucket owes no more than so many */

struct limits_row {
    struct ip ip; /* of addresses */
    int64_t at_ms;
    int64_t parts[LIMIT_KINDS]; /* what is left; below zero: owed */
    int is_used;
};

int limits_init(struct limits *l, size_t keys_n, int has_addresses)
{
    *l = (struct limits){0};
    if (keys_n > 0)
        l->keys = calloc(keys_n, sizeof *l->keys);
    if (has_addresses)
        l->addresses = calloc(LIMITS_SETS * LIMITS_WAYS, sizeof *l->addresses);
    if ((keys_n > 0 && !l->keys) || (has_addresses && !l->addresses)) {
        limits_fini(l);
        return -ENOMEM;
    }
    sys_random(&l->seed, sizeof l->seed);
    return 0;
}

void limits_fini(struct limits *l)
{
    free(l->keys);
    free(l->addresses);
    *l = (struct limits){0};
}

void limits_address(const struct ip *from, struct ip *out)
{
    static const struct ip loopback = {{[15] = 1}};
    *out = ip_is_loopback(from) ? loopback : *from;
    if (!ip_is_v4(out))
        memset(out->bytes + V6_BYTES, 0, sizeof out->bytes - V6_BYTES);
}

/* Gives back what time has brought. A clock that went back brings nothing. */
static void refill(struct limits_row *row, const struct limits_who *who, int64_t now_ms)
{
    int64_t gone_ms = row->is_used ? now_ms - row->at_ms : 0;
    for (size_t i = 0; i < LIMIT_KINDS; i++) {
        int64_t rate = who->per_minute[i], full = rate * MINUTE_MS;
        if (!row->is_used || (rate > 0 && gone_ms > (full - row->parts[i]) / rate))
            row->parts[i] = full;
        else if (gone_ms > 0)
            row->parts[i] += gone_ms * rate;
    }
    row->is_used = 1;
    row->at_ms = now_ms;
}

/* Until it is full again in every respect. */
static int64_t full_in_ms(const struct limits_row *row, const struct limits_who *who, int64_t now_ms)
{
    int64_t most_ms = 0;
    for (size_t i = 0; i < LIMIT_KINDS; i++) {
        int64_t rate = who->per_minute[i], ms = rate > 0 ? (rate * MINUTE_MS - row->parts[i] + rate - 1) / rate : 0;
        most_ms = ms > most_ms ? ms : most_ms;
    }
    return most_ms - (now_ms - row->at_ms);
}

/* The row of this address: its own, else one that nobody has, else that of who loses least. All addresses have the same limits. */
static struct limits_row *row_of_address(struct limits *l, const struct limits_who *who, int64_t now_ms)
{
    uint64_t h = hash_bytes(HASH_START ^ l->seed, (const char *)who->ip.bytes, sizeof who->ip.bytes);
    struct limits_row *set = l->addresses + (h ^ h >> 32) % LIMITS_SETS * LIMITS_WAYS, *fullest = set;
    for (size_t i = 0; i < LIMITS_WAYS; i++) {
        struct limits_row *row = &set[i];
        if (row->is_used && ip_is_equal(&row->ip, &who->ip))
            return row;
        if (fullest->is_used && (!row->is_used || full_in_ms(row, who, now_ms) < full_in_ms(fullest, who, now_ms)))
            fullest = row;
    }
    *fullest = (struct limits_row){.ip = who->ip};
    return fullest;
}

static struct limits_row *row_of(struct limits *l, const struct limits_who *who, int64_t now_ms)
{
    struct limits_row *row = who->key ? &l->keys[who->key_index] : row_of_address(l, who, now_ms);
    refill(row, who, now_ms);
    return row;
}

/* What a bucket must have: a request takes a whole one; tokens are taken behind it, and it passes while there is any part of one. */
static int64_t needed_of(size_t kind)
{
    return kind == LIMIT_REQUESTS ? MINUTE_MS : 1;
}

void limits_enter(struct limits *l, const struct limits_who *who, int needs_tokens, int64_t now_ms, struct limits_verdict *out)
{
    struct limits_row *row = row_of(l, who, now_ms);
    *out = (struct limits_verdict){.refused_by = LIMIT_KINDS};
    for (size_t i = 0; i < LIMIT_KINDS; i++) {
        int64_t rate = who->per_minute[i], missing = needed_of(i) - row->parts[i];
        int64_t in_ms = rate > 0 && missing > 0 ? (missing + rate - 1) / rate : 0;
        if (in_ms <= out->retry_ms || (i == LIMIT_TOKENS && !needs_tokens))
            continue;
        out->retry_ms = in_ms;
        out->refused_by = (enum limit_kind)i;
    }
    if (out->refused_by == LIMIT_KINDS && who->per_minute[LIMIT_REQUESTS] > 0)
        row->parts[LIMIT_REQUESTS] -= MINUTE_MS;
    for (size_t i = 0; i < LIMIT_KINDS; i++) {
        int64_t rate = who->per_minute[i], parts = row->parts[i];
        if (rate > 0)
            out->left[i] = (struct limits_left){rate, parts > 0 ? parts / MINUTE_MS : 0, (rate * MINUTE_MS - parts + rate - 1) / rate};
    }
}

void limits_take(struct limits *l, const struct limits_who *who, int64_t tokens_n, int64_t now_ms)
{
    if (who->per_minute[LIMIT_TOKENS] <= 0 || tokens_n <= 0)
        return;
    int64_t *parts = &row_of(l, who, now_ms)->parts[LIMIT_TOKENS];
    *parts -= (tokens_n < MOST_TOKENS ? tokens_n : MOST_TOKENS) * MINUTE_MS;
    if (*parts < -MOST_TOKENS * MINUTE_MS)
        *parts = -MOST_TOKENS * MINUTE_MS;
}

void limits_set(struct limits *l, const struct limits_who *who, const int64_t parts[LIMIT_KINDS], int64_t now_ms)
{
    struct limits_row *row = row_of(l, who, now_ms);
    for (size_t i = 0; i < LIMIT_KINDS; i++) {
        int64_t full = who->per_minute[i] * MINUTE_MS, least = -MOST_TOKENS * MINUTE_MS;
        row->parts[i] = parts[i] > full ? full : parts[i] < least ? least : parts[i];
    }
}

int64_t limits_retry_s(const struct limits_verdict *v)
{
    return (v->retry_ms + 999) / 1000;
}

/* As Go writes durations, rounded up to whole seconds from one second on. */
static void duration_text(int64_t ms, char *out, size_t out_n)
{
    long long s = (ms + 999) / 1000;
    if (ms > 0 && ms < 1000)
        snprintf(out, out_n, "%lldms", (long long)ms);
    else if (s < 60)
        snprintf(out, out_n, "%llds", s);
    else if (s < 3600)
        snprintf(out, out_n, "%lldm%llds", s / 60, s % 60);
    else
        snprintf(out, out_n, "%lldh%lldm%llds", s / 3600, s / 60 % 60, s % 60);
}

static const char *const nouns[] = {[LIMIT_REQUESTS] = "requests", [LIMIT_TOKENS] = "tokens"};

int limits_lines(const struct limits_verdict *v, struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < LIMIT_KINDS && !error; i++) {
        const struct limits_left *left = &v->left[i];
        const char *noun = nouns[i];
        char reset[64];
        duration_text(left->reset_ms, reset, sizeof reset);
        if (left->limit > 0)
            error = buf_printf(out, "x-ratelimit-limit-%s: %lld\r\nx-ratelimit-remaining-%s: %lld\r\nx-ratelimit-reset-%s: %s\r\n", noun,
                               (long long)left->limit, noun, (long long)left->remaining, noun, reset);
    }
    return error;
}

void limits_text(const struct limits_who *who, const struct limits_verdict *v, char *out, size_t out_n)
{
    const char *noun = nouns[v->refused_by];
    int is_one = v->left[v->refused_by].limit == 1;
    snprintf(out, out_n, "%s may have %lld %.*s a minute ([%s%s] %s_per_minute): try again in %lld s", who->key ? "this key" : "without a key an address",
             (long long)v->left[v->refused_by].limit, (int)strlen(noun) - is_one, noun, who->key ? "key:" : "proxy", who->key ? who->key : "", noun,
             (long long)limits_retry_s(v));
}
