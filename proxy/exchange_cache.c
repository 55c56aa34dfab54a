/*
 * See exchange_state.h. What is kept of optimised answers (cache.h): whether there is one for a request, and whether one that was made is
 * to be kept. It is told only while the models that have made it are still the same: their digests are those of a list of models that is
 * no older than LIST_OLD_MS, or, while Ollama sleeps, of the last one. And it is kept only where the list has said the same since before
 * it was begun.
 */
#include "common/json_read.h"
#include "proxy/exchange_state.h"
#include "proxy/map.h"
#include "proxy/plan.h"

#include <stdio.h>

_Static_assert((int)CACHE_DIGEST_BYTES == (int)INSTALLED_DIGEST_BYTES, "as much of a digest");
_Static_assert((int)CACHE_KEY_BYTES == (int)SHARE_KEY_BYTES, "who may share an answer may have it later, too");

enum { LIST_OLD_MS = 5000 };

static struct cache *cache_of(const struct exchange *x)
{
    return &x->env->optimizer.cache;
}

/* RFC 9111 section 5.2.1. */
static int says(const struct exchange *x, const char *directive)
{
    return message_has_token(x->request, "cache-control", directive);
}

static int may_be_told(const struct exchange *x)
{
    return !says(x, "no-cache") && !says(x, "max-age=0");
}

int exchange_is_deterministic(const struct exchange *x)
{
    static const char *const names[] = {"temperature", "seed"};
    struct json_value v[2];
    struct json_walk w = {buf_data(&x->body), buf_data(&x->body) + buf_size(&x->body)};
    double temperature;
    if (json_read_members(&w, names, 2, JSON_FOLDED, v) < 0)
        return 0;
    return v[1].kind == JSON_NUMBER || (v[0].kind == JSON_NUMBER && json_read_number(v[0].at, v[0].n, &temperature) == 0 && temperature == 0);
}

int exchange_may_cache(const struct exchange *x)
{
    const struct conf_optimizer *conf = &x->env->conf->optimizer;
    if (cache_of(x)->limit_bytes == 0 || says(x, "no-store"))
        return 0;
    return conf->cache_requests == CONF_CACHE_REQUESTS_ALL || exchange_is_deterministic(x);
}

/* Whether Ollama sleeps. Its models are those that it had when it fell asleep then: what it said of them last is all there is to know. */
static int is_asleep(struct exchange *x)
{
    static const struct known_key tags = {.kind = KNOWN_PATH, .name = "/api/tags"};
    struct env *env = x->env;
    gate_refresh(&env->gate);
    if (asleep_state(&env->asleep, &env->gate.view) == CONTRACT_AWAKE)
        return 0;
    const struct known_entry *list = asleep_answer(&env->asleep, &tags);
    if (list)
        puller_take_list(&env->puller, list->body, list->body_n);
    return 1;
}

/* Whether the list of models says enough. Who has no answer to check does not wait for it: it is to be there before one is made. */
static enum pulls_verdict look_at_list(struct exchange *x, int has_answer)
{
    int64_t now_ms = loop_now_ms(x->env->loop);
    if (is_asleep(x))
        return PULLS_GO;
    if (!x->list_since_ms)
        x->list_since_ms = now_ms > LIST_OLD_MS ? now_ms - LIST_OLD_MS : 1;
    return puller_refresh(&x->env->puller, has_answer ? &x->pull : NULL, x->list_since_ms);
}

static int are_models_the_same(const struct exchange *x, const struct cache_answer *answer)
{
    for (size_t i = 0; i < answer->models_n; i++) {
        const unsigned char *digest = installed_digest(&x->env->puller.pulls.installed, answer->models[i].name);
        if (!digest || memcmp(digest, answer->models[i].digest, CACHE_DIGEST_BYTES) != 0)
            return 0;
    }
    return 1;
}

static void miss(struct exchange *x)
{
    x->cached = "miss";
    optimizer_count_add(&x->env->optimizer.stats, OPTIMIZER_CACHE_MISSES, 1);
    (void)!buf_text(&x->deliver.extra, "X-Sidecar-Cache: miss\r\n"); /* memory is short: without it */
}

/* Age: RFC 9111 section 5.1. The other lines are those of the answer when it was made. */
static void hit(struct exchange *x, const struct cache_entry *e)
{
    const struct cache_answer *a = &e->answer;
    struct buf *lines = &x->deliver.extra;
    long long age_s = (long long)(loop_now_ms(x->env->loop) - e->made_ms) / 1000;
    x->cached = "hit";
    optimizer_count_add(&x->env->optimizer.stats, OPTIMIZER_CACHE_HITS, 1);
    snprintf(x->ask.model, sizeof x->ask.model, "%s", a->models[a->models_n - 1].name);
    int error = buf_printf(lines, "X-Sidecar-Cache: hit\r\nAge: %lld\r\n", age_s);
    if (!error && a->strategy)
        error = buf_printf(lines, "X-Sidecar-Strategy: %s\r\nX-Sidecar-Tokens: %llu\r\n", a->strategy, (unsigned long long)a->tokens_received_n);
    if (!error && a->tokens_saved_n > 0)
        (void)!buf_printf(lines, "X-Sidecar-Tokens-Saved: %llu\r\n", (unsigned long long)a->tokens_saved_n);
}

static void on_asked_elsewhere(void *context)
{
    struct exchange *x = context;
    x->look_again(x);
}

/* Another proxy may have it: 1, and it is looked at again. */
static int is_asked_elsewhere(struct exchange *x, const unsigned char key[CACHE_KEY_BYTES])
{
    x->kept.fn = on_asked_elsewhere;
    x->kept.context = x;
    return store_find(x->env->store, &x->kept, key);
}

int exchange_find_cached(struct exchange *x, const unsigned char key[CACHE_KEY_BYTES], struct cache_entry **out)
{
    struct cache_entry *e = may_be_told(x) ? cache_find(cache_of(x), key, loop_now_ms(x->env->loop)) : NULL;
    if (!e && may_be_told(x) && is_asked_elsewhere(x, key))
        return -1;
    enum pulls_verdict verdict = look_at_list(x, e != NULL);
    *out = NULL;
    if (e && verdict == PULLS_WAIT)
        return -1;
    if (e && verdict == PULLS_GO && are_models_the_same(x, &e->answer)) {
        hit(x, e);
        cache_hold(*out = e);
        return 1;
    }
    if (e && verdict == PULLS_GO)
        cache_drop(e);
    miss(x);
    return 0;
}

void exchange_begin_keeping(struct generation *g, const unsigned char key[CACHE_KEY_BYTES])
{
    memcpy(g->cache_key, key, CACHE_KEY_BYTES);
    g->begun_ms = loop_now_ms(g->env->loop);
    cache_draft_begin(&g->draft, &g->env->optimizer.cache);
}

/* 0; -1 where it is not known which model this was all the time. */
static int add_model(struct cache_answer *answer, const struct generation *g, const char *name)
{
    const struct installed *i = &g->env->puller.pulls.installed;
    const unsigned char *digest = installed_digest(i, name);
    if (!digest || i->same_since_ms < 0 || i->same_since_ms > g->begun_ms)
        return -1;
    struct cache_model *model = &answer->models[answer->models_n++];
    model->name = name;
    memcpy(model->digest, digest, CACHE_DIGEST_BYTES);
    return 0;
}

/* What is told of it, and which models have made it; -1 where that is not known, or another try could make a better one, as parts of the
 * conversation were left out. */
static int describe(struct cache_answer *answer, const struct generation *g)
{
    const struct plan *p = g->inner->plan;
    const struct map *m = g->inner->map;
    if (m && m->lost_n > 0)
        return -1;
    *answer = (struct cache_answer){.type = g->share.type};
    if (p && p->strategy) {
        answer->strategy = p->strategy->name;
        answer->tokens_received_n = p->received.tokens_n;
        answer->tokens_saved_n = p->saved_tokens_n;
        if (m && m->parts_n > 0 && add_model(answer, g, p->strategy->map_model) < 0)
            return -1;
    }
    return add_model(answer, g, g->inner->ask.model);
}

void exchange_keep_answer(struct generation *g)
{
    struct cache_answer answer;
    struct ending_facts facts;
    int64_t now_ms = loop_now_ms(g->env->loop);
    if (!g->draft.cache)
        return;
    ending_read(&g->inner->ending, &facts);
    if (g->share.state == SHARE_WHOLE && g->share.status == 200 && facts.is_done && !facts.has_error && describe(&answer, g) == 0)
        cache_keep(&g->draft, g->cache_key, &answer, now_ms);
    cache_draft_drop(&g->draft);
    const struct cache_entry *e = cache_find(&g->env->optimizer.cache, g->cache_key, now_ms);
    if (e && e->made_ms == now_ms)
        store_keep(g->env->store, e);
}

void exchange_report_cache(const struct exchange *x, struct access_optimised *out)
{
    const struct cache_entry *kept = x->generation ? x->generation->kept : NULL;
    out->cache = x->cached;
    if (!kept)
        return;
    out->strategy = kept->answer.strategy;
    out->tokens_received_n = kept->answer.tokens_received_n;
    out->tokens_saved_n = kept->answer.tokens_saved_n;
}
