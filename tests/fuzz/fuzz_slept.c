/* state_dir/sleep.txt, which may be anybody's. What is taken is written and read again as the same. */
#include "supervisor/slept.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slept s, again;
    char text[SLEPT_BYTES], second[SLEPT_BYTES];
    if (slept_read(&s, (const char *)data, size) < 0)
        return 0;
    size_t n = slept_write(&s, text);
    if (n >= SLEPT_BYTES || slept_read(&again, text, n) < 0 || slept_write(&again, second) != n || memcmp(text, second, n) != 0)
        abort();
    slept_end(&s, slept_duration_ms(s.how, 1, s.since_realtime_ms), 1000);
    if (slept_timeout_ms(&s, 1000) < 1000 || slept_timeout_ms(&s, 1000) > 8000)
        abort();
    return 0;
}
