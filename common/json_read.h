/*
 * json_read: what is in a JSON object, found by names, and what is in an array, one by one. Values are places in the text
 * (json_walk.h): nothing is decoded that nobody asks for. No recursion, no memory.
 */
#ifndef COMMON_JSON_READ_H
#define COMMON_JSON_READ_H

#include "common/json_walk.h"

/* The members of the object that the walk stands at, and that it steps over. values[i] becomes that of names[i] (ASCII, lower
 * case), the last of several; where that is null, or there is none, its kind is JSON_NULL and `at` NULL. least: whether names in other cases count, as in a request that Go would read, or not, as in an answer that it wrote.
 * 0, or -EINVAL where there is no object. */
int json_read_members(struct json_walk *w, const char *const *names, size_t names_n, enum json_match least,
                      struct json_value *values) WARN_UNUSED;
/* The same of an object that has been found already; no member is there where it is none. */
void json_read_object(const struct json_value *object, const char *const *names, size_t names_n, enum json_match least,
                      struct json_value *values);

/* The values of an array that has been found already; there is none where it is no array. */
struct json_items {
    struct json_walk w;
    size_t read_n;
    int is_over;
};
void json_items_init(struct json_items *items, const struct json_value *array);
/* 1 and the next one, or 0. */
int json_items_next(struct json_items *items, struct json_value *out);

/* What is between the quotes of a string. */
static inline struct json_text json_read_text(const struct json_value *string)
{
    return (struct json_text){string->at + 1, string->n - 2};
}
/* Whether it is a string, and just this one (ASCII), whatever its case. */
int json_read_is(const struct json_value *value, const char *text);
/* How many of something it says: a whole number up to 2^53; 0 where it is none. */
uint64_t json_read_count(const struct json_value *value);
/* A number's text, within +-2^53: beyond it not every integer is a double, which Go reads numbers into. 0, or -EINVAL where it is
 * none, or beyond. */
int json_read_number(const char *json, size_t json_n, double *out) WARN_UNUSED;

#endif
