/*
 * tell: what the backend and the client are told about the way between them: who asks (Forwarded, X-Forwarded-For, -Host and
 * -Proto), and through whom (Via, by which a request that comes back is known again).
 */
#ifndef PROXY_TELL_H
#define PROXY_TELL_H

#include "proxy/sender.h"

enum { TELL_NAME_BYTES = 32, TELL_VIA_BYTES = 48 };

struct tell {
    int is_sender_told;         /* [proxy] forwarded */
    int are_keys_ours;          /* what clients send as a key is for us: the backend is not told */
    char name[TELL_NAME_BYTES]; /* our pseudonym: sidecar-0123456789abcdef */
    char via[2][TELL_VIA_BYTES]; /* the line for what came by HTTP/1.0, and by HTTP/1.1, with its CRLF */
    size_t via_n;
};

/* token: the same for all processes that are one sidecar, and nobody else's. */
void tell_init(struct tell *t, uint64_t token, int is_sender_told);

/* Whether a request has been here before: its Via names us. RFC 9110 section 7.6.3 */
int tell_is_circle(const struct tell *t, const struct message *request);

/* Appends the lines for the backend; host: what the request asks, as strict.c let it pass. The request's own fields of
 * that kind (sender_is_field) are to be left out. 0 or -errno. */
int tell_backend(const struct tell *t, struct buf *out, const struct message *request, const struct sender *s) WARN_UNUSED;

/* Appends our own Via, for a request or an answer. 0 or -errno. */
int tell_via(const struct tell *t, struct buf *out, const struct message *m) WARN_UNUSED;

#endif
