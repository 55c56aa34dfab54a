/*
 * See client_state.h. A function for each state: it does what can be done now, and says whether to go on, wait, or close.
 */
#include "proxy/client_state.h"

#include "proxy/reply.h"
#include "proxy/tls.h"

void client_refuse(struct client *c, int status, const char *code, const char *text)
{
    if (c->exchange)
        client_access_answered(c); /* what was known of it */
    client_access_refused(c, status, code, text);
    exchange_free(&c->exchange);
    c->request.is_keep_alive = 0;
    reply_refusal(&c->sink.deliver, &c->request, status, code, text);
    c->is_kept = 0;
    client_enter(c, CLIENT_FLUSH);
}

void client_refuse_unwelcome(struct client *c)
{
    client_refuse(c, 429, "too_many_connections",
                  "your address has too many connections at once ([proxy] max_clients_per_address)");
}

static enum http1_step feed(struct client *c)
{
    size_t used_n;
    enum http1_step step = http1_feed(&c->parser, c->bytes.input, c->bytes.input_n, &used_n);
    connection_take_input(&c->bytes, used_n);
    c->asked.in_bytes += used_n;
    return step;
}

int client_on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct client *c = context;
    if (c->exchange)
        exchange_body(c->exchange, bytes, bytes_n);
    return 0;
}

/* An empty line behind a request's body begins no other one: the connection is as idle as without it. */
static enum step step_idle(struct client *c)
{
    connection_take_input(&c->bytes, http1_skip_empty_lines(&c->parser, c->bytes.input, c->bytes.input_n));
    if (c->bytes.input_n == 0)
        return c->host->env->is_draining ? client_leave(c) : STEP_WAIT;
    if (tls_is_handshake(c->bytes.input, &c->host->has_told_tls))
        return STEP_CLOSE;
    client_access_begin(c);
    client_enter(c, CLIENT_HEAD);
    return STEP_NEXT;
}

static enum step end_body(struct client *c)
{
    client_enter(c, CLIENT_ANSWER);
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
        client_refuse(c, c->parser.refusal.status, "bad_request", c->parser.refusal.why);
        return STEP_NEXT;
    case HTTP1_HEAD:
        break;
    }
    if (c->is_unwelcome) {
        client_refuse_unwelcome(c);
        return STEP_NEXT;
    }
    client_enter(c, CLIENT_BODY);
    client_begin_body(c);
    c->has_asked = 1;
    c->is_answered = c->is_continue_sent = 0;
    if (exchange_new(&c->exchange, c->host->env, &c->request, &c->peer, &c->sink) < 0) {
        client_refuse(c, 503, NULL, "out of memory");
        return STEP_NEXT;
    }
    return http1_is_complete(&c->parser) ? end_body(c) : STEP_NEXT;
}

/* The exchange has had its say: what becomes of the connection. */
static enum step end_answer(struct client *c)
{
    c->is_kept = exchange_is_kept(c->exchange) && c->end == EXCHANGE_CLEAN && client_may_ask_again(c);
    c->is_reset_due = c->end == EXCHANGE_BROKEN && exchange_framing(c->exchange) == DELIVER_CLOSE;
    client_access_answered(c);
    exchange_free(&c->exchange);
    client_enter(c, c->is_kept && !http1_is_complete(&c->parser) ? CLIENT_DISCARD : CLIENT_FLUSH);
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
    client_send(c, &part, 1);
}

void client_refuse_body(struct client *c, int status, const char *code, const char *text)
{
    c->request.is_keep_alive = 0;
    exchange_refuse(c->exchange, status, code, text);
}

static enum step step_body(struct client *c)
{
    if (c->is_answered)
        return end_answer(c);
    int is_wanted = exchange_wants_body(c->exchange);
    if (is_wanted)
        send_continue(c);
    if (!is_wanted || c->bytes.input_n == 0) {
        client_wait_for_body(c, is_wanted);
        return STEP_WAIT;
    }
    client_count_body(c, c->bytes.input_n);
    switch (feed(c)) {
    case HTTP1_MORE:
    case HTTP1_HEAD:
        return STEP_NEXT;
    case HTTP1_END:
        return c->is_answered ? end_answer(c) : end_body(c);
    case HTTP1_BAD:
        break;
    }
    client_refuse_body(c, c->parser.refusal.status, "bad_request", c->parser.refusal.why);
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
    client_enter(c, CLIENT_FLUSH);
    return STEP_NEXT;
}

static enum step step_flush(struct client *c)
{
    if (connection_pending_bytes(&c->bytes) > 0)
        return STEP_WAIT;
    client_access_end(c);
    if (c->is_reset_due)
        (void)!sys_reset_on_close(c->bytes.fd);
    if (c->is_reset_due || (c->has_peer_ended && !c->is_kept))
        return STEP_CLOSE;
    if (!c->is_kept) {
        (void)!sys_shutdown_write(c->bytes.fd);
        client_begin_linger(c);
        client_enter(c, CLIENT_LINGER);
        return STEP_NEXT;
    }
    http1_restart(&c->parser);
    message_rest(&c->request);
    client_enter(c, CLIENT_IDLE);
    return STEP_NEXT;
}

/* Without this, unread bytes would turn the close into a reset, and the answer be lost. RFC 9112 section 9.6 */
static enum step step_linger(struct client *c)
{
    if (c->bytes.input_n > 0)
        client_linger_on(c);
    connection_take_input(&c->bytes, c->bytes.input_n);
    return c->has_peer_ended ? STEP_CLOSE : STEP_WAIT;
}

enum step (*const client_steps[CLIENT_STATE_COUNT])(struct client *) = {
    [CLIENT_IDLE] = step_idle,       [CLIENT_HEAD] = step_head,       [CLIENT_BODY] = step_body,
    [CLIENT_ANSWER] = step_answer,   [CLIENT_DISCARD] = step_discard, [CLIENT_FLUSH] = step_flush,
    [CLIENT_LINGER] = step_linger,
};
