/* /proc/PID/stat, in which a program chooses its own name. */
#include "supervisor/descendants.h"
#include "supervisor/usage.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct usage_process process;
    struct descendants_stat stat;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    int is_usage = usage_parse(text, &process) == 0, is_stat = descendants_parse(text, &stat) == 0;
    if (is_usage && (process.pid < 0 || process.rss_pages < 0 || process.ticks < 0))
        abort();
    if (is_stat && (stat.pid < 0 || stat.parent < 0))
        abort();
    if (is_usage && is_stat && (process.pid != stat.pid || process.parent != stat.parent))
        abort();
    free(text);
    return 0;
}
