/*
 * client: one connection of somebody who asks.
 *
 *     IDLE -> HEAD -> BODY -> ANSWER -> FLUSH -> IDLE      one request after the other
 *                     BODY -> DISCARD -> FLUSH             answered early, the rest of a small body is read
 *                                        FLUSH -> LINGER   the last answer: half-closed, so that it can be read
 */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "proxy/client_host.h"

/* Serves a connection that was accepted. take_fd: closed where this fails. 0 or -errno. */
int client_new(struct client_host *host, int take_fd, const struct sockaddr_storage *peer,
               struct client_link **link) WARN_UNUSED;
/* Its address has too many already: its first request, if it comes soon, gets 429. */
void client_turn_away(struct client *c);
/* Closes it at once, and its backend's connection too. */
void client_close(struct client *c);
/* Ends its answer now, honestly, with this text; closes it where nothing is under way. */
void client_abort(struct client *c, const char *text);
/* No more requests: a connection on which none is under way leaves, to the next proxy or for good (client_leave.c). */
void client_drain(struct client *c);
/* It is only kept, has not asked for a moment, takes long for its header, or has its last answer: another may have its place. */
int client_is_spare(const struct client *c);
/* It gives its place up: 1; or 0 where a request has just come. */
int client_make_way(struct client *c);
/* No request is under way, half read, or waiting in the socket, and it has not come a moment ago, to ask in the next one. */
int client_is_quiet(const struct client *c);
/* … or one that can be answered without the backend, which is to be stopped. */
int client_spares_backend(const struct client *c);
/* Where it is only kept, it is told that nothing follows; what it sends all the same is read for a moment, so that the end is no
 * reset. 1; or 0 where a request has just come, which is served. */
int client_part(struct client *c);

#endif
