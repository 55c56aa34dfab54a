/* See hub_calls.h. */
#include "proxy/serve/hub_calls.h"

#include "common/contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hub_call {
    struct hub_calls *all;
    struct hub_job job;
    char model[CONTRACT_NAME_BYTES];
    char request[HUB_JOB_REQUEST_BYTES];
    struct buf last; /* its last line */
    struct hub_waiter *first;
    int is_used; /* until the last who waits has been told */
    int is_over; /* nobody may join any more */
};

struct hub_calls {
    int channel_fd;
    struct hub_calls_ops ops;
    struct hub_call items[HUB_CALLS_MAX];
};

static void on_line(void *context, const char *json, size_t json_n)
{
    struct hub_call *call = context;
    buf_truncate(&call->last, 0);
    (void)!buf_append(&call->last, json, json_n); /* without it the end says less */
    for (struct hub_waiter *w = call->first, *next; w; w = next) {
        next = w->next;
        w->on_line(w->context, json, json_n);
    }
}

/* Whoever is told may ask for another job, and others may leave for it. */
static void on_end(void *context, const struct hub_job_error *error)
{
    struct hub_call *call = context;
    struct hub_job_error why;
    call->is_over = 1;
    if (error)
        why = *error;
    call->all->ops.ended(call->all->ops.context);
    while (call->first) {
        struct hub_waiter *w = call->first;
        hub_calls_leave(w);
        w->on_end(w->context, error ? &why : NULL, buf_data(&call->last), buf_size(&call->last));
    }
    buf_release(&call->last);
    call->is_used = 0;
}

int hub_calls_new(struct hub_calls **out, struct loop *loop, int channel_fd, const struct hub_calls_ops *ops)
{
    struct hub_calls *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->channel_fd = channel_fd;
    c->ops = *ops;
    for (size_t i = 0; i < HUB_CALLS_MAX; i++) {
        c->items[i].all = c;
        buf_init(&c->items[i].last, 0);
        hub_job_init(&c->items[i].job, loop, on_line, on_end, &c->items[i]);
    }
    *out = c;
    return 0;
}

void hub_calls_free(struct hub_calls **c)
{
    for (size_t i = 0; *c && i < HUB_CALLS_MAX; i++) {
        hub_job_leave(&(*c)->items[i].job);
        buf_fini(&(*c)->items[i].last);
    }
    free(*c);
    *c = NULL;
}

static struct hub_call *find(struct hub_calls *c, const char *request)
{
    for (size_t i = 0; i < HUB_CALLS_MAX; i++)
        if (c->items[i].is_used && !c->items[i].is_over && strcmp(c->items[i].request, request) == 0)
            return &c->items[i];
    return NULL;
}

static int begin(struct hub_calls *c, const char *model, const char *request, struct hub_call **out)
{
    struct hub_call *call = NULL;
    for (size_t i = 0; i < HUB_CALLS_MAX && !call; i++)
        call = c->items[i].is_used ? NULL : &c->items[i];
    if (!call)
        return -EBUSY;
    int error = hub_job_start(&call->job, c->channel_fd, request, strlen(request), 0);
    if (error)
        return error;
    snprintf(call->model, sizeof call->model, "%s", model);
    snprintf(call->request, sizeof call->request, "%s", request);
    call->is_used = 1;
    call->is_over = 0;
    c->ops.begun(c->ops.context);
    *out = call;
    return 0;
}

int hub_calls_ask(struct hub_calls *c, struct hub_waiter *w, const char *model, const char *request)
{
    struct hub_call *call = find(c, request);
    int error = call ? 0 : begin(c, model, request, &call);
    if (error)
        return error;
    w->call = call;
    w->previous = NULL;
    w->next = call->first;
    if (w->next)
        w->next->previous = w;
    call->first = w;
    return 0;
}

void hub_calls_leave(struct hub_waiter *w)
{
    if (!w->call)
        return;
    if (w->previous)
        w->previous->next = w->next;
    else
        w->call->first = w->next;
    if (w->next)
        w->next->previous = w->previous;
    w->call = NULL;
    w->previous = w->next = NULL;
}

int hub_calls_has(const struct hub_calls *c, const char *model)
{
    for (size_t i = 0; i < HUB_CALLS_MAX; i++)
        if (c->items[i].is_used && !c->items[i].is_over && strcmp(c->items[i].model, model) == 0)
            return 1;
    return 0;
}
