/*
 * See json_ends.h. Backwards works since a quote inside of a string always has an odd number of backslashes before it, and
 * one at either end of a string an even number: whoever starts outside of a string knows where he is.
 */
#include "common/json_ends.h"

#include <string.h>

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int is_literal(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' || c == '.';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

static const char *skip_space_back(const char *begin, const char *at)
{
    while (at > begin && is_space(at[-1]))
        at--;
    return at;
}

/* Behind the closing quote: at the opening one, or NULL where that lies beyond the text, or can't be told. */
static const char *string_begin(const char *begin, const char *behind)
{
    for (const char *to = behind - 1;;) {
        const char *quote = to > begin ? memrchr(begin, '"', (size_t)(to - begin)) : NULL;
        if (!quote)
            return NULL;
        const char *slash = quote;
        while (slash > begin && slash[-1] == '\\')
            slash--;
        if (slash == begin && slash < quote)
            return NULL;
        if ((quote - slash) % 2 == 0)
            return quote;
        to = quote;
    }
}

static const char *nested_end(const char *at, const char *end)
{
    size_t depth = 0;
    do {
        if (at == end)
            return NULL;
        if (*at == '"') {
            at = json_string_end(at, end);
            if (!at)
                return NULL;
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
    } while (depth > 0);
    return at;
}

static const char *nested_begin(const char *begin, const char *behind)
{
    size_t depth = 0;
    do {
        if (behind == begin)
            return NULL;
        if (behind[-1] == '"') {
            behind = string_begin(begin, behind);
            if (!behind)
                return NULL;
            continue;
        }
        behind--;
        if (*behind == '}' || *behind == ']')
            depth++;
        else if (*behind == '{' || *behind == '[')
            depth--;
    } while (depth > 0);
    return behind;
}

/* Behind the value that begins here; NULL where that lies beyond the text, or there is no value. */
static const char *value_end(const char *at, const char *end)
{
    if (at == end)
        return NULL;
    if (*at == '"')
        return json_string_end(at, end);
    if (*at == '{' || *at == '[')
        return nested_end(at, end);
    const char *start = at;
    while (at < end && is_literal(*at))
        at++;
    return at == start || at == end ? NULL : at;
}

static const char *value_begin(const char *begin, const char *behind)
{
    if (behind == begin)
        return NULL;
    if (behind[-1] == '"')
        return string_begin(begin, behind);
    if (behind[-1] == '}' || behind[-1] == ']')
        return nested_begin(begin, behind);
    const char *at = behind;
    while (at > begin && is_literal(at[-1]))
        at--;
    return at == behind || at == begin ? NULL : at;
}

static struct json_text place(const char *from, const char *to)
{
    return (struct json_text){from, (size_t)(to - from)};
}

void json_from_front(const char *text, size_t text_n, json_ends_fn *fn, void *context)
{
    const char *end = text + text_n, *at = skip_space(text, end);
    for (char wanted = '{'; at < end && *at == wanted; wanted = ',') {
        const char *quote = skip_space(at + 1, end);
        if (quote == end || *quote != '"')
            return;
        const char *behind = json_string_end(quote, end);
        at = behind ? skip_space(behind, end) : end;
        if (at == end || *at != ':')
            return;
        const char *value = skip_space(at + 1, end), *over = value_end(value, end);
        fn(context, place(quote + 1, behind - 1), place(value, over ? over : end), !over);
        if (!over)
            return;
        at = skip_space(over, end);
    }
}

int json_from_back(const char *text, size_t text_n, json_ends_fn *fn, void *context)
{
    const char *begin = text, *at = skip_space_back(begin, text + text_n);
    if (at == begin || at[-1] != '}')
        return 0;
    for (char wanted = '}'; at > begin && at[-1] == wanted; wanted = ',') {
        const char *behind = skip_space_back(begin, at - 1), *value = value_begin(begin, behind);
        if (behind == begin || behind[-1] == '{')
            return 1;
        if (!value) {
            fn(context, (struct json_text){NULL, 0}, place(begin, behind), 1);
            return 1;
        }
        at = skip_space_back(begin, value);
        const char *name = at > begin && at[-1] == ':' ? skip_space_back(begin, at - 1) : begin;
        const char *quote = name > begin && name[-1] == '"' ? string_begin(begin, name) : NULL;
        if (!quote)
            return 1;
        fn(context, place(quote + 1, name - 1), place(value, behind), 0);
        at = skip_space_back(begin, quote);
    }
    return 1;
}

int json_text_is(struct json_text p, const char *text)
{
    return p.n == strlen(text) && (p.n == 0 || memcmp(p.at, text, p.n) == 0);
}

int64_t json_text_number(struct json_text p)
{
    const int64_t most = (int64_t)1 << 53;
    int64_t value = 0;
    for (size_t i = 0; i < p.n; i++) {
        if (p.at[i] < '0' || p.at[i] > '9')
            return -1;
        value = value * 10 + (p.at[i] - '0');
        if (value > most)
            return -1;
    }
    return p.n > 0 ? value : -1;
}
