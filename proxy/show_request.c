/* See show_request.h. Over a new connection, as a kept one may just be closing. */
#include "proxy/show_request.h"

#include "proxy/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct show_request {
    struct fetch fetch;
    struct buf head, body, answer;
    struct timer timer;
    int status;
    int is_too_long;
    show_request_fn *fn;
    void *context;
    char why[128];
};

void show_request_free(struct show_request **r)
{
    struct show_request *it = *r;
    if (!it)
        return;
    loop_disarm(it->fetch.backend->loop, &it->timer);
    fetch_fini(&it->fetch);
    buf_fini(&it->head);
    buf_fini(&it->body);
    buf_fini(&it->answer);
    free(it);
    *r = NULL;
}

static void conclude(struct show_request *r, int is_whole)
{
    int is_good = is_whole && r->status == 200 && !r->is_too_long;
    fetch_cancel(&r->fetch);
    r->fn(r->context, is_good ? buf_data(&r->answer) : NULL, is_good ? buf_size(&r->answer) : 0);
    show_request_free(&r);
}

static void on_head(void *context, const struct message *answer)
{
    struct show_request *r = context;
    r->status = answer->status;
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct show_request *r = context;
    if (!r->is_too_long && buf_append(&r->answer, bytes, bytes_n) < 0) {
        r->is_too_long = 1;
        buf_release(&r->answer);
    }
}

static void on_flush(void *context)
{
    struct show_request *r = context;
    if (r->is_too_long)
        conclude(r, 0);
}

static void on_sent(void *context)
{
    (void)context;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    (void)why;
    conclude(context, end == FETCH_DONE);
}

static const struct fetch_ops ops = {on_head, on_body, on_flush, on_sent, on_end};

static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    conclude(context, 0);
}

static int write_request(struct show_request *r, const struct backend *backend, const struct tell *tell, const char *model)
{
    int error = buf_text(&r->body, "{\"model\":");
    error = error ? error : buf_json_string(&r->body, model, strlen(model));
    error = error ? error : buf_text(&r->body, "}");
    return error ? error
                 : buf_printf(&r->head, "POST /api/show HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
                              backend->host, buf_size(&r->body), tell->via[1]);
}

int show_request_new(struct show_request **out, struct backend *backend, const struct tell *tell, const char *model,
                     show_request_fn *fn, void *context)
{
    struct show_request *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->fn = fn;
    r->context = context;
    buf_init(&r->head, 0);
    buf_init(&r->body, 0);
    buf_init(&r->answer, SHOW_REQUEST_ANSWER_BYTES);
    timer_init(&r->timer, on_timer, r);
    fetch_init(&r->fetch, backend, &ops, r);
    if (write_request(r, backend, tell, model) < 0) {
        show_request_free(&r);
        return -ENOMEM;
    }
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&r->head), .head_n = buf_size(&r->head)};
    request.body = buf_data(&r->body);
    request.body_n = buf_size(&r->body);
    int64_t now_ms = loop_now_ms(backend->loop);
    loop_arm(backend->loop, &r->timer, fetch_start(&r->fetch, &request, r->why, sizeof r->why) < 0 ? now_ms : now_ms + SHOW_REQUEST_MS);
    *out = r;
    return 0;
}
