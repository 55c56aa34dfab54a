/* See upstreams.h. It asks, and knows; requests are none of its business. */
#include "proxy/upstreams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRESH_MS = 30000, ASK_AGAIN_MS = 1000, LIST_MS = 3000, LIST_BYTES = 8 << 20 };

static const char *const state_names[] = {"unknown", "good", "failed"};

static int is_ollama(const struct upstreams_row *row)
{
    return !row->conf;
}

/* The owner has said what it has. */
static int is_named(const struct upstreams_row *row)
{
    return row->conf && row->conf->models.items_n > 0;
}

/* A list is of use: what has `models` needs none, and an Ollama that sleeps, or is not up yet, is left alone. */
static int is_listed(const struct upstreams_row *row)
{
    const struct gate_view *view = &row->all->gate->view;
    if (!is_ollama(row))
        return row->upstream.backend != NULL;
    return !row->all->has_no_ollama && (!view->is_api_watched || (view->ollama == CONTRACT_READY && !view->is_shut));
}

static void note_failure(struct upstreams_row *row, const char *why)
{
    int was_failed = row->state == UPSTREAMS_FAILED && strcmp(row->why, why) == 0;
    row->state = UPSTREAMS_FAILED;
    snprintf(row->why, sizeof row->why, "%s", why);
    buf_neutralise(row->why);
    if (!was_failed && !is_ollama(row))
        log_event(LOG_WARNING, "backend_failed", "backend=%s url=%s reason=\"%s\"", row->upstream.name, row->origin, row->why);
    if (!was_failed && !is_ollama(row) && row->all->failed)
        row->all->failed(row->all->failed_context, row->upstream.name, row->why);
}

/* 0, or -errno: nothing has changed. */
static int know(struct upstreams_row *row, const char *json, size_t json_n)
{
    struct buf tags;
    buf_init(&tags, 0);
    int error = is_ollama(row) ? buf_append(&tags, json, json_n) : 0;
    error = error ? error : upstream_models_read(&row->models, json, json_n, row->upstream.name);
    if (!error && is_named(row))
        error = upstream_models_narrow(&row->models, &row->conf->models, row->upstream.name);
    if (is_ollama(row) && !error) {
        struct buf before = row->all->tags;
        row->all->tags = tags;
        tags = before;
    }
    buf_fini(&tags);
    return error;
}

static void note_list(struct upstreams_row *row, const struct own_answer *answer)
{
    char why[UPSTREAMS_WHY_BYTES];
    if (answer->end != FETCH_DONE)
        snprintf(why, sizeof why, "%s", *answer->why ? answer->why : "no answer");
    else if (answer->status == 401 || answer->status == 403)
        snprintf(why, sizeof why, "status %d: it does not take the key of [backend:%s]", answer->status, row->upstream.name);
    else if (answer->status != 200)
        snprintf(why, sizeof why, "its list of models: status %d", answer->status);
    else if (answer->is_unread || know(row, answer->bytes, answer->bytes_n) < 0)
        snprintf(why, sizeof why, "what came is no list of models: does its API begin below this url?");
    else {
        if (row->state == UPSTREAMS_FAILED && !is_ollama(row))
            log_event(LOG_INFO, "backend_good", "backend=%s models=%zu", row->upstream.name, row->models.models_n);
        row->state = UPSTREAMS_GOOD;
        *row->why = '\0';
        return;
    }
    note_failure(row, why);
}

static void on_list(void *context, const struct own_answer *answer)
{
    struct upstreams_row *row = context;
    row->is_asking = 0;
    note_list(row, answer);
    own_request_cancel(&row->list); /* its memory */
    loop_defer(row->all->loop, &row->all->review_work);
}

/* Asks for the list, unless it was just asked for. */
static void ask(struct upstreams_row *row, int64_t older_ms)
{
    int64_t now_ms = loop_now_ms(row->all->loop);
    if (row->is_asking || !is_listed(row) || (row->asked_ms && now_ms - row->asked_ms < older_ms))
        return;
    row->asked_ms = now_ms;
    if (is_ollama(row) && row->all->lister) {
        row->is_asking = !row->all->lister->refresh(row->all->lister->context, older_ms);
        return;
    }
    row->is_asking = own_request_start(&row->list, row->all->tell, row->list_path, NULL) == 0;
    if (!row->is_asking)
        note_failure(row, "out of memory");
}

/* For one that has failed nobody waits: it is asked all the same. Nor does who wants a model, for one whose owner has said what it has. */
static int is_awaited(const struct upstreams *u, const char *model)
{
    for (size_t i = 0; i < u->rows_n; i++)
        if (u->rows[i].is_asking && u->rows[i].state != UPSTREAMS_FAILED && !(model && is_named(&u->rows[i])))
            return 1;
    return 0;
}

static void ask_all(struct upstreams *u, int64_t older_ms)
{
    gate_refresh(u->gate);
    for (size_t i = 0; i < u->rows_n; i++)
        ask(&u->rows[i], older_ms);
}

/* is_loose: NAME is NAME:latest too, as at Ollama: another one may stand behind this backend. */
static int has_model(const struct upstreams_row *row, const char *model, int is_loose)
{
    struct upstream_model found;
    return upstream_models_find(&row->models, model, is_loose || is_ollama(row), &found);
}

/* The owner's word comes first: 1 with *out, or 0. */
static int find_named(struct upstreams *u, const char *model, const struct upstream **out)
{
    for (size_t i = 1; i < u->rows_n; i++) {
        if (!is_named(&u->rows[i]) || !conf_names_model(&u->rows[i].conf->models, model, strlen(model)))
            continue;
        *out = &u->rows[i].upstream;
        return 1;
    }
    return 0;
}

/* Who lists it: 1 with *out (NULL: Ollama), or 0: nobody. */
static int find_listed(struct upstreams *u, const char *model, const struct upstream **out)
{
    *out = NULL;
    for (size_t i = 0; i < 2 * u->rows_n; i++) {
        const struct upstreams_row *row = &u->rows[i % u->rows_n];
        if (is_named(row) || !has_model(row, model, i >= u->rows_n))
            continue;
        *out = is_ollama(row) ? NULL : &row->upstream;
        return 1;
    }
    return 0;
}

/* It is not known yet who is the first to list a model: a list comes for the first time. */
static int is_unsettled(const struct upstreams *u)
{
    for (size_t i = 0; i < u->rows_n; i++)
        if (u->rows[i].is_asking && u->rows[i].state == UPSTREAMS_UNKNOWN && !is_named(&u->rows[i]))
            return 1;
    return 0;
}

static int wait(struct upstreams *u, struct upstreams_ticket *t, const char *model)
{
    t->model = model;
    t->is_waiting = 1;
    t->previous = NULL;
    t->next = u->first;
    if (u->first)
        u->first->previous = t;
    u->first = t;
    return 0;
}

void upstreams_leave(struct upstreams *u, struct upstreams_ticket *t)
{
    if (!t->is_waiting)
        return;
    *(t->previous ? &t->previous->next : &u->first) = t->next;
    if (t->next)
        t->next->previous = t->previous;
    t->is_waiting = 0;
}

int upstreams_choose(struct upstreams *u, struct upstreams_ticket *t, const char *model, const struct upstream **out)
{
    ask_all(u, FRESH_MS);
    if (find_named(u, model, out))
        return 1;
    if (t && is_unsettled(u))
        return wait(u, t, model);
    if (find_listed(u, model, out) || !t)
        return 1;
    ask_all(u, ASK_AGAIN_MS);
    return is_awaited(u, model) ? wait(u, t, model) : 1;
}

int upstreams_is_ollamas(const struct upstreams *u, const char *model)
{
    return has_model(&u->rows[0], model, 1);
}

int upstreams_refresh(struct upstreams *u, struct upstreams_ticket *t)
{
    ask_all(u, ASK_AGAIN_MS);
    return is_awaited(u, NULL) ? wait(u, t, NULL) : 1;
}

/* Lists have come. From its fn whoever waited may wait for the next ones, or end others: from the start again, each time. */
static void on_review(void *context)
{
    struct upstreams *u = context;
    const struct upstream *found;
    int is_settled = !is_unsettled(u);
    for (struct upstreams_ticket *t = u->first; t;) {
        if (is_awaited(u, t->model) && !(t->model && is_settled && find_listed(u, t->model, &found))) {
            t = t->next;
            continue;
        }
        upstreams_leave(u, t);
        t->fn(t->context);
        t = u->first;
    }
}

static int is_before(const struct upstreams *u, size_t row, const char *name)
{
    struct upstream_model other;
    for (size_t i = 0; i < row; i++)
        if (upstream_models_find(&u->rows[i].models, name, is_ollama(&u->rows[i]), &other))
            return 1;
    return 0;
}

int upstreams_next_model(const struct upstreams *u, size_t *row, struct upstream_model *at)
{
    for (; *row < u->rows_n; (*row)++) {
        while (upstream_models_next(&u->rows[*row].models, at))
            if (!is_before(u, *row, at->name))
                return 1;
        *at = (struct upstream_model){.name = NULL};
    }
    return 0;
}

int upstreams_each_model(const struct upstreams *u, upstreams_model_fn *fn, void *context)
{
    struct upstream_model at = {.name = NULL};
    int result = 0;
    for (size_t row = 0; !result && upstreams_next_model(u, &row, &at);)
        result = fn(context, row == 0 ? NULL : &u->rows[row].upstream, &at);
    return result;
}

void upstreams_relist(struct upstreams *u)
{
    struct upstreams_row *row = &u->rows[0];
    struct buf tags;
    buf_init(&tags, 0);
    row->is_asking = !u->lister->refresh(u->lister->context, INT64_MAX); /* others have not told yet */
    if (u->lister->write(u->lister->context, &tags) == 0 && know(row, buf_data(&tags), buf_size(&tags)) == 0)
        row->state = UPSTREAMS_GOOD;
    buf_fini(&tags);
    loop_defer(u->loop, &u->review_work);
}

void upstreams_know_ollama(struct upstreams *u, const char *json, size_t json_n)
{
    if (u->rows[0].models.models_n == 0)
        (void)!know(&u->rows[0], json, json_n);
}

int upstreams_write(const struct upstreams *u, struct buf *out, int *is_first)
{
    int error = 0;
    for (size_t i = 1; i < u->rows_n && !error; i++) {
        const struct upstreams_row *row = &u->rows[i];
        error = buf_text(out, *is_first ? "{\"name\":" : ",{\"name\":");
        *is_first = 0;
        error = error ? error : buf_json_string(out, row->upstream.name, strlen(row->upstream.name));
        error = error ? error : buf_printf(out, ",\"state\":\"%s\",\"models_n\":%zu", state_names[row->state], row->models.models_n);
        if (!error && *row->why) {
            error = buf_text(out, ",\"error\":");
            error = error ? error : buf_json_string(out, row->why, strlen(row->why));
        }
        error = error ? error : buf_text(out, "}");
    }
    return error;
}

static void on_queue_work(void *context)
{
    struct upstreams_row *row = context;
    queue_review(&row->queue, loop_now_ms(row->all->loop));
}

/* A name is looked up by libcurl each time that a connection is needed: nothing waits for it then, and an address that has changed is
 * found. */
static int needs_library(const struct url *url)
{
    struct sockaddr_storage at;
    socklen_t at_n;
    return url->is_https || address_to_sockaddr(&url->address, &at, &at_n) < 0;
}

/* Its connections. 0; -errno with a sentence in why. */
static int connect_row(struct upstreams_row *row, const struct url *url, char *why, size_t why_n)
{
    struct upstreams *u = row->all;
    char host[ADDRESS_TEXT_BYTES];
    int error = 0;
    address_text(&url->address, host);
    if (!needs_library(url)) {
        error = backend_init(&row->backend, u->loop, &url->address, why, why_n);
    } else {
        if (!u->https)
            error = https_new(&u->https, u->loop, why, why_n);
        if (!error)
            backend_init_https(&row->backend, u->loop, u->https, row->origin, host);
    }
    row->backend.is_hosted = row->upstream.is_hosted;
    row->backend.authorization = *row->authorization ? row->authorization : NULL;
    return error;
}

static int set_up_row(struct upstreams_row *row, const struct conf_backend *conf, struct waiting *waiting)
{
    static const struct own_rules rules = {.answer_bytes = LIST_BYTES, .limit_ms = LIST_MS};
    struct url url;
    char host[ADDRESS_TEXT_BYTES], why[PARSE_WHY_BYTES] = "";
    int error = parse_url(conf->url, &url, why);
    row->conf = conf;
    row->upstream = (struct upstream){.name = conf->name, .api = BACKEND_API_OPENAI, .queue = &row->queue, .path = row->path,
                                      .queue_work = &row->queue_work, .why = row->why, .is_hosted = url.is_https};
    queue_init(&row->queue, (size_t)conf->slots, waiting);
    if (is_named(row) && upstream_models_narrow(&row->models, &conf->models, conf->name) < 0)
        return -ENOMEM;
    row->queue_work = (struct deferred){.fn = on_queue_work, .context = row};
    if (!error) {
        size_t path_n = url.path_n >= 3 && memcmp(url.path + url.path_n - 3, "/v1", 3) == 0 ? url.path_n - 3 : url.path_n;
        address_text(&url.address, host);
        snprintf(row->origin, sizeof row->origin, "%s://%s", url.is_https ? "https" : "http", host);
        if (path_n >= sizeof row->path || strlen(conf->key) + sizeof "Bearer " > sizeof row->authorization) {
            note_failure(row, "its path, or its key, is too long");
            return 0;
        }
        snprintf(row->path, sizeof row->path, "%.*s", (int)path_n, url.path);
        snprintf(row->list_path, sizeof row->list_path, "%s/v1/models", row->path);
        if (*conf->key)
            snprintf(row->authorization, sizeof row->authorization, "Bearer %s", conf->key);
        error = connect_row(row, &url, why, sizeof why);
    }
    if (error == -ENOMEM)
        return error;
    if (error) {
        note_failure(row, why);
        return 0;
    }
    row->upstream.backend = &row->backend;
    own_request_init(&row->list, &row->backend, &rules, on_list, row);
    return 0;
}

static int set_up_ollama(struct upstreams_row *row, struct backend *ollama)
{
    static const struct own_rules rules = {.answer_bytes = LIST_BYTES, .limit_ms = LIST_MS};
    row->upstream = (struct upstream){.name = "ollama", .api = BACKEND_API_OLLAMA, .backend = ollama, .path = ""};
    snprintf(row->list_path, sizeof row->list_path, "/api/tags");
    own_request_init(&row->list, ollama, &rules, on_list, row);
    return know(row, "{\"models\":[]}", strlen("{\"models\":[]}"));
}

int upstreams_new(struct upstreams **out, struct loop *loop, const struct conf *conf, struct gate *gate, struct backend *ollama,
                  const struct lister *lister, const struct tell *tell)
{
    size_t rows_n = 1;
    int error = 0;
    *out = NULL;
    for (size_t i = 0; i < conf->backends_n; i++)
        rows_n += conf->backends[i].api == CONF_BACKEND_API_OPENAI;
    if (rows_n == 1 && !lister && !conf->models.serve)
        return 0;
    struct upstreams *u = calloc(1, sizeof *u + rows_n * sizeof u->rows[0]);
    if (!u)
        return -ENOMEM;
    *u = (struct upstreams){.loop = loop, .gate = gate, .tell = tell, .lister = lister, .has_no_ollama = conf->is_alone, .rows_n = 1};
    u->review_work = (struct deferred){.fn = on_review, .context = u};
    for (size_t i = 0; i < rows_n; i++) {
        u->rows[i].all = u;
        upstream_models_init(&u->rows[i].models);
    }
    error = set_up_ollama(&u->rows[0], ollama);
    for (size_t i = 0; i < conf->backends_n && !error; i++)
        if (conf->backends[i].api == CONF_BACKEND_API_OPENAI)
            error = set_up_row(&u->rows[u->rows_n++], &conf->backends[i], gate->waiting);
    *out = u;
    if (error)
        upstreams_free(out);
    else
        ask_all(u, 0);
    return error;
}

void upstreams_free(struct upstreams **out)
{
    struct upstreams *u = *out;
    if (!u)
        return;
    for (size_t i = 0; i < u->rows_n; i++) {
        struct upstreams_row *row = &u->rows[i];
        if (row->upstream.backend)
            own_request_fini(&row->list);
        if (!is_ollama(row))
            queue_fini(&row->queue);
        if (row->backend.loop)
            backend_fini(&row->backend);
        upstream_models_fini(&row->models);
    }
    https_free(&u->https);
    buf_fini(&u->tags);
    free(u);
    *out = NULL;
}
