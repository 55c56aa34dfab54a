/*
 * See fetch.h. One connection, one request, one answer; it knows neither who asked nor why. There is no limit on
 * the time to the first byte, nor on the whole: models take as long as they take. The answer is read into the
 * backend's one scratch buffer and handed on before the next read. ops->end is always the last thing that a
 * function does.
 */
#include "proxy/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CACHE_LINE_BYTES = 64 };

static void on_event(void *context, short revents);
static void on_connect_timer(void *context, int64_t now_ms);
static const struct https_ops call_ops;
static const char was_closed[] = "the connection was closed";

static int on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct fetch *f = context;
    f->ops->body(f->context, bytes, bytes_n);
    return 0;
}

void fetch_init(struct fetch *f, struct backend *backend, const struct fetch_ops *ops, void *context)
{
    *f = (struct fetch){.backend = backend, .ops = ops, .context = context, .soon = {f, f}, .fd = -1};
    buf_init(&f->out, 0);
    message_init(&f->answer, FETCH_ANSWER_HEAD_BYTES);
    timer_init(&f->timer, on_connect_timer, f);
}

void fetch_fini(struct fetch *f)
{
    fetch_cancel(f);
    if (f->has_parser)
        http1_fini(&f->parser);
    f->has_parser = 0;
    message_fini(&f->answer);
    buf_fini(&f->out);
}

static short wanted_events(const struct fetch *f)
{
    size_t fixed_n = f->request.head_n + f->request.body_n;
    if (f->state == FETCH_CONNECTING)
        return POLLOUT;
    int has_more = !f->is_deaf && (f->sent_n < fixed_n || buf_size(&f->out) > 0);
    return (short)((f->is_paused ? 0 : POLLIN) | (has_more ? POLLOUT : 0));
}

static void unwatch(struct fetch *f)
{
    if (f->is_watched)
        loop_remove(f->backend->loop, f->fd);
    f->is_watched = 0;
}

static int watch(struct fetch *f)
{
    if (f->is_watched) {
        loop_set_events(f->backend->loop, f->fd, wanted_events(f));
        return 0;
    }
    int error = loop_add(f->backend->loop, f->fd, wanted_events(f), on_event, f);
    f->is_watched = !error;
    return error;
}

static void hang_up(struct fetch *f)
{
    loop_disarm(f->backend->loop, &f->timer);
    unwatch(f);
    sys_close(f->fd);
    https_cancel(&f->call);
    f->fd = -1;
    f->state = FETCH_IDLE;
}

void fetch_cancel(struct fetch *f)
{
    if (f->state != FETCH_IDLE)
        hang_up(f);
}

static void end(struct fetch *f, enum fetch_end how, const char *why)
{
    char text[192]; /* why may be part of the fetch, which may be gone before the caller has read it */
    *text = '\0';
    if (*why)
        snprintf(text, sizeof text, "%s", why);
    if (f->state != FETCH_IDLE)
        hang_up(f);
    f->ops->end(f->context, how, text);
}

/* Head and held body, as far as they have not gone. */
static ssize_t send_fixed(struct fetch *f)
{
    struct iovec parts[2];
    int parts_n = 0;
    const struct fetch_request *r = &f->request;
    size_t head_sent_n = f->sent_n < r->head_n ? f->sent_n : r->head_n, body_sent_n = f->sent_n - head_sent_n;
    if (head_sent_n < r->head_n)
        parts[parts_n++] = (struct iovec){(void *)(uintptr_t)(r->head + head_sent_n), r->head_n - head_sent_n};
    if (body_sent_n < r->body_n)
        parts[parts_n++] = (struct iovec){(void *)(uintptr_t)(r->body + body_sent_n), r->body_n - body_sent_n};
    ssize_t n = sys_send_parts(f->fd, parts, parts_n);
    if (n > 0)
        f->sent_n += (size_t)n;
    return n;
}

/* Connects to this address, or to the first one behind it that takes us. 0 or -errno of the last one. */
static int connect_from(struct fetch *f, size_t nth)
{
    int error = -EHOSTUNREACH;
    for (;; nth++) {
        int fd = backend_connect(f->backend, nth);
        if (fd == -ENOENT)
            return error;
        if (fd < 0) {
            error = fd;
            continue;
        }
        f->fd = fd;
        f->nth_address = nth;
        f->state = FETCH_CONNECTING;
        error = watch(f);
        if (!error) {
            loop_arm(f->backend->loop, &f->timer, loop_now_ms(f->backend->loop) + FETCH_CONNECT_MS);
            return 0;
        }
        hang_up(f);
        return error;
    }
}

/* Over a kept connection: the request goes out at once. Of an error reading will tell. */
static void go_on(struct fetch *f)
{
    (void)!send_fixed(f);
    loop_hand_over(f->backend->loop, f->fd, wanted_events(f), on_event, f);
    f->is_watched = 1;
}

/* By libcurl. */
static int start_call(struct fetch *f)
{
    const struct backend *b = f->backend;
    const struct fetch_request *r = &f->request;
    struct https_request request = {b->origin, r->head, r->head_n, r->body, r->body_n, FETCH_CONNECT_MS, r->is_fresh};
    int error = https_start(&f->call, b->https, &request, &call_ops, f);
    f->state = error ? FETCH_IDLE : FETCH_RUNNING;
    return error;
}

int fetch_start(struct fetch *f, const struct fetch_request *request, char *why, size_t why_n)
{
    int error = 0;
    f->request = *request;
    f->sent_n = 0;
    f->is_body_over = !request->is_streamed;
    f->is_deaf = f->is_paused = f->is_reused = 0;
    buf_consume(&f->out, buf_size(&f->out));
    if (f->has_parser)
        http1_restart(&f->parser);
    else
        error = http1_init(&f->parser, HTTP1_ANSWER, &f->answer, on_body, f);
    if (!error) {
        f->has_parser = 1;
        f->parser.is_bodiless = request->is_head;
    }
    if (!error && f->backend->https) {
        error = start_call(f);
    } else if (!error) {
        if (request->is_fresh)
            backend_make_room(f->backend);
        f->fd = request->is_fresh ? -EAGAIN : backend_take(f->backend);
        f->is_reused = f->fd >= 0;
        f->state = f->is_reused ? FETCH_RUNNING : FETCH_IDLE;
        if (f->is_reused)
            go_on(f);
        else
            error = connect_from(f, 0);
    }
    if (error)
        snprintf(why, why_n, "%s", strerror(-error));
    return error;
}

static void try_next_address(struct fetch *f, int error)
{
    hang_up(f);
    if (connect_from(f, f->nth_address + 1) < 0)
        end(f, FETCH_REFUSED, strerror(-error));
}

static void on_connect_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    try_next_address(context, -ETIMEDOUT);
}

/* Sends what can be sent. An error is not the end: an answer may be waiting to be read, and reading will tell. */
static void send_more(struct fetch *f)
{
    ssize_t n = 1;
    size_t fixed_n = f->request.head_n + f->request.body_n;
    int was_sent = f->sent_n == fixed_n;
    while (f->sent_n < fixed_n && n > 0)
        n = send_fixed(f);
    if (f->sent_n == fixed_n && buf_size(&f->out) > 0) {
        int was_full = fetch_is_full(f);
        n = sys_send(f->fd, buf_data(&f->out), buf_size(&f->out), 0);
        if (n > 0)
            buf_consume(&f->out, (size_t)n);
        if (was_full && !fetch_is_full(f))
            f->ops->sent(f->context);
    }
    if (!was_sent && f->sent_n == fixed_n && f->request.body_n > 0)
        f->ops->sent(f->context);
    if (n < 0 && n != -EAGAIN) {
        f->is_deaf = 1;
        buf_release(&f->out);
        f->ops->sent(f->context);
    }
    (void)!watch(f);
}

static void on_connected(struct fetch *f)
{
    int error = sys_socket_error(f->fd);
    if (error < 0) {
        try_next_address(f, error);
        return;
    }
    loop_disarm(f->backend->loop, &f->timer);
    backend_prefer(f->backend, f->nth_address);
    f->state = FETCH_RUNNING;
    send_more(f);
    if (f->request.is_streamed)
        f->ops->sent(f->context);
}

int fetch_is_sent(const struct fetch *f)
{
    if (f->call)
        return https_is_sent(f->call);
    return !f->is_deaf && f->is_body_over && f->sent_n == f->request.head_n + f->request.body_n &&
           buf_size(&f->out) == 0;
}

/* The answer is complete; the connection goes back where both sides may go on with it. */
static void finish(struct fetch *f, int has_rest)
{
    if (f->answer.is_keep_alive && !has_rest && fetch_is_sent(f) && f->is_watched) {
        f->is_watched = 0;
        backend_give(f->backend, f->fd);
        f->fd = -1;
        f->state = FETCH_IDLE;
    }
    end(f, FETCH_DONE, "");
}

static void on_eof(struct fetch *f, const char *why, int is_whole)
{
    if (!f->parser.is_touched)
        end(f, FETCH_LOST, why);
    else if (is_whole && http1_finish(&f->parser) == HTTP1_END)
        end(f, FETCH_DONE, "");
    else
        end(f, FETCH_BROKEN, why);
}

/* Of an answer that must not have one (to HEAD; 204, 304): where the backend sends it all the same, it would be taken for the
 * next answer, so its connection is not used again. */
static int announces_a_body(const struct message *answer)
{
    return answer->is_chunked || answer->length_bytes > 0;
}

static void read_bytes(struct fetch *f, const char *bytes, size_t n)
{
    size_t used_n = 0;
    if (!f->parser.is_touched)
        message_move_memory(&f->backend->spare, &f->answer);
    for (;;) {
        size_t step_n;
        enum http1_step step = http1_feed(&f->parser, bytes + used_n, n - used_n, &step_n);
        used_n += step_n;
        switch (step) {
        case HTTP1_MORE:
            f->ops->flush(f->context);
            return;
        case HTTP1_HEAD:
            f->ops->head(f->context, &f->answer);
            message_move_memory(&f->answer, &f->backend->spare); /* read, and of no more use */
            if (!http1_is_complete(&f->parser))
                continue;
            finish(f, used_n < n || announces_a_body(&f->answer));
            return;
        case HTTP1_END:
            finish(f, used_n < n);
            return;
        case HTTP1_BAD:
            end(f, FETCH_GARBAGE, f->parser.refusal.why);
            return;
        }
    }
}

static void read_answer(struct fetch *f)
{
    for (size_t i = 0; i < sizeof f->soon / sizeof *f->soon; i++) {
        __builtin_prefetch(f->soon[i]);
        __builtin_prefetch((const char *)f->soon[i] + CACHE_LINE_BYTES);
    }
    ssize_t n = sys_recv(f->fd, f->backend->scratch, BACKEND_READ_BYTES, 0);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        on_eof(f, n < 0 ? strerror((int)-n) : was_closed, n == 0);
        return;
    }
    read_bytes(f, f->backend->scratch, (size_t)n);
}

static void on_call_bytes(void *context, const char *bytes, size_t bytes_n)
{
    read_bytes(context, bytes, bytes_n);
}

static void on_call_end(void *context, enum https_end how, const char *why)
{
    if (how == HTTPS_REFUSED)
        end(context, FETCH_REFUSED, why);
    else
        on_eof(context, how == HTTPS_DONE ? was_closed : why, how == HTTPS_DONE);
}

static const struct https_ops call_ops = {on_call_bytes, on_call_end};

static void on_event(void *context, short revents)
{
    struct fetch *f = context;
    if (f->state == FETCH_CONNECTING) {
        on_connected(f);
        return;
    }
    if (f->is_paused && (revents & (POLLERR | POLLHUP))) { /* it would be told in every turn */
        unwatch(f);
        return;
    }
    if (revents & POLLOUT)
        send_more(f);
    if (!f->is_paused && (revents & (POLLIN | POLLERR | POLLHUP)))
        read_answer(f);
}

void fetch_pause(struct fetch *f)
{
    f->is_paused = 1;
    if (f->call)
        https_pause(f->call);
    else if (f->state == FETCH_RUNNING)
        (void)!watch(f);
}

void fetch_resume(struct fetch *f)
{
    f->is_paused = 0;
    if (f->call)
        https_resume(f->call);
    else if (f->state == FETCH_RUNNING)
        (void)!watch(f); /* the loop has had room for this descriptor before */
}

static int append_piece(struct fetch *f, const char *bytes, size_t bytes_n)
{
    int error = f->request.is_chunked ? buf_printf(&f->out, "%zx\r\n", bytes_n) : 0;
    error = error ? error : buf_append(&f->out, bytes, bytes_n);
    return error || !f->request.is_chunked ? error : buf_append(&f->out, "\r\n", 2);
}

int fetch_send(struct fetch *f, const char *bytes, size_t bytes_n)
{
    f->sent_body_bytes += bytes_n;
    if (f->is_deaf || f->state == FETCH_IDLE || bytes_n == 0)
        return 0;
    int error = append_piece(f, bytes, bytes_n);
    if (!error && f->state == FETCH_RUNNING)
        error = watch(f); /* written when the socket takes it: several pieces in one call */
    return error;
}

int fetch_send_end(struct fetch *f)
{
    f->is_body_over = 1;
    if (f->is_deaf || f->state == FETCH_IDLE || !f->request.is_chunked)
        return 0;
    int error = buf_text(&f->out, "0\r\n\r\n");
    if (!error && f->state == FETCH_RUNNING)
        error = watch(f);
    return error;
}
