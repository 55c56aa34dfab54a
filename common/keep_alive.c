/* See keep_alive.h. */
#include "common/keep_alive.h"

#include "common/json_read.h"
#include "common/parse.h"

#include <errno.h>

enum { DURATION_BYTES = 128, SECONDS_MAX = 1000000000 };

int keep_alive_read(const char *json, size_t json_n, int64_t *out_ms)
{
    char text[DURATION_BYTES];
    double number;
    int64_t ns;
    if (json_n == 0)
        return -EINVAL;
    if (*json == '"') {
        ssize_t n = json_n < 2 ? -EINVAL : json_decode((struct json_text){json + 1, json_n - 2}, text, sizeof text);
        if (n < 0 || parse_go_duration_ns(text, (size_t)n, &ns) < 0)
            return -EINVAL;
        *out_ms = ns < 0 ? KEEP_ALIVE_FOR_EVER : ns / 1000000;
        return 0;
    }
    if (json_read_number(json, json_n, &number) < 0)
        return -EINVAL;
    /* Go compares the number itself: -0.5 is for ever, -0 is 0 */
    *out_ms = number < 0 || number > SECONDS_MAX ? KEEP_ALIVE_FOR_EVER : (int64_t)number * 1000;
    return 0;
}
