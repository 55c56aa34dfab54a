/* See utf8.h. */
#include "common/utf8.h"

#include <string.h>

enum { WORD_BYTES = 8 };

size_t utf8_decode(const char *at, size_t left_n, uint32_t *point)
{
    const unsigned char *s = (const unsigned char *)at;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left_n)
        return 0;
    uint32_t value = n == 1 ? s[0] : s[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (s[i] & 0x3fU);
    }
    if ((n == 3 && value < 0x800) || (n == 4 && (value < 0x10000 || value > 0x10ffff)) ||
        (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *point = value;
    return n;
}

/* One character, or a byte that belongs to none. */
static size_t char_bytes(const char *at, const char *end)
{
    uint32_t point;
    if ((unsigned char)*at < 0x80)
        return 1;
    size_t n = utf8_decode(at, (size_t)(end - at), &point);
    return n ? n : 1;
}

/* Most text is ASCII: so many characters at once. */
static int are_ascii(const char *at, const char *end)
{
    uint64_t word;
    if (end - at < WORD_BYTES)
        return 0;
    memcpy(&word, at, WORD_BYTES);
    return (word & 0x8080808080808080) == 0;
}

size_t utf8_count(const char *at, size_t n)
{
    size_t chars_n = 0;
    for (const char *end = n > 0 ? at + n : at; at < end;) {
        size_t word_n = are_ascii(at, end) ? WORD_BYTES : 0;
        chars_n += word_n ? word_n : 1;
        at += word_n ? word_n : char_bytes(at, end);
    }
    return chars_n;
}

const char *utf8_skip(const char *at, size_t n, size_t chars_n)
{
    for (const char *end = at + n; at < end && chars_n > 0;) {
        size_t word_n = chars_n >= WORD_BYTES && are_ascii(at, end) ? WORD_BYTES : 0;
        chars_n -= word_n ? word_n : 1;
        at += word_n ? word_n : char_bytes(at, end);
    }
    return at;
}

int utf8_is_harmful(uint32_t point)
{
    return point < ' ' || point == 0x7f || (point >= 0x80 && point < 0xa0) || point == 0x61c || point == 0x200b || (point >= 0x200e && point <= 0x200f) ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}
