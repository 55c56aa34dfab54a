/*
 * json_write: JSON in pieces, appended to a buffer. The first failure stays, and nothing is written after it: it is asked for
 * once, at the end.
 */
#ifndef PROXY_JSON_WRITE_H
#define PROXY_JSON_WRITE_H

#include "common/buf.h"
#include "common/json_walk.h"

struct json_write {
    struct buf *out;
    int error; /* 0; -ENOMEM, -EFBIG: the buffer's; or whatever the caller puts there */
    size_t start_n; /* what the buffer had before */
};

/* Begins behind what is in the buffer. */
struct json_write json_write_begin(struct buf *out);
/* Returns the first failure, where there was one: then the buffer is as it was at the beginning. */
int json_write_end(struct json_write *w) WARN_UNUSED;

/* Bytes as they stand. */
void json_write_bytes(struct json_write *w, const char *bytes, size_t bytes_n);
void json_write_text(struct json_write *w, const char *text);
/* A value of another text, as it stands there; `null` where there is none. */
void json_write_value(struct json_write *w, const struct json_value *value);
/* One more member, behind others; the name as it stands. */
void json_write_member(struct json_write *w, const char *name, const struct json_value *value);
/* Such a value of what a server wrote and we hand on: in its strings U+0085, U+2028 and U+2029, at which some readers end a line,
 * and characters that may not stand there raw, are escaped. Its escapes stay what they are. */
void json_write_safely(struct json_write *w, const struct json_value *value);
/* Bytes as a string, with quotes, escaped. */
void json_write_string(struct json_write *w, const char *bytes, size_t bytes_n);
/* … without quotes: a piece of a string. */
void json_write_quoted(struct json_write *w, const char *bytes, size_t bytes_n);
/* In decimal. */
void json_write_number(struct json_write *w, uint64_t number);
/* What stands before a value, as `,"name":`, and the value: a text, `null` where it is NULL; a number, `null` where it is less than 0; a boolean. */
void json_write_named_text(struct json_write *w, const char *before, const char *text);
void json_write_named_number(struct json_write *w, const char *before, int64_t number);
void json_write_named_bool(struct json_write *w, const char *before, int is_true);
/* The content of a string, decoded: JSON that stood in a string. *at: where it begins in the buffer, until that is written to
 * again; its length, -EINVAL for an escape that is none, or -1 where nothing is written any more. */
ssize_t json_write_decoded(struct json_write *w, struct json_text text, const char **at);

#endif
