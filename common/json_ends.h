/*
 * json_ends: the members of a JSON object of which only the first or the last bytes are there: from its opening brace
 * forwards, from its closing brace backwards, as far as the text goes. No recursion, no memory, nothing is validated.
 */
#ifndef COMMON_JSON_ENDS_H
#define COMMON_JSON_ENDS_H

#include "common/json_walk.h"

/* Places in the text. name: between its quotes, escapes as they stand; n = 0 and at = NULL where it lies beyond the text. value: as it stands, a
 * string with its quotes. is_cut: a part of the value lies beyond the text. */
typedef void json_ends_fn(void *context, struct json_text name, struct json_text value, int is_cut);

/* The object that the text begins with (white space aside): member by member from the first on. */
void json_from_front(const char *text, size_t text_n, json_ends_fn *fn, void *context);
/* The object that the text ends with: from the last member on. 1, or 0 where it does not end with an object. */
int json_from_back(const char *text, size_t text_n, json_ends_fn *fn, void *context);

/* Whether just this stands there. */
int json_text_is(struct json_text p, const char *text);
/* A whole number, 0 or more; -1 where it is none, or beyond 2^53 (RFC 8259 section 6). */
int64_t json_text_number(struct json_text p);

#endif
