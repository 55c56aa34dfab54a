/*
 * See cache.h. Keys are SHA-256's: any bytes of one are as good as a hash. Who makes many keys that meet in one bucket makes the walk along
 * CACHE_ENTRIES of them at most.
 */
#include "proxy/cache.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = CACHE_ENTRIES };

void cache_init(struct cache *c, size_t limit_bytes, int64_t ttl_ms)
{
    *c = (struct cache){.limit_bytes = limit_bytes, .ttl_ms = ttl_ms};
}

static struct cache_entry **bucket_of(const struct cache *c, const unsigned char key[CACHE_KEY_BYTES])
{
    uint32_t hash;
    memcpy(&hash, key, sizeof hash);
    return &c->buckets[hash % BUCKETS];
}

static void free_unheld(struct cache_entry *e)
{
    if (e->is_kept || e->holders_n > 0)
        return;
    e->cache->bytes -= e->cost_bytes;
    free(e);
}

static void leave_order(struct cache *c, struct cache_entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void become_newest(struct cache *c, struct cache_entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

void cache_drop(struct cache_entry *e)
{
    struct cache *c = e->cache;
    if (!e->is_kept)
        return;
    struct cache_entry **at = bucket_of(c, e->key);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    leave_order(c, e);
    c->entries_n--;
    e->is_kept = 0;
    free_unheld(e);
}

void cache_fini(struct cache *c)
{
    while (c->oldest)
        cache_drop(c->oldest);
    free(c->buckets);
    c->buckets = NULL;
}

static struct cache_entry *find(const struct cache *c, const unsigned char key[CACHE_KEY_BYTES])
{
    struct cache_entry *e = c->buckets ? *bucket_of(c, key) : NULL;
    while (e && memcmp(e->key, key, CACHE_KEY_BYTES) != 0)
        e = e->next;
    return e;
}

struct cache_entry *cache_find(struct cache *c, const unsigned char key[CACHE_KEY_BYTES], int64_t now_ms)
{
    struct cache_entry *e = find(c, key);
    if (!e)
        return NULL;
    if (now_ms - e->made_ms >= c->ttl_ms) {
        cache_drop(e);
        return NULL;
    }
    leave_order(c, e);
    become_newest(c, e);
    return e;
}

void cache_hold(struct cache_entry *e)
{
    e->holders_n++;
}

void cache_release(struct cache_entry **held)
{
    struct cache_entry *e = *held;
    *held = NULL;
    if (!e)
        return;
    e->holders_n--;
    free_unheld(e);
}

/* At the cost of the oldest. 1, or 0 where the rest is not theirs. */
static int make_room(struct cache *c, size_t more_bytes)
{
    while (c->oldest && (c->bytes + more_bytes > c->limit_bytes))
        cache_drop(c->oldest);
    return c->bytes + more_bytes <= c->limit_bytes;
}

static size_t answer_limit_of(const struct cache *c)
{
    return c->limit_bytes / CACHE_SHARE;
}

/* Drafts */

void cache_draft_begin(struct cache_draft *d, struct cache *c)
{
    d->cache = c;
    buf_init(&d->bytes, 0);
}

void cache_draft_drop(struct cache_draft *d)
{
    if (!d->cache)
        return;
    d->cache->bytes -= buf_size(&d->bytes);
    d->cache = NULL;
    buf_fini(&d->bytes);
}

void cache_draft_add(struct cache_draft *d, const char *bytes, size_t bytes_n)
{
    struct cache *c = d->cache;
    if (!c)
        return;
    size_t limit_bytes = answer_limit_of(c), used_bytes = buf_size(&d->bytes);
    int has_room = used_bytes <= limit_bytes && bytes_n <= limit_bytes - used_bytes && make_room(c, bytes_n);
    if (!has_room || buf_append(&d->bytes, bytes, bytes_n) < 0)
        cache_draft_drop(d);
    else
        c->bytes += bytes_n;
}

static const char *copy(char **at, const char *bytes, size_t bytes_n)
{
    char *to = *at;
    memcpy(to, bytes, bytes_n);
    *at += bytes_n;
    return to;
}

static const char *copy_text(char **at, const char *text)
{
    return copy(at, text, strlen(text) + 1);
}

/* One piece of memory, with all that it says. */
static struct cache_entry *make(struct cache *c, const struct cache_answer *answer, const struct buf *bytes)
{
    size_t cost_bytes = sizeof(struct cache_entry) + strlen(answer->type) + 1 + buf_size(bytes);
    for (size_t i = 0; i < answer->models_n; i++)
        cost_bytes += strlen(answer->models[i].name) + 1;
    struct cache_entry *e = cost_bytes <= answer_limit_of(c) && make_room(c, cost_bytes) ? malloc(cost_bytes) : NULL;
    if (!e)
        return NULL;
    *e = (struct cache_entry){.answer = *answer, .cache = c, .cost_bytes = cost_bytes, .bytes_n = buf_size(bytes)};
    char *at = (char *)(e + 1);
    e->answer.type = copy_text(&at, answer->type);
    for (size_t i = 0; i < answer->models_n; i++)
        e->answer.models[i].name = copy_text(&at, answer->models[i].name);
    e->bytes = copy(&at, buf_data(bytes), buf_size(bytes));
    c->bytes += cost_bytes;
    return e;
}

static void put(struct cache *c, struct cache_entry *e)
{
    struct cache_entry **bucket = bucket_of(c, e->key);
    e->next = *bucket;
    *bucket = e;
    become_newest(c, e);
    c->entries_n++;
    e->is_kept = 1;
}

void cache_keep(struct cache_draft *d, const unsigned char key[CACHE_KEY_BYTES], const struct cache_answer *answer, int64_t now_ms)
{
    struct cache *c = d->cache;
    if (!c)
        return;
    struct cache_entry *former = find(c, key);
    if (former)
        cache_drop(former);
    while (c->oldest && (c->entries_n >= CACHE_ENTRIES || now_ms - c->oldest->made_ms >= c->ttl_ms))
        cache_drop(c->oldest);
    if (!c->buckets)
        c->buckets = calloc(BUCKETS, sizeof *c->buckets);
    struct cache_entry *e = NULL;
    if (c->buckets) {
        c->bytes -= buf_size(&d->bytes); /* it becomes the entry's */
        e = make(c, answer, &d->bytes);
        c->bytes += buf_size(&d->bytes);
    }
    cache_draft_drop(d);
    if (!e)
        return;
    e->made_ms = now_ms;
    memcpy(e->key, key, CACHE_KEY_BYTES);
    put(c, e);
}
