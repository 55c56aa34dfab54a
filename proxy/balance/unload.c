/* See unload.h. One that is drained is asked, too: what it has loaded takes its memory all the same. */
#include "proxy/balance/unload.h"

#include "proxy/json_scan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_BYTES = 64 * 1024, LIMIT_MS = 30000, WHY_BYTES = 320, ERROR_BYTES = 160 };

struct unload_ask {
    struct unload *all;
    struct member *member; /* used, until its answer has come; then NULL */
    struct own_request request;
};

struct unload {
    struct unload_of of;
    unload_fn *fn;
    void *context;
    size_t asks_n, pending_n, unloaded_n;
    char why[WHY_BYTES];
    struct unload_ask asks[BALANCE_BACKENDS];
};

void unload_free(struct unload **u)
{
    for (size_t i = 0; *u && i < (*u)->asks_n; i++) {
        own_request_fini(&(*u)->asks[i].request);
        if ((*u)->asks[i].member)
            member_leave((*u)->asks[i].member);
    }
    free(*u);
    *u = NULL;
}

static void note_failure(struct unload *u, const struct member *m, const struct own_answer *got)
{
    char error[ERROR_BYTES];
    snprintf(error, sizeof error, "%s", got->why);
    if (got->end == FETCH_DONE && json_scan_string(got->bytes, got->bytes_n, "error", error, sizeof error) <= 0)
        snprintf(error, sizeof error, "status %d", got->status);
    snprintf(u->why, sizeof u->why, "the backend %.100s has not unloaded it: %s", m->name, error);
    buf_neutralise(u->why);
}

/* Who does not have it, after all, has nothing to unload. */
static void on_answer(void *context, const struct own_answer *got)
{
    struct unload_ask *a = context;
    struct unload *u = a->all;
    struct member *m = a->member;
    int status = got->end == FETCH_DONE ? got->status : 0;
    if (status == 200) {
        u->unloaded_n++;
        loads_forget(&m->loader.loads, u->of.model);
        member_probe_soon(m);
    } else if (status != 404 && !*u->why) {
        note_failure(u, m, got);
    }
    a->member = NULL;
    member_leave(m);
    if (--u->pending_n == 0)
        u->fn(u->context, *u->why ? 502 : u->unloaded_n > 0 ? 200 : 404, u->why);
}

/* 0 or -ENOMEM. */
static int ask(struct unload *u, struct member *m)
{
    static const struct own_rules rules = {.answer_bytes = ANSWER_BYTES, .limit_ms = LIMIT_MS};
    struct unload_ask *a = &u->asks[u->asks_n++];
    char path[sizeof m->path + sizeof "/api/generate"];
    snprintf(path, sizeof path, "%s/api/generate", m->path);
    *a = (struct unload_ask){.all = u};
    own_request_init(&a->request, &m->backend, &rules, on_answer, a);
    int error = own_request_start(&a->request, u->of.tell, path, u->of.body);
    if (error)
        return error;
    member_use(m);
    a->member = m;
    u->pending_n++;
    return 0;
}

/* It is one of those that are meant, and may have the model. */
static int may_have(const struct unload_of *of, const struct member *m)
{
    if (!m->has_backend || m->is_leaving || (of->backend && !member_is_named(m, of->backend, of->backend_n)))
        return 0;
    return member_has(m, of->model, of->now_ms) != INSTALLED_NO;
}

static int ask_all(struct unload *u)
{
    size_t missed_n = 0;
    int error = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS && !error; i++) {
        struct member *m = members_at(u->of.all, i);
        if (!m || !may_have(&u->of, m))
            continue;
        if (m->breaker.state == BREAKER_UNKNOWN || m->breaker.state == BREAKER_DOWN)
            missed_n++;
        else
            error = ask(u, m);
    }
    return error || u->pending_n > 0 ? error : missed_n > 0 ? -EHOSTDOWN : -ENOENT;
}

int unload_new(struct unload **out, const struct unload_of *of, unload_fn *fn, void *context)
{
    struct unload *u = *out = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->of = *of;
    u->fn = fn;
    u->context = context;
    int error = ask_all(u);
    if (error)
        unload_free(out);
    return error;
}
