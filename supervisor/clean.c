/* See clean.h. */
#include "supervisor/clean.h"

#include "common/utf8.h"

#include <string.h>

enum { ESCAPE = 0x1b, BELL = 0x07 };

static size_t skip_range(const char *at, size_t i, size_t n, unsigned char from, unsigned char to)
{
    while (i < n && (unsigned char)at[i] >= from && (unsigned char)at[i] <= to)
        i++;
    return i;
}

/* A control string (a window's title, a link): up to BEL or ESC \. */
static size_t string_length(const char *at, size_t n)
{
    for (size_t i = 2; i < n; i++) {
        if (at[i] == BELL)
            return i + 1;
        if (at[i] == ESCAPE)
            return i + 1 < n && at[i + 1] == '\\' ? i + 2 : 0;
    }
    return 0;
}

/* The length of the whole escape sequence at `at`, 0 where it is none, or has no end. ECMA-48 5.3, 5.4, 5.6 */
static size_t escape_length(const char *at, size_t n)
{
    if (n < 2 || at[0] != ESCAPE)
        return 0;
    if (strchr("]PX^_", at[1]) && at[1])
        return string_length(at, n);
    size_t i = at[1] == '[' ? skip_range(at, skip_range(at, 2, n, 0x30, 0x3f), n, 0x20, 0x2f) /* parameters */
                            : skip_range(at, 1, n, 0x20, 0x2f);
    unsigned char final = i < n ? (unsigned char)at[i] : 0;
    int is_whole = at[1] == '[' ? final >= 0x40 && final <= 0x7e : final >= 0x30 && final <= 0x7e;
    return is_whole ? i + 1 : 0;
}

/* Whether the bytes may be the beginning of a character whose rest was cut off. */
static int is_half(const char *at, size_t n)
{
    unsigned char first = (unsigned char)at[0];
    size_t whole_n = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    return first < 0xf5 && n < whole_n && skip_range(at, 1, n, 0x80, 0xbf) == n;
}

size_t clean_line(char *line, size_t line_n, int is_cut)
{
    size_t out_n = 0;
    for (size_t i = 0; i < line_n;) {
        unsigned char c = (unsigned char)line[i];
        if (c >= ' ' && c < 0x7f) {
            line[out_n++] = line[i++];
            continue;
        }
        size_t escape_n = escape_length(line + i, line_n - i);
        if (escape_n > 0) {
            i += escape_n;
            continue;
        }
        uint32_t point = 0;
        size_t n = utf8_decode(line + i, line_n - i, &point);
        if (n == 0 && is_cut && is_half(line + i, line_n - i))
            break;
        if (n == 0 || utf8_is_harmful(point)) {
            line[out_n++] = point == '\t' ? ' ' : '?';
        } else {
            memmove(line + out_n, line + i, n);
            out_n += n;
        }
        i += n ? n : 1;
    }
    line[out_n] = '\0';
    return out_n;
}
