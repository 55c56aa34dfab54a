/*
 * See tool_found.h: headings as Markdown has them (CommonMark 4.2), and lists. One pass over the lines: at most one section of tools is open, and in it, or
 * alone, one definition. What stands in code, or in a block of XML, is neither heading nor item.
 */
#include "proxy/tool_found.h"

#include <string.h>
#include <strings.h>

enum { LEVELS_MAX = 6, ITEM = LEVELS_MAX + 1, ITEM_INDENT_MAX = 3, RULE_MIN = 4, TRAILING_MAX_BYTES = 2048 };

struct line {
    const char *at, *end; /* without its line end */
    const char *text;     /* behind its indentation */
};

struct sections {
    struct tool_founds *f;
    size_t tags_n, tag;  /* the blocks of XML, and the first that is not over */
    const char *tag_over; /* up to here a block goes */
    const char *fence;   /* where the code began that is open */
    const char *no_fence; /* from here on nothing begins code: what began there had no end */
    int is_blank_before;
    int section_level;   /* 0: none is open */
    const char *section;
    int level;           /* of the definition; 0: none is open, ITEM: of a list */
    const char *at;
    struct json_text name;
    int has_signs;       /* there is no doubt that it is one */
    const char *own_end; /* behind the last block of XML of its name */
    const char *item_end; /* of a list: where words begin that may be none of it; NULL where there are none */
};

static int is_sign(struct line l)
{
    static const char *const signs[] = {"description:", "parameters:", "usage:"};
    const char *at = l.text;
    while (at < l.end && *at == '*')
        at++;
    if (at == l.end || !strchr("dpuDPU", *at)) /* most lines are none */
        return 0;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if ((size_t)(l.end - at) >= strlen(signs[i]) - 1 && strncasecmp(at, signs[i], strlen(signs[i]) - 1) == 0)
            return memchr(at, ':', (size_t)(l.end - at)) != NULL;
    return 0;
}

/* One that shows how it is used ends with that, where more is behind it than a remark: the last of an agent's tools has the rest of its prompt there. */
static void close_definition(struct sections *s, const char *end)
{
    if (s->own_end && end - s->own_end > TRAILING_MAX_BYTES)
        end = s->own_end;
    if (s->level == ITEM && s->item_end)
        end = s->item_end;
    if (s->level && (s->section_level || s->has_signs))
        tool_found_add(s->f, &(struct tool_found){s->at, tool_trim(s->at, end), s->name, TOOL_DEFINITION});
    s->level = 0;
}

static void close_section(struct sections *s, const char *end)
{
    close_definition(s, end);
    if (s->section_level)
        tool_found_add(s->f, &(struct tool_found){s->section, tool_trim(s->section, end), {NULL, 0}, TOOL_ROOM});
    s->section_level = 0;
}

static void open_definition(struct sections *s, struct line l, int level, struct json_text name)
{
    s->at = l.at;
    s->level = level;
    s->name = name;
    s->has_signs = 0;
    s->own_end = s->item_end = NULL;
}

/* The level of a heading, and its text without what emphasises it; 0 where it is none. */
static int heading_of(struct line l, struct json_text *text)
{
    const char *at = l.text, *end = tool_trim(l.text, l.end);
    while (at < end && *at == '#')
        at++;
    int level = (int)(at - l.text);
    if (level > LEVELS_MAX || level == 0 || at == end || (*at != ' ' && *at != '\t'))
        return 0;
    while (at < end && strchr(" \t*`", *at))
        at++;
    while (end > at && strchr(" \t*`#:", end[-1]))
        end--;
    *text = (struct json_text){at, (size_t)(end - at)};
    return level;
}

static int is_tools(struct json_text text)
{
    static const char *const names[] = {"tools", "available tools", "tool definitions"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == text.n && strncasecmp(text.at, names[i], text.n) == 0)
            return 1;
    return 0;
}

static void take_heading(struct sections *s, struct line l, int level, struct json_text text)
{
    int is_whole_name = text.n > 0 && tool_name_bytes(text.at, text.at + text.n) == text.n, is_likely = is_whole_name && tool_name_is_likely(text);
    if (s->section_level >= level)
        close_section(s, l.at);
    if (s->level >= level || (is_likely && !s->section_level && !s->has_signs))
        close_definition(s, l.at);
    if (s->level)
        return;
    if (is_tools(text) && !s->section_level) {
        s->section_level = level;
        s->section = l.at;
        tool_found_add(s->f, &(struct tool_found){l.at, tool_trim(l.at, l.end), {NULL, 0}, TOOL_FRAME});
    } else if (s->section_level || is_likely) {
        open_definition(s, l, level, is_whole_name ? text : (struct json_text){NULL, 0});
    }
}

/* Behind the mark of a list's item, `-`, `*`, `+`, `1.` or `1)`; NULL where there is none. */
static const char *item_text(struct line l)
{
    const char *at = l.text;
    if (l.text - l.at > ITEM_INDENT_MAX || at == l.end)
        return NULL;
    if (strchr("-*+", *at)) {
        at++;
    } else {
        while (at < l.end && *at >= '0' && *at <= '9')
            at++;
        if (at == l.text || at == l.end || (*at != '.' && *at != ')'))
            return NULL;
        at++;
    }
    return at < l.end && (*at == ' ' || *at == '\t') ? at : NULL;
}

static void take_item(struct sections *s, struct line l, const char *at)
{
    if (!s->section_level || (s->level && s->level != ITEM))
        return;
    close_definition(s, l.at);
    while (at < l.end && strchr(" \t*`", *at))
        at++;
    open_definition(s, l, ITEM, (struct json_text){at, tool_name_bytes(at, l.end)});
}

/* Whether n characters that begin a line end the code that is open: they are of its kind, not fewer, and alone. */
static int is_code_end(const struct sections *s, struct line l, size_t n)
{
    const char *open = tool_skip_blank(s->fence, s->f->end);
    size_t open_n = 0;
    while (open_n <= n && open[open_n] == *l.text)
        open_n++;
    return open_n > 0 && open_n <= n && tool_trim(l.text + n, l.end) == l.text + n;
}

/* 1 where the line begins or ends code, or is in it. */
static int take_code(struct sections *s, struct line l)
{
    size_t n = 0;
    if (l.text + 2 < l.end && (*l.text == '`' || *l.text == '~'))
        while (l.text + n < l.end && l.text[n] == *l.text)
            n++;
    if (n < 3 || memchr(l.text + n, '`', (size_t)(l.end - l.text) - n))
        return s->fence != NULL;
    if (!s->fence) {
        s->fence = l.at < s->no_fence ? l.at : NULL;
        return 1;
    }
    if (is_code_end(s, l, n))
        s->fence = NULL;
    return 1;
}

/* 1 where a block of XML goes over the line's beginning. A definition's own, in it, leaves no doubt. */
static int is_in_tag(struct sections *s, struct line l)
{
    for (; s->tag < s->tags_n && s->f->items[s->tag].at < l.end; s->tag++) {
        const struct tool_found *t = &s->f->items[s->tag];
        if (t->name.n > 0 && t->form <= TOOL_EXAMPLES && s->level && t->name.n == s->name.n && memcmp(t->name.at, s->name.at, t->name.n) == 0) {
            s->has_signs = 1;
            s->own_end = t->end;
        }
        if (t->form != TOOL_ROOM && t->form != TOOL_FRAME && t->end > s->tag_over)
            s->tag_over = t->end;
    }
    return l.at < s->tag_over;
}

/* Agents' prompts part their chapters by such a line; below words it makes them a heading. */
static int is_rule(const struct sections *s, struct line l)
{
    const char *at = l.text;
    while (at < l.end && *at == '=')
        at++;
    return s->is_blank_before && at - l.text >= RULE_MIN && tool_trim(at, l.end) == at;
}

/* Behind an empty line words without indentation are none of an item, but where such with one follow: a schema below a description of several paragraphs. */
static void take_words(struct sections *s, struct line l)
{
    if (l.text > l.at)
        s->item_end = NULL;
    else if (s->is_blank_before && !s->item_end)
        s->item_end = l.at;
}

static void take_line(struct sections *s, struct line l)
{
    struct json_text text;
    const char *item = item_text(l);
    int level = heading_of(l, &text);
    if (level) {
        take_heading(s, l, level, text);
    } else if (is_rule(s, l)) {
        close_section(s, l.at);
    } else if (item) {
        take_item(s, l, item);
    } else if (s->level == ITEM) {
        take_words(s, l);
    } else if (is_sign(l)) {
        s->has_signs = 1;
    }
}

static void scan(struct sections *s)
{
    const char *end = s->f->end;
    s->is_blank_before = 1;
    for (const char *at = s->f->text, *next; at < end; at = next) {
        struct line l = {at, tool_line_end(at, end), tool_skip_blank(at, end)};
        int is_blank = tool_skip_space(at, l.end) == l.end;
        next = l.end + (l.end < end);
        if (!is_in_tag(s, l) && !is_blank && !take_code(s, l))
            take_line(s, l);
        s->is_blank_before = is_blank;
    }
    close_section(s, end);
}

void tool_sections_find(struct tool_founds *f)
{
    size_t tags_n = f->items_n, lost_n = f->lost_n;
    struct sections s = {.f = f, .tags_n = tags_n, .no_fence = f->end, .tag_over = f->text};
    scan(&s);
    if (s.fence) { /* code without an end is none */
        f->items_n = tags_n;
        f->lost_n = lost_n;
        s = (struct sections){.f = f, .tags_n = tags_n, .no_fence = s.fence, .tag_over = f->text};
        scan(&s);
    }
}
