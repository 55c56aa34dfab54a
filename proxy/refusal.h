/*
 * refusal: what is answered to a request that never became one: a head that is no HTTP, too large, or too late.
 */
#ifndef PROXY_REFUSAL_H
#define PROXY_REFUSAL_H

#include "proxy/deliver.h"
#include "proxy/message.h"

/* Writes an error in the dialect of the target, as far as one can be read in m. */
void refusal_answer(const struct deliver_sink *sink, const struct message *m, int status, const char *code,
                    const char *text);

/* Whether a connection's first byte begins a TLS handshake, RFC 8446 section 5.1. The log is told once. */
int refusal_is_tls(const char *first, int *has_told);

#endif
