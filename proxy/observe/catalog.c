/* See catalog.h. */
#include "proxy/observe/catalog.h"

#include "proxy/env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void tell(struct catalog *c)
{
    for (int i = 0; i < CATALOG_LISTS; i++)
        if (c->asks[i].is_asking)
            return;
    for (struct catalog_ticket *t; (t = c->first);) {
        catalog_leave(c, t);
        t->fn(t->context);
    }
}

static void on_answer(void *context, const struct own_answer *got)
{
    struct catalog_ask *a = context;
    struct catalog *c = a->catalog;
    int is_good = got->end == FETCH_DONE && got->status == 200 && !got->is_unread;
    a->is_asking = 0;
    if (is_good) {
        buf_release(&a->answer);
        (void)!buf_append(&a->answer, got->bytes, got->bytes_n); /* memory is short: nothing is known then */
    }
    c->is_silent = got->end != FETCH_DONE;
    snprintf(c->why, sizeof c->why, "%s", c->is_silent ? got->why : "");
    tell(c);
}

static void on_status(void *context)
{
    (void)context; /* it is told with the next event */
}

int catalog_new(struct catalog **out, struct env *env)
{
    static const struct own_rules rules = {.answer_bytes = CATALOG_BYTES, .limit_ms = CATALOG_ASK_MS};
    struct catalog *c = *out = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->env = env;
    c->overseer.fn = on_status;
    for (int i = 0; i < CATALOG_LISTS; i++) {
        struct catalog_ask *a = &c->asks[i];
        a->catalog = c;
        buf_init(&a->answer, CATALOG_BYTES);
        own_request_init(&a->request, env->backend, &rules, on_answer, a);
    }
    return 0;
}

void catalog_free(struct catalog **c)
{
    if (*c)
        overseer_leave(&(*c)->overseer);
    for (int i = 0; *c && i < CATALOG_LISTS; i++) {
        own_request_fini(&(*c)->asks[i].request);
        buf_fini(&(*c)->asks[i].answer);
    }
    free(*c);
    *c = NULL;
}

/* There is one, and it is up. */
static int may_ask(const struct catalog *c)
{
    struct env *env = c->env;
    if (env->fleet || env->conf->is_alone)
        return 0;
    gate_refresh(&env->gate);
    const struct gate_view *view = &env->gate.view;
    return asleep_state(&env->asleep, view) == CONTRACT_AWAKE && (!view->is_api_watched || view->ollama == CONTRACT_READY);
}

static void forget(struct catalog *c)
{
    for (int i = 0; i < CATALOG_LISTS; i++)
        buf_release(&c->asks[i].answer);
    c->is_silent = 0;
}

static void ask(struct catalog *c)
{
    static const char *const paths[] = {[CATALOG_TAGS] = "/api/tags", [CATALOG_PS] = "/api/ps"};
    c->asked_ms = loop_now_ms(c->env->loop);
    for (int i = 0; i < CATALOG_LISTS; i++) {
        struct catalog_ask *a = &c->asks[i];
        a->is_asking = a->is_asking || own_request_start(&a->request, &c->env->tell, paths[i], NULL) == 0;
    }
}

int catalog_refresh(struct catalog *c, int64_t older_ms, struct catalog_ticket *t)
{
    if (!may_ask(c)) {
        forget(c);
        return 1;
    }
    if (!c->asked_ms || loop_now_ms(c->env->loop) - c->asked_ms >= older_ms)
        ask(c);
    if (!c->asks[CATALOG_TAGS].is_asking && !c->asks[CATALOG_PS].is_asking)
        return 1;
    if (t && !t->is_waiting) {
        t->is_waiting = 1;
        t->previous = NULL;
        t->next = c->first;
        if (t->next)
            t->next->previous = t;
        c->first = t;
    }
    return 0;
}

void catalog_leave(struct catalog *c, struct catalog_ticket *t)
{
    if (!t->is_waiting)
        return;
    t->is_waiting = 0;
    *(t->previous ? &t->previous->next : &c->first) = t->next;
    if (t->next)
        t->next->previous = t->previous;
}

const char *catalog_answer(const struct catalog *c, enum catalog_list list, size_t *n)
{
    const struct known_key key = {.kind = KNOWN_PATH, .name = "/api/tags"};
    const struct buf *answer = &c->asks[list].answer;
    const struct known_entry *known = NULL;
    *n = buf_size(answer);
    if (*n == 0 && list == CATALOG_TAGS)
        known = asleep_answer(&c->env->asleep, &key);
    if (known)
        *n = known->body_n;
    return known ? known->body : buf_data(answer);
}
