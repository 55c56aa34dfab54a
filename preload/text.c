/*
 * The words of models, registries and servers end up on terminals, in logs and on the shared page. None of them is
 * ours, so each passes through text_clean first: a name or an error text must not move the cursor, ring the bell or
 * start a second line.
 *
 * Invariant: what text_clean writes is valid UTF-8, on one line, without control characters.
 */
#include "preload/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The length of the well-formed character at `at` (RFC 3629), 0 where there is none. */
static size_t utf8_length(const unsigned char *at, size_t left_n, uint32_t *point)
{
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left_n)
        return 0;
    uint32_t value = n == 1 ? at[0] : at[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3fU);
    }
    if ((n == 3 && value < 0x800) || (n == 4 && (value < 0x10000 || value > 0x10ffff)) ||
        (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *point = value;
    return n;
}

static int is_harmful(uint32_t point)
{
    return point < ' ' || point == 0x7f || (point >= 0x80 && point < 0xa0) || (point >= 0x200e && point <= 0x200f) ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

void text_clean(char *out, size_t out_n, const char *text, size_t text_n)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t n = 0;
    if (out_n == 0)
        return;
    for (size_t i = 0; i < text_n;) {
        uint32_t point = 0;
        size_t length = utf8_length(from + i, text_n - i, &point);
        int is_blank = length == 1 && point != 0 && strchr(" \t\r\n\v\f", (int)point);
        const char *piece = is_blank ? " " : length == 0 || is_harmful(point) ? "?" : point == '"' ? "'" : text + i;
        size_t piece_n = piece == text + i ? length : 1;
        i += length > 0 ? length : 1;
        if (is_blank && (n == 0 || out[n - 1] == ' '))
            continue;
        if (n + piece_n >= out_n)
            break;
        memcpy(out + n, piece, piece_n);
        n += piece_n;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

void text_bytes(char out[TEXT_NUMBER_BYTES], uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    double value = (double)bytes;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    if (unit == 0)
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRIu64 " B", bytes);
    else
        snprintf(out, TEXT_NUMBER_BYTES, value < 9.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void text_duration(char out[TEXT_NUMBER_BYTES], int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 0)
        snprintf(out, TEXT_NUMBER_BYTES, "-");
    else if (ms < 1000)
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRId64 "ms", ms);
    else if (s < 60)
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRId64 "s", s);
    else if (s < 3600)
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
}
