/*
 * See client.h. A client is a connection, a parser, and one exchange at a time; what the answer is, it does not
 * know. What the exchange tells it (written, done) only leaves a mark, and the state machine runs at the end of
 * the turn: no call goes down and comes up again. Nothing is read while an answer is under way, so a client's
 * pipeline waits in its socket; that it is gone is told by POLLRDHUP even so. RFC 9112 section 9
 */
#include "proxy/client.h"

#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "proxy/relay.h"
#include "proxy/reply.h"
#include "proxy/tls.h"

#include <errno.h>
#include <stdlib.h>

enum client_state {
    CLIENT_IDLE,
    CLIENT_HEAD,
    CLIENT_BODY,
    CLIENT_ANSWER,
    CLIENT_DISCARD,
    CLIENT_FLUSH,
    CLIENT_LINGER,
    CLIENT_GONE,
    CLIENT_STATE_COUNT
};

static const char *const state_names[] = {"idle", "head", "body", "answer", "discard", "flush", "linger", "gone"};
_Static_assert(sizeof state_names / sizeof *state_names == CLIENT_STATE_COUNT, "a name for each state");

enum step { STEP_NEXT, STEP_WAIT, STEP_CLOSE };

struct client {
    struct client_link link;
    struct client_host *host; /* borrowed */
    struct connection bytes;
    struct sockaddr_storage peer;
    enum client_state state;
    struct message request;
    struct http1 parser;
    struct exchange *exchange; /* owned; NULL while there is none */
    struct exchange_sink sink;
    struct timer timer;       /* the state's deadline, or that of a client that takes nothing */
    struct deferred work;
    size_t lingered_bytes;
    enum exchange_end end;
    int is_answered;          /* the exchange is done */
    int is_kept;              /* another request may follow */
    int is_reset_due;         /* only a reset can tell that the answer is not whole */
    int has_peer_ended;
    int is_continue_sent;
    int has_asked;            /* there was a request on this connection */
};

static const struct conf_proxy *conf_of(const struct client *c)
{
    return &c->host->env->conf->proxy;
}

/* ---- what the exchange asks of us ---- */

static void arm_in(struct client *c, int64_t delay_ms)
{
    struct loop *loop = c->bytes.loop;
    if (delay_ms > 0)
        loop_arm(loop, &c->timer, loop_now_ms(loop) + delay_ms);
    else
        loop_disarm(loop, &c->timer);
}

static void defer_run(struct client *c)
{
    loop_defer(c->bytes.loop, &c->work);
}

static void sink_write(void *context, const struct iovec *parts, int parts_n)
{
    struct client *c = context;
    int was_empty = connection_pending_bytes(&c->bytes) == 0;
    connection_write(&c->bytes, parts, parts_n);
    if (was_empty && connection_pending_bytes(&c->bytes) > 0)
        arm_in(c, conf_of(c)->write_timeout_ms);
    if (c->bytes.is_broken || (was_empty && connection_pending_bytes(&c->bytes) > 0))
        defer_run(c); /* to end it, or to ask for POLLOUT */
}

static size_t sink_pending_bytes(void *context)
{
    struct client *c = context;
    return connection_pending_bytes(&c->bytes);
}

static int sink_can_keep(void *context)
{
    struct client *c = context;
    const struct env *env = c->host->env;
    if (!c->request.is_keep_alive || env->is_draining || conf_of(c)->keepalive_timeout_ms == 0 || c->has_peer_ended)
        return 0;
    if (http1_is_complete(&c->parser))
        return 1;
    if (c->request.is_continue_expected && !c->is_continue_sent)
        return 0;
    return c->request.length_bytes >= 0 && c->parser.left_bytes <= CLIENT_DISCARD_BYTES;
}

static void sink_done(void *context, enum exchange_end end)
{
    struct client *c = context;
    c->is_answered = 1;
    c->end = end;
    defer_run(c);
}

static void sink_body_wanted(void *context)
{
    defer_run(context);
}

/* ---- states ---- */

/* How long a state may last; 0: as long as it takes. */
static int64_t deadline_ms(const struct client *c, enum client_state state)
{
    const struct conf_proxy *conf = conf_of(c);
    const int64_t limits_ms[CLIENT_STATE_COUNT] = {
        [CLIENT_IDLE] = conf->keepalive_timeout_ms ? conf->keepalive_timeout_ms : conf->header_timeout_ms,
        [CLIENT_HEAD] = conf->header_timeout_ms,
        [CLIENT_BODY] = conf->write_timeout_ms,
        [CLIENT_ANSWER] = connection_pending_bytes(&c->bytes) > 0 ? conf->write_timeout_ms : 0,
        [CLIENT_DISCARD] = conf->header_timeout_ms,
        [CLIENT_FLUSH] = conf->write_timeout_ms,
        [CLIENT_LINGER] = CLIENT_LINGER_MS,
    };
    return limits_ms[state];
}

static void enter(struct client *c, enum client_state state)
{
    if (log_is_on(LOG_DEBUG))
        log_event(LOG_DEBUG, "client", "fd=%d from=%s to=%s", c->bytes.fd, state_names[c->state], state_names[state]);
    c->state = state;
    arm_in(c, deadline_ms(c, state));
}

/* An error that the connection itself answers; the connection ends with it. */
static void refuse(struct client *c, int status, const char *code, const char *text)
{
    exchange_free(&c->exchange);
    c->request.is_keep_alive = 0;
    reply_refusal(&c->sink.deliver, &c->request, status, code, text);
    c->is_kept = 0;
    enter(c, CLIENT_FLUSH);
}

static enum http1_step feed(struct client *c)
{
    size_t used_n;
    enum http1_step step = http1_feed(&c->parser, c->bytes.input, c->bytes.input_n, &used_n);
    connection_take_input(&c->bytes, used_n);
    return step;
}

static int on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct client *c = context;
    if (c->exchange)
        exchange_body(c->exchange, bytes, bytes_n);
    return 0;
}

static enum step step_idle(struct client *c)
{
    if (c->bytes.input_n == 0)
        return c->host->env->is_draining && c->has_asked ? STEP_CLOSE : STEP_WAIT;
    if (tls_is_handshake(c->bytes.input, &c->host->has_told_tls))
        return STEP_CLOSE;
    enter(c, CLIENT_HEAD);
    return STEP_NEXT;
}

static enum step end_body(struct client *c)
{
    enter(c, CLIENT_ANSWER);
    exchange_body_end(c->exchange);
    return STEP_NEXT;
}

static enum step step_head(struct client *c)
{
    if (c->bytes.input_n == 0)
        return STEP_WAIT;
    switch (feed(c)) {
    case HTTP1_MORE:
    case HTTP1_END:
        return STEP_WAIT;
    case HTTP1_BAD:
        refuse(c, c->parser.refusal.status, "bad_request", c->parser.refusal.why);
        return STEP_NEXT;
    case HTTP1_HEAD:
        break;
    }
    enter(c, CLIENT_BODY);
    c->has_asked = 1;
    c->is_answered = c->is_continue_sent = 0;
    if (exchange_new(&c->exchange, c->host->env, &c->request, &c->peer, &c->sink) < 0) {
        refuse(c, 503, NULL, "out of memory");
        return STEP_NEXT;
    }
    return http1_is_complete(&c->parser) ? end_body(c) : STEP_NEXT;
}

/* The exchange has had its say: what becomes of the connection. */
static enum step end_answer(struct client *c)
{
    c->is_kept = exchange_is_kept(c->exchange) && c->end == EXCHANGE_CLEAN;
    c->is_reset_due = c->end == EXCHANGE_BROKEN && exchange_framing(c->exchange) == DELIVER_CLOSE;
    exchange_free(&c->exchange);
    enter(c, c->is_kept && !http1_is_complete(&c->parser) ? CLIENT_DISCARD : CLIENT_FLUSH);
    return STEP_NEXT;
}

/* RFC 9110 section 10.1.1: only when the body is really wanted, and none of it has come. */
static void send_continue(struct client *c)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!c->request.is_continue_expected || c->is_continue_sent)
        return;
    c->is_continue_sent = 1;
    if (c->bytes.input_n > 0)
        return;
    struct iovec part = {(void *)(uintptr_t)line, sizeof line - 1};
    sink_write(c, &part, 1);
}

static void refuse_body(struct client *c, int status, const char *code, const char *text)
{
    if (exchange_is_begun(c->exchange))
        exchange_abort(c->exchange, text);
    else
        refuse(c, status, code, text);
}

static enum step step_body(struct client *c)
{
    if (c->is_answered)
        return end_answer(c);
    if (!exchange_wants_body(c->exchange))
        return STEP_WAIT;
    send_continue(c);
    if (c->bytes.input_n == 0)
        return STEP_WAIT;
    arm_in(c, conf_of(c)->write_timeout_ms);
    switch (feed(c)) {
    case HTTP1_MORE:
    case HTTP1_HEAD:
        return STEP_NEXT;
    case HTTP1_END:
        return c->is_answered ? end_answer(c) : end_body(c);
    case HTTP1_BAD:
        break;
    }
    refuse_body(c, c->parser.refusal.status, "bad_request", c->parser.refusal.why);
    return STEP_NEXT;
}

static enum step step_answer(struct client *c)
{
    return c->is_answered ? end_answer(c) : STEP_WAIT;
}

static enum step step_discard(struct client *c)
{
    if (c->bytes.input_n == 0)
        return STEP_WAIT;
    enum http1_step step = feed(c);
    if (step == HTTP1_MORE)
        return STEP_WAIT;
    if (step == HTTP1_BAD)
        c->is_kept = 0;
    enter(c, CLIENT_FLUSH);
    return STEP_NEXT;
}

static enum step step_flush(struct client *c)
{
    if (connection_pending_bytes(&c->bytes) > 0)
        return STEP_WAIT;
    if (c->is_reset_due)
        (void)!sys_reset_on_close(c->bytes.fd);
    if (c->is_reset_due || c->has_peer_ended)
        return STEP_CLOSE;
    if (!c->is_kept) {
        (void)!sys_shutdown_write(c->bytes.fd);
        enter(c, CLIENT_LINGER);
        return STEP_NEXT;
    }
    http1_restart(&c->parser);
    if (c->bytes.input_n == 0)
        message_fini(&c->request); /* it may be idle for long */
    enter(c, CLIENT_IDLE);
    return STEP_NEXT;
}

/* Without this, unread bytes would turn the close into a reset, and the answer be lost. RFC 9112 section 9.6 */
static enum step step_linger(struct client *c)
{
    c->lingered_bytes += c->bytes.input_n;
    connection_take_input(&c->bytes, c->bytes.input_n);
    return c->has_peer_ended || c->lingered_bytes > CLIENT_LINGER_BYTES ? STEP_CLOSE : STEP_WAIT;
}

static enum step (*const steps[CLIENT_STATE_COUNT])(struct client *) = {
    [CLIENT_IDLE] = step_idle,       [CLIENT_HEAD] = step_head,       [CLIENT_BODY] = step_body,
    [CLIENT_ANSWER] = step_answer,   [CLIENT_DISCARD] = step_discard, [CLIENT_FLUSH] = step_flush,
    [CLIENT_LINGER] = step_linger,
};

/* ---- events ---- */

static void flush_out(struct client *c)
{
    if (connection_flush(&c->bytes) == 0)
        return;
    size_t pending_bytes = connection_pending_bytes(&c->bytes);
    arm_in(c, pending_bytes > 0 ? conf_of(c)->write_timeout_ms : deadline_ms(c, c->state));
    if (c->exchange && pending_bytes <= RELAY_LOW_BYTES)
        exchange_drained(c->exchange);
}

static int wants_input(const struct client *c)
{
    if (buf_size(&c->bytes.stash) > 0)
        return 0;
    if (c->state == CLIENT_BODY)
        return exchange_wants_body(c->exchange);
    return c->state == CLIENT_IDLE || c->state == CLIENT_HEAD || c->state == CLIENT_DISCARD || c->state == CLIENT_LINGER;
}

static void free_client(struct client *c)
{
    http1_fini(&c->parser);
    message_fini(&c->request);
    connection_fini(&c->bytes);
    free(c);
}

/* The descriptors go at once, the backend's with the client's; the memory at the end of the turn. */
void client_close(struct client *c)
{
    if (c->state == CLIENT_GONE)
        return;
    enter(c, CLIENT_GONE);
    exchange_free(&c->exchange);
    connection_close(&c->bytes);
    defer_run(c);
    c->host->gone(c->host->context, &c->link);
}

static void run(struct client *c)
{
    enum step step;
    connection_begin_input(&c->bytes);
    do
        step = steps[c->state](c);
    while (step == STEP_NEXT && !c->bytes.is_broken);
    connection_end_input(&c->bytes);
    if (step == STEP_CLOSE || c->bytes.is_broken)
        client_close(c);
    else
        connection_watch(&c->bytes, wants_input(c), !c->has_peer_ended && c->state != CLIENT_LINGER);
}

static void on_work(void *context)
{
    struct client *c = context;
    if (c->state == CLIENT_GONE)
        free_client(c);
    else
        run(c);
}

/* The other side has ended. After a complete request that means that it is gone; an answer that is already on its way
 * is sent to the end. */
static void on_peer_end(struct client *c)
{
    c->has_peer_ended = 1;
    if (c->state == CLIENT_FLUSH)
        run(c);
    else
        client_close(c);
}

static void on_event(void *context, short revents)
{
    struct client *c = context;
    if (revents & (POLLERR | POLLNVAL)) {
        client_close(c);
        return;
    }
    if (revents & POLLOUT)
        flush_out(c);
    if ((revents & POLLIN) && wants_input(c)) {
        ssize_t n = connection_read(&c->bytes, c->host->scratch);
        if (n == 0)
            on_peer_end(c);
        else if (n > 0)
            run(c);
        else if (n != -EAGAIN)
            client_close(c);
    } else if (revents & (POLLRDHUP | POLLHUP)) {
        on_peer_end(c);
    } else {
        run(c);
    }
}

static void on_timer(void *context, int64_t now_ms)
{
    struct client *c = context;
    (void)now_ms;
    if (c->state == CLIENT_BODY && !exchange_wants_body(c->exchange)) { /* it is we who do not read */
        arm_in(c, conf_of(c)->write_timeout_ms);
        return;
    }
    if (c->state == CLIENT_HEAD) {
        refuse(c, 408, "header_timeout", "the request's header did not come within [proxy] header_timeout");
        run(c);
    } else if (c->state == CLIENT_BODY) {
        refuse_body(c, 408, "body_timeout", "the request's body has stalled");
        run(c);
    } else if (c->state == CLIENT_ANSWER || c->state == CLIENT_FLUSH) {
        log_event(LOG_INFO, "client_stalled", "fd=%d pending_bytes=%zu", c->bytes.fd, connection_pending_bytes(&c->bytes));
        (void)!sys_reset_on_close(c->bytes.fd);
        client_close(c);
    } else {
        client_close(c);
    }
}

int client_new(struct client_host *host, int take_fd, const struct sockaddr_storage *peer, struct client_link **link)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c) {
        sys_close(take_fd);
        return -ENOMEM;
    }
    c->host = host;
    c->link.client = c;
    c->peer = *peer;
    c->sink = (struct exchange_sink){.done = sink_done, .body_wanted = sink_body_wanted};
    c->sink.deliver = (struct deliver_sink){c, sink_write, sink_pending_bytes, sink_can_keep};
    c->work = (struct deferred){.fn = on_work, .context = c};
    timer_init(&c->timer, on_timer, c);
    message_init(&c->request, (size_t)conf_of(c)->max_headers_bytes);
    int error = connection_init(&c->bytes, host->env->loop, take_fd, on_event, c);
    if (!error) {
        error = http1_init(&c->parser, HTTP1_REQUEST, &c->request, on_body, c);
        if (error)
            connection_close(&c->bytes);
    }
    if (error) {
        free_client(c);
        return error;
    }
    enter(c, CLIENT_IDLE);
    *link = &c->link;
    return 0;
}

void client_abort(struct client *c, const char *text)
{
    if (c->exchange)
        exchange_abort(c->exchange, text);
    else if (c->state != CLIENT_FLUSH)
        client_close(c);
}

void client_drain(struct client *c)
{
    if (c->state != CLIENT_IDLE || !client_is_quiet(c))
        return;
    if (c->has_asked)
        client_close(c);
    else
        arm_in(c, CLIENT_FIRST_REQUEST_MS);
}

int client_is_spare(const struct client *c)
{
    int64_t idle_since_ms = c->timer.at_ms - deadline_ms(c, CLIENT_IDLE);
    return c->state == CLIENT_IDLE &&
           (c->has_asked || loop_now_ms(c->bytes.loop) - idle_since_ms >= CLIENT_FIRST_REQUEST_MS);
}

int client_is_quiet(const struct client *c)
{
    return (c->state == CLIENT_IDLE || c->state == CLIENT_LINGER) && !connection_has_unread(&c->bytes);
}
