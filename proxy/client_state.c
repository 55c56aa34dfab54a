/* See client_state.h. The state, and its deadline. */
#include "proxy/client_state.h"

static const char *const state_names[] = {"idle", "head", "body", "answer", "discard", "flush", "linger", "gone"};
_Static_assert(sizeof state_names / sizeof *state_names == CLIENT_STATE_COUNT, "a name for each state");

void client_arm_in(struct client *c, int64_t delay_ms)
{
    struct loop *loop = c->bytes.loop;
    if (delay_ms > 0)
        loop_arm(loop, &c->timer, loop_now_ms(loop) + delay_ms);
    else
        loop_disarm(loop, &c->timer);
}

void client_defer_run(struct client *c)
{
    loop_defer(c->bytes.loop, &c->work);
}

int64_t client_deadline_ms(const struct client *c, enum client_state state)
{
    const struct conf_proxy *conf = client_conf(c);
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

void client_enter(struct client *c, enum client_state state)
{
    if (log_is_on(LOG_DEBUG))
        log_event(LOG_DEBUG, "client", "fd=%d from=%s to=%s", c->bytes.fd, state_names[c->state], state_names[state]);
    c->state = state;
    client_arm_in(c, client_deadline_ms(c, state));
}
