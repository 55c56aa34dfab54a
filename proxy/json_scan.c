/*
 * See json_scan.h. One pass, no recursion, no allocation: nesting is a counter, strings are skipped by memchr.
 * It does not validate; whatever it passes over wrongly is refused by the backend, which parses the same bytes.
 */
#include "proxy/json_scan.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum { KEY_BYTES = 64 };

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static int take(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->at == c->end || *c->at != wanted)
        return 0;
    c->at++;
    return 1;
}

/* At an opening quote: steps over the string and tells what is between the quotes. */
static int skip_string(struct cursor *c, const char **inside, size_t *inside_n)
{
    const char *start = ++c->at;
    for (const char *from = start;;) {
        const char *quote = from < c->end ? memchr(from, '"', (size_t)(c->end - from)) : NULL;
        if (!quote)
            return -EINVAL;
        const char *slash = quote;
        while (slash > start && slash[-1] == '\\')
            slash--;
        from = quote + 1;
        if ((quote - slash) % 2 == 0) {
            *inside = start;
            *inside_n = (size_t)(quote - start);
            c->at = from;
            return 0;
        }
    }
}

static int skip_nested(struct cursor *c)
{
    size_t depth = 0;
    const char *inside;
    size_t inside_n;
    do {
        if (c->at == c->end)
            return -EINVAL;
        switch (*c->at) {
        case '"':
            if (skip_string(c, &inside, &inside_n) < 0)
                return -EINVAL;
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            depth--;
            break;
        default:
            break;
        }
        c->at++;
    } while (depth > 0);
    return 0;
}

static int skip_literal(struct cursor *c, const char **word, size_t *word_n)
{
    const char *start = c->at;
    while (c->at < c->end && (unsigned char)*c->at > 0x20 && !strchr(",]}:\"[{", *c->at))
        c->at++;
    *word = start;
    *word_n = (size_t)(c->at - start);
    return c->at == start ? -EINVAL : 0;
}

static int hex4(const char *at, const char *end, unsigned *out)
{
    unsigned value = 0;
    if (end - at < 4)
        return -EINVAL;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                : 16;
        if (digit == 16)
            return -EINVAL;
        value = value * 16 + digit;
    }
    *out = value;
    return 0;
}

static size_t utf8(unsigned point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xc0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xe0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3f));
        out[2] = (char)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3f));
    out[2] = (char)(0x80 | (point >> 6 & 0x3f));
    out[3] = (char)(0x80 | (point & 0x3f));
    return 4;
}

/* \uXXXX at *at (behind the u), with its second half where it is a surrogate; a lone one becomes U+FFFD. */
static int decode_unicode(const char **at, const char *end, unsigned *point)
{
    unsigned low;
    if (hex4(*at, end, point) < 0)
        return -EINVAL;
    *at += 4;
    if (*point < 0xd800 || *point > 0xdfff)
        return 0;
    if (*point < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' && hex4(*at + 2, end, &low) == 0 &&
        low >= 0xdc00 && low <= 0xdfff) {
        *point = 0x10000 + ((*point - 0xd800) << 10) + (low - 0xdc00);
        *at += 6;
    } else {
        *point = 0xfffd;
    }
    return 0;
}

/* Decodes into out; its length, -ENOSPC where it does not fit, -EINVAL for a bad escape. */
static ssize_t decode(const char *at, size_t n, char *out, size_t out_n)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *end = at + n;
    size_t used_n = 0;
    while (at < end) {
        char piece[4] = {*at++};
        size_t piece_n = 1;
        if (piece[0] == '\\') {
            char escape = at < end ? *at++ : '\0';
            const char *known = escape ? strchr(names, escape) : NULL;
            unsigned point;
            if (known)
                piece[0] = values[known - names];
            else if (escape == 'u' && decode_unicode(&at, end, &point) == 0)
                piece_n = utf8(point, piece);
            else
                return -EINVAL;
        }
        if (used_n + piece_n >= out_n)
            return -ENOSPC;
        memcpy(out + used_n, piece, piece_n);
        used_n += piece_n;
    }
    out[used_n] = '\0';
    return (ssize_t)used_n;
}

static int is_key(const char *inside, size_t inside_n, const char *key)
{
    char name[KEY_BYTES];
    ssize_t n = inside_n < KEY_BYTES * 6 ? decode(inside, inside_n, name, sizeof name) : -ENOSPC;
    return n >= 0 && (size_t)n == strlen(key) && strncasecmp(name, key, (size_t)n) == 0;
}

/* One value; when it is wanted, *found becomes what json_scan_string would return. */
static int scan_value(struct cursor *c, int is_wanted, char *out, size_t out_n, ssize_t *found)
{
    const char *inside;
    size_t inside_n;
    skip_space(c);
    if (c->at == c->end)
        return -EINVAL;
    if (*c->at == '"') {
        if (skip_string(c, &inside, &inside_n) < 0)
            return -EINVAL;
        if (is_wanted) {
            ssize_t n = decode(inside, inside_n, out, out_n);
            if (n == -EINVAL)
                return -EINVAL;
            *found = n < 0 ? -ENOENT : n;
        }
        return 0;
    }
    if (*c->at == '{' || *c->at == '[') {
        if (is_wanted)
            *found = -ENOENT;
        return skip_nested(c);
    }
    if (skip_literal(c, &inside, &inside_n) < 0)
        return -EINVAL;
    if (is_wanted && !(inside_n == 4 && memcmp(inside, "null", 4) == 0))
        *found = -ENOENT;
    return 0;
}

ssize_t json_scan_string(const char *json, size_t json_n, const char *key, char *out, size_t out_n)
{
    struct cursor c = {json, json + json_n};
    ssize_t found = -ENOENT;
    if (!take(&c, '{'))
        return -EINVAL;
    if (take(&c, '}'))
        return found;
    do {
        const char *inside;
        size_t inside_n;
        skip_space(&c);
        if (c.at == c.end || *c.at != '"' || skip_string(&c, &inside, &inside_n) < 0 || !take(&c, ':'))
            return -EINVAL;
        if (scan_value(&c, is_key(inside, inside_n, key), out, out_n, &found) < 0)
            return -EINVAL;
    } while (take(&c, ','));
    return take(&c, '}') ? found : -EINVAL;
}
