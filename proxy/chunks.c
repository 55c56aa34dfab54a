/* See chunks.h. */
#include "proxy/chunks.h"

#include "common/utf8.h"

void chunks_init(struct chunks *c, const char *text, size_t n, const size_t *starts, size_t starts_n, size_t most_chars)
{
    *c = (struct chunks){.text = text, .n = n, .starts = starts, .starts_n = starts_n, .most_chars = most_chars};
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

int chunks_next(struct chunks *c, struct chunk *out)
{
    if (c->at == c->n)
        return 0;
    size_t end = (size_t)(utf8_skip(c->text + c->at, c->n - c->at, c->most_chars) - c->text);
    if (end < c->n) {
        size_t half = c->at + (end - c->at) / 2, border = message_border(c, half, end);
        end = border ? border : text_border(c, half, end);
    }
    int begins_message = c->start < c->starts_n && c->starts[c->start] == c->at;
    out->at = c->at;
    out->n = end - c->at;
    out->chars_n = utf8_count(c->text + c->at, out->n);
    out->is_inside = !begins_message && c->start > 0;
    out->message = begins_message ? c->start : c->start > 0 ? c->start - 1 : c->starts_n;
    c->at = end;
    while (c->start < c->starts_n && c->starts[c->start] < end)
        c->start++;
    return 1;
}
