/* See serve_state.h. The list of the cache's models: asked for at the start, behind each change, and when it is used and older than FRESH_MS. Who wants a model
 * that is not in it, or all of them, waits for one that is no older than AGAIN_MS. */
#include "proxy/serve/serve_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FRESH_MS = 30000, AGAIN_MS = 1000, LIST_MS = 60000 };

static void note_failure(struct serve *s, const char *why)
{
    if (strcmp(s->list.why, why) != 0)
        log_event(LOG_WARNING, "hub_list_failed", "reason=\"%s\"", why);
    snprintf(s->list.why, sizeof s->list.why, "%s", why);
}

static void on_line(void *context, const char *json, size_t json_n)
{
    struct serve *s = context;
    int error = shelf_line(s->list.shelf, json, json_n);
    if (error == -ENOMEM || error == -EFBIG)
        log_event(LOG_WARNING, "hub_list_cut", "models=%d reason=\"%s\"", SHELF_MODELS, strerror(-error));
}

static void ask(struct serve *s)
{
    static const char request[] = "{\"do\":\"list\"}";
    struct serve_list *list = &s->list;
    list->told_ms = loop_now_ms(s->env->loop);
    list->is_outdated = 0;
    shelf_begin(list->shelf);
    int error = hub_job_start(&list->job, s->env->channel_fd, request, sizeof request - 1, LIST_MS);
    if (error == -ENOTSUP)
        note_failure(s, "this proxy runs alone: nobody looks into the hub's cache for it; run ollama-supervisor");
    else if (error)
        note_failure(s, strerror(-error));
}

static void ask_if_older(struct serve *s, int64_t than_ms)
{
    struct serve_list *list = &s->list;
    if (!hub_job_is_under_way(&list->job) && (!list->told_ms || loop_now_ms(s->env->loop) - list->told_ms >= than_ms))
        ask(s);
}

static void on_end(void *context, const struct hub_job_error *error)
{
    struct serve *s = context;
    s->list.told_ms = loop_now_ms(s->env->loop);
    if (error)
        note_failure(s, error->text);
    else if (shelf_end(s->list.shelf) < 0)
        note_failure(s, "the list of the hub's cache has no end");
    else
        s->list.why[0] = '\0';
    if (s->list.is_outdated)
        ask(s);
    loop_defer(s->env->loop, &s->list_work);
}

static void on_listed(void *context)
{
    struct serve *s = context;
    serve_wake(&s->list.first, &s->list.job);
}

void serve_wake(struct serve_lease **first, const struct hub_job *job)
{
    struct serve_lease *lease;
    while (!hub_job_is_under_way(job) && (lease = *first)) {
        serve_wait_no_more(lease);
        lease->fn(lease->context);
    }
}

void serve_wait_no_more(struct serve_lease *lease)
{
    if (!lease->waits_in)
        return;
    *(lease->previous ? &lease->previous->next : lease->waits_in) = lease->next;
    if (lease->next)
        lease->next->previous = lease->previous;
    lease->waits_in = NULL;
}

void serve_wait(struct serve_lease **first, struct serve_lease *lease)
{
    if (lease->waits_in)
        return;
    lease->waits_in = first;
    lease->previous = NULL;
    lease->next = *first;
    if (*first)
        (*first)->previous = lease;
    *first = lease;
}

/* 0 where it waits. */
static int wait(struct serve *s, struct serve_lease *lease)
{
    if (!hub_job_is_under_way(&s->list.job))
        return 1;
    serve_wait(&s->list.first, lease);
    return 0;
}

int serve_find(struct serve *s, struct serve_lease *lease, const char *model, const struct shelf_model **out)
{
    ask_if_older(s, FRESH_MS);
    *out = shelf_find(s->list.shelf, model);
    if (*out || !lease)
        return 1;
    ask_if_older(s, AGAIN_MS);
    return wait(s, lease);
}

int serve_refresh(struct serve *s, struct serve_lease *lease)
{
    ask_if_older(s, AGAIN_MS);
    return wait(s, lease);
}

void serve_changed(struct serve *s)
{
    if (hub_job_is_under_way(&s->list.job))
        s->list.is_outdated = 1;
    else
        ask(s);
}

const struct shelf *serve_shelf(const struct serve *s)
{
    return s->list.shelf;
}

const char *serve_list_why(const struct serve *s)
{
    return s->list.why;
}

int serve_list_init(struct serve *s)
{
    s->list.shelf = shelf_new();
    if (!s->list.shelf)
        return -ENOMEM;
    s->list_work = (struct deferred){.fn = on_listed, .context = s};
    hub_job_init(&s->list.job, s->env->loop, on_line, on_end, s);
    ask(s);
    return 0;
}

void serve_list_fini(struct serve *s)
{
    hub_job_leave(&s->list.job);
    loop_forget(s->env->loop, &s->list_work);
    shelf_free(&s->list.shelf);
}
