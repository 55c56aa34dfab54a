/* See json_mistakes.h. */
#include "common/json_mistakes.h"

#include "common/parse.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { DEPTH_MAX = 32, HEX_DIGITS = 4 };

void json_mistakes_init(struct json_mistakes *m, const char *text, size_t text_n, const char *where, struct diag *d)
{
    static const char mark[] = "\xef\xbb\xbf";
    *m = (struct json_mistakes){.d = d, .where = where, .text = text, .end = text + text_n, .line = 1, .column = 1};
    if (text_n >= 3 && memcmp(text, mark, 3) == 0)
        m->text += 3;
    m->at = m->text;
}

/* Most mistakes are told from the front to the back. */
static void go_to(struct json_mistakes *m, const char *at)
{
    if (at < m->at) {
        m->at = m->text;
        m->line = m->column = 1;
    }
    for (; m->at < at; m->at++) {
        if (*m->at == '\n') {
            m->line++;
            m->column = 1;
        } else {
            m->column += ((unsigned char)*m->at & 0xc0) != 0x80; /* a character's first byte */
        }
    }
}

void json_mistakes_tell(struct json_mistakes *m, enum diag_level level, const char *at, const char *format, ...)
{
    char message[900];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    go_to(m, at);
    diag_add(m->d, level, m->where, m->line, "column %d: %s", m->column, message);
}

int json_mistakes_line(struct json_mistakes *m, const char *at)
{
    go_to(m, at);
    return m->line;
}

/* One in a line is enough: a file in another encoding has many. */
static void look_at_encoding(struct json_mistakes *m)
{
    uint32_t point;
    for (const char *at = m->text; at < m->end;) {
        size_t n = utf8_decode(at, (size_t)(m->end - at), &point);
        if (n == 0) {
            json_mistakes_tell(m, DIAG_ERROR, at, "the byte 0x%02x is no UTF-8: save the file as UTF-8", (unsigned char)*at);
            const char *line_end = memchr(at, '\n', (size_t)(m->end - at));
            at = line_end ? line_end : m->end;
        }
        at += n;
    }
}

/* At a backslash: behind its escape, or behind itself where it begins none. */
static const char *look_at_escape(struct json_mistakes *m, const char *at)
{
    size_t left_n = (size_t)(m->end - at);
    if (left_n >= 2 && strchr("\"\\/bfnrt", at[1]))
        return at + 2;
    int digits_n = 0;
    if (left_n >= 2 + HEX_DIGITS && at[1] == 'u')
        while (digits_n < HEX_DIGITS && parse_hex_digit(at[2 + digits_n]) >= 0)
            digits_n++;
    if (digits_n == HEX_DIGITS)
        return at + 2 + HEX_DIGITS;
    json_mistakes_tell(m, DIAG_ERROR, at, "this backslash begins no escape: a backslash itself is written \\\\");
    return at + 1;
}

/* At an opening quote: behind the closing one, or NULL where there is none in its line. */
static const char *look_at_string(struct json_mistakes *m, const char *at)
{
    const char *start = at++;
    while (at < m->end && *at != '"' && *at != '\n' && *at != '\r') {
        if ((unsigned char)*at < ' ')
            json_mistakes_tell(m, DIAG_ERROR, at, "a control character in a string: write \\u%04x", (unsigned char)*at);
        at = *at == '\\' ? look_at_escape(m, at) : at + 1;
    }
    if (at < m->end && *at == '"')
        return at + 1;
    json_mistakes_tell(m, DIAG_ERROR, start, "this string does not end in its line: a quote is missing, or a line end in it is to be written as \\n");
    return NULL;
}

int json_mistakes_look(struct json_mistakes *m)
{
    const char *nul = memchr(m->text, '\0', (size_t)(m->end - m->text));
    int depth = 0;
    if (nul) {
        json_mistakes_tell(m, DIAG_ERROR, nul, "a NUL byte: this is no text file, or UTF-16; save it as UTF-8");
        return -EINVAL;
    }
    look_at_encoding(m);
    for (const char *at = m->text; at < m->end;) {
        if (*at == '{' || *at == '[')
            depth++;
        if ((*at == '}' || *at == ']') && depth > 0)
            depth--;
        if (depth > DEPTH_MAX) {
            json_mistakes_tell(m, DIAG_ERROR, at, "nested deeper than %d", DEPTH_MAX);
            return -EINVAL;
        }
        at = *at == '"' ? look_at_string(m, at) : at + 1;
        if (!at)
            return -EINVAL;
    }
    return 0;
}

/* The last character before a place that is no white space; NUL where there is none. */
static char before(const struct json_mistakes *m, const char *at)
{
    while (at > m->text && strchr(" \t\r\n", at[-1]))
        at--;
    return at > m->text ? at[-1] : '\0';
}

void json_mistakes_stopped(struct json_mistakes *m, const char *at)
{
    char last = before(m, at);
    if (at == m->end)
        json_mistakes_tell(m, DIAG_ERROR, at, "the file ends here, and %s", last ? "a closing bracket is missing" : "is empty: {} is an object without members");
    else if (*at == '/' || *at == '#')
        json_mistakes_tell(m, DIAG_ERROR, at, "JSON has no comments: leave it out");
    else if (*at == '\'')
        json_mistakes_tell(m, DIAG_ERROR, at, "strings stand in double quotes in JSON");
    else if (last == ',' && (*at == '}' || *at == ']'))
        json_mistakes_tell(m, DIAG_ERROR, at, "a comma stands before this bracket: leave it out");
    else if (!last)
        json_mistakes_tell(m, DIAG_ERROR, at, "the file is to begin with {");
    else if (last == '{')
        json_mistakes_tell(m, DIAG_ERROR, at, "a name in double quotes is expected here, or }");
    else if (strchr(",:[", last))
        json_mistakes_tell(m, DIAG_ERROR, at, "this is no JSON: %s is expected here", last == ',' ? "one more member or value" : "a value");
    else
        json_mistakes_tell(m, DIAG_ERROR, at, "a comma, a colon or a closing bracket is expected here");
}
