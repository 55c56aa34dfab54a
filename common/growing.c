/* See growing.h. */
#include "common/growing.h"

int64_t growing_next_ms(int64_t before_ms, int64_t first_ms, int64_t times, int64_t longest_ms)
{
    if (before_ms > longest_ms / times) /* it would be longer, or overflow */
        return longest_ms;
    int64_t next_ms = before_ms > 0 ? before_ms * times : first_ms;
    return next_ms < longest_ms ? next_ms : longest_ms;
}
