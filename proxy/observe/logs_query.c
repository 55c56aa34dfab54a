/* See logs_query.h. */
#include "proxy/observe/logs_query.h"

#include "proxy/observe/overseer_tail.h"
#include "proxy/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_BYTES = 48 }; /* of a parameter that is refused */

static int is_named(const char *at, size_t name_n, const char *name)
{
    return name_n == strlen(name) && memcmp(at, name, name_n) == 0;
}

/* One of them, as `lines=200`. 0, or -EINVAL with why. */
static int read_parameter(struct logs_query *q, const char *at, size_t n, char why[PARSE_WHY_BYTES])
{
    const char *equals = memchr(at, '=', n);
    size_t name_n = equals ? (size_t)(equals - at) : n;
    char value[CONTRACT_NAME_BYTES] = "";
    int64_t number;
    if (equals && route_decode(equals + 1, n - name_n - 1, value, sizeof value) < 0) {
        snprintf(why, PARSE_WHY_BYTES, "it is too long, or can't be read");
        return -EINVAL;
    }
    if (is_named(at, name_n, "lines")) {
        int error = parse_integer(value, 0, OVERSEER_TAIL_LINES_MOST, &number, why);
        q->lines_n = error ? q->lines_n : (unsigned)number;
        return error;
    }
    if (is_named(at, name_n, "follow"))
        return parse_bool(value, &q->is_following, why);
    if (is_named(at, name_n, "program")) {
        memcpy(q->program, value, sizeof value);
        return 0;
    }
    snprintf(why, PARSE_WHY_BYTES, "there are lines=COUNT, follow=1 and program=NAME");
    return -EINVAL;
}

int logs_query_read(struct logs_query *out, const char *text, size_t text_n, char why[LOGS_QUERY_WHY_BYTES])
{
    const char *at = text, *end = text + text_n;
    char its[PARSE_WHY_BYTES];
    *out = (struct logs_query){.lines_n = LOGS_QUERY_LINES};
    at += at < end; /* the question mark */
    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        size_t n = next ? (size_t)(next - at) : (size_t)(end - at);
        if (n > 0 && read_parameter(out, at, n, its) < 0) {
            snprintf(why, LOGS_QUERY_WHY_BYTES, "%.*s of the query: %s", n < SHOWN_BYTES ? (int)n : SHOWN_BYTES, at, its);
            return -EINVAL;
        }
        at += n + 1;
    }
    return 0;
}
