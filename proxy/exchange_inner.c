/*
 * See exchange_inner.h. What its client's exchange knows is copied, as that may end first: head, sender, key, limits. What it tells
 * goes through deliver as any answer does, and comes out here without framing.
 */
#include "proxy/exchange_inner.h"

#include "proxy/exchange_state.h"

#include <errno.h>
#include <stdlib.h>

static void on_head(void *context, const struct deliver *d)
{
    const struct exchange *x = context;
    const struct inner_sink *to = &x->inner->to;
    struct buf room;
    const char *lines = exchange_lines(d, NULL, &room);
    to->head(to->context, d->status, d->type, lines);
    buf_fini(&room);
}

static void on_write(void *context, const struct iovec *parts, int parts_n)
{
    const struct exchange *x = context;
    const struct inner_sink *to = &x->inner->to;
    for (int i = 0; i < parts_n; i++)
        to->body(to->context, parts[i].iov_base, parts[i].iov_len);
}

static size_t pending_bytes(void *context)
{
    const struct exchange *x = context;
    const struct inner_sink *to = &x->inner->to;
    return to->pending_bytes ? to->pending_bytes(to->context) : 0;
}

static int can_keep(void *context)
{
    (void)context;
    return 0;
}

/* Of a broken end on_failed() tells. */
static void on_done(void *context, enum exchange_end end)
{
    const struct exchange *x = context;
    if (end == EXCHANGE_CLEAN)
        x->inner->to.done(x->inner->to.context);
}

static void ignore_body_wanted(void *context)
{
    (void)context;
}

static void on_failed(void *context, const struct inner_failure *f)
{
    const struct exchange *x = context;
    x->inner->to.failed(x->inner->to.context, f);
}

static struct inner *inner_new(const struct exchange *of, const struct inner_sink *sink)
{
    struct inner *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    if (message_copy(&n->request, of->request) < 0) {
        free(n);
        return NULL;
    }
    n->peer = *of->admission.sender.peer;
    n->to = *sink;
    n->sink = (struct exchange_sink){.done = on_done, .body_wanted = ignore_body_wanted, .failed = on_failed};
    n->sink.deliver = (struct deliver_sink){
        .parts = n->parts, .write = on_write, .pending_bytes = pending_bytes, .can_keep = can_keep, .head = on_head};
    return n;
}

/* The copy of a sender points into itself where the first does. */
static void take_sender(struct exchange *x, const struct exchange *of)
{
    const struct sender *from = &of->admission.sender;
    struct sender *to = &x->admission.sender;
    to->peer = &x->inner->peer;
    if (from->client == from->text)
        to->client = to->text;
    else if (from->client == from->peer->text)
        to->client = to->peer->text;
}

static void take_over(struct exchange *x, const struct exchange *of, const struct route *route)
{
    x->admission = of->admission;
    take_sender(x, of);
    if (route != of->admission.route)
        x->target = route->path;
    x->admission.route = route;
    x->admission.dialect = route->dialect;
    x->priority = of->priority;
    x->payer = of->payer;
    x->limited = of->limited; /* a client's exchange that does not ask the backend itself takes nothing of it */
    memcpy(x->deliver.request_id, of->deliver.request_id, sizeof x->deliver.request_id);
    x->is_body_complete = 1;
    x->ticket.is_accepted = of->ticket.is_accepted;
    if (of->inner)
        return;
    x->wait_ms = of->wait_ms; /* its client has, before anybody made an answer */
    exchange_tell_times(x);
}

int exchange_new_inner(struct exchange **out, const struct exchange *of, const struct route *route, struct buf *body,
                       const struct inner_sink *sink)
{
    struct inner *n = inner_new(of, sink);
    if (!n || exchange_make(out, of->env, &n->request, &n->sink) < 0) {
        if (n)
            message_fini(&n->request);
        free(n);
        buf_fini(body);
        return -ENOMEM;
    }
    struct exchange *x = *out;
    x->inner = n;
    n->sink.deliver.context = x;
    take_over(x, of, route);
    buf_fini(&x->body);
    x->body = *body;
    buf_init(body, 0);
    if (budget_grow(&x->env->bodies, &x->body_share, buf_size(&x->body)) < 0)
        exchange_fail_for_bodies(x);
    else
        x->way->prepare(x);
    return 0;
}
