/*
 * See store.h. Limits: the bucket of everybody who has been here of late is in Redis too, and refilled there by its own clock. Each proxy decides by its
 * own copy, so that nobody waits; what it has taken is told every TELL_MS, and the answer, what is left after all others have taken theirs as well,
 * becomes its copy. So all of them together let through what each can in TELL_MS more than the limit, after a pause.
 */
#include "proxy/store/store_inner.h"

#include "proxy/store/redis_why.h"

#include <stdio.h>
#include <stdlib.h>

enum { TELL_MS = 200, TOOK_MOST = 256 };

struct store_took {
    struct limits_who who;
    int64_t n[LIMIT_KINDS];
};

/* One that was told, until it is answered. */
struct telling {
    struct store *store;
    struct limits_who who;
};

/* KEYS: the bucket. ARGV, of each kind: the limit a minute (0: none), how many were taken. Counted as limits.c does. */
static const char script[] =
    "if redis.replicate_commands then redis.replicate_commands() end\n"
    "local time = redis.call('TIME')\n"
    "local now, full_ms, left = time[1] * 1000 + math.floor(time[2] / 1000), 1000, {}\n"
    "local at = tonumber(redis.call('HGET', KEYS[1], 'at') or now)\n"
    "for i = 1, #ARGV / 2 do\n"
    " local rate, took = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])\n"
    " local full = rate * 60000\n"
    " local parts = tonumber(redis.call('HGET', KEYS[1], i) or full)\n"
    " parts = math.min(full, parts + math.max(0, now - at) * rate) - took * 60000\n"
    " if rate > 0 then full_ms = math.max(full_ms, math.ceil((full - parts) / rate)) end\n"
    " redis.call('HSET', KEYS[1], i, string.format('%.0f', parts))\n"
    " left[i] = string.format('%.0f', parts)\n"
    "end\n"
    "redis.call('HSET', KEYS[1], 'at', now)\n"
    "redis.call('PEXPIRE', KEYS[1], math.min(full_ms, 86400000))\n"
    "return left\n";

static int is_same(const struct limits_who *a, const struct limits_who *b)
{
    return a->key || b->key ? a->key == b->key : ip_is_equal(&a->ip, &b->ip);
}

/* Of whom there is something to tell; NULL: nothing. */
static struct store_took *find(struct store *s, const struct limits_who *who)
{
    for (size_t i = 0; i < s->took_n; i++)
        if (is_same(&s->took[i].who, who))
            return &s->took[i];
    return NULL;
}

static void on_left(void *context, const redisReply *reply)
{
    struct telling *t = context;
    struct store *s = t->store;
    int64_t parts[LIMIT_KINDS];
    char why[REDIS_WHY_BYTES];
    int is_read = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == LIMIT_KINDS;
    for (size_t i = 0; i < LIMIT_KINDS && is_read; i++) {
        const struct store_took *later = find(s, &t->who);
        is_read = reply->element[i]->type == REDIS_REPLY_STRING;
        parts[i] = is_read ? strtoll(reply->element[i]->str, NULL, 10) - (later ? later->n[i] * LIMITS_PARTS : 0) : 0;
    }
    if (is_read)
        limits_set(s->limits, &t->who, parts, loop_now_ms(s->loop));
    free(t);
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return;
    redis_why(reply->str, why);
    redis_refuse(s->redis, why); /* a script that was flushed is loaded when it is back */
}

static void tell(struct store *s, const struct store_took *took)
{
    char name[STORE_KEY_BYTES], ip[IP_TEXT_BYTES];
    struct telling *t = calloc(1, sizeof *t);
    if (!t)
        return;
    *t = (struct telling){s, took->who};
    ip_text(&took->who.ip, ip);
    store_key(s, took->who.key ? "limit:key" : "limit:address", took->who.key ? took->who.key : ip, name);
    redis_begin(s->redis);
    redis_add_text(s->redis, "EVALSHA");
    redis_add_text(s->redis, s->sha);
    redis_add_text(s->redis, "1");
    redis_add_text(s->redis, name);
    for (size_t i = 0; i < LIMIT_KINDS; i++) {
        redis_add_number(s->redis, took->who.per_minute[i]);
        redis_add_number(s->redis, took->n[i]);
    }
    if (redis_send(s->redis, on_left, t) < 0)
        free(t);
}

static void on_tell(void *context, int64_t now_ms)
{
    struct store *s = context;
    size_t took_n = s->took_n;
    (void)now_ms;
    s->took_n = 0; /* what is not told now is counted here alone */
    for (size_t i = 0; i < took_n && *s->sha; i++)
        tell(s, &s->took[i]);
}

void store_took(struct store *s, const struct limits_who *who, enum limit_kind kind, int64_t n)
{
    if (!s || !*s->sha)
        return;
    struct store_took *took = find(s, who);
    if (!took && s->took_n == TOOK_MOST)
        on_tell(s, 0);
    if (!s->took)
        s->took = calloc(TOOK_MOST, sizeof *s->took);
    if (!s->took)
        return;
    if (!took) {
        took = &s->took[s->took_n++];
        *took = (struct store_took){.who = *who};
    }
    took->n[kind] += n;
    if (!timer_is_armed(&s->tell))
        loop_arm(s->loop, &s->tell, loop_now_ms(s->loop) + TELL_MS);
}

static void on_script(void *context, const redisReply *reply)
{
    struct store *s = context;
    char why[REDIS_WHY_BYTES];
    if (reply && reply->type == REDIS_REPLY_STRING && reply->len == STORE_SHA_BYTES - 1) {
        memcpy(s->sha, reply->str, STORE_SHA_BYTES);
    } else if (reply && reply->type == REDIS_REPLY_ERROR) {
        redis_why(reply->str, why);
        redis_refuse(s->redis, why);
    }
}

void store_limits_begin(struct store *s)
{
    if (!timer_is_armed(&s->tell))
        timer_init(&s->tell, on_tell, s);
    redis_begin(s->redis);
    redis_add_text(s->redis, "SCRIPT");
    redis_add_text(s->redis, "LOAD");
    redis_add_text(s->redis, script);
    (void)!redis_send(s->redis, on_script, s);
}

void store_limits_fini(struct store *s)
{
    loop_disarm(s->loop, &s->tell);
    free(s->took);
}
