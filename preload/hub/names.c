/* See names.h. */
#include "preload/hub/names.h"

#include "common/utf8.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static int refuse(char why[PARSE_WHY_BYTES], const char *reason)
{
    snprintf(why, PARSE_WHY_BYTES, "%s", reason);
    return -EINVAL;
}

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static int check_characters(const char *text, size_t n, char why[PARSE_WHY_BYTES])
{
    for (size_t i = 0; i < n;) {
        uint32_t point = 0;
        size_t step_n = utf8_decode(text + i, n - i, &point);
        if (step_n == 0 || utf8_is_harmful(point) || point == '\\')
            return refuse(why, "a file's name has characters that are none of a name");
        i += step_n;
    }
    return 0;
}

int names_check_path(const char *text, char why[PARSE_WHY_BYTES])
{
    size_t n = strlen(text);
    if (n == 0 || n > NAMES_PATH_N)
        return refuse(why, "a file's path is empty, or longer than 512 bytes");
    if (text[0] == '/')
        return refuse(why, "a file's path is absolute");
    for (const char *at = text; at;) {
        size_t part_n = strcspn(at, "/");
        if (part_n == 0 || part_n > NAMES_PART_N)
            return refuse(why, "a part of a file's path is empty, or longer than 255 bytes");
        if ((part_n == 1 && at[0] == '.') || (part_n == 2 && at[0] == '.' && at[1] == '.'))
            return refuse(why, "a file's path leads elsewhere by '.' or '..'");
        at = at[part_n] ? at + part_n + 1 : NULL;
    }
    return check_characters(text, n, why);
}

int names_is_hex(const char *text, size_t digits_n)
{
    size_t n = strspn(text, "0123456789abcdef");
    return n == digits_n && text[n] == '\0';
}

int names_match(const struct list *patterns, const char *path)
{
    for (size_t i = 0; i < patterns->items_n; i++)
        if (fnmatch(patterns->items[i], path, 0) == 0)
            return 1;
    return 0;
}

int names_escape(char *out, size_t out_n, const char *text, int keeps_slashes)
{
    size_t n = 0;
    for (; *text; text++) {
        int is_plain = is_word(*text) || strchr("-.~", *text) || (keeps_slashes && *text == '/');
        if (n + 4 > out_n)
            return -ENOSPC;
        n += (size_t)snprintf(out + n, out_n - n, is_plain ? "%c" : "%%%02X", (unsigned char)*text);
    }
    if (n >= out_n)
        return -ENOSPC;
    out[n] = '\0';
    return 0;
}
