/*
 * See client_state.h. What an exchange tells its client (written, done) only leaves a mark, and the state machine runs at the
 * end of the turn: no call goes down and comes up again.
 */
#include "proxy/client_state.h"

void client_send(struct client *c, const struct iovec *parts, int parts_n)
{
    int was_empty = connection_pending_bytes(&c->bytes) == 0;
    connection_write(&c->bytes, parts, parts_n);
    if (was_empty && connection_pending_bytes(&c->bytes) > 0)
        client_took_bytes(c);
    if (c->bytes.is_broken || (was_empty && connection_pending_bytes(&c->bytes) > 0))
        client_defer_run(c); /* to end it, or to ask for POLLOUT */
}

static void sink_write(void *context, const struct iovec *parts, int parts_n)
{
    struct client *c = context;
    if (c->asked.first_byte_ms == 0)
        c->asked.first_byte_ms = loop_now_ms(c->bytes.loop);
    client_send(c, parts, parts_n);
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
    if (!c->request.is_keep_alive || (env->is_draining && !env_has_successor(env)) || client_conf(c)->keepalive_timeout_ms == 0 ||
        !client_may_ask_again(c))
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
    client_defer_run(c);
}

static void sink_body_wanted(void *context)
{
    client_defer_run(context);
}

void client_sink_init(struct client *c)
{
    c->sink = (struct exchange_sink){.done = sink_done, .body_wanted = sink_body_wanted};
    c->sink.deliver = (struct deliver_sink){c, c->host->parts, sink_write, sink_pending_bytes, sink_can_keep, NULL};
}
