/*
 * See ping.h. Always over a new connection: a kept one may be dead without our having noticed. It knows
 * nothing of what the answer is used for.
 */
#include "proxy/ping.h"

#include <stdio.h>

static void conclude(struct ping *p, int is_answering, const char *why)
{
    loop_disarm(p->fetch.backend->loop, &p->timer);
    p->fn(p->context, is_answering, why);
}

static void on_head(void *context, const struct message *answer)
{
    struct ping *p = context;
    p->status = answer->status;
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    (void)context, (void)bytes, (void)bytes_n;
}

static void on_nothing(void *context)
{
    (void)context;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct ping *p = context;
    char text[64];
    snprintf(text, sizeof text, "GET /api/tags gave status %d", p->status);
    conclude(p, end == FETCH_DONE && p->status == 200, end == FETCH_DONE ? text : why);
}

static const struct fetch_ops ops = {on_head, on_body, on_nothing, on_nothing, on_end};

static void on_timer(void *context, int64_t now_ms)
{
    struct ping *p = context;
    (void)now_ms;
    fetch_cancel(&p->fetch);
    conclude(p, 0, "no answer to GET /api/tags within 2 s");
}

int ping_start(struct ping *p, struct backend *backend, ping_fn *fn, void *context, char *why, size_t why_n)
{
    *p = (struct ping){.fn = fn, .context = context};
    buf_init(&p->head, 1024);
    timer_init(&p->timer, on_timer, p);
    fetch_init(&p->fetch, backend, &ops, p);
    int error = buf_printf(&p->head, "GET /api/tags HTTP/1.1\r\nHost: %s\r\n\r\n", backend->host);
    if (error) {
        snprintf(why, why_n, "out of memory");
        return error;
    }
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&p->head), .head_n = buf_size(&p->head)};
    error = fetch_start(&p->fetch, &request, why, why_n);
    if (!error)
        loop_arm(backend->loop, &p->timer, loop_now_ms(backend->loop) + PING_TIMEOUT_MS);
    return error;
}

void ping_fini(struct ping *p)
{
    if (!p->fetch.backend)
        return;
    loop_disarm(p->fetch.backend->loop, &p->timer);
    fetch_fini(&p->fetch);
    buf_fini(&p->head);
}
