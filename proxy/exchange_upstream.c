/*
 * See exchange_state.h. Which backend a request goes to, where some are configured beside Ollama; and the list of all their models,
 * which is answered here: Ollama is neither woken nor waited for.
 */
#include "proxy/exchange_engine.h"
#include "proxy/exchange_fleet.h"
#include "proxy/exchange_serve.h"
#include "proxy/lacks.h"
#include "proxy/reply.h"
#include "proxy/serve/exchange_alone.h"

#include <errno.h>
#include <stdio.h>

/* What is asked for can be said in the words of such a backend. */
static int may_leave(const struct route *route)
{
    return (route->needs_model || lacks_may(route)) && route->shape != SHAPE_OTHER &&
           (route->dialect != DIALECT_OLLAMA || translate_ops_of(route->api, BACKEND_API_OPENAI));
}

static int is_list(const struct exchange *x)
{
    return x->admission.route->api == API_OPENAI_MODELS || x->admission.route->api == API_TAGS;
}

static void answer_list(struct exchange *x)
{
    struct env *env = x->env;
    const struct known_key key = {.kind = KNOWN_PATH, .name = "/api/tags"};
    const struct known_entry *known = asleep_state(&env->asleep, &env->gate.view) != CONTRACT_AWAKE ? asleep_answer(&env->asleep, &key) : NULL;
    if (known)
        upstreams_know_ollama(env->upstreams, known->body, known->body_n);
    if (x->admission.route->api == API_TAGS)
        exchange_answer_tags(x);
    else
        exchange_answer_models(x);
}

static int is_show(const struct exchange *x)
{
    return x->admission.route->api == API_SHOW;
}

/* 1 where it goes on. */
static int use(struct exchange *x, const struct upstream *upstream)
{
    char text[320];
    if (upstream && is_show(x)) {
        exchange_answer_show(x, upstream);
        return 0;
    }
    x->upstream = upstream;
    exchange_tell_times(x);
    if (upstream && !upstream->backend) {
        snprintf(text, sizeof text, "the backend %s can't be used: %s", upstream->name, upstream->why);
        exchange_fail(x, 502, "backend_error", text);
        return 0;
    }
    if (upstream)
        x->relay.fetch.backend = upstream->backend;
    return 1;
}

/* Lists of models have come. */
static void on_lists(void *context)
{
    struct exchange *x = context;
    const struct upstream *upstream;
    if (is_list(x))
        answer_list(x);
    else if (upstreams_choose(x->env->upstreams, NULL, x->ask.model, &upstream) && use(x, upstream))
        x->chosen(x);
}

/* Which of [backend:NAME], or Ollama. 1, or 0, as exchange_choose(). */
static int choose_upstream(struct exchange *x)
{
    struct upstreams *all = x->env->upstreams;
    const struct upstream *upstream = NULL;
    if (!all || !(is_list(x) || is_show(x) || may_leave(x->admission.route)))
        return 1;
    x->lists = (struct upstreams_ticket){.fn = on_lists, .context = x};
    if (is_list(x)) {
        if (upstreams_refresh(all, &x->lists))
            answer_list(x);
        else
            exchange_enter(x, EXCHANGE_CHOOSE);
        return 0;
    }
    if (is_show(x) ? exchange_read_shown(x) < 0 : ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)) < 0 || !x->ask.model[0])
        return 1; /* Ollama, or its translator, will say what is wrong with it */
    if (upstreams_choose(all, &x->lists, x->ask.model, &upstream))
        return use(x, upstream);
    exchange_enter(x, EXCHANGE_CHOOSE);
    return 0;
}

static void on_shelf(void *context);

/* Whose it is: 1, and it goes on; 0: it waits for a list, or has ended. */
static int choose(struct exchange *x)
{
    if (!exchange_has_shelf(x))
        return choose_upstream(x);
    if ((is_list(x) || is_show(x)) && exchange_refresh_shelf(x, on_shelf) == 0)
        return 0;
    if (is_show(x) && exchange_show_shelved(x))
        return 0;
    int goes_on = may_leave(x->admission.route) ? exchange_choose_engine(x, on_shelf) : -1;
    return goes_on >= 0 ? goes_on : choose_upstream(x);
}

/* The list of the hub's cache has come. */
static void on_shelf(void *context)
{
    struct exchange *x = context;
    if (choose(x) > 0)
        x->chosen(x);
}

int exchange_choose(struct exchange *x, void (*chosen)(struct exchange *x))
{
    x->chosen = chosen;
    if (exchange_is_fleets(x) && (exchange_check_backend(x) < 0 || exchange_answer_for_fleet(x)))
        return 0;
    if ((x->env->upstreams || exchange_is_alone(x)) && exchange_answer_for_ollama(x))
        return 0;
    return choose(x);
}
