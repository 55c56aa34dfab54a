/* See store.h. A connection of its own, so that a large answer does not hold up the queue. */
#include "proxy/store/store_inner.h"

#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void on_up(void *context)
{
    struct store *s = context;
    *s->why = '\0';
    log_event(LOG_INFO, "store_up", "for=\"kept answers, limits\"");
    store_cache_begin(s);
    store_limits_begin(s);
}

static void on_down(void *context, const char *why)
{
    struct store *s = context;
    *s->sha = '\0';
    if (strcmp(s->why, why) != 0)
        log_event(LOG_WARNING, "store_away", "reason=\"%s\" hint=\"each proxy keeps answers, and counts for limits, by itself\"", why);
    snprintf(s->why, sizeof s->why, "%s", why);
}

static int is_of_use(const struct conf *conf)
{
    int is_cached = conf->optimizer.enabled && conf->optimizer.cache == CONF_CACHE_REDIS;
    int has_limits = conf->proxy.requests_per_minute > 0 || conf->proxy.tokens_per_minute > 0;
    for (size_t i = 0; i < conf->keys_n; i++)
        has_limits |= conf->keys[i].requests_per_minute > 0 || conf->keys[i].tokens_per_minute > 0;
    return *conf->redis.url && (is_cached || has_limits);
}

int store_new(struct store **out, struct loop *loop, const struct conf *conf, struct optimizer *optimizer, struct limits *limits)
{
    char why[PARSE_WHY_BYTES];
    struct store *s = is_of_use(conf) ? calloc(1, sizeof *s) : NULL;
    *out = s;
    if (!s)
        return is_of_use(conf) ? -ENOMEM : 0;
    s->loop = loop;
    s->conf = conf;
    s->optimizer = optimizer;
    s->limits = limits;
    s->ops = (struct redis_ops){.up = on_up, .down = on_down, .context = s};
    int error = redis_url_parse(conf->redis.url, &s->url, why);
    struct redis_site site = {loop, &s->url, conf->redis.password, "ollama-sidecar-store", conf->redis.timeout_ms};
    error = error ? error : redis_new(&s->redis, &site, &s->ops);
    if (error)
        store_free(out);
    return error;
}

void store_free(struct store **store)
{
    struct store *s = *store;
    *store = NULL;
    if (!s)
        return;
    redis_free(&s->redis);
    store_limits_fini(s);
    free(s);
}
