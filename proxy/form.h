/*
 * form: multipart/form-data (RFC 7578; RFC 2046 section 5.1) read as it comes, in pieces of any size, into a JSON object of its
 * fields (form_field.h).
 *
 * Strict where two readers could differ: lines end in CR LF, a boundary has the characters that RFC 2046 allows, and stands on a
 * line of its own. What is before the first boundary and behind the last is not read. Memory: this struct, and the object.
 */
#ifndef PROXY_FORM_H
#define PROXY_FORM_H

#include "proxy/form_field.h"

enum { FORM_BOUNDARY_BYTES = 70, FORM_PARTS_MAX = 100, FORM_HEAD_BYTES = 8192, FORM_PADDING_BYTES = 64 };

enum form_place { FORM_PREAMBLE, FORM_CONTENT, FORM_BEHIND_BOUNDARY, FORM_HEAD, FORM_EPILOGUE };

struct form {
    enum form_place place;
    int status;             /* 0, or what was returned */
    struct form_fields fields;
    char boundary[4 + FORM_BOUNDARY_BYTES + 1]; /* CR LF - - and what Content-Type says, NUL-terminated */
    size_t boundary_n;
    size_t matched_n;       /* bytes of it that have come */
    size_t unsent_n;        /* … of these, so many at its beginning are no content: they ended the line before */
    size_t behind_n;
    char behind[FORM_PADDING_BYTES]; /* what has come behind a boundary */
    int is_part_over;       /* of BEHIND_BOUNDARY: before it was a part */
    unsigned parts_n;
    size_t head_n, line_at; /* of a part's head; where its last line begins */
    char head[FORM_HEAD_BYTES];
};

/* content_type: the field's value, which has the boundary. out: empty, gets the object; borrowed until the end. image_bytes_max: of
 * one image. 0, or 400. */
int form_begin(struct form *f, const char *content_type, size_t content_type_n, uint64_t image_bytes_max, struct buf *out);
/* More of it. 0; or, as soon as no more of it is to be read, the HTTP status: 400, 413 (an image too large), 415 (no image); or -ENOMEM,
 * -EFBIG: the buffer's. It stays. */
int form_feed(struct form *f, const char *bytes, size_t bytes_n);
/* That was all: likewise. After 0 out is a whole object; else it is of no use. */
int form_end(struct form *f);
/* Every mistake that was found, after a status. */
const char *form_why(struct form *f);

#endif
