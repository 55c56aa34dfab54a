/* See own_request.h. Over a new connection always: one that is kept may just be closing. It is kept then, for who comes next. */
#include "proxy/own_request.h"

#include "proxy/forward.h"

#include <errno.h>
#include <stdio.h>

static void conclude(struct own_request *r, enum fetch_end end, const char *why)
{
    struct own_answer answer = {.end = end, .status = r->status, .is_unread = r->is_unread, .type = r->type, .why = why};
    loop_disarm(r->fetch.backend->loop, &r->timer);
    fetch_cancel(&r->fetch);
    answer.bytes = r->is_unread ? "" : buf_data(&r->answer);
    answer.bytes_n = r->is_unread ? 0 : buf_size(&r->answer);
    r->done(r->context, &answer);
}

static void limit(struct own_request *r, int64_t ms)
{
    if (ms > 0)
        loop_arm(r->fetch.backend->loop, &r->timer, loop_now_ms(r->fetch.backend->loop) + ms);
}

static void on_head(void *context, const struct message *answer)
{
    struct own_request *r = context;
    int place = message_find(answer, "content-type", 0);
    struct span type = place >= 0 ? answer->fields[place].value : (struct span){0, 0};
    r->status = answer->status;
    r->is_unread = forward_is_encoded(answer);
    snprintf(r->type, sizeof r->type, "%.*s", type.n < sizeof r->type ? (int)type.n : 0, message_at(answer, type));
    limit(r, r->rules.body_ms);
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct own_request *r = context;
    if (!r->is_unread && buf_append(&r->answer, bytes, bytes_n) < 0)
        r->is_unread = 1;
}

static void on_flush(void *context)
{
    struct own_request *r = context;
    if (r->is_unread)
        conclude(r, FETCH_DONE, "");
}

static void on_sent(void *context)
{
    (void)context;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    conclude(context, end, why);
}

static const struct fetch_ops ops = {on_head, on_body, on_flush, on_sent, on_end};

static void on_timer(void *context, int64_t now_ms)
{
    struct own_request *r = context;
    (void)now_ms;
    if (r->is_refused)
        conclude(r, FETCH_REFUSED, r->why);
    else
        conclude(r, FETCH_GARBAGE, "it takes too long");
}

void own_request_init(struct own_request *r, struct backend *backend, const struct own_rules *rules, own_request_fn *done, void *context)
{
    r->rules = *rules;
    r->done = done;
    r->context = context;
    buf_init(&r->head, 0);
    buf_init(&r->answer, rules->answer_bytes);
    timer_init(&r->timer, on_timer, r);
    fetch_init(&r->fetch, backend, &ops, r);
}

/* Via: a backend that leads back to us is found out by it, as with any request. */
int own_request_write(struct buf *out, const struct backend *backend, const struct tell *tell, const char *path, const struct buf *body)
{
    const char *before = backend->path ? backend->path : "";
    int error = buf_printf(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", body ? "POST" : "GET", before, path, backend->host);
    if (body && !error)
        error = buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", buf_size(body));
    if (backend->authorization && !error)
        error = buf_printf(out, "Authorization: %s\r\n", backend->authorization);
    error = error ? error : buf_printf(out, "%s\r\n", backend->is_hosted ? "" : tell->via[1]);
    return error || !body ? error : buf_append(out, buf_data(body), buf_size(body));
}

int own_request_start(struct own_request *r, const struct tell *tell, const char *path, const struct buf *body)
{
    own_request_cancel(r);
    r->status = r->is_unread = r->is_refused = 0;
    r->type[0] = '\0';
    if (own_request_write(&r->head, r->fetch.backend, tell, path, body) < 0)
        return -ENOMEM;
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&r->head), .head_n = buf_size(&r->head)};
    r->is_refused = fetch_start(&r->fetch, &request, r->why, sizeof r->why) < 0;
    if (r->is_refused)
        loop_arm(r->fetch.backend->loop, &r->timer, loop_now_ms(r->fetch.backend->loop));
    else
        limit(r, r->rules.limit_ms);
    return 0;
}

void own_request_cancel(struct own_request *r)
{
    loop_disarm(r->fetch.backend->loop, &r->timer);
    fetch_cancel(&r->fetch);
    buf_release(&r->head);
    buf_release(&r->answer);
}

void own_request_fini(struct own_request *r)
{
    own_request_cancel(r);
    fetch_fini(&r->fetch);
    buf_fini(&r->head);
    buf_fini(&r->answer);
}
