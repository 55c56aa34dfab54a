/*
 * reply: answers that are our own: errors in the sender's dialect, and small JSON objects.
 */
#ifndef PROXY_REPLY_H
#define PROXY_REPLY_H

#include "proxy/deliver.h"
#include "proxy/route.h"

/* An error object as the whole answer. code: a word for machines, or NULL; lines: further header lines with their
 * CRLF, or NULL. Where memory fails, the answer is cut off and the connection ends. */
void reply_error(struct deliver *d, enum route_dialect dialect, int status, const char *code, const char *text,
                 const char *lines);

/* An error for a request that never became one: m is its head, as far as it was read. */
void reply_refusal(const struct deliver_sink *sink, const struct message *m, int status, const char *code,
                   const char *text);

/* Bytes of this type (NULL or "": of none) as the whole answer. */
void reply_bytes(struct deliver *d, int status, const char *type, const char *bytes, size_t bytes_n, const char *lines);
/* JSON as the whole answer. */
void reply_json(struct deliver *d, int status, const char *json, size_t json_n, const char *lines);

/* An answer without a body (204 and the like). */
void reply_empty(struct deliver *d, int status, const char *lines);

/* The head of an answer of unknown length: status 200. 0; -errno, and the answer is broken off. */
int reply_begin(struct deliver *d, const char *type) WARN_UNUSED;

/* Appends an error object for an answer that has begun, on a line of its own, so that what was cut stays a broken line and the error
 * is a whole one. is_event: among server-sent events. is_at_line: what went before ends a line, or an event. 0 or -errno. */
int reply_append_tail(struct buf *out, const struct deliver *d, int is_event, int is_at_line, enum route_dialect dialect, int status,
                      const char *code, const char *text) WARN_UNUSED;

#endif
