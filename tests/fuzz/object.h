/*
 * object: what is written must be one JSON object, and end no line by accident.
 */
#ifndef TESTS_FUZZ_OBJECT_H
#define TESTS_FUZZ_OBJECT_H

#include "common/json_walk.h"

#include <stdlib.h>
#include <string.h>

static inline void must_be_object(const char *at, size_t n)
{
    struct json_walk w = {at, at + n};
    struct json_value v;
    if (json_value(&w, &v) < 0 || v.kind != JSON_OBJECT)
        abort();
    json_space(&w);
    if (w.at != w.end)
        abort();
}

/* No byte may end a line, for any reader, but those in but. */
static inline void must_end_no_line(const char *at, size_t n, const char *but)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)at[i] < 0x20 && (!at[i] || !strchr(but, at[i]))) || (i + 1 < n && memcmp(at + i, "\xc2\x85", 2) == 0) ||
            (i + 2 < n && (memcmp(at + i, "\xe2\x80\xa8", 3) == 0 || memcmp(at + i, "\xe2\x80\xa9", 3) == 0)))
            abort();
}

#endif
