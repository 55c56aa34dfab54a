/* See tool_blocks.h. What was found in three ways is brought together here: of pieces that lie in each other the outermost stays. */
#include "proxy/tool_blocks.h"

#include "common/utf8.h"
#include "proxy/tool_found.h"

#include <errno.h>
#include <stdlib.h>

/* A room without a definition is one: rooms come before what is in them. */
static void settle_rooms(struct tool_founds *f)
{
    const char *next = f->end;
    for (size_t i = f->items_n; i-- > 0;) {
        struct tool_found *t = &f->items[i];
        if (t->form == TOOL_ROOM && next >= t->end)
            t->form = TOOL_DEFINITION;
        if (t->form <= TOOL_EXAMPLES)
            next = t->at;
    }
}

/* The outermost alone; of two that overlap one is made, so that neither is cut. */
static void settle_nesting(struct tool_founds *f)
{
    const char *over = f->text;
    size_t kept_n = 0;
    for (size_t i = 0; i < f->items_n; i++) {
        const struct tool_found t = f->items[i];
        if (t.form == TOOL_ROOM || t.end <= t.at || t.end <= over)
            continue;
        if (t.at < over) {
            f->items[kept_n - 1].end = t.end;
            f->items[kept_n - 1].form = TOOL_DEFINITION;
        } else {
            f->items[kept_n++] = t;
        }
        over = t.end;
    }
    f->items_n = kept_n;
}

/* Of what is an example only, the first of a name that nothing defines. Then frames without definitions go. */
static void settle_examples(struct tool_founds *f)
{
    struct tool_names names;
    size_t kept_n = 0, tools_n = 0;
    f->error = tool_names_init(&names);
    if (f->error)
        return;
    for (size_t i = 0; i < f->items_n; i++)
        if (f->items[i].form == TOOL_DEFINITION && f->items[i].name.n > 0)
            (void)tool_names_find(&names, f->items[i].name, 1);
    for (size_t i = 0; i < f->items_n; i++) {
        const struct tool_found t = f->items[i];
        if ((t.form == TOOL_EXAMPLE || t.form == TOOL_EXAMPLES) && tool_names_find(&names, t.name, 0))
            continue;
        if (t.form == TOOL_EXAMPLE)
            (void)tool_names_find(&names, t.name, 1);
        tools_n += t.form != TOOL_FRAME;
        f->items[kept_n++] = t;
    }
    f->items_n = tools_n > 0 ? kept_n : 0;
    tool_names_fini(&names);
}

static void find(struct tool_founds *f)
{
    tool_tags_find(f);
    tool_found_sort(f);
    if (!f->error)
        tool_sections_find(f);
    tool_found_sort(f);
    if (!f->error)
        tool_schemas_find(f);
    if (f->error)
        return;
    tool_found_sort(f);
    settle_rooms(f);
    settle_nesting(f);
    settle_examples(f);
}

static void write_block(struct tool_blocks *b, const struct tool_founds *f, const struct tool_found *t, const char **counted)
{
    struct tool_block *block = &b->items[b->items_n++];
    block->at = (size_t)(t->at - f->text);
    block->end = (size_t)(t->end - f->text);
    block->is_frame = t->form == TOOL_FRAME;
    block->at_chars = b->chars_n += utf8_count(*counted, (size_t)(t->at - *counted));
    block->end_chars = b->chars_n += utf8_count(t->at, block->end - block->at);
    b->tools_n += !block->is_frame;
    *counted = t->end;
}

int tool_blocks_find(struct tool_blocks *b, const char *text, size_t n)
{
    struct tool_founds f = {.text = text, .end = text + n};
    const char *counted = text;
    *b = (struct tool_blocks){.items_n = 0};
    find(&f);
    b->items = f.error ? NULL : calloc(f.items_n + 1, sizeof *b->items);
    if (b->items) {
        for (size_t i = 0; i < f.items_n; i++)
            write_block(b, &f, &f.items[i], &counted);
        b->chars_n += utf8_count(counted, (size_t)(f.end - counted));
        b->tools_n += f.lost_n;
        b->lost_n = f.lost_n;
    }
    free(f.items);
    return b->items ? 0 : -ENOMEM;
}

void tool_blocks_fini(struct tool_blocks *b)
{
    free(b->items);
    *b = (struct tool_blocks){.items_n = 0};
}
