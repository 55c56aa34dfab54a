/*
 * json_walk: steps over JSON text (RFC 8259) value by value, without recursion and without memory of its own: names and
 * values are places in the text.
 *
 * What the structure of a text is, is checked: a walk that succeeds has seen the members that any other reader sees. What
 * is between the quotes of a string is not, as nobody but its reader cares.
 */
#ifndef COMMON_JSON_WALK_H
#define COMMON_JSON_WALK_H

#include "common/sys.h"

/* Go's encoding/json refuses what is nested deeper, and with it Ollama. */
enum { JSON_DEPTH_MAX = 10000 };

enum json_kind { JSON_STRING, JSON_OBJECT, JSON_ARRAY, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL };

struct json_walk {
    const char *at, *end;
};

/* `a string`: for who says what should not be there. */
const char *json_kind_name(enum json_kind kind);

/* A value as it stands in the text; a string with its quotes. */
struct json_value {
    enum json_kind kind;
    const char *at;
    size_t n;
};

/* What is between the quotes of a string, escapes included. */
struct json_text {
    const char *at;
    size_t n;
};

/* A member of an object. */
struct json_member {
    const char *at; /* its name's opening quote */
    struct json_text name;
    struct json_value value;
    int is_last;
};

/* at: a string's opening quote. Behind its closing one; NULL where that lies beyond the text. */
const char *json_string_end(const char *at, const char *end);

/* Whether all its escapes are JSON's: a walk steps over those that are none. */
int json_has_known_escapes(struct json_text text);

/* At a backslash: the one character of ASCII that its escape stands for. How long the escape is; 0 where it is none, or another's. */
size_t json_escape_char(const char *at, size_t n, char *out);

/* White space is stepped over by all of these. */
void json_space(struct json_walk *w);
/* 1, and steps over this character; or 0 where another one is there. */
int json_take(struct json_walk *w, char wanted);
/* One value of an object, whatever is in it. 0, or -EINVAL where this is none, or is too deep. */
int json_value(struct json_walk *w, struct json_value *out) WARN_UNUSED;
/* Behind the brace of an object, or behind a member that was not the last: the next member, its comma included. 1; 0 where
 * the object has none and its closing brace was stepped over; -EINVAL. The closing brace behind the last is stepped over. */
int json_member(struct json_walk *w, int is_first, struct json_member *out) WARN_UNUSED;

/* A string's content, decoded (RFC 8259 section 7) and NUL-terminated; a lone surrogate becomes U+FFFD, as in Go. Its
 * length, -ENOSPC where it does not fit, -EINVAL for an escape that is none. */
ssize_t json_decode(struct json_text text, char *out, size_t out_n) WARN_UNUSED;

enum json_match {
    JSON_OTHER,
    JSON_FOLDED, /* the same name in other cases, as Go compares the names of fields: U+017F is an s, U+212A a k */
    JSON_EXACT,
};
/* Whether a member has this name (ASCII, lower case), escapes decoded. */
enum json_match json_match(struct json_text text, const char *name);

#endif
