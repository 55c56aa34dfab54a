/*
 * See client_state.h. What becomes of a connection on which nothing is under way while we drain. A server that closes it may
 * cross a request on its way, and nobody can tell the client whether that was served (RFC 9112 sections 9.3.1 and 9.6). So it is
 * not closed where another proxy follows: that one goes on with it, and finds in its socket what came meanwhile. Where none
 * follows, who asked a moment ago may do so once more, and is told then that it was the last time.
 */
#include "proxy/client_state.h"

#include <errno.h>

enum { GIVE_AGAIN_MS = 20 };

enum step client_leave(struct client *c)
{
    const struct env *env = c->host->env;
    int64_t now_ms = loop_now_ms(c->bytes.loop);
    if (env_has_successor(env)) {
        int error = sys_send_fd(env->give_fd, c->bytes.fd);
        if (!error)
            return STEP_CLOSE; /* our copy of it */
        if (error == -EAGAIN || error == -ETOOMANYREFS || error == -ENOBUFS || error == -ENOMEM) {
            client_arm_in(c, GIVE_AGAIN_MS); /* the next one has not taken those before it */
            return STEP_WAIT;
        }
    }
    int64_t from_ms = c->has_asked || c->since_ms > env->draining_since_ms ? c->since_ms : env->draining_since_ms;
    if (now_ms - from_ms >= CLIENT_LAST_REQUEST_MS && !connection_has_unread(&c->bytes))
        return STEP_CLOSE;
    int64_t left_ms = from_ms + CLIENT_LAST_REQUEST_MS - now_ms;
    client_arm_in(c, left_ms > 0 ? left_ms : GIVE_AGAIN_MS);
    return STEP_WAIT;
}
