/*
 * See parse.h. Durations as Go's time.ParseDuration reads them (time/format.go, Go 1.24), since Ollama reads its keep_alive
 * by it: [-+] and then parts of a number and a unit, or a bare 0.
 */
#include "common/parse.h"

#include <errno.h>
#include <string.h>

enum { KEEP_ALIVE_MS = 5 * 60 * 1000, KEEP_ALIVE_SECONDS_MAX = 1000000000 };

/* Go's own bound: the least number of nanoseconds that no longer fits. */
static const uint64_t LIMIT_NS = (uint64_t)1 << 63;

static int is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

/* The nanoseconds of the unit at *at, stepped over; 0 where there is none. A unit goes on up to the next digit or point. */
static uint64_t take_unit(const char **at, const char *end)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ns", 1},          {"us", 1000},        {"\xc2\xb5s", 1000},  {"\xce\xbcs", 1000},
                 {"ms", 1000000},    {"s", 1000000000},   {"m", 60000000000},   {"h", 3600000000000}};
    const char *start = *at;
    while (*at < end && **at != '.' && !is_digit(*at, end))
        ++*at;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strlen(units[i].name) == (size_t)(*at - start) && memcmp(start, units[i].name, (size_t)(*at - start)) == 0)
            return units[i].ns;
    return 0;
}

/* The digits behind a point, as so many scale-ths; those that no longer fit do not count. Whether there was one. */
static int take_fraction(const char **at, const char *end, uint64_t *part, double *scale)
{
    int has_digits = 0, is_full = 0;
    *part = 0;
    *scale = 1;
    for (; is_digit(*at, end); ++*at) {
        has_digits = 1;
        is_full |= *part > (UINT64_MAX >> 1) / 10 - 1;
        if (is_full)
            continue;
        *part = *part * 10 + (uint64_t)(**at - '0');
        *scale *= 10;
    }
    return has_digits;
}

/* One number and its unit, added to *total_ns. 0 or -EINVAL. */
static int take_part(const char **at, const char *end, uint64_t *total_ns)
{
    uint64_t whole = 0, part = 0;
    double scale = 1;
    int has_digits = 0;
    for (; is_digit(*at, end); ++*at) {
        has_digits = 1;
        if (whole > LIMIT_NS / 10)
            return -EINVAL;
        whole = whole * 10 + (uint64_t)(**at - '0');
    }
    if (*at < end && **at == '.') {
        ++*at;
        has_digits |= take_fraction(at, end, &part, &scale);
    }
    uint64_t unit_ns = has_digits ? take_unit(at, end) : 0;
    if (unit_ns == 0 || whole > LIMIT_NS / unit_ns)
        return -EINVAL;
    uint64_t ns = whole * unit_ns + (uint64_t)((double)part * ((double)unit_ns / scale));
    if (ns > LIMIT_NS || *total_ns + ns > LIMIT_NS)
        return -EINVAL;
    *total_ns += ns;
    return 0;
}

int parse_go_duration_ns(const char *text, size_t text_n, int64_t *out_ns)
{
    const char *at = text, *end = text + text_n;
    uint64_t total_ns = 0;
    int is_negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (at == end)
        return -EINVAL;
    if (end - at == 1 && *at == '0') {
        *out_ns = 0;
        return 0;
    }
    while (at < end)
        if (take_part(&at, end, &total_ns) < 0)
            return -EINVAL;
    if (total_ns == LIMIT_NS && !is_negative)
        return -EINVAL;
    *out_ns = total_ns == LIMIT_NS ? INT64_MIN : is_negative ? -(int64_t)total_ns : (int64_t)total_ns;
    return 0;
}

int64_t parse_ollama_keep_alive_ms(const char *text)
{
    static const char around[] = " \t\"'";
    char copy[64], why[PARSE_WHY_BYTES];
    int64_t ns, seconds;
    text = text ? text + strspn(text, around) : "";
    size_t n = strlen(text);
    while (n > 0 && strchr(around, text[n - 1]))
        n--;
    if (n == 0 || n >= sizeof copy)
        return KEEP_ALIVE_MS;
    if (parse_go_duration_ns(text, n, &ns) == 0)
        return ns < 0 ? -1 : ns / 1000000;
    memcpy(copy, text, n);
    copy[n] = '\0';
    if (parse_integer(copy, -KEEP_ALIVE_SECONDS_MAX, KEEP_ALIVE_SECONDS_MAX, &seconds, why) < 0)
        return KEEP_ALIVE_MS;
    return seconds < 0 ? -1 : seconds * 1000;
}
