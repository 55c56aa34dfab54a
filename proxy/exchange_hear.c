/*
 * See exchange_state.h. How one listener hears what an inner exchange makes for it, and perhaps for others: the bytes are the same for all;
 * heartbeats, framing, the head, and how an error is told are its own.
 */
#include "proxy/exchange_state.h"
#include "proxy/reply.h"

#include <stdio.h>

enum { PIECE_BYTES = 64 * 1024 }; /* that is written at once */

static int is_stream(const struct share *s)
{
    return s->status == 200 && strcmp(s->type, "text/event-stream") == 0;
}

void exchange_fail_listening(struct exchange *x)
{
    if (!x->deliver.is_begun) {
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    }
    x->ended = ACCESS_FAILED;
    exchange_finish(x, EXCHANGE_BROKEN);
}

/* 0, or it has ended. */
static int begin_stream(struct exchange *x, const struct share *s)
{
    if (x->deliver.is_begun)
        return 0;
    int error = buf_text(&x->deliver.extra, buf_data(&s->lines));
    error = error ? error : reply_begin(&x->deliver, s->type);
    if (error)
        exchange_fail_listening(x);
    return error;
}

static void note_heard(struct exchange *x)
{
    struct answer *a = &x->answer;
    a->heard_ms = loop_now_ms(x->env->loop);
    a->first_ms = a->first_ms ? a->first_ms : a->heard_ms;
    a->translation.has_begun = 1; /* should an error be told as a part of it */
}

static void pass_stream(struct exchange *x, const struct share *s)
{
    const struct deliver_sink *sink = x->deliver.sink;
    size_t n;
    const char *bytes;
    while (bytes = share_unread(s, &x->reader, &n), n > 0 && sink->pending_bytes(sink->context) <= RELAY_HIGH_BYTES) {
        n = n < PIECE_BYTES ? n : PIECE_BYTES;
        if (begin_stream(x, s) < 0)
            return;
        note_heard(x);
        deliver_body(&x->deliver, bytes, n);
        deliver_flush(&x->deliver);
        share_read(&x->reader, n);
    }
    if (n > 0 || s->state != SHARE_WHOLE || begin_stream(x, s) < 0)
        return;
    deliver_end(&x->deliver);
    exchange_finish(x, EXCHANGE_CLEAN);
}

/* One object: it has a length, unless a heartbeat has promised something already. */
static void pass_whole(struct exchange *x, const struct share *s)
{
    size_t n;
    const char *bytes = share_unread(s, &x->reader, &n);
    note_heard(x);
    if (x->deliver.is_begun) {
        deliver_body(&x->deliver, bytes, n);
        deliver_end(&x->deliver);
    } else {
        reply_bytes(&x->deliver, s->status, s->type, bytes, n, buf_data(&s->lines));
    }
    exchange_finish(x, EXCHANGE_CLEAN);
}

static void tell_failure(struct exchange *x, const struct inner_failure *f)
{
    const struct exchange *maker = x->generation->inner;
    if (maker && *exchange_model(maker))
        snprintf(x->ask.model, sizeof x->ask.model, "%s", exchange_model(maker));
    if (f->is_in_stream) {
        x->code = f->code;
        exchange_break_off(x, f->ended, f->text);
        return;
    }
    (void)!buf_text(&x->deliver.extra, f->lines); /* memory is short: without them */
    if (f->is_told)
        exchange_tell(x, f->status, f->text);
    else
        exchange_fail(x, f->status, f->code, f->text);
}

void exchange_hear(struct exchange *x)
{
    const struct share *s = &x->generation->share;
    size_t unread_n;
    if (is_stream(s))
        pass_stream(x, s);
    else if (s->state == SHARE_WHOLE)
        pass_whole(x, s);
    if (x->state != EXCHANGE_LISTEN || s->state != SHARE_FAILED)
        return;
    share_unread(s, &x->reader, &unread_n);
    if (unread_n == 0 || !is_stream(s))
        tell_failure(x, &s->failure);
}

void exchange_look_alike(struct exchange *x)
{
    const struct exchange *maker = x->generation->inner;
    struct translation *t = &x->answer.translation;
    if (!maker)
        return;
    const struct translation *made = &maker->answer.translation;
    t->ops = made->ops;
    t->model = exchange_model(maker);
    t->created_s = made->created_s;
    t->is_stream = made->is_stream;
    memcpy(t->id, made->id, sizeof t->id);
}
