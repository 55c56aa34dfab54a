/* See human.h. */
#include "common/human.h"

#include <inttypes.h>
#include <stdio.h>

void human_duration(char out[HUMAN_BYTES], int64_t seconds)
{
    int64_t s = seconds;
    if (s < 0)
        snprintf(out, HUMAN_BYTES, "-");
    else if (s < 60)
        snprintf(out, HUMAN_BYTES, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(out, HUMAN_BYTES, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, HUMAN_BYTES, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, HUMAN_BYTES, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
}

void human_bytes(char out[HUMAN_BYTES], int64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1023.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    if (bytes < 0)
        snprintf(out, HUMAN_BYTES, "-");
    else if (bytes < 1024)
        snprintf(out, HUMAN_BYTES, "%" PRId64 " B", bytes);
    else
        snprintf(out, HUMAN_BYTES, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void human_time(char out[HUMAN_BYTES], int64_t ms)
{
    if (ms >= 0 && ms < 60000)
        snprintf(out, HUMAN_BYTES, "%" PRId64 ".%" PRId64 "s", ms / 1000, ms / 100 % 10);
    else
        human_duration(out, ms < 0 ? -1 : ms / 1000);
}
