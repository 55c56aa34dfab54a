/* See chunks.h. */
#include "proxy/chunks.h"

enum { CHARACTER_BYTES = 4 }; /* of UTF-8, at most */

void chunks_init(struct chunks *c, const char *text, size_t n, const size_t *starts, size_t starts_n, size_t most_chars)
{
    *c = (struct chunks){.text = text, .n = n, .starts = starts, .starts_n = starts_n, .most_chars = most_chars};
}

static int is_inside_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Where the part that begins at c->at has to end at the latest. What is no UTF-8 is cut by its bytes. */
static size_t window_end(const struct chunks *c)
{
    size_t chars_n = 0, at = c->at;
    while (at < c->n && at - c->at < c->most_chars * CHARACTER_BYTES) {
        if (!is_inside_character(c->text[at]) && chars_n++ == c->most_chars)
            break;
        at++;
    }
    return at;
}

/* The last message that begins behind `from`, and not behind `to`; 0: none does. */
static size_t message_border(const struct chunks *c, size_t from, size_t to)
{
    size_t found = 0;
    for (size_t i = c->start; i < c->starts_n && c->starts[i] <= to; i++)
        if (c->starts[i] > from)
            found = c->starts[i];
    return found;
}

/* Whether the line that ends before `at` is empty, and not the first one of the text. */
static int is_paragraph_end(const char *text, size_t at)
{
    if (at < 2)
        return 0;
    return text[at - 2] == '\n' || (text[at - 2] == '\r' && at > 2 && text[at - 3] == '\n');
}

/* The last border of a paragraph there, else of a line, else of a word, else `to`. */
static size_t text_border(const struct chunks *c, size_t from, size_t to)
{
    size_t line = 0, word = 0;
    for (size_t at = to; at > from; at--) {
        char before = c->text[at - 1];
        if (before == '\n' && is_paragraph_end(c->text, at))
            return at;
        if (before == '\n' && !line)
            line = at;
        if (before == ' ' && !word)
            word = at;
    }
    return line ? line : word ? word : to;
}

static size_t count_chars(const char *text, size_t n)
{
    size_t chars_n = 0;
    for (size_t i = 0; i < n; i++)
        chars_n += !is_inside_character(text[i]);
    return chars_n;
}

int chunks_next(struct chunks *c, struct chunk *out)
{
    if (c->at == c->n)
        return 0;
    size_t end = window_end(c);
    if (end < c->n) {
        size_t half = c->at + (end - c->at) / 2, border = message_border(c, half, end);
        end = border ? border : text_border(c, half, end);
    }
    int begins_message = c->start < c->starts_n && c->starts[c->start] == c->at;
    out->at = c->at;
    out->n = end - c->at;
    out->chars_n = count_chars(c->text + c->at, out->n);
    out->is_inside = !begins_message && c->start > 0;
    out->message = begins_message ? c->start : c->start > 0 ? c->start - 1 : c->starts_n;
    c->at = end;
    while (c->start < c->starts_n && c->starts[c->start] < end)
        c->start++;
    return 1;
}
