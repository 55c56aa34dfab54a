/* A request's body, searched for its model: whatever it is, the answer is bounded and terminated. */
#include "proxy/json_scan.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char small[8], large[4096];
    ssize_t small_n = json_scan_string((const char *)data, size, "model", small, sizeof small);
    ssize_t large_n = json_scan_string((const char *)data, size, "model", large, sizeof large);
    if (large_n >= 0 && ((size_t)large_n >= sizeof large || large[large_n] != '\0'))
        abort();
    /* what does not fit is not decoded to its end, so a mistake in it may go unseen */
    if (small_n >= 0 && large_n >= 0 && (small_n != large_n || memcmp(small, large, (size_t)small_n + 1) != 0))
        abort();
    if (large_n < 0 && large_n != -ENOENT && large_n != -EINVAL)
        abort();
    return 0;
}
