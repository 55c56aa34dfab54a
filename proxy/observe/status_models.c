/*
 * See status.h. Models: those that Ollama lists, or has as far as the preload list and pulls tell; those of several Ollamas; of the hub's cache; of
 * other backends. And what is being pulled.
 */
#include "proxy/observe/status.h"

#include "proxy/balance/fleet.h"
#include "proxy/env.h"
#include "proxy/exchange_fleet.h"
#include "proxy/model_list.h"
#include "proxy/observe/catalog.h"
#include "proxy/serve/serve.h"
#include "proxy/upstreams.h"

#include <string.h>

/* What is told of a model; texts NULL and numbers -1: not known. */
struct model {
    const char *name, *where, *state, *reason, *expires_at;
    size_t expires_n;
    int64_t size_bytes, memory_bytes, vram_bytes, completed, total;
};
#define MODEL_OF(...) ((struct model){.size_bytes = -1, .memory_bytes = -1, .vram_bytes = -1, .completed = -1, .total = -1, __VA_ARGS__})

/* A list of models that is written. */
struct list_of {
    struct env *env;
    const struct list *shown;
    struct json_write *w;
    size_t told_n;
};

static void write_model(struct list_of *l, const struct model *m)
{
    struct json_write *w = l->w;
    if (!status_may_name(l->shown, m->name) || l->told_n == STATUS_MODELS_MAX)
        return;
    json_write_named_text(w, l->told_n++ ? ",{\"name\":" : "{\"name\":", m->name);
    json_write_named_text(w, ",\"where\":", m->where);
    json_write_named_text(w, ",\"state\":", m->state);
    json_write_named_number(w, ",\"size_bytes\":", m->size_bytes);
    json_write_named_number(w, ",\"memory_bytes\":", m->memory_bytes);
    json_write_named_number(w, ",\"vram_bytes\":", m->vram_bytes);
    status_write_text(w, ",\"expires_at\":", m->expires_at ? m->expires_at : "", m->expires_n);
    json_write_named_number(w, ",\"completed\":", m->completed);
    json_write_named_number(w, ",\"total\":", m->total);
    status_write_text(w, ",\"reason\":", m->reason ? m->reason : "", m->reason ? strlen(m->reason) : 0);
    json_write_text(w, "}");
}

static int is_same(const char *a, const char *b)
{
    return model_name_equal(a, strlen(a), b, strlen(b));
}

/* The entry of this name in an answer to GET /api/tags or /api/ps. */
static int find_entry(const char *json, size_t json_n, const char *model, struct json_value *entry)
{
    char name[CONTRACT_NAME_BYTES];
    struct json_items items;
    (void)model_list_begin(&items, json, json_n); /* what is none has no models */
    while (model_list_next(&items, entry, name, sizeof name))
        if (is_same(name, model))
            return 1;
    return 0;
}

static int is_loading(const struct loads *loads, const char *model)
{
    for (size_t i = 0; i < LOADS_MODELS; i++)
        if (loads->rows[i].state == LOAD_LOADING && loads->rows[i].model[0] && is_same(loads->rows[i].model, model))
            return 1;
    return 0;
}

static int64_t count_of(const struct json_value *value)
{
    return value->kind == JSON_NUMBER ? (int64_t)json_read_count(value) : -1;
}

/* One that an Ollama lists; ps: what it has loaded. */
static void write_listed(struct list_of *l, const struct loads *loads, const char *where, const char *name, const struct json_value *entry, const char *ps, size_t ps_n)
{
    static const char *const names[] = {"size", "size_vram", "expires_at"};
    struct json_value loaded, values[3];
    struct model m = MODEL_OF(.name = name, .where = where, .state = "on disk");
    json_read_object(entry, names, 1, JSON_EXACT, values);
    m.size_bytes = count_of(&values[0]);
    if (find_entry(ps, ps_n, name, &loaded)) {
        json_read_object(&loaded, names, 3, JSON_EXACT, values);
        m.state = "loaded";
        m.memory_bytes = count_of(&values[0]);
        m.vram_bytes = count_of(&values[1]);
        if (values[2].kind == JSON_STRING && values[2].n > 2 && !memchr(values[2].at, '\\', values[2].n)) {
            m.expires_at = values[2].at + 1;
            m.expires_n = values[2].n - 2;
        }
    } else if (is_loading(loads, name)) {
        m.state = "loading";
    }
    write_model(l, &m);
}

static void write_lists(struct list_of *l, const struct loads *loads, const char *where, const char *tags, size_t tags_n, const char *ps, size_t ps_n)
{
    char name[CONTRACT_NAME_BYTES];
    struct json_items items;
    struct json_value entry;
    (void)model_list_begin(&items, tags, tags_n);
    while (model_list_next(&items, &entry, name, sizeof name))
        write_listed(l, loads, where, name, &entry, ps, ps_n);
}

/* Of the preload list: what is not there, or is being brought. */
static void write_preload(struct list_of *l, const char *tags, size_t tags_n)
{
    static const char *const states[] = {[CONTRACT_MODEL_PENDING] = "pulling", [CONTRACT_MODEL_PULLING] = "pulling", [CONTRACT_MODEL_FAILED] = "failed", [CONTRACT_MODEL_READY] = NULL};
    struct contract_model_view row;
    struct json_value entry;
    for (size_t i = 0; l->env->page && i < CONTRACT_MODELS; i++) {
        contract_model_read(&l->env->page->models[i], &row);
        if (row.state == CONTRACT_MODEL_EMPTY || !states[row.state] || find_entry(tags, tags_n, row.name, &entry))
            continue;
        struct model m = MODEL_OF(.name = row.name, .where = "ollama", .state = states[row.state], .reason = row.reason);
        if (row.state != CONTRACT_MODEL_FAILED) {
            m.completed = (int64_t)row.completed_bytes;
            m.total = (int64_t)row.total_bytes;
        }
        write_model(l, &m);
    }
}

/* What somebody asks for, and is not there. */
static void write_pulled(struct list_of *l, const char *tags, size_t tags_n)
{
    const struct pulls *p = &l->env->puller.pulls;
    struct json_value entry;
    for (size_t i = 0; i < PULLS_MODELS; i++) {
        const struct pulls_row *row = &p->rows[i];
        int has_failed = row->state == PULLS_RESTS;
        if ((!pulls_is_under_way(row) && !has_failed) || find_entry(tags, tags_n, row->model, &entry))
            continue;
        struct model m = MODEL_OF(.name = row->model, .where = "ollama", .state = has_failed ? "failed" : "pulling", .reason = has_failed ? row->reason : NULL);
        m.completed = has_failed ? -1 : (int64_t)row->completed_bytes;
        m.total = has_failed ? -1 : (int64_t)row->total_bytes;
        write_model(l, &m);
    }
}

static void write_ollamas(struct list_of *l)
{
    size_t tags_n, ps_n;
    const char *tags = catalog_answer(l->env->catalog, CATALOG_TAGS, &tags_n);
    const char *ps = catalog_answer(l->env->catalog, CATALOG_PS, &ps_n);
    write_lists(l, &l->env->loader.loads, "ollama", tags, tags_n, ps, ps_n);
    write_preload(l, tags, tags_n);
    write_pulled(l, tags, tags_n);
}

#ifdef WITH_BALANCER
static void write_fleets(struct list_of *l)
{
    const struct members *all = fleet_members(l->env->fleet);
    for (size_t i = 0; i < BALANCE_BACKENDS; i++) {
        const struct member *m = members_at(all, i);
        if (m && !m->is_leaving && m->has_backend)
            write_lists(l, &m->loader.loads, m->name, buf_data(&m->tags), buf_size(&m->tags), buf_data(&m->loaded), buf_size(&m->loaded));
    }
}
#else
#define write_fleets(l) ((void)0)
#endif

#ifdef WITH_MODELS
static void write_shelf(struct list_of *l)
{
    const struct shelf_model *found;
    struct serve_running running;
    for (size_t nth = 0; l->env->serve && (found = shelf_at(serve_shelf(l->env->serve), nth)); nth++) {
        struct model m = MODEL_OF(.name = found->name, .where = "hub", .state = "on disk");
        m.size_bytes = found->size_bytes;
        if (serve_running(l->env->serve, found->name, &running))
            m.state = running.is_ready ? "loaded" : "loading";
        write_model(l, &m);
    }
}
#else
#define write_shelf(l) ((void)0)
#endif

/* What other backends list. */
static void write_others(struct list_of *l)
{
    const struct upstreams *all = l->env->upstreams;
    for (size_t row = 1; all && row < all->rows_n; row++) {
        struct upstream_model at = {.name = NULL};
        while (upstream_models_next(&all->rows[row].models, &at)) {
            struct model m = MODEL_OF(.name = at.name, .where = all->rows[row].conf->name, .state = "listed");
            write_model(l, &m);
        }
    }
}

void status_write_models(struct env *env, const struct list *shown, struct json_write *w)
{
    struct list_of l = {.env = env, .shown = shown, .w = w};
    json_write_text(w, "[");
    if (env->fleet)
        write_fleets(&l);
    else if (!env->conf->is_alone)
        write_ollamas(&l);
    write_shelf(&l);
    write_others(&l);
    json_write_text(w, "]");
}

static void write_pull(struct list_of *l, const char *model, const char *status, uint64_t completed, uint64_t total)
{
    if (!status_may_name(l->shown, model))
        return;
    json_write_named_text(l->w, l->told_n++ ? ",{\"model\":" : "{\"model\":", model);
    json_write_named_text(l->w, ",\"status\":", status);
    json_write_named_number(l->w, ",\"completed\":", (int64_t)completed);
    json_write_named_number(l->w, ",\"total\":", (int64_t)total);
    json_write_text(l->w, "}");
}

void status_write_pulls(struct env *env, const struct list *shown, struct json_write *w)
{
    struct list_of l = {.env = env, .shown = shown, .w = w};
    struct contract_model_view row;
    json_write_text(w, "[");
    for (size_t i = 0; env->page && i < CONTRACT_MODELS; i++) {
        contract_model_read(&env->page->models[i], &row);
        if (row.state == CONTRACT_MODEL_PENDING || row.state == CONTRACT_MODEL_PULLING)
            write_pull(&l, row.name, row.state == CONTRACT_MODEL_PENDING ? "queued" : "pulling", row.completed_bytes, row.total_bytes);
    }
    for (size_t i = 0; i < PULLS_MODELS; i++) {
        const struct pulls_row *p = &env->puller.pulls.rows[i];
        if (pulls_is_under_way(p))
            write_pull(&l, p->model, p->state == PULLS_QUEUED ? "queued" : p->state == PULLS_PAUSED ? "paused" : "pulling", p->completed_bytes, p->total_bytes);
    }
    json_write_text(w, "]");
}
