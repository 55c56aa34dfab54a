/*
 * See client_state.h. What a client sends while its answer is under way, and that it sends no more.
 *
 * A FIN stands behind all that was sent before it: where the kernel's buffer is full, neither poll(2) nor epoll(7) can tell
 * that a client has left (a reset they tell at once). So what comes is read, and kept for the requests that follow; where
 * that is more than a stash holds, it is dropped instead, and the connection ends with this answer. Requests that a server
 * has not answered may be sent again. RFC 9112 section 9.3.2
 */
#include "proxy/client_state.h"

int client_reads_ahead(const struct client *c)
{
    return c->state == CLIENT_ANSWER && !c->has_peer_ended && c->ahead_dropped_bytes < CLIENT_AHEAD_DROP_BYTES;
}

ssize_t client_read_ahead(struct client *c)
{
    struct connection *from = &c->bytes;
    size_t room_n = c->is_ahead_lost ? 0 : buf_left(&from->stash);
    ssize_t n = sys_recv(from->fd, c->host->scratch, room_n > 0 ? room_n : CONNECTION_READ_BYTES, 0);
    if (n <= 0 || (room_n > 0 && buf_append(&from->stash, c->host->scratch, (size_t)n) == 0))
        return n;
    buf_release(&from->stash);
    c->is_ahead_lost = 1;
    c->ahead_dropped_bytes += (uint64_t)n;
    return n;
}

/* A body that we do not read now may be in the kernel whole. */
static int has_asked_in_full(const struct client *c)
{
    return c->state == CLIENT_ANSWER || (c->state == CLIENT_BODY && !exchange_wants_body(c->exchange));
}

int client_is_served_half_closed(const struct client *c)
{
    if (c->state == CLIENT_FLUSH)
        return 1;
    return client_conf(c)->half_close && has_asked_in_full(c);
}

int client_may_ask_again(const struct client *c)
{
    if (c->is_ahead_lost)
        return 0;
    if (!c->has_peer_ended)
        return 1;
    return client_conf(c)->half_close && (c->bytes.input_n > 0 || connection_has_unread(&c->bytes));
}
