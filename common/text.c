/*
 * The words of models, registries and servers end up on terminals, in logs and on the shared page. None of them is
 * ours, so each passes through text_clean first: a name or an error text must not move the cursor, ring the bell or
 * start a second line.
 *
 * Invariant: what text_clean writes is valid UTF-8, on one line, without control characters.
 */
#include "common/text.h"

#include "common/human.h"
#include "common/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void text_clean(char *out, size_t out_n, const char *text, size_t text_n)
{
    size_t n = 0;
    if (out_n == 0)
        return;
    for (size_t i = 0; i < text_n;) {
        uint32_t point = 0;
        size_t length = utf8_decode(text + i, text_n - i, &point);
        int is_blank = length == 1 && point != 0 && strchr(" \t\r\n\v\f", (int)point);
        const char *piece = is_blank ? " " : length == 0 || utf8_is_harmful(point) ? "?" : point == '"' ? "'" : text + i;
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

int text_is_blank(const char *text, size_t text_n)
{
    size_t n = 0;
    while (n < text_n && text[n] == ' ')
        n++;
    return n == text_n;
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
    if (ms >= 0 && ms < 1000)
        snprintf(out, TEXT_NUMBER_BYTES, "%" PRId64 "ms", ms);
    else
        human_duration(out, ms < 0 ? -1 : ms / 1000);
}
