/* See client_state.h. The one place where a state changes. */
#include "proxy/client_state.h"

static const char *const state_names[] = {"idle", "head", "body", "answer", "discard", "flush", "linger", "gone"};
_Static_assert(sizeof state_names / sizeof *state_names == CLIENT_STATE_COUNT, "a name for each state");

void client_defer_run(struct client *c)
{
    loop_defer(c->bytes.loop, &c->work);
}

void client_enter(struct client *c, enum client_state state)
{
    if (log_is_on(LOG_DEBUG))
        log_event(LOG_DEBUG, "client", "fd=%d from=%s to=%s", c->bytes.fd, state_names[c->state], state_names[state]);
    c->state = state;
    c->since_ms = loop_now_ms(c->bytes.loop);
    client_arm_in(c, client_deadline_ms(c, state));
}
