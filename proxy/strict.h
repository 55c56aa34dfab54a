/*
 * strict: what a general parser lets pass and we do not. Pure functions over bytes. RFC 9112.
 *
 * Each refusal is an HTTP status (400 and the like) and a sentence that is a constant.
 */
#ifndef PROXY_STRICT_H
#define PROXY_STRICT_H

#include "proxy/message.h"

enum strict_verdict { STRICT_MORE, STRICT_END, STRICT_BAD };

struct strict_refusal {
    int status;
    const char *why;
};

/* What names of fields and methods are made of. RFC 9110 section 5.6.2 */
int strict_is_token_char(char byte);

/* Finds the end of a head, byte by byte: no control characters, no bare CR or LF, no folded lines. */
struct strict_head {
    size_t line_n;  /* bytes of the current line, without its end */
    size_t lines_n; /* lines that have ended */
    int has_cr;
    int is_obs_text_allowed; /* bytes of 0x80 and above, as backends may send. RFC 9110 section 5.5 */
};

/* Consumes up to the end of the head. *used_n: bytes consumed, all of them unless END or BAD. */
enum strict_verdict strict_head_scan(struct strict_head *s, const char *bytes, size_t bytes_n, size_t *used_n,
                                     struct strict_refusal *refusal);

/* Reads the request line of a complete head into m: method, target, path, query, version. 0 or -EPROTO. */
int strict_request_line(struct message *m, struct strict_refusal *refusal) WARN_UNUSED;
/* The same for an answer: version, and a status of 100 to 599 but 101. RFC 9112 section 4. 0 or -EPROTO. */
int strict_status_line(struct message *m, struct strict_refusal *refusal) WARN_UNUSED;
/* Each further line must be NAME:VALUE with a token for a name. RFC 9112 section 5.1. 0 or -EPROTO. */
int strict_field_lines(const struct message *m, struct strict_refusal *refusal) WARN_UNUSED;
/* Sets length_bytes, is_chunked, is_keep_alive from the fields; a request's Host and Expect too. RFC 9112 sections
 * 3.2, 6, 9.3. 0 or -EPROTO. */
int strict_request_fields(struct message *m, struct strict_refusal *refusal) WARN_UNUSED;
int strict_answer_fields(struct message *m, struct strict_refusal *refusal) WARN_UNUSED;

/* Walks over a chunked body (strict_chunks.c). RFC 9112 section 7.1 */
struct strict_chunks {
    enum {
        STRICT_CHUNK_SIZE, STRICT_CHUNK_EXTENSION, STRICT_CHUNK_SIZE_LF, STRICT_CHUNK_DATA, STRICT_CHUNK_CR,
        STRICT_CHUNK_LF, STRICT_CHUNK_TRAILER
    } state;
    uint64_t left_bytes; /* of the current chunk */
    unsigned digits_n;
    size_t extra_bytes; /* extensions and trailers so far */
    struct strict_head trailer;
    unsigned name_n; /* of a trailer's name, its characters so far */
    int is_in_value;
};

/* *used_n: bytes that belong to the body, all of them unless END or BAD. */
enum strict_verdict strict_chunks_scan(struct strict_chunks *s, const char *bytes, size_t bytes_n, size_t *used_n,
                                       struct strict_refusal *refusal);

#endif
