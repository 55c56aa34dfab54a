/*
 * http_answer: what can be told of an HTTP answer in a buffer by looks alone, for who asks one fixed question: its status, and
 * whether it is all there. No library, nothing is copied.
 */
#ifndef SUPERVISOR_HTTP_ANSWER_H
#define SUPERVISOR_HTTP_ANSWER_H

/* text: as far as it came, NUL-terminated. Its status ("HTTP/1.x 200 …", RFC 9112 section 4); 0: not there yet; -1: it is none. */
int http_answer_status(const char *text);
/* Its body, or NULL where the head has not come to its end. */
const char *http_answer_body(const char *text);
/* 1 when the body that begins there has come to its end (RFC 9112 section 6.3): by length, by the last chunk, or by the end of
 * the stream. */
int http_answer_is_complete(const char *text, const char *body, int is_end);

#endif
