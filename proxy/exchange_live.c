/* See exchange_state.h. Where a request is, for who looks at it while it is under way. Nothing is noted for that: it is asked for. */
#include "proxy/exchange_fleet.h"
#include "proxy/observe/observe.h"

static const enum live_phase phases[EXCHANGE_STATE_COUNT] = {
    [EXCHANGE_BODY] = LIVE_RECEIVING, [EXCHANGE_CHOOSE] = LIVE_HELD,      [EXCHANGE_MAP] = LIVE_MAPPING,   [EXCHANGE_GATE] = LIVE_HELD,
    [EXCHANGE_PULL] = LIVE_PULLING,   [EXCHANGE_SHOW] = LIVE_HELD,        [EXCHANGE_LOAD] = LIVE_LOADING,  [EXCHANGE_QUEUE] = LIVE_QUEUED,
    [EXCHANGE_PAUSE] = LIVE_HELD,     [EXCHANGE_LISTEN] = LIVE_LISTENING, [EXCHANGE_FETCH] = LIVE_WAITING, [EXCHANGE_RELAY] = LIVE_STREAMING,
    [EXCHANGE_CHECK] = LIVE_WAITING,  [EXCHANGE_HUB] = LIVE_WAITING,      [EXCHANGE_LOOK] = LIVE_WAITING,  [EXCHANGE_WHY] = LIVE_WAITING,
    [EXCHANGE_END] = LIVE_STREAMING,
};

int exchange_streams(const struct exchange *x)
{
    return x->generation ? strcmp(x->generation->share.type, "text/event-stream") == 0 : x->relay.stream != STREAM_NONE;
}

/* So many tokens have come as lines have that say that more will follow. */
static int64_t tokens_of(const struct exchange *maker)
{
    return maker && maker->ending.open_n > 0 ? (int64_t)maker->ending.open_n : -1;
}

static int64_t first_token_ms(const struct exchange *x)
{
    return x->answer.first_ms && exchange_streams(x) ? x->answer.first_ms - x->began_ms : -1;
}

/* One that listens to an answer that is made for it alone is where that is. */
static const struct exchange *shown(struct exchange *x)
{
    const struct exchange *maker = exchange_maker(x);
    return maker && !x->is_joiner ? maker : x;
}

void exchange_tell_live(struct exchange *x, struct live_facts *out)
{
    int64_t now_ms = loop_now_ms(x->env->loop);
    struct exchange *maker = exchange_maker(x);
    const struct exchange *where = shown(x);
    const struct message *m = x->request;
    const char *backend = exchange_backend_name(maker ? maker : x);
    exchange_count_time(x);
    if (maker)
        exchange_count_time(maker);
    *out = (struct live_facts){
        .id = x->deliver.request_id,
        .method = message_at(m, m->method_name),
        .method_n = m->method_name.n,
        .path = message_at(m, m->path),
        .path_n = m->path.n,
        .model = maker && *exchange_model(maker) ? exchange_model(maker) : x->ask.model,
        .client = x->admission.sender.client,
        .key = x->admission.key ? x->admission.key->name : "",
        .backend = backend ? backend : "",
        .phase = phases[where->state],
        .phase_ms = now_ms - where->entered_ms,
        .age_ms = now_ms - x->began_ms,
        .wait_ms = maker ? maker->wait_ms : x->wait_ms,
        .queue_ms = maker ? maker->queue_ms : x->queue_ms,
        .load_ms = maker ? maker->load_ms : x->load_ms,
        .first_token_ms = first_token_ms(x),
        .tokens_n = tokens_of(maker),
        .priority = x->priority,
        .place = where->fleet && where->state == EXCHANGE_QUEUE ? where->fleet->place : 0,
    };
    if (out->phase == LIVE_STREAMING && !x->answer.first_ms) /* its head has come, and no more */
        out->phase = LIVE_WAITING;
}

size_t exchange_count_line(const struct env *env, size_t n[LIVE_PRIORITIES])
{
    size_t all_n = 0;
    memset(n, 0, LIVE_PRIORITIES * sizeof *n);
    for (const struct live *one = env->observe->live.first; one; one = one->next) {
        if (shown(one->exchange)->state != EXCHANGE_QUEUE)
            continue;
        n[one->exchange->priority % LIVE_PRIORITIES]++;
        all_n++;
    }
    return all_n;
}

void exchange_tell_series(struct env *env, struct series *out)
{
    int64_t now_ms = loop_now_ms(env->loop);
    *out = env->observe->series;
    (void)series_now(out, now_ms);
    for (const struct live *one = env->observe->live.first; one; one = one->next) {
        struct exchange *x = one->exchange;
        int64_t tokens_n = x->is_joiner ? -1 : tokens_of(exchange_maker(x));
        if (tokens_n > 0 && x->answer.first_ms)
            series_tokens(out, now_ms, x->answer.first_ms, now_ms, (double)tokens_n);
    }
}
