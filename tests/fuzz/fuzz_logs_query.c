/* The query of GET /sidecar/logs. What is taken is within its bounds, and asked in its own words it is the same again; a refusal says why. */
#include "proxy/observe/logs_query.h"
#include "proxy/observe/overseer_tail.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASKED_BYTES = 3 * CONTRACT_NAME_BYTES + 64 };

/* As a careful client writes it: each byte of the name by its number. */
static size_t write_query(const struct logs_query *q, char out[ASKED_BYTES])
{
    size_t n = (size_t)snprintf(out, ASKED_BYTES, "?lines=%u&follow=%d&program=", q->lines_n, q->is_following);
    for (const char *at = q->program; *at; at++)
        n += (size_t)snprintf(out + n, ASKED_BYTES - n, "%%%02X", (unsigned char)*at);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct logs_query q, again;
    char why[LOGS_QUERY_WHY_BYTES] = "", asked[ASKED_BYTES];
    int error = logs_query_read(&q, (const char *)data, size, why);
    if (error) {
        if (error != -EINVAL || !why[0] || !memchr(why, '\0', sizeof why))
            abort();
        return 0;
    }
    if (q.lines_n > OVERSEER_TAIL_LINES_MOST || (q.is_following | 1) != 1 || !memchr(q.program, '\0', sizeof q.program))
        abort();
    if (logs_query_read(&again, asked, write_query(&q, asked), why) < 0 || again.lines_n != q.lines_n || again.is_following != q.is_following ||
        strcmp(again.program, q.program) != 0)
        abort();
    return 0;
}
