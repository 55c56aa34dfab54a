/*
 * See exchange_state.h. What clients read of models, Ollama's and OpenAI's, where backends are configured beside Ollama: theirs are among them, and nobody waits
 * for an Ollama that sleeps, or is not up, or that there is not at all.
 */
#include "common/json_read.h"
#include "proxy/exchange_serve.h"
#include "proxy/ollama_tags.h"
#include "proxy/openai_models.h"
#include "proxy/reply.h"
#include "proxy/serve/exchange_alone.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LIST_BYTES = 8 << 20 };

/* The models of all backends, one after the other, without those that came before, then those of the hub's cache, and then `auto`. */
struct others {
    const struct exchange *x;
    const struct upstreams *all;
    const struct list *shown; /* those that its key may see; NULL: all */
    const struct translate_models *own; /* NULL: there is none */
    size_t row, shelved_n, own_n;
    int is_shelf;
    struct upstream_model at;
};

/* What is no model of anybody's, but may be asked for as one. */
static int next_own(void *context, size_t nth, struct translate_model *out)
{
    (void)context;
    *out = (struct translate_model){.name = "auto", .owner = "ollama-sidecar"};
    return nth == 0;
}

const struct translate_models *exchange_own_models(const struct exchange *x)
{
    static const struct translate_models own = {.next = next_own};
    const struct conf_optimizer *conf = &x->env->conf->optimizer;
    return conf->enabled && conf_names_model(&conf->models, "auto", 4) ? &own : NULL;
}

static int is_named(void *context, const struct upstream *upstream, const struct upstream_model *model)
{
    (void)upstream;
    return strcmp(model->name, context) == 0;
}

static int next_shelved(struct others *o)
{
    char name[UPSTREAM_NAME_BYTES];
    while (exchange_next_shelved(o->x, o->shelved_n++, &o->at)) {
        snprintf(name, sizeof name, "%s", o->at.name);
        if (!upstreams_each_model(o->all, is_named, name))
            return 1;
    }
    return 0;
}

static int next(void *context, struct upstream_model *out)
{
    struct others *o = context;
    int is_there = !o->is_shelf && upstreams_next_model(o->all, &o->row, &o->at);
    o->is_shelf |= !is_there;
    is_there = is_there || next_shelved(o);
    *out = o->at;
    return is_there;
}

void exchange_answer_tags(struct exchange *x)
{
    const struct upstreams *all = x->env->upstreams;
    struct others others = {.x = x, .all = all, .row = 1};
    struct buf out;
    buf_init(&out, LIST_BYTES);
    exchange_answer_json(x, ollama_tags_write(buf_data(&all->tags), buf_size(&all->tags), next, &others, &out), &out);
    buf_fini(&out);
}

static int may_see(void *context, const char *name)
{
    const struct others *o = context;
    return !o->shown || conf_names_model(o->shown, name, strlen(name));
}

static int next_model(void *context, size_t nth, struct translate_model *out)
{
    struct upstream_model at;
    (void)nth;
    struct others *o = context;
    if (!next(o, &at))
        return o->own && o->own->next(NULL, o->own_n++, out);
    *out = (struct translate_model){.name = at.name, .owner = at.family ? NULL : at.owner, .created_s = (int64_t)at.created_s};
    return 1;
}

void exchange_answer_models(struct exchange *x)
{
    const struct upstreams *all = x->env->upstreams;
    const struct message *m = x->request;
    struct others others = {.x = x, .all = all, .shown = exchange_shown_models(x), .own = exchange_own_models(x), .row = 1};
    struct translate_models rules = {.context = &others, .is_listed = may_see, .next = next_model};
    struct translation t = {.path = {message_at(m, m->path), m->path.n}, .models = &rules};
    struct buf out;
    buf_init(&out, LIST_BYTES);
    int error = openai_models_write(&t, buf_data(&all->tags), buf_size(&all->tags), &out);
    if (error == -ENOENT)
        exchange_fail(x, 404, "model_not_found", OPENAI_MODELS_NONE);
    else
        exchange_answer_json(x, error, &out);
    buf_fini(&out);
}

int exchange_read_shown(struct exchange *x)
{
    static const char *const names[] = {"model", "name"}; /* the latter is what it was called once, and what Ollama's command still says */
    struct json_walk walk = {buf_data(&x->body), buf_data(&x->body) + buf_size(&x->body)};
    struct json_value v[2];
    if (json_read_members(&walk, names, 2, JSON_FOLDED, v) < 0)
        return -1;
    const struct json_value *name = v[0].kind == JSON_STRING && v[0].n > 2 ? &v[0] : &v[1];
    ssize_t n = name->kind == JSON_STRING ? json_decode(json_read_text(name), x->ask.model, sizeof x->ask.model) : -1;
    return n > 0 && strlen(x->ask.model) == (size_t)n ? 0 : -1;
}

struct shown {
    const struct upstream *upstream;
    struct upstream_model model;
};

static int find(void *context, const struct upstream *upstream, const struct upstream_model *model)
{
    struct shown *s = context;
    if (upstream != s->upstream || strcmp(model->name, s->model.name) != 0)
        return 0;
    s->model = *model;
    return 1;
}

static void answer_show(struct exchange *x, const struct upstream_model *model)
{
    struct buf out;
    buf_init(&out, LIST_BYTES);
    exchange_answer_json(x, ollama_tags_show(model, &out), &out);
    buf_fini(&out);
}

/* Its backend may not list it: the owner has said that it has it. */
void exchange_answer_show(struct exchange *x, const struct upstream *upstream)
{
    struct shown shown = {upstream, {.name = x->ask.model, .owner = upstream->name}};
    (void)upstreams_each_model(x->env->upstreams, find, &shown);
    answer_show(x, &shown.model);
}

int exchange_show_shelved(struct exchange *x)
{
    struct upstream_model model;
    if (exchange_read_shown(x) < 0 || !exchange_find_shelved(x, &model))
        return 0;
    answer_show(x, &model);
    return 1;
}

/* `/` is what Ollama's command asks first, and the version by whose API we answer (docs/backends.md). */
int exchange_answer_for_ollama(struct exchange *x)
{
    static const struct {
        const char *path, *type, *answer;
    } rows[] = {
        {"/api/ps", "application/json; charset=utf-8", "{\"models\":[]}"},
        {"/", "text/plain; charset=utf-8", "Ollama is running"},
        {"/api/version", "application/json; charset=utf-8", "{\"version\":\"0.9.5\"}"},
    };
    const struct env *env = x->env;
    gate_refresh(&x->env->gate);
    const struct gate_view *view = &env->gate.view;
    int is_gone = exchange_is_alone(x) || (view->is_api_watched && (view->ollama == CONTRACT_DOWN || view->ollama == CONTRACT_FAILED));
    for (size_t i = 0; is_gone && asleep_state(&env->asleep, view) == CONTRACT_AWAKE && i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(x->admission.route->path, rows[i].path) != 0)
            continue;
        if (i == 0 && exchange_answer_ps(x))
            return 1;
        reply_bytes(&x->deliver, 200, rows[i].type, rows[i].answer, strlen(rows[i].answer), NULL);
        exchange_finish(x, EXCHANGE_CLEAN);
        return 1;
    }
    return 0;
}
