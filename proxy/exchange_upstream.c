/*
 * See exchange_state.h. Which backend a request goes to, where some are configured beside Ollama; and the list of all their models,
 * which is answered here: Ollama is neither woken nor waited for.
 */
#include "proxy/exchange_state.h"
#include "proxy/openai_models.h"
#include "proxy/reply.h"

#include <stdio.h>

enum { LIST_BYTES = 8 << 20 };

/* What is asked for can be said in the words of such a backend. */
static int may_leave(const struct route *route)
{
    return route->needs_model && route->shape != SHAPE_OTHER &&
           (route->dialect != DIALECT_OLLAMA || translate_ops_of(route->api, BACKEND_API_OPENAI));
}

static int is_list(const struct exchange *x)
{
    const struct route *route = x->admission.route;
    return route->asleep == ASLEEP_MODEL || (route->asleep == ASLEEP_KNOWN && strcmp(route->path, "/v1/models") == 0);
}

/* What is written of the models: all, or the one of this name. */
struct listing {
    struct buf out;
    const char *name; /* NULL: all */
    int is_first;
};

static int list_model(void *context, const struct upstream *upstream, const struct upstream_model *model)
{
    struct listing *l = context;
    int error = 0;
    if (l->name && !(upstream ? strcmp(l->name, model->name) == 0 : model_name_equal(l->name, strlen(l->name), model->name, strlen(model->name))))
        return 0;
    if (!l->name && !l->is_first)
        error = buf_text(&l->out, ",");
    l->is_first = 0;
    error = error ? error : buf_text(&l->out, model->object);
    return error ? error : l->name != NULL;
}

static void answer_list(struct exchange *x)
{
    struct env *env = x->env;
    const struct message *m = x->request;
    const struct known_key key = {.kind = KNOWN_PATH, .name = "/v1/models"};
    const struct known_entry *known = asleep_state(&env->asleep, &env->gate.view) != CONTRACT_AWAKE ? asleep_answer(&env->asleep, &key) : NULL;
    struct listing l = {.is_first = 1};
    char name[CONTRACT_NAME_BYTES], text[CONTRACT_NAME_BYTES + 64];
    if (known)
        upstreams_know_ollama(env->upstreams, known->body, known->body_n);
    if (x->admission.route->asleep == ASLEEP_MODEL) {
        if (openai_models_name(message_at(m, m->path), m->path.n, name, sizeof name) < 0) {
            exchange_fail(x, 400, "invalid_request", "the name of the model is too long, or can't be read");
            return;
        }
        l.name = name;
    }
    buf_init(&l.out, LIST_BYTES);
    int result = l.name ? 0 : buf_text(&l.out, "{\"object\":\"list\",\"data\":[");
    result = result < 0 ? result : upstreams_each_model(env->upstreams, list_model, &l);
    if (result >= 0 && !l.name)
        result = buf_text(&l.out, "]}");
    if (result < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
    } else if (l.name && l.is_first) {
        snprintf(text, sizeof text, "model '%s' not found", name);
        exchange_fail(x, 404, "model_not_found", text);
    } else {
        reply_json(&x->deliver, 200, buf_data(&l.out), buf_size(&l.out), NULL);
        exchange_finish(x, EXCHANGE_CLEAN);
    }
    buf_fini(&l.out);
}

/* 1 where it goes on. */
static int use(struct exchange *x, const struct upstream *upstream)
{
    char text[320];
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
    else if (upstreams_choose(x->env->upstreams, &x->lists, x->ask.model, &upstream) && use(x, upstream))
        x->chosen(x);
}

int exchange_choose(struct exchange *x, void (*chosen)(struct exchange *x))
{
    struct upstreams *all = x->env->upstreams;
    const struct upstream *upstream = NULL;
    if (!all || !(is_list(x) || may_leave(x->admission.route)))
        return 1;
    x->lists = (struct upstreams_ticket){.fn = on_lists, .context = x};
    x->chosen = chosen;
    if (is_list(x)) {
        if (upstreams_refresh(all, &x->lists))
            answer_list(x);
        else
            exchange_enter(x, EXCHANGE_CHOOSE);
        return 0;
    }
    if (ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)) < 0 || !x->ask.model[0])
        return 1; /* Ollama, or its translator, will say what is wrong with it */
    if (upstreams_choose(all, &x->lists, x->ask.model, &upstream))
        return use(x, upstream);
    exchange_enter(x, EXCHANGE_CHOOSE);
    return 0;
}
