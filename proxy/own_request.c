/* See own_request.h. Over a new connection always: one that is kept may just be closing. */
#include "proxy/own_request.h"

#include <errno.h>

static void conclude(struct own_request *r, int status)
{
    own_request_cancel(r);
    r->done(r->context, status, buf_data(&r->answer), buf_size(&r->answer));
}

static void on_head(void *context, const struct message *answer)
{
    struct own_request *r = context;
    r->status = answer->status;
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct own_request *r = context;
    if (buf_append(&r->answer, bytes, bytes_n) < 0)
        r->status = 0;
}

static void on_nothing(void *context)
{
    (void)context;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct own_request *r = context;
    (void)why;
    conclude(r, end == FETCH_DONE ? r->status : 0);
}

static const struct fetch_ops ops = {on_head, on_body, on_nothing, on_nothing, on_end};

/* Not even a connection could be begun. */
static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    conclude(context, 0);
}

void own_request_init(struct own_request *r, struct backend *backend, void (*done)(void *, int, const char *, size_t), void *context)
{
    r->done = done;
    r->context = context;
    buf_init(&r->head, 0);
    buf_init(&r->answer, OWN_REQUEST_ANSWER_BYTES);
    timer_init(&r->timer, on_timer, r);
    fetch_init(&r->fetch, backend, &ops, r);
}

/* Via: a backend that leads back to us is found out by it, as with any request. */
int own_request_start(struct own_request *r, const struct tell *tell, const char *path, const struct buf *body)
{
    struct backend *backend = r->fetch.backend;
    char why[128];
    own_request_cancel(r);
    r->status = 0;
    buf_truncate(&r->head, 0);
    buf_truncate(&r->answer, 0);
    int error = buf_printf(&r->head, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %zu\r\n", body ? "POST" : "GET", path, backend->host,
                           body ? buf_size(body) : 0);
    error = error ? error : buf_printf(&r->head, "%s%s\r\n", body ? "Content-Type: application/json\r\n" : "", tell->via[1]);
    error = error || !body ? error : buf_append(&r->head, buf_data(body), buf_size(body));
    if (error)
        return -ENOMEM;
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&r->head), .head_n = buf_size(&r->head)};
    if (fetch_start(&r->fetch, &request, why, sizeof why) < 0)
        loop_arm(backend->loop, &r->timer, loop_now_ms(backend->loop));
    return 0;
}

void own_request_cancel(struct own_request *r)
{
    loop_disarm(r->fetch.backend->loop, &r->timer);
    fetch_cancel(&r->fetch);
}

void own_request_fini(struct own_request *r)
{
    own_request_cancel(r);
    fetch_fini(&r->fetch);
    buf_fini(&r->head);
    buf_fini(&r->answer);
}
