/*
 * [optimizer] and [strategy:NAME]: what their rows say together, the strategies that are built in, and which one a prompt gets.
 */
#include "common/conf_internal.h"

#include "common/preset_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_NAME_BYTES = 64, NUM_CTX_MIN = 4 };

const struct conf_strategy *conf_strategy(const struct conf *c, const char *name, size_t name_n)
{
    for (size_t i = 0; i < c->strategies_n; i++)
        if (strlen(c->strategies[i].name) == name_n && memcmp(c->strategies[i].name, name, name_n) == 0)
            return &c->strategies[i];
    return NULL;
}

const struct conf_strategy *conf_strategy_for(const struct conf *c, uint64_t tokens_n)
{
    for (size_t i = 0; i < c->strategies_n; i++) {
        const struct conf_strategy *s = &c->strategies[i];
        if (tokens_n >= (uint64_t)s->min_tokens && (s->max_tokens == 0 || tokens_n <= (uint64_t)s->max_tokens))
            return s;
    }
    return NULL;
}

void conf_strategy_option_at(const struct conf_strategy *s, size_t i, struct conf_option *out)
{
    const char *text = s->options.items[i];
    size_t n = strcspn(text, "=");
    out->json = text + n + (text[n] == '=');
    out->json += strspn(out->json, " \t");
    while (n > 0 && strchr(" \t", text[n - 1]))
        n--;
    out->name = text;
    out->name_n = n;
}

static int is_option(const struct conf_option *o, const char *name)
{
    return strlen(name) == o->name_n && memcmp(name, o->name, o->name_n) == 0;
}

int conf_strategy_option(const struct conf_strategy *s, const char *name, int64_t *number)
{
    char why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < s->options.items_n; i++) {
        struct conf_option o;
        conf_strategy_option_at(s, i, &o);
        if (is_option(&o, name))
            return parse_integer(o.json, INT32_MIN, INT32_MAX, number, why) == 0;
    }
    return 0;
}

int64_t conf_strategy_num_ctx(const struct conf *c, const struct conf_strategy *s, const char *model)
{
    const struct conf_pin *pin = conf_pin(c, model);
    char why[PARSE_WHY_BYTES];
    int64_t num_ctx = 0;
    if (pin && parse_integer(pin->num_ctx, 0, INT32_MAX, &num_ctx, why) == 0)
        return num_ctx;
    return conf_strategy_option(s, "num_ctx", &num_ctx) ? num_ctx : 0;
}

/* The owner's own division (requirements.md, R4.2): what a server without a GPU answers within minutes. */
static int add_built_in(struct conf *c, struct diag *d)
{
    static const char *const rows[][3] = {
        {"A", "max_tokens", "1999"},
        {"A", "model", "qwen3:4b"},
        {"A", "tools", "native"},
        {"A", "options", "num_ctx=8192"},
        {"B", "min_tokens", "2000"},
        {"B", "max_tokens", "6000"},
        {"B", "model", "qwen3:0.6b"},
        {"B", "options", "num_ctx=8192"},
        {"C", "min_tokens", "6001"},
        {"C", "map_model", "qwen3:0.6b"},
        {"C", "reduce_model", "qwen3:4b"},
        {"C", "options", "num_ctx=8192"},
    };
    return conf_set_built_ins(c, "strategy", rows, sizeof rows / sizeof *rows, d);
}

static void mistake(const struct conf *c, const struct conf_strategy *s, const char *key, struct diag *d, const char *what)
{
    conf_mistake(c, (const struct conf_head *)s, "strategy", key, d, what);
}

/* Names that stand for something else in X-Sidecar-Strategy and in the metrics. */
static void check_name(const struct conf *c, const struct conf_strategy *s, struct diag *d)
{
    if (strcmp(s->name, "off") == 0 || strcmp(s->name, "all") == 0 || strcmp(s->name, "auto") == 0)
        diag_add(d, DIAG_ERROR, c->file, s->line, "[strategy:%s] can't have this name: off, auto and all mean something else", s->name);
}

static void check_model(const struct conf *c, const struct conf_strategy *s, const char *key, const char *model, struct diag *d)
{
    char why[PARSE_WHY_BYTES];
    if (*model == '\0')
        return;
    if (parse_model_name(model, why) < 0)
        mistake(c, s, key, d, why);
    else if (model_name_equal(model, strlen(model), "auto", strlen("auto")))
        mistake(c, s, key, d, "auto is no model: it asks for a strategy, which has to name one");
}

static void check_strategy_models(const struct conf *c, const struct conf_strategy *s, struct diag *d)
{
    const char *model = s->model, *map = s->map_model, *reduce = s->reduce_model;
    check_model(c, s, "model", model, d);
    check_model(c, s, "map_model", map, d);
    check_model(c, s, "reduce_model", reduce, d);
    if (*reduce && !*map)
        mistake(c, s, "reduce_model", d, "there is no map_model, whose summaries it would answer from: write model, or both");
    else if (*map && !*reduce)
        mistake(c, s, "reduce_model", d, "there is none: with map_model it is the one that answers");
    else if (*map && *model && !model_name_equal(model, strlen(model), reduce, strlen(reduce)))
        mistake(c, s, "model", d, "with map_model it is reduce_model that answers: leave this one out");
    else if (!*map && !*model)
        mistake(c, s, "model", d, "there is none: write the model that answers, or map_model and reduce_model");
}

static void check_option(const struct conf *c, const struct conf_strategy *s, size_t i, struct diag *d)
{
    struct conf_option o, other;
    struct json_value value;
    char name[OPTION_NAME_BYTES], what[PARSE_WHY_BYTES];
    const char *nearest;
    int64_t number;
    conf_strategy_option_at(s, i, &o);
    struct json_walk w = {o.json, o.json + strlen(o.json)};
    if (!strchr(s->options.items[i], '=') || o.name_n >= sizeof name) {
        snprintf(what, sizeof what, "\"%.60s\" is not NAME=VALUE, as in num_ctx=8192", s->options.items[i]);
        mistake(c, s, "options", d, what);
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)o.name_n, o.name);
    if (json_value(&w, &value) < 0 || w.at != w.end || value.at != o.json)
        value = (struct json_value){.kind = JSON_NULL, .at = o.json}; /* which no option may be */
    if (preset_option_check(name, &value, &nearest, what) < 0) {
        mistake(c, s, "options", d, what);
    } else if (strcmp(name, "batch_size") == 0) {
        mistake(c, s, "options", d, "Ollama calls batch_size num_batch");
    } else if (strcmp(name, "num_ctx") == 0 && !(conf_strategy_option(s, name, &number) && number >= NUM_CTX_MIN)) {
        mistake(c, s, "options", d, "num_ctx must be a whole number of tokens, such as 8192");
    } else if (nearest) {
        snprintf(what, sizeof what, "Ollama may not know the option %s; did you mean %s?", name, nearest);
        conf_warning(c, (const struct conf_head *)s, "strategy", "options", d, what);
    }
    for (size_t k = 0; k < i; k++) {
        conf_strategy_option_at(s, k, &other);
        if (is_option(&other, name)) {
            snprintf(what, sizeof what, "the option %s stands twice", name);
            mistake(c, s, "options", d, what);
        }
    }
}

/* A part has to leave room for what says how to summarise it, and for its summary. */
static void check_chunk(const struct conf *c, const struct conf_strategy *s, struct diag *d)
{
    char what[PARSE_WHY_BYTES];
    int64_t num_ctx = conf_strategy_num_ctx(c, s, s->map_model);
    if (!conf_strategy_is_map(s) || num_ctx == 0 || s->chunk_tokens <= num_ctx - num_ctx / 4)
        return;
    snprintf(what, sizeof what, "%lld tokens and their summary do not fit num_ctx, %lld: write %lld at the most, or a larger num_ctx",
             (long long)s->chunk_tokens, (long long)num_ctx, (long long)(num_ctx - num_ctx / 4));
    mistake(c, s, "chunk_tokens", d, what);
}

/* Of more workers than slots the others would never have anything to do. */
static void check_workers(const struct conf *c, const struct conf_strategy *s, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)s;
    int64_t slots = c->proxy.slots || !c->is_backend_ours ? c->proxy.slots : c->ollama_parallel;
    char what[PARSE_WHY_BYTES];
    if (!conf_strategy_is_map(s) || slots == 0 || s->workers <= slots ||
        conf_origin(at, conf_find_section("strategy"), "workers")->kind != CONF_FROM_FILE)
        return;
    snprintf(what, sizeof what, "%lld, and there are %lld slots ([proxy] slots, OLLAMA_NUM_PARALLEL): no more are summarised at once",
             (long long)s->workers, (long long)slots);
    conf_warning(c, at, "strategy", "workers", d, what);
}

static void check_strategy(struct conf *c, struct conf_strategy *s, struct diag *d)
{
    char why[PARSE_WHY_BYTES];
    check_name(c, s, d);
    check_strategy_models(c, s, d);
    for (size_t i = 0; i < s->options.items_n; i++)
        check_option(c, s, i, d);
    check_chunk(c, s, d);
    check_workers(c, s, d);
    if (s->max_tokens && s->max_tokens < s->min_tokens) {
        snprintf(why, sizeof why, "it is below min_tokens, %lld: no prompt would be meant", (long long)s->min_tokens);
        mistake(c, s, "max_tokens", d, why);
    }
    if (*s->reduce_model)
        s->model = s->reduce_model;
}

static int compare(const void *a, const void *b)
{
    const struct conf_strategy *one = a, *other = b;
    int order = (one->min_tokens > other->min_tokens) - (one->min_tokens < other->min_tokens);
    return order ? order : (one->line > other->line) - (one->line < other->line);
}

/* Two for one prompt are a mistake; a prompt without one is answered by the model that it asks for. s stands behind `before`, if any. */
static void check_border(const struct conf *c, const struct conf_strategy *before, const struct conf_strategy *s, struct diag *d)
{
    char what[PARSE_WHY_BYTES];
    int64_t next = before ? before->max_tokens + 1 : 0;
    if (before && (before->max_tokens == 0 || s->min_tokens < next)) {
        snprintf(what, sizeof what, "prompts of %lld tokens are those of [strategy:%s] as well: each is for one strategy",
                 (long long)s->min_tokens, before->name);
        mistake(c, s, "min_tokens", d, what);
    } else if (s->min_tokens > next) {
        snprintf(what, sizeof what, "prompts of %lld to %lld tokens have no strategy: they pass as they are, and auto is refused",
                 (long long)next, (long long)s->min_tokens - 1);
        conf_warning(c, (const struct conf_head *)s, "strategy", "min_tokens", d, what);
    }
}

/* All ranges are good in themselves. */
static void check_borders(const struct conf *c, struct diag *d)
{
    char what[PARSE_WHY_BYTES];
    const struct conf_strategy *last = &c->strategies[c->strategies_n - 1];
    for (size_t i = 0; i < c->strategies_n; i++)
        check_border(c, i ? &c->strategies[i - 1] : NULL, &c->strategies[i], d);
    if (last->max_tokens == 0)
        return;
    snprintf(what, sizeof what, "prompts of more tokens have no strategy: they pass as they are, and auto is refused");
    conf_warning(c, (const struct conf_head *)last, "strategy", "max_tokens", d, what);
}

static void check_optimizer(const struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->optimizer;
    conf_check_models(c, at, "optimizer", &c->optimizer.models, d);
    if (c->optimizer.enabled && c->optimizer.models.items_n == 0)
        conf_mistake(c, at, "optimizer", "models", d, "there is none: no request would be optimised");
    if (c->optimizer.cache == CONF_CACHE_REDIS && !*c->redis.url)
        conf_mistake(c, at, "optimizer", "cache", d, "redis needs [redis] url: set it, or write memory");
}

int conf_check_strategies(struct conf *c, struct diag *d)
{
    int error = 0, is_good = 1;
    check_optimizer(c, d);
    if (c->optimizer.enabled && c->strategies_n == 0)
        error = add_built_in(c, d);
    if (!c->optimizer.enabled && c->strategies_n > 0)
        diag_add(d, DIAG_WARNING, c->file, c->strategies[0].line, "[strategy:%s] has no effect without [optimizer] enabled = yes",
                 c->strategies[0].name);
    if (error || c->strategies_n == 0)
        return error;
    qsort(c->strategies, c->strategies_n, sizeof *c->strategies, compare);
    for (size_t i = 0; i < c->strategies_n; i++) {
        const struct conf_strategy *s = &c->strategies[i];
        check_strategy(c, &c->strategies[i], d);
        is_good &= s->max_tokens == 0 || s->max_tokens >= s->min_tokens;
    }
    if (is_good)
        check_borders(c, d);
    return error;
}
