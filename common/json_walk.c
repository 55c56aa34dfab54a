/*
 * See json_walk.h. Strings are stepped over by memchr, nesting is a row of bytes: what a request with megabytes of images
 * costs is their reading, once.
 */
#include "common/json_walk.h"

#include "common/parse.h"

#include <errno.h>
#include <string.h>

enum { NAME_BYTES = 64 };

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {"a string", "an object", "an array", "a number", "true", "false", "null"};
    return names[kind];
}

static inline void space(struct json_walk *w)
{
    const char *at = w->at;
    while (at < w->end && (unsigned char)*at <= ' ' && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    w->at = at;
}

static inline int take(struct json_walk *w, char wanted)
{
    space(w);
    if (w->at == w->end || *w->at != wanted)
        return 0;
    w->at++;
    return 1;
}

void json_space(struct json_walk *w)
{
    space(w);
}

int json_take(struct json_walk *w, char wanted)
{
    return take(w, wanted);
}

const char *json_string_end(const char *at, const char *end)
{
    const char *start = at + 1;
    for (const char *from = start;;) {
        const char *quote = from < end ? memchr(from, '"', (size_t)(end - from)) : NULL;
        if (!quote)
            return NULL;
        const char *slash = quote;
        while (slash > start && slash[-1] == '\\')
            slash--;
        from = quote + 1;
        if ((quote - slash) % 2 == 0)
            return from;
    }
}

static int hex4(const char *at, const char *end, unsigned *out)
{
    unsigned value = 0;
    if (end - at < 4)
        return -EINVAL;
    for (int i = 0; i < 4; i++) {
        int digit = parse_hex_digit(at[i]);
        if (digit < 0)
            return -EINVAL;
        value = value * 16 + (unsigned)digit;
    }
    *out = value;
    return 0;
}

int json_has_known_escapes(struct json_text text)
{
    const char *at = text.at, *end = at + text.n;
    unsigned point;
    while ((at = at < end ? memchr(at, '\\', (size_t)(end - at)) : NULL)) {
        if (++at == end || !*at || !strchr("\"\\/bfnrtu", *at) || (*at == 'u' && hex4(at + 1, end, &point) < 0))
            return 0;
        at++;
    }
    return 1;
}

/* At an opening quote: steps over the string. */
static int take_string(struct json_walk *w, struct json_text *inside)
{
    const char *start = w->at + 1, *behind = json_string_end(w->at, w->end);
    if (!behind)
        return -EINVAL;
    *inside = (struct json_text){start, (size_t)(behind - 1 - start)};
    w->at = behind;
    return 0;
}

/* A name and its colon. */
static int take_name(struct json_walk *w, struct json_text *name)
{
    space(w);
    return w->at < w->end && *w->at == '"' && take_string(w, name) == 0 && take(w, ':') ? 0 : -EINVAL;
}

static size_t digits(struct json_walk *w)
{
    const char *at = w->at, *start = at;
    while (at < w->end && *at >= '0' && *at <= '9')
        at++;
    w->at = at;
    return (size_t)(at - start);
}

static int is_one_of(const struct json_walk *w, char a, char b)
{
    return w->at < w->end && (*w->at == a || *w->at == b);
}

static int take_number(struct json_walk *w)
{
    w->at += *w->at == '-';
    if (is_one_of(w, '0', '0'))
        w->at++;
    else if (digits(w) == 0)
        return -EINVAL;
    if (is_one_of(w, '.', '.')) {
        w->at++;
        if (digits(w) == 0)
            return -EINVAL;
    }
    if (is_one_of(w, 'e', 'E')) {
        w->at++;
        w->at += is_one_of(w, '+', '-');
        if (digits(w) == 0)
            return -EINVAL;
    }
    return 0;
}

static int take_word(struct json_walk *w, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(w->end - w->at) < n || memcmp(w->at, word, n) != 0)
        return -EINVAL;
    w->at += n;
    return 0;
}

/* What is neither object nor array; at its first character. */
static int take_scalar(struct json_walk *w, enum json_kind *kind)
{
    struct json_text inside;
    switch (*w->at) {
    case '"':
        *kind = JSON_STRING;
        return take_string(w, &inside);
    case 't':
        *kind = JSON_TRUE;
        return take_word(w, "true");
    case 'f':
        *kind = JSON_FALSE;
        return take_word(w, "false");
    case 'n':
        *kind = JSON_NULL;
        return take_word(w, "null");
    default:
        *kind = JSON_NUMBER;
        return take_number(w);
    }
}

/* The closing brackets that are awaited, the outermost first. */
struct nest {
    char awaited[JSON_DEPTH_MAX];
    size_t depth;
};

static int open_bracket(struct nest *nest, char bracket)
{
    if (nest->depth == JSON_DEPTH_MAX - 1) /* an object is around it */
        return -EINVAL;
    nest->awaited[nest->depth++] = bracket == '{' ? '}' : ']';
    return 0;
}

/* Behind a value that is in a bracket: closes all that end here. 1 where another value follows, 0 where all are closed. */
static int close_brackets(struct json_walk *w, struct nest *nest)
{
    struct json_text name;
    while (nest->depth > 0) {
        char awaited = nest->awaited[nest->depth - 1];
        if (take(w, ','))
            return awaited == '}' && take_name(w, &name) < 0 ? -EINVAL : 1;
        if (!take(w, awaited))
            return -EINVAL;
        nest->depth--;
    }
    return 0;
}

/* At an opening bracket: up to its closing one. */
static int take_nested(struct json_walk *w)
{
    struct nest nest; /* its places are written before they are read */
    struct json_text name;
    enum json_kind kind;
    int more = 1;
    nest.depth = 0;
    while (more == 1) {
        space(w);
        if (w->at == w->end)
            return -EINVAL;
        char c = *w->at;
        if (c != '{' && c != '[') {
            more = take_scalar(w, &kind) < 0 ? -EINVAL : close_brackets(w, &nest);
            continue;
        }
        w->at++;
        if (open_bracket(&nest, c) < 0)
            return -EINVAL;
        if (take(w, nest.awaited[nest.depth - 1])) {
            nest.depth--;
            more = close_brackets(w, &nest);
        } else if (c == '{' && take_name(w, &name) < 0) {
            return -EINVAL;
        }
    }
    return more;
}

int json_value(struct json_walk *w, struct json_value *out)
{
    space(w);
    if (w->at == w->end)
        return -EINVAL;
    out->at = w->at;
    out->kind = *w->at == '{' ? JSON_OBJECT : JSON_ARRAY;
    int error = *w->at == '{' || *w->at == '[' ? take_nested(w) : take_scalar(w, &out->kind);
    out->n = (size_t)(w->at - out->at);
    return error;
}

int json_member(struct json_walk *w, int is_first, struct json_member *out)
{
    if (is_first && take(w, '}'))
        return 0;
    space(w);
    out->at = w->at;
    if (take_name(w, &out->name) < 0 || json_value(w, &out->value) < 0)
        return -EINVAL;
    out->is_last = !take(w, ',');
    return out->is_last && !take(w, '}') ? -EINVAL : 1;
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

ssize_t json_decode(struct json_text text, char *out, size_t out_n)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *at = text.at, *end = at + text.n;
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

/* The lower-case letter that Go takes this place for, and how long it is. */
static char folded(const char *at, size_t *n)
{
    *n = 2;
    if (memcmp(at, "\xc5\xbf", 2) == 0)
        return 's';
    *n = 3;
    if (memcmp(at, "\xe2\x84\xaa", 3) == 0)
        return 'k';
    *n = 1;
    return *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
}

/* Its first character is neither escaped nor beyond ASCII, and another one. text: at least one byte. */
static int is_other_at_once(struct json_text text, const char *name)
{
    unsigned char first = (unsigned char)*text.at;
    return first < 0x80 && first != '\\' && (first >= 'A' && first <= 'Z' ? first - 'A' + 'a' : first) != (unsigned char)*name;
}

enum json_match json_match(struct json_text text, const char *name)
{
    char decoded[NAME_BYTES + 3] = ""; /* folded() may look behind its end */
    size_t name_n = strlen(name), n;
    if (text.n < name_n || text.n > 6 * name_n) /* each character escaped */
        return JSON_OTHER;
    if (is_other_at_once(text, name)) /* most are: nothing is decoded for them */
        return JSON_OTHER;
    if (text.n == name_n && memcmp(text.at, name, name_n) == 0)
        return JSON_EXACT;
    ssize_t decoded_n = json_decode(text, decoded, NAME_BYTES);
    if (decoded_n < 0)
        return JSON_OTHER;
    if ((size_t)decoded_n == name_n && memcmp(decoded, name, name_n) == 0)
        return JSON_EXACT;
    const char *at = decoded, *end = decoded + decoded_n;
    for (; at < end && *name && folded(at, &n) == *name; name++)
        at += n;
    return at == end && !*name ? JSON_FOLDED : JSON_OTHER;
}

size_t json_escape_char(const char *at, size_t n, char *out)
{
    size_t escape_n = n > 1 && at[1] == 'u' ? 6 : 2;
    char decoded[8];
    if (n < escape_n || json_decode((struct json_text){at, escape_n}, decoded, sizeof decoded) != 1)
        return 0;
    *out = decoded[0];
    return escape_n;
}
