/*
 * json_mistakes: what is wrong with a JSON file that people write, with line and column.
 *
 * json_walk steps over what is between the quotes of a string, and stops where the structure of a text is none. Here the
 * strings are looked at too, and both are told in words.
 */
#ifndef COMMON_JSON_MISTAKES_H
#define COMMON_JSON_MISTAKES_H

#include "common/diag.h"

struct json_mistakes {
    struct diag *d;
    const char *where;      /* the file's name */
    const char *text, *end; /* without a byte-order mark */
    const char *at;         /* the place that was told last, so that nothing is counted twice */
    int line, column;
};

/* All is borrowed: it must stay as long as m is used. */
void json_mistakes_init(struct json_mistakes *m, const char *text, size_t text_n, const char *where, struct diag *d);

/* Tells one at a place of the text: `WHERE:LINE: error: column N: …`. Columns count characters from 1 on, as editors do. */
void json_mistakes_tell(struct json_mistakes *m, enum diag_level level, const char *at, const char *format, ...) PRINTF_LIKE(4, 5);
/* The line of a place. */
int json_mistakes_line(struct json_mistakes *m, const char *at);

/* Tells what is wrong with the characters: NUL bytes, broken UTF-8, strings without an end, control characters and escapes in them
 * (RFC 8259 section 7), brackets deeper than any such file needs. 0; -EINVAL where walking over it has no sense. */
int json_mistakes_look(struct json_mistakes *m) WARN_UNUSED;
/* Tells that a walk over the text stopped here, and what is expected in the place of what is there. */
void json_mistakes_stopped(struct json_mistakes *m, const char *at);

#endif
