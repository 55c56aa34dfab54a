/*
 * reply: answers that are our own: errors in the sender's dialect, and small JSON objects.
 */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include "proxy/deliver.h"
#include "proxy/forward.h"
#include "proxy/route.h"

/* An error object as the whole answer. code: a word for machines, or NULL; lines: further header lines with their
 * CRLF, or NULL. Where memory fails, the answer is cut off and the connection ends. */
void reply_error(struct deliver *d, enum route_dialect dialect, int status, const char *code, const char *text,
                 const char *lines);

/* An error for a request that never became one: m is its head, as far as it was read. */
void reply_refusal(const struct deliver_sink *sink, const struct message *m, int status, const char *code,
                   const char *text);

/* JSON as the whole answer. */
void reply_json(struct deliver *d, int status, const char *json, size_t json_n, const char *lines);

/* An answer without a body (204 and the like). */
void reply_empty(struct deliver *d, int status, const char *lines);

/* Ends an answer that broke in the middle of a stream with an error object, and without its final chunk. */
void reply_break(struct deliver *d, enum forward_stream stream, enum route_dialect dialect, const char *text);

#endif
