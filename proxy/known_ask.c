/*
 * See known_ask.h. Over a new connection each time, as load_request.c does it: a kept one may just be closing. One that takes no
 * connection, or gives no answer, is not asked any more.
 */
#include "proxy/known_ask.h"

#include "proxy/ask_show.h"
#include "proxy/forward.h"

#include <stdio.h>
#include <string.h>

enum { HEAD_BYTES = 2048 };

static void ask_next(struct known_ask *a);

static void rest(struct known_ask *a)
{
    fetch_cancel(&a->fetch);
    loop_disarm(a->backend->loop, &a->timer);
    a->entry = NULL;
    buf_release(&a->head);
    buf_release(&a->body);
    buf_release(&a->answer);
}

static void conclude(struct known_ask *a, int is_complete)
{
    rest(a);
    a->fn(a->context, is_complete);
}

static void on_head(void *context, const struct message *answer)
{
    struct known_ask *a = context;
    int place = message_find(answer, "content-type", 0);
    struct span type = place >= 0 ? answer->fields[place].value : (struct span){0, 0};
    a->status = answer->status;
    a->is_kept = type.n < sizeof a->type && !forward_is_encoded(answer);
    snprintf(a->type, sizeof a->type, "%.*s", a->is_kept ? (int)type.n : 0, message_at(answer, type));
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct known_ask *a = context;
    if (a->is_kept && buf_append(&a->answer, bytes, bytes_n) < 0) {
        a->is_kept = 0;
        buf_release(&a->answer);
    }
}

static void take(struct known_ask *a)
{
    if (a->status == 200 && a->is_kept)
        known_take(a->known, a->entry, a->type, buf_data(&a->answer), buf_size(&a->answer));
    else
        known_take_none(a->known, a->entry);
    ask_next(a);
}

/* What is too large is not read to its end. */
static void on_flush(void *context)
{
    struct known_ask *a = context;
    if (a->is_kept)
        return;
    fetch_cancel(&a->fetch);
    take(a);
}

static void on_sent(void *context)
{
    (void)context;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct known_ask *a = context;
    (void)why;
    if (end == FETCH_DONE)
        take(a);
    else
        conclude(a, 0);
}

static const struct fetch_ops ops = {on_head, on_body, on_flush, on_sent, on_end};

static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    conclude(context, 0);
}

/* Via: a backend that leads back to us is found out by it, as with any request. */
static int write_request(struct known_ask *a)
{
    const struct known_key *key = &a->entry->key;
    buf_release(&a->head);
    buf_release(&a->body);
    buf_release(&a->answer);
    if (key->kind == KNOWN_PATH)
        return buf_printf(&a->head, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", key->name, a->backend->host, a->tell->via[1]);
    int error = ask_show_write(key, &a->body);
    return error ? error
                 : buf_printf(&a->head, "POST /api/show HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
                              a->backend->host, buf_size(&a->body), a->tell->via[1]);
}

/* 0 or -errno: nothing was begun. */
static int ask(struct known_ask *a)
{
    char why[128];
    int error = write_request(a);
    if (error)
        return error;
    struct fetch_request request = {.is_fresh = 1, .head = buf_data(&a->head), .head_n = buf_size(&a->head)};
    request.body = buf_data(&a->body);
    request.body_n = buf_size(&a->body);
    a->status = a->is_kept = 0;
    return fetch_start(&a->fetch, &request, why, sizeof why);
}

static void ask_next(struct known_ask *a)
{
    a->entry = known_next(a->known);
    if (!a->entry)
        conclude(a, 1);
    else if (ask(a) < 0)
        loop_arm(a->backend->loop, &a->timer, loop_now_ms(a->backend->loop));
}

void known_ask_init(struct known_ask *a, struct known *known, struct backend *backend, const struct tell *tell)
{
    *a = (struct known_ask){.known = known, .backend = backend, .tell = tell};
    buf_init(&a->head, HEAD_BYTES);
    buf_init(&a->body, HEAD_BYTES);
    buf_init(&a->answer, KNOWN_BODY_BYTES);
    timer_init(&a->timer, on_timer, a);
    fetch_init(&a->fetch, backend, &ops, a);
}

void known_ask_fini(struct known_ask *a)
{
    if (!a->backend)
        return;
    rest(a);
    fetch_fini(&a->fetch);
    buf_fini(&a->head);
    buf_fini(&a->body);
    buf_fini(&a->answer);
}

void known_ask_start(struct known_ask *a, int64_t limit_ms, known_ask_fn *fn, void *context)
{
    rest(a);
    a->fn = fn;
    a->context = context;
    loop_arm(a->backend->loop, &a->timer, loop_now_ms(a->backend->loop) + limit_ms);
    known_begin_round(a->known);
    ask_next(a);
}
