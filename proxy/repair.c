/* See repair.h. What is undecided is held; each piece moves the place up to which it is decided. */
#include "proxy/repair.h"

#include "common/buf.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_BYTES = 64 * 1024 };

static const char think_begin[] = "<think>", think_end[] = "</think>";

struct repair {
    struct buf held;
    int is_off;
    int is_json_cut;  /* what is held is JSON without its end */
    int is_first;     /* nothing has been said but white space, and what was thought */
    int is_blank;     /* … since then, or since a call */
    int is_in_think, is_in_fence;
    char last;        /* of the text that has passed */
    char is_margin;   /* its line has nothing but white space and > */
    char fence;       /* what the block that it is in began with: ` or ~ */
    char names[];     /* struct repair_look has them so */
};

static int add_name(char *names, size_t *used_n, const struct json_value *tool)
{
    static const char *const tool_names[] = {"function"}, *const function_names[] = {"name"};
    struct json_value function, name;
    json_read_object(tool, tool_names, 1, JSON_FOLDED, &function);
    json_read_object(function.kind == JSON_OBJECT ? &function : tool, function_names, 1, JSON_FOLDED, &name); /* functions of old stand bare */
    if (name.kind != JSON_STRING || *used_n + REPAIR_NAME_BYTES >= NAMES_BYTES)
        return 0;
    ssize_t n = json_decode(json_read_text(&name), names + *used_n, REPAIR_NAME_BYTES);
    if (n <= 0 || strlen(names + *used_n) != (size_t)n)
        return 0;
    *used_n += (size_t)n + 1;
    return 1;
}

struct repair *repair_new(const struct json_value *tools)
{
    struct repair *r = calloc(1, sizeof *r + NAMES_BYTES);
    struct json_items items;
    struct json_value tool;
    size_t used_n = 0;
    if (!r)
        return NULL;
    for (json_items_init(&items, tools); json_items_next(&items, &tool);)
        add_name(r->names, &used_n, &tool);
    r->names[used_n] = '\0';
    struct repair *fit = used_n > 0 ? realloc(r, sizeof *r + used_n + 1) : NULL;
    if (!fit) {
        free(r);
        return NULL;
    }
    buf_init(&fit->held, 0); /* REPAIR_HELD_BYTES, and the piece that is looked at */
    fit->is_first = fit->is_blank = 1;
    fit->last = '\n';
    fit->is_margin = 1;
    return fit;
}

void repair_free(struct repair **r)
{
    if (*r)
        buf_fini(&(*r)->held);
    free(*r);
    *r = NULL;
}

/* What a call, or what ends thinking or a fence, may begin with. */
static int is_sign(char c)
{
    return c == '<' || c == '`' || c == '[' || c == '{' || c == '~';
}

/* So much text has passed. */
static void note(struct repair *r, const char *text, size_t n)
{
    const char *end = text + n, *newline = memrchr(text, '\n', n), *at = newline ? newline + 1 : text;
    r->is_margin = newline ? 1 : r->is_margin;
    r->last = end[-1];
    for (; at < end && r->is_margin; at++)
        r->is_margin = *at == ' ' || *at == '\t' || *at == '\r' || *at == '>';
}

int repair_passes(struct repair *r, struct json_text raw)
{
    if (!r || r->is_off || raw.n == 0)
        return 1;
    if (r->is_blank || buf_size(&r->held) > 0)
        return 0;
    for (size_t i = 0; i < raw.n; i++)
        if (is_sign(raw.at[i]) || raw.at[i] == '\\')
            return 0;
    note(r, raw.at, raw.n);
    return 1;
}

/* One look at what is held: up to `from` it is gone, `at` is where it is looked at. */
struct scan {
    struct repair *r;
    const struct repair_ops *ops;
    void *context;
    const char *from, *at, *end;
    int is_end;
};

static void pass(struct scan *s)
{
    if (s->at > s->from)
        s->ops->text(s->context, s->from, (size_t)(s->at - s->from));
    s->from = s->at;
}

/* So much of it is text. */
static void step(struct scan *s, size_t n)
{
    struct repair *r = s->r;
    note(r, s->at, n);
    s->at += n;
    r->is_first = r->is_blank = 0;
}

static size_t left_of(const struct scan *s)
{
    return (size_t)(s->end - s->at);
}

/* Up to the end of what is thought; of that end a part may be there. 0: it is not there yet. */
static int end_think(struct scan *s)
{
    const char *end = memmem(s->at, left_of(s), think_end, sizeof think_end - 1);
    size_t part_n = left_of(s) < sizeof think_end - 2 ? left_of(s) : sizeof think_end - 2;
    if (!end) {
        while (part_n > 0 && memcmp(s->end - part_n, think_end, part_n) != 0)
            part_n--;
        if (s->is_end)
            part_n = 0;
        if (left_of(s) > part_n)
            step(s, left_of(s) - part_n);
        return 0;
    }
    step(s, (size_t)(end - s->at) + sizeof think_end - 1);
    s->r->is_first = s->r->is_blank = 1;
    s->r->is_in_think = 0;
    return 1;
}

/* Which forms may begin here: the best that any of them says, and its length. */
static enum repair_verdict look_here(struct scan *s, struct repair_look *l)
{
    struct repair *r = s->r;
    int is_bare = r->is_first && r->is_blank && (*s->at == '{' || *s->at == '[');
    if (*s->at == '`')
        return r->last == '\n' && !r->is_in_fence ? repair_fences(l) : REPAIR_NO;
    if (r->is_in_fence || r->last == '`')
        return REPAIR_NO;
    enum repair_verdict v = *s->at == '{' ? REPAIR_NO : repair_tags(l);
    enum repair_verdict bare = is_bare && v != REPAIR_YES ? repair_bare(l) : REPAIR_NO;
    return bare > v ? bare : v;
}

/* A candidate that is longer than what may be held ends the search: what is left is text. So does one without an end. */
static enum repair_verdict look(struct scan *s, struct repair_look *l)
{
    size_t left_n = left_of(s), n = left_n < REPAIR_HELD_BYTES ? left_n : REPAIR_HELD_BYTES;
    *l = (struct repair_look){.at = s->at, .end = s->at + n, .is_end = 0, .names = s->r->names};
    enum repair_verdict v = look_here(s, l);
    if (v != REPAIR_MAYBE || (n < REPAIR_HELD_BYTES && !s->is_end))
        return v;
    l->is_end = n < REPAIR_HELD_BYTES;
    int was_cut = l->is_json_cut;
    v = l->is_end ? look_here(s, l) : REPAIR_NO;
    s->r->is_off = v == REPAIR_NO && (was_cut || !l->is_end);
    return v;
}

/* A word of ours that is no call. 1 where it was stepped over, -1 where more must come first. */
static int take_word(struct scan *s, const char *word)
{
    struct repair_look l = {.at = s->at, .end = s->end, .is_end = s->is_end};
    enum repair_verdict v = repair_word(&l, s->at, word);
    if (v == REPAIR_YES)
        step(s, strlen(word));
    return v == REPAIR_MAYBE ? -1 : v == REPAIR_YES;
}

/* At a sign that begins no call. 0: more must come first. */
static int step_over(struct scan *s)
{
    struct repair *r = s->r;
    char sign = *s->at;
    int is_fence = r->is_margin && (r->is_in_fence ? sign == r->fence : sign == '`' || sign == '~');
    int is_think = sign == '<' && r->is_first && r->is_blank && !r->is_in_fence;
    int taken = is_fence ? take_word(s, sign == '`' ? "```" : "~~~") : is_think ? take_word(s, think_begin) : 0;
    if (taken == 0) {
        step(s, 1);
    } else if (taken > 0 && is_fence) {
        r->is_in_fence = !r->is_in_fence;
        r->fence = sign;
    } else if (taken > 0) {
        r->is_in_think = 1;
    }
    return taken >= 0;
}

/* White space at the beginning, and behind a call: it goes where a call follows it. */
static void skip_blank(struct scan *s)
{
    size_t n = 0, left_n = left_of(s);
    while (n < left_n && n < REPAIR_HELD_BYTES && memchr(" \t\r\n", s->at[n], 4))
        n++;
    if (n == REPAIR_HELD_BYTES)
        s->r->is_blank = 0;
    if (n > 0)
        note(s->r, s->at, n);
    s->at += n;
}

/* The next sign, from `at` on: 0 where there is none. */
static int find_sign(struct scan *s)
{
    size_t n = 0, left_n = left_of(s);
    while (n < left_n && !is_sign(s->at[n]))
        n++;
    if (n > 0)
        step(s, n);
    return n < left_n;
}

/* Up to where it is decided. 0: the rest must wait for more. */
static int decide(struct scan *s)
{
    struct repair *r = s->r;
    struct repair_look l = {.is_json_cut = 0};
    while (s->at < s->end && !r->is_off) {
        const char *blank = s->at;
        char last = r->last, is_margin = r->is_margin;
        if (r->is_in_think && !end_think(s))
            return 1;
        if (r->is_blank) {
            blank = s->at;
            skip_blank(s);
        }
        if (s->at == s->end ? !r->is_blank : !is_sign(*s->at) && !find_sign(s))
            return 1;
        enum repair_verdict v = s->at == s->end ? (s->is_end ? REPAIR_NO : REPAIR_MAYBE) : look(s, &l);
        if (v == REPAIR_YES) {
            s->at = r->is_blank ? blank : s->at;
            pass(s);
            s->from = s->at = l.at;
            l.ops = s->ops;
            l.context = s->context;
            (void)look_here(s, &l);
            s->from = s->at = l.at + l.found_n;
            r->is_first = 0;
            r->is_blank = 1;
            r->last = '\n';
            r->is_margin = 1;
            continue;
        }
        if (v == REPAIR_NO && s->at == s->end) { /* white space at the end; behind a call it goes */
            s->from = r->is_first ? s->from : s->at;
            return 1;
        }
        if (v == REPAIR_MAYBE || !step_over(s)) {
            r->is_json_cut = v == REPAIR_MAYBE && s->at < s->end && l.is_json_cut;
            if (r->is_blank) { /* what is held begins with its white space */
                s->at = blank;
                r->last = last;
                r->is_margin = is_margin;
            }
            return 0;
        }
    }
    if (r->is_off)
        s->at = s->end;
    return 1;
}

static void run(struct repair *r, int is_end, const struct repair_ops *ops, void *context)
{
    struct scan s = {.r = r, .ops = ops, .context = context, .is_end = is_end};
    s.from = s.at = buf_data(&r->held);
    s.end = s.at + buf_size(&r->held);
    if (s.at < s.end) {
        (void)decide(&s);
        pass(&s);
        buf_consume(&r->held, (size_t)(s.at - buf_data(&r->held)));
    }
}

void repair_take(struct repair *r, const char *text, size_t text_n, const struct repair_ops *ops, void *context)
{
    if (!r->is_off && r->is_json_cut && text_n + buf_size(&r->held) < REPAIR_HELD_BYTES && !memchr(text, '}', text_n) && !memchr(text, ']', text_n)) {
        r->is_json_cut = buf_append(&r->held, text, text_n) == 0; /* only a bracket ends it */
        if (r->is_json_cut)
            return;
    }
    if (r->is_off || buf_append(&r->held, text, text_n) < 0) {
        repair_stop(r, ops, context);
        if (text_n > 0)
            ops->text(context, text, text_n);
        return;
    }
    r->is_json_cut = 0;
    run(r, 0, ops, context);
}

void repair_end(struct repair *r, const struct repair_ops *ops, void *context)
{
    if (!r->is_off)
        run(r, 1, ops, context);
    repair_stop(r, ops, context);
}

void repair_stop(struct repair *r, const struct repair_ops *ops, void *context)
{
    if (buf_size(&r->held) > 0)
        ops->text(context, buf_data(&r->held), buf_size(&r->held));
    buf_release(&r->held);
    r->is_off = 1;
}
