/*
 * See json_scan.h. One pass over the object's members (json_walk.h); the last that counts is decoded.
 */
#include "proxy/json_scan.h"

#include "common/json_walk.h"

#include <errno.h>

/* A value that was wanted; *found becomes what json_scan_string would return. */
static int take_value(const struct json_value *v, char *out, size_t out_n, ssize_t *found)
{
    if (v->kind == JSON_NULL)
        return 0;
    *found = -ENOENT;
    if (v->kind != JSON_STRING)
        return 0;
    ssize_t n = json_decode((struct json_text){v->at + 1, v->n - 2}, out, out_n);
    if (n == -EINVAL)
        return -EINVAL;
    *found = n < 0 ? -ENOENT : n;
    return 0;
}

ssize_t json_scan_string(const char *json, size_t json_n, const char *key, char *out, size_t out_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    ssize_t found = -ENOENT;
    int got = json_take(&w, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1 && json_match(m.name, key) != JSON_OTHER && take_value(&m.value, out, out_n, &found) < 0)
            got = -EINVAL;
    }
    return got < 0 ? got : found;
}
