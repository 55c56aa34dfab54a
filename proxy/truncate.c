/*
 * See truncate.h. What stays is laid out as a union: the start, the end, and each definition wherever it is, so that none is cut or there twice. The more
 * of start and end, the longer it is, never shorter: the most that fits is found by halving.
 */
#include "proxy/truncate.h"

#include "common/utf8.h"
#include "proxy/json_write.h"
#include "proxy/tool_blocks.h"

#include <errno.h>
#include <stdio.h>

enum { START_SHARE = 4, END_SHARE = 3, NEAR_SHARE = 20, MARK_BYTES = 64 };

/* A place in the text. */
struct place {
    size_t bytes, chars;
};

struct layout {
    const char *text;
    size_t n;
    const struct tool_blocks *blocks;
    int is_short; /* there is no room for words in marks */
    struct json_write *out; /* NULL: it is only measured */
    size_t chars_n;
};

static void keep(struct layout *l, struct place from, struct place to)
{
    l->chars_n += to.chars - from.chars;
    if (l->out)
        json_write_bytes(l->out, l->text + from.bytes, to.bytes - from.bytes);
}

/* What is left out, and so a mark for it; itself, where that is no longer. */
static void leave_out(struct layout *l, struct place from, struct place to)
{
    char mark[MARK_BYTES] = "\n";
    size_t left_out_n = to.chars - from.chars;
    if (!l->is_short)
        snprintf(mark, sizeof mark, "\n[… %zu characters left out …]\n", left_out_n);
    size_t mark_n = strlen(mark), mark_chars = utf8_count(mark, mark_n);
    if (left_out_n <= mark_chars) {
        keep(l, from, to);
        return;
    }
    l->chars_n += mark_chars;
    if (l->out)
        json_write_bytes(l->out, mark, mark_n);
}

/* Everything up to start_to, from end_from on, and the definitions between. Returns how many code points that is. */
static size_t lay_out(struct layout *l, struct place start_to, struct place end_from)
{
    struct place at = {0, 0}, end = {l->n, l->blocks->chars_n};
    l->chars_n = 0;
    keep(l, at, start_to);
    at = start_to;
    for (size_t i = 0; i < l->blocks->items_n && l->blocks->items[i].at_chars < end_from.chars; i++) {
        const struct tool_block *b = &l->blocks->items[i];
        struct place block_at = {b->at, b->at_chars}, block_end = {b->end, b->end_chars};
        if (block_end.chars <= at.chars)
            continue;
        if (block_at.chars > at.chars)
            leave_out(l, at, block_at);
        keep(l, block_at.chars > at.chars ? block_at : at, block_end);
        at = block_end;
    }
    if (at.chars < end_from.chars)
        leave_out(l, at, end_from);
    keep(l, at.chars < end_from.chars ? end_from : at, end);
    return l->chars_n;
}

static size_t end_share(size_t start_chars)
{
    return start_chars / START_SHARE * END_SHARE + start_chars % START_SHARE * END_SHARE / START_SHARE;
}

/* How long it is with so much of the start, and its share of the end. */
static size_t measure(struct layout *l, size_t start_chars)
{
    size_t chars_n = l->blocks->chars_n, end_chars = end_share(start_chars);
    return lay_out(l, (struct place){0, start_chars}, (struct place){l->n, end_chars < chars_n ? chars_n - end_chars : 0});
}

/* The most of the start that fits the budget, which the text is longer than. */
static size_t most_of_start(struct layout *l, size_t budget_chars)
{
    size_t fits = 0, fits_not = budget_chars + 1;
    while (fits_not - fits > 1) {
        size_t middle = fits + (fits_not - fits) / 2;
        if (measure(l, middle) <= budget_chars)
            fits = middle;
        else
            fits_not = middle;
    }
    return fits;
}

/* How far a line's beginning may be: 5 % of the budget, and no more than half of what is cut. */
static size_t near_of(size_t budget_chars, size_t piece_chars)
{
    return budget_chars / NEAR_SHARE < piece_chars / 2 ? budget_chars / NEAR_SHARE : piece_chars / 2;
}

/* Back to a line's beginning, where one is near. */
static struct place start_border(const struct layout *l, size_t chars, size_t near_chars)
{
    struct place p = {(size_t)(utf8_skip(l->text, l->n, chars) - l->text), chars};
    size_t from = (size_t)(utf8_skip(l->text, l->n, chars - near_chars) - l->text);
    const char *line_end = memrchr(l->text + from, '\n', p.bytes - from);
    if (!line_end)
        return p;
    size_t border = (size_t)(line_end + 1 - l->text);
    return (struct place){border, chars - utf8_count(line_end + 1, p.bytes - border)};
}

/* On to a line's beginning, where one is near. */
static struct place end_border(const struct layout *l, size_t chars, size_t near_chars)
{
    const char *at = utf8_skip(l->text, l->n, chars), *end = l->text + l->n;
    const char *near_end = utf8_skip(at, (size_t)(end - at), near_chars);
    const char *line_end = at > l->text && at[-1] == '\n' ? at - 1 : at < near_end ? memchr(at, '\n', (size_t)(near_end - at)) : NULL;
    const char *border = line_end ? line_end + 1 : at;
    return (struct place){(size_t)(border - l->text), chars + utf8_count(at, (size_t)(border - at))};
}

static int write_layout(struct layout *l, size_t budget_chars, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    size_t start_chars = most_of_start(l, budget_chars), end_chars = end_share(start_chars);
    struct place start_to = start_border(l, start_chars, near_of(budget_chars, start_chars));
    struct place end_from = end_border(l, l->blocks->chars_n - end_chars, near_of(budget_chars, end_chars));
    l->out = &w;
    lay_out(l, start_to, end_from);
    return json_write_end(&w);
}

int truncate_prompt(const char *text, size_t n, size_t budget_chars, struct buf *out, struct truncate_result *r)
{
    struct tool_blocks blocks;
    struct layout l = {.text = text, .n = n, .blocks = &blocks};
    *r = (struct truncate_result){.chars_n = utf8_count(text, n)};
    if (r->chars_n <= budget_chars)
        return buf_append(out, text, n);
    int error = tool_blocks_find(&blocks, text, n);
    if (error)
        return error;
    l.is_short = measure(&l, 0) > budget_chars;
    r->is_exceeded = l.is_short && measure(&l, 0) > budget_chars;
    error = write_layout(&l, budget_chars, out);
    r->is_truncated = 1;
    r->chars_n = l.chars_n;
    r->tools_n = blocks.tools_n;
    r->tools_lost_n = blocks.lost_n;
    tool_blocks_fini(&blocks);
    return error;
}
