/*
 * exchange: one answer in the making, from a request's head to the answer's last byte.
 *
 *     BODY -> CHOOSE -> GATE                           where backends are configured, and their lists are asked for
 *     BODY -> GATE -> QUEUE -> GATE -> FETCH -> RELAY -> END   what the backend answers; QUEUE where no slot is free
 *             GATE -> PULL -> GATE                             where none of its models is there; see exchange_pull.c
 *             GATE -> LOAD -> QUEUE, LOAD -> FETCH             where its model is to be loaded; see exchange_load.c
 *     BODY -> LISTEN -> END                                    an optimised answer: an exchange of its own makes it (exchange_listen.c)
 *             GATE <- PAUSE <- FETCH                           once more, while no byte of an answer has come
 *             FETCH, RELAY, LOAD -> WHY -> END                 it broke: the supervisor may know why, in a moment
 *             CHECK -> END                                     /health and the like
 */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "proxy/access.h"
#include "proxy/env.h"
#include "proxy/exchange_sink.h"
#include "proxy/message.h"
#include "proxy/peer.h"

struct exchange;

enum { EXCHANGE_SPARES = 16 };

/* request, peer and sink are borrowed for the exchange's life. It may be done before this returns. 0 or -ENOMEM. */
int exchange_new(struct exchange **out, struct env *env, const struct message *request,
                 const struct peer *peer, const struct exchange_sink *sink) WARN_UNUSED;
/* Ends whatever is under way, without a word to the client. */
void exchange_free(struct exchange **x);
/* Frees the memory that was kept for exchanges to come. */
void exchange_free_spares(struct env *env);

/* The request's body, piece by piece, then its end. What comes after an early answer is dropped. */
void exchange_body(struct exchange *x, const char *bytes, size_t bytes_n);
void exchange_body_end(struct exchange *x);
int exchange_wants_body(const struct exchange *x);

/* The client has taken what it had not: see RELAY_LOW_BYTES. */
void exchange_drained(struct exchange *x);
/* Answers with this error, in its sender's dialect and readable for its page; where the answer has begun, ends that one. */
void exchange_refuse(struct exchange *x, int status, const char *code, const char *text);
/* Ends the answer now and honestly; done() comes before this returns, unless it has come before. */
void exchange_abort(struct exchange *x, enum access_end ended, const char *text);

/* It only reads, and no byte of its answer has come: where the backend goes, it is asked for again (exchange_asleep.c). */
int exchange_spares_backend(const struct exchange *x);
/* It only looks on: nobody stays awake for it; and where it would go on for ever it ends. */
int exchange_is_onlooker(const struct exchange *x);
void exchange_end_onlooker(struct exchange *x);
int exchange_is_kept(const struct exchange *x);            /* deliver's verdict on keep-alive */
enum deliver_framing exchange_framing(const struct exchange *x); /* how the client tells its end */

/* Its client has been handed all that an answer says, and that this was all: one that leaves before the end of the framing has lost nothing. */
int exchange_has_told_all(struct exchange *x);
/* For the access log: what is known of it by now. */
void exchange_report(struct exchange *x, struct access *out);

#endif
