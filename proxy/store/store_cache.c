/*
 * See store.h. Kept answers: what is found in Redis goes into the optimizer's own cache, whose rules it is told by from then on; what is kept
 * there goes to Redis. Keys are hashed under a secret that all proxies have from there.
 */
#include "proxy/store/cache_text.h"
#include "proxy/store/redis_why.h"
#include "proxy/store/store_inner.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MOST_BYTES = 1 << 20, KEY_DIGITS = 2 * CACHE_KEY_BYTES };

struct store_get {
    struct store *store;
    struct store_ask *ask; /* NULL: nobody waits any more */
    struct timer wait;
    unsigned char key[CACHE_KEY_BYTES];
};

static void hex_of(const unsigned char *bytes, size_t bytes_n, char *out)
{
    for (size_t i = 0; i < bytes_n; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int is_cached(const struct store *s)
{
    return s && s->optimizer->cache.limit_bytes > 0 && redis_state(s->redis) == REDIS_UP;
}

/* ---- the secret ---- */

static void on_secret(void *context, const redisReply *reply)
{
    struct store *s = context;
    unsigned char secret[SIPHASH_BYTES];
    if (!reply || reply->type != REDIS_REPLY_STRING || reply->len != 2 * SIPHASH_BYTES)
        return; /* then ours is nobody else's: nothing is found */
    for (size_t i = 0; i < SIPHASH_BYTES; i++) {
        unsigned byte;
        if (sscanf(reply->str + 2 * i, "%2x", &byte) != 1)
            return;
        secret[i] = (unsigned char)byte;
    }
    memcpy(s->optimizer->secret, secret, sizeof secret);
}

/* Of no use for now: it is told, and tried again later. */
static void on_kept(void *context, const redisReply *reply)
{
    struct store *s = context;
    char why[REDIS_WHY_BYTES];
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return;
    redis_why(reply->str, why);
    redis_refuse(s->redis, why);
}

void store_cache_begin(struct store *s)
{
    char key[STORE_KEY_BYTES], secret[2 * SIPHASH_BYTES + 1];
    if (!is_cached(s))
        return;
    store_key(s, "cache", "secret", key);
    hex_of(s->optimizer->secret, SIPHASH_BYTES, secret);
    redis_begin(s->redis);
    redis_add_text(s->redis, "SET");
    redis_add_text(s->redis, key);
    redis_add_text(s->redis, secret);
    redis_add_text(s->redis, "NX");
    (void)!redis_send(s->redis, on_kept, s);
    redis_begin(s->redis);
    redis_add_text(s->redis, "GET");
    redis_add_text(s->redis, key);
    (void)!redis_send(s->redis, on_secret, s);
}

/* ---- to find ---- */

/* What is younger than it can be was made by a clock that goes wrong. */
static void take_found(struct store *s, const unsigned char *key, char *text, size_t text_n)
{
    struct cache_text found;
    struct cache_draft draft;
    int64_t age_ms;
    if (cache_text_read(text, text_n, s->conf, &found) < 0)
        return;
    age_ms = sys_realtime_ms() - found.made_ms;
    age_ms = age_ms > 0 ? age_ms : 0;
    if (age_ms >= s->optimizer->cache.ttl_ms)
        return;
    cache_draft_begin(&draft, &s->optimizer->cache);
    cache_draft_add(&draft, found.bytes, found.bytes_n);
    cache_keep(&draft, key, &found.answer, loop_now_ms(s->loop) - age_ms);
    cache_draft_drop(&draft);
}

static void end_ask(struct store_get *get)
{
    struct store_ask *a = get->ask;
    loop_disarm(get->store->loop, &get->wait);
    get->ask = NULL;
    if (!a)
        return;
    a->get = NULL;
    a->fn(a->context);
}

/* What came too late for who has asked is there for the next. */
static void on_found(void *context, const redisReply *reply)
{
    struct store_get *get = context;
    if (reply && reply->type == REDIS_REPLY_STRING)
        take_found(get->store, get->key, reply->str, reply->len);
    end_ask(get);
    free(get);
}

static void on_late(void *context, int64_t now_ms)
{
    (void)now_ms;
    end_ask(context);
}

int store_find(struct store *s, struct store_ask *a, const unsigned char key[CACHE_KEY_BYTES])
{
    char name[STORE_KEY_BYTES], digits[KEY_DIGITS + 1];
    if (a->is_over || !is_cached(s))
        return 0;
    a->is_over = 1;
    struct store_get *get = calloc(1, sizeof *get);
    if (!get)
        return 0;
    *get = (struct store_get){.store = s, .ask = a};
    memcpy(get->key, key, CACHE_KEY_BYTES);
    hex_of(key, CACHE_KEY_BYTES, digits);
    store_key(s, "cache", digits, name);
    redis_begin(s->redis);
    redis_add_text(s->redis, "GET");
    redis_add_text(s->redis, name);
    if (redis_send(s->redis, on_found, get) < 0) {
        free(get);
        return 0;
    }
    a->get = get;
    timer_init(&get->wait, on_late, get);
    loop_arm(s->loop, &get->wait, loop_now_ms(s->loop) + STORE_WAIT_MS);
    return 1;
}

void store_leave(struct store_ask *a)
{
    struct store_get *get = a->get;
    if (!get)
        return;
    a->get = NULL;
    get->ask = NULL;
    loop_disarm(get->store->loop, &get->wait);
}

/* ---- to keep ---- */

void store_keep(struct store *s, const struct cache_entry *e)
{
    char name[STORE_KEY_BYTES], digits[KEY_DIGITS + 1];
    struct buf text;
    if (!is_cached(s))
        return;
    int64_t age_ms = loop_now_ms(s->loop) - e->made_ms;
    hex_of(e->key, CACHE_KEY_BYTES, digits);
    store_key(s, "cache", digits, name);
    buf_init(&text, TEXT_MOST_BYTES);
    if (cache_text_write(e, sys_realtime_ms() - age_ms, &text) == 0) {
        redis_begin(s->redis);
        redis_add_text(s->redis, "SET");
        redis_add_text(s->redis, name);
        redis_add(s->redis, buf_data(&text), buf_size(&text));
        redis_add_text(s->redis, "PX");
        redis_add_number(s->redis, s->optimizer->cache.ttl_ms);
        (void)!redis_send(s->redis, on_kept, s); /* one that is not kept is made again */
    }
    buf_fini(&text);
}
