/* /proc/PID/stat, in which a program chooses its own name; and what drivers write to /proc/PID/fdinfo, and /proc/PID/io. */
#include "supervisor/gpu.h"
#include "supervisor/stall_look.h"
#include "supervisor/usage.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct usage_process process;
    struct proc_stat stat;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    int is_stat = proc_stat_parse(text, &stat) == 0, is_usage = is_stat && usage_take(&stat, &process) == 0;
    if (is_usage && (process.pid < 0 || process.rss_pages < 0 || process.ticks < 0 || process.faults_n < 0))
        abort();
    if (is_stat && (stat.pid < 0 || stat.parent < 0))
        abort();
    if (is_usage && (process.pid != stat.pid || process.parent != stat.parent))
        abort();
    if (gpu_parse(text) < 0 || gpu_parse(text) > GPU_TIME_MAX_MS || stall_look_read_bytes(text) < 0)
        abort();
    free(text);
    return 0;
}
