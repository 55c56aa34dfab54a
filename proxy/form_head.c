/*
 * See form_head.h. Read as browsers and programs write it, which quote less than the grammar wants; what could be read in two ways is
 * refused: a field or parameter that is there twice, a folded line, control characters.
 */
#include "proxy/form_head.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int is_space(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* The value at `at`, quoted or not. Behind it; NULL where it can't be read. *n: its length without quotes; out gets what fits, or is NULL. */
static const char *take_value(const char *at, const char *end, char *out, size_t out_n, size_t *n)
{
    int is_quoted = at < end && *at == '"';
    *n = 0;
    for (at += is_quoted; at < end; at++) {
        if (is_quoted ? *at == '"' : *at == ';' || is_space(*at) || *at == '"')
            break;
        if (is_quoted && *at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\'))
            at++;
        if (out && *n + 1 < out_n)
            out[*n] = *at;
        ++*n;
    }
    if (out)
        out[*n < out_n ? *n : out_n - 1] = '\0';
    if (!is_quoted)
        return at < end && *at == '"' ? NULL : at;
    return at < end ? at + 1 : NULL;
}

/* Behind a value's first word. */
static const char *behind_word(const char *value, const char *end)
{
    const char *at = memchr(value, ';', (size_t)(end - value));
    return at ? at : end;
}

ssize_t form_param(const char *value, size_t value_n, const char *name, char *out, size_t out_n)
{
    const char *end = value + value_n, *at = behind_word(value, end);
    ssize_t found_n = -ENOENT;
    for (at = skip_space(at, end); at < end; at = skip_space(at, end)) {
        size_t n;
        if (*at != ';')
            return -EINVAL;
        const char *start = skip_space(at + 1, end);
        if (start == end)
            break;
        const char *equal = memchr(start, '=', (size_t)(end - start));
        int is_it = equal && (size_t)(equal - start) == strlen(name) && strncasecmp(start, name, strlen(name)) == 0;
        if (!equal || equal == start || (is_it && found_n != -ENOENT))
            return -EINVAL;
        at = take_value(equal + 1, end, is_it ? out : NULL, out_n, &n);
        if (!at)
            return -EINVAL;
        if (is_it)
            found_n = n < out_n ? (ssize_t)n : -ENOSPC;
    }
    return found_n;
}

static size_t word_length(const char *value, size_t value_n)
{
    size_t n = (size_t)(behind_word(value, value + value_n) - value);
    while (n > 0 && is_space(value[n - 1]))
        n--;
    return n;
}

int form_is(const char *value, size_t value_n, const char *word)
{
    return word_length(value, value_n) == strlen(word) && strncasecmp(value, word, strlen(word)) == 0;
}

int form_is_prefix(const char *value, size_t value_n, const char *prefix)
{
    return word_length(value, value_n) >= strlen(prefix) && strncasecmp(value, prefix, strlen(prefix)) == 0;
}

/* One field of a part's head. */
struct line {
    const char *name, *value;
    size_t name_n, value_n;
};

static int refuse(char *why, size_t why_n, const char *text)
{
    snprintf(why, why_n, "%s", text);
    return 400;
}

/* The line at *at, which is moved behind it. */
static int take_line(const char **at, const char *end, struct line *line, char *why, size_t why_n)
{
    const char *stop = memchr(*at, '\r', (size_t)(end - *at)), *start = *at;
    if (!stop || stop + 1 == end || stop[1] != '\n')
        return refuse(why, why_n, "a line of its header does not end in CR LF");
    *at = stop + 2;
    for (const char *c = start; c < stop; c++)
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
            return refuse(why, why_n, "its header has a control character");
    const char *colon = memchr(start, ':', (size_t)(stop - start));
    if (is_space(*start) || !colon || colon == start || is_space(colon[-1]))
        return refuse(why, why_n, "its header has a line that is no NAME: VALUE");
    line->name = start;
    line->name_n = (size_t)(colon - start);
    line->value = skip_space(colon + 1, stop);
    line->value_n = (size_t)(stop - line->value);
    return 0;
}

static int line_is(const struct line *line, const char *name)
{
    return line->name_n == strlen(name) && strncasecmp(line->name, name, line->name_n) == 0;
}

static int read_disposition(struct form_part *p, const struct line *line, char *why, size_t why_n)
{
    char filename[2] = "";
    if (!form_is(line->value, line->value_n, "form-data"))
        return refuse(why, why_n, "its Content-Disposition is not form-data");
    ssize_t name_n = form_param(line->value, line->value_n, "name", p->name, sizeof p->name);
    ssize_t filename_n = form_param(line->value, line->value_n, "filename", filename, sizeof filename);
    if (name_n == -EINVAL || filename_n == -EINVAL)
        return refuse(why, why_n, "its Content-Disposition can't be read; form-data; name=\"prompt\" is wanted");
    if (name_n == -ENOENT)
        return refuse(why, why_n, "its Content-Disposition has no name");
    p->is_file = filename_n != -ENOENT;
    p->is_unnamed = filename_n == 0;
    return 0;
}

static int read_type(struct form_part *p, const struct line *line, char *why, size_t why_n)
{
    char charset[16];
    if (form_is_prefix(line->value, line->value_n, "multipart/"))
        return refuse(why, why_n, "is a multipart of its own, which is not taken here: each file and field is a part of the form");
    ssize_t n = form_param(line->value, line->value_n, "charset", charset, sizeof charset);
    p->is_foreign_charset = n != -ENOENT && (n < 0 || (strcasecmp(charset, "utf-8") != 0 && strcasecmp(charset, "us-ascii") != 0));
    return 0;
}

static int read_encoding(const struct line *line, char *why, size_t why_n)
{
    if (form_is(line->value, line->value_n, "binary") || form_is(line->value, line->value_n, "8bit") || form_is(line->value, line->value_n, "7bit"))
        return 0;
    return refuse(why, why_n, "has a Content-Transfer-Encoding; its bytes are wanted as they are");
}

enum { HAS_DISPOSITION = 1, HAS_TYPE = 2, HAS_ENCODING = 4 };

static int read_line(struct form_part *p, const struct line *line, unsigned *seen, char *why, size_t why_n)
{
    unsigned which = line_is(line, "content-disposition") ? HAS_DISPOSITION : line_is(line, "content-type") ? HAS_TYPE
                     : line_is(line, "content-transfer-encoding") ? HAS_ENCODING : 0;
    if (*seen & which)
        return refuse(why, why_n, "its header names a field twice");
    *seen |= which;
    switch (which) {
    case HAS_DISPOSITION:
        return read_disposition(p, line, why, why_n);
    case HAS_TYPE:
        return read_type(p, line, why, why_n);
    case HAS_ENCODING:
        return read_encoding(line, why, why_n);
    default:
        return 0;
    }
}

int form_head_read(struct form_part *p, const char *head, size_t head_n, char *why, size_t why_n)
{
    const char *at = head, *end = head + head_n;
    unsigned seen = 0;
    *p = (struct form_part){.is_file = 0};
    while (at < end) {
        struct line line;
        if (take_line(&at, end, &line, why, why_n) || read_line(p, &line, &seen, why, why_n))
            return 400;
    }
    return seen & HAS_DISPOSITION ? 0 : refuse(why, why_n, "has no Content-Disposition; form-data; name=\"prompt\" is wanted");
}
