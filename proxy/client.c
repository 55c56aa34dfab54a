/*
 * See client.h. A client is a connection, a parser, and one exchange at a time; what the answer is, it does not
 * know. Here are its life and its events. RFC 9112 section 9
 */
#include "proxy/client.h"

#include "proxy/client_state.h"
#include "proxy/relay.h"

#include <errno.h>
#include <stdlib.h>

static void flush_out(struct client *c)
{
    if (connection_flush(&c->bytes) == 0)
        return;
    size_t pending_bytes = connection_pending_bytes(&c->bytes);
    client_took_bytes(c);
    if (c->exchange && pending_bytes <= RELAY_LOW_BYTES)
        exchange_drained(c->exchange);
}

static int wants_input(const struct client *c)
{
    if (c->state == CLIENT_ANSWER)
        return client_reads_ahead(c);
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
    client_access_end(c);
    client_enter(c, CLIENT_GONE);
    exchange_free(&c->exchange);
    connection_close(&c->bytes);
    client_defer_run(c);
    c->host->gone(c->host->context, &c->link);
}

static void close_as(struct client *c, enum access_end cut)
{
    c->asked.cut = cut;
    client_close(c);
}

static void run(struct client *c)
{
    enum step step;
    connection_begin_input(&c->bytes);
    do
        step = client_steps[c->state](c);
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

/* The other side sends no more. After a complete request that means that it is gone, unless half_close says otherwise;
 * an answer that is already on its way is sent to the end. */
static void on_peer_end(struct client *c)
{
    c->has_peer_ended = 1;
    c->is_kept = c->is_kept && client_may_ask_again(c);
    if (client_is_served_half_closed(c))
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
    int is_at_end = c->state == CLIENT_ANSWER && (revents & (POLLRDHUP | POLLHUP));
    if ((revents & POLLIN) && !is_at_end && wants_input(c)) {
        ssize_t n = c->state == CLIENT_ANSWER ? client_read_ahead(c) : connection_read(&c->bytes, c->host->scratch);
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

static void refuse_slow_body(struct client *c)
{
    if (client_is_below_rate(c))
        client_refuse_body(c, 408, "upload_too_slow", "the request's body came slower than [proxy] min_upload_rate");
    else
        client_refuse_body(c, 408, "body_timeout", "of the request's body nothing came within [proxy] write_timeout");
    run(c);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct client *c = context;
    (void)now_ms;
    if (c->state == CLIENT_IDLE && c->host->env->is_draining) {
        run(c);
        return;
    }
    if (client_is_let_off(c))
        return;
    if (c->state == CLIENT_HEAD && c->is_unwelcome) {
        client_refuse_unwelcome(c);
        run(c);
    } else if (c->state == CLIENT_HEAD) {
        client_refuse(c, 408, "header_timeout", "the request's header did not come within [proxy] header_timeout");
        run(c);
    } else if (c->state == CLIENT_BODY && exchange_wants_body(c->exchange)) {
        refuse_slow_body(c);
    } else if (connection_pending_bytes(&c->bytes) > 0) {
        log_event(LOG_INFO, "client_stalled", "fd=%d pending_bytes=%zu", c->bytes.fd, connection_pending_bytes(&c->bytes));
        (void)!sys_reset_on_close(c->bytes.fd);
        close_as(c, ACCESS_CLIENT_STALLED);
    } else {
        close_as(c, ACCESS_TIMEOUT);
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
    peer_init(&c->peer, peer, &host->env->trust.trusted);
    client_sink_init(c);
    c->work = (struct deferred){.fn = on_work, .context = c};
    timer_init(&c->timer, on_timer, c);
    message_init(&c->request, (size_t)client_conf(c)->max_headers_bytes);
    int error = connection_init(&c->bytes, host->env->loop, take_fd, on_event, c);
    if (!error) {
        error = http1_init(&c->parser, HTTP1_REQUEST, &c->request, client_on_body, c);
        if (error)
            connection_close(&c->bytes);
    }
    if (error) {
        free_client(c);
        return error;
    }
    client_enter(c, CLIENT_IDLE);
    *link = &c->link;
    return 0;
}

void client_turn_away(struct client *c)
{
    c->is_unwelcome = 1;
    client_arm_in(c, client_deadline_ms(c, c->state));
}

void client_abort(struct client *c, const char *text)
{
    c->asked.cut = ACCESS_DRAINED;
    if (c->exchange)
        exchange_abort(c->exchange, ACCESS_DRAINED, text);
    else if (c->state != CLIENT_FLUSH)
        client_close(c);
}

void client_drain(struct client *c)
{
    if (c->state == CLIENT_IDLE)
        run(c);
    else if (c->state == CLIENT_ANSWER)
        exchange_end_onlooker(c->exchange);
}

int client_make_way(struct client *c)
{
    if (c->state == CLIENT_IDLE && connection_has_unread(&c->bytes))
        return 0;
    if (c->state == CLIENT_HEAD)
        client_refuse(c, 408, "header_timeout", "the request's header came too slowly, and others are waiting");
    client_close(c);
    return 1;
}

/* Whoever connects is about to ask; one who never does keeps nobody awake for that. */
static int is_about_to_ask(const struct client *c)
{
    return !c->has_asked && loop_now_ms(c->bytes.loop) - c->since_ms < CLIENT_FIRST_REQUEST_MS;
}

int client_is_quiet(const struct client *c)
{
    return c->state == CLIENT_LINGER || (c->state == CLIENT_ANSWER && exchange_is_onlooker(c->exchange)) || (c->state == CLIENT_IDLE && !is_about_to_ask(c) && !connection_has_unread(&c->bytes));
}

/* RFC 9112 section 9.6: our side first, as what is unread would turn the close into a reset. */
int client_part(struct client *c)
{
    if (c->state != CLIENT_IDLE)
        return 1;
    if (connection_has_unread(&c->bytes))
        return 0;
    (void)!sys_shutdown_write(c->bytes.fd);
    if (connection_has_unread(&c->bytes)) /* nobody can look and shut at once */
        log_event(LOG_INFO, "crossed", "fd=%d reason=\"a request came as its connection was ended for sleep: the client may send it again\"", c->bytes.fd);
    client_begin_linger(c);
    client_enter(c, CLIENT_LINGER);
    client_arm_in(c, CLIENT_PART_MS);
    run(c);
    return 1;
}

int client_spares_backend(const struct client *c)
{
    switch (c->state) {
    case CLIENT_ANSWER:
        return exchange_spares_backend(c->exchange);
    case CLIENT_FLUSH: /* the answer is there */
    case CLIENT_DISCARD:
        return 1;
    default:
        return client_is_quiet(c);
    }
}
