/*
 * See json_splice.h. A walk over the members notes what is to be changed where they stand; what must be added is known at
 * its end, as the last of several decides, and gets its place among the others then.
 */
#include "proxy/json_splice.h"

#include "common/json_walk.h"

#include <errno.h>
#include <string.h>

/* An object while its members go by. */
struct object {
    const char *end;  /* of its last member so far, or of its brace: where more may be added */
    int is_first;     /* no member that stays has been there */
};

/* What is known about an edit's member so far. */
struct seen {
    int is_there;
    const char *null_at; /* it is null, here; or NULL */
};

struct run {
    struct json_splice *s;
    const char *json;
    const struct json_edits *edits;
    struct seen seen[JSON_EDITS_MAX];
    struct object inner;       /* the last of its name that is one */
    const char *inner_null_at; /* the last is null, here; or NULL */
    int has_inner, has_inner_object;
    int is_wrong; /* an inner one is no object: nothing is changed */
    int error;
};

/* Takes its place among the others. */
int json_splice_add(struct json_splice *s, size_t at, size_t cut_n, const char *text, size_t text_n)
{
    size_t i = s->changes_n;
    if (i == JSON_CHANGES_MAX)
        return -E2BIG;
    for (; i > 0 && s->changes[i - 1].at > at; i--)
        s->changes[i] = s->changes[i - 1];
    s->changes[i] = (struct json_change){at, cut_n, text, text_n};
    s->changes_n++;
    return 0;
}

static void change(struct run *r, const char *at, size_t cut_n, const char *text, size_t text_n)
{
    if (json_splice_add(r->s, (size_t)(at - r->json), cut_n, text, text_n) < 0)
        r->error = -E2BIG;
}

static void append(struct run *r, const char *text)
{
    size_t n = strlen(text);
    if (n > sizeof r->s->added - r->s->added_n) {
        r->error = -E2BIG;
        return;
    }
    memcpy(r->s->added + r->s->added_n, text, n);
    r->s->added_n += n;
}

/* The edit of a member, or -1. */
static int find_edit(const struct run *r, const struct json_text name, int is_inner, enum json_match *match)
{
    for (size_t i = 0; i < r->edits->items_n; i++) {
        const struct json_edit *e = &r->edits->items[i];
        if (e->is_inner == is_inner && (*match = json_match(name, e->name)) != JSON_OTHER)
            return (int)i;
    }
    return -1;
}

/* With the comma that it leaves behind: the one before it where a member before it stays, else the one behind it. */
static void cut(struct run *r, const struct object *o, const struct json_member *m, const char *next)
{
    const char *end = m->value.at + m->value.n;
    if (!o->is_first)
        change(r, o->end, (size_t)(end - o->end), "", 0);
    else
        change(r, m->at, (size_t)((m->is_last ? end : next) - m->at), "", 0);
}

static void set(struct run *r, const struct json_value *v, const char *value)
{
    size_t n = strlen(value);
    if (v->n != n || memcmp(v->at, value, n) != 0)
        change(r, v->at, v->n, value, n);
}

/* next: where the next member begins. */
static void edit_member(struct run *r, int is_inner, struct object *o, const struct json_member *m, const char *next)
{
    enum json_match match;
    int i = find_edit(r, m->name, is_inner, &match);
    if (i >= 0 && r->edits->items[i].mode == JSON_REMOVE) {
        cut(r, o, m, next);
    } else {
        o->is_first = 0;
        if (i >= 0 && r->edits->items[i].mode == JSON_SET)
            set(r, &m->value, r->edits->items[i].value);
        if (i >= 0 && (match == JSON_EXACT || !is_inner)) {
            int is_null = m->value.kind == JSON_NULL && r->edits->items[i].mode != JSON_SET;
            r->seen[i] = (struct seen){!is_null, is_null ? m->value.at : NULL};
        }
    }
    o->end = m->value.at + m->value.n;
}

/* Where the member behind a comma begins. */
static const char *next_at(const struct json_walk *w)
{
    struct json_walk ahead = *w;
    json_space(&ahead);
    return ahead.at;
}

/* An inner object, which the walk over the outer one has found whole. */
static void edit_inner(struct run *r, const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    struct json_member m = {.is_last = 0};
    r->inner = (struct object){w.at, 1};
    for (int is_first = 1; !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0)
        edit_member(r, 1, &r->inner, &m, next_at(&w));
}

static void take_inner(struct run *r, const struct json_value *v)
{
    r->has_inner = 1;
    r->inner_null_at = v->kind == JSON_NULL ? v->at : NULL;
    r->has_inner_object |= v->kind == JSON_OBJECT;
    if (v->kind == JSON_OBJECT)
        edit_inner(r, v);
    else if (v->kind != JSON_NULL)
        r->is_wrong = 1;
    for (size_t i = 0; v->kind == JSON_NULL && i < r->edits->items_n; i++)
        if (r->edits->items[i].is_inner)
            r->seen[i] = (struct seen){0, NULL};
}

/* Sets what is null, and tells whether a member must be added. */
static int is_missing(struct run *r, size_t i)
{
    const struct json_edit *e = &r->edits->items[i];
    if (e->mode == JSON_REMOVE || r->seen[i].is_there)
        return 0;
    if (!r->seen[i].null_at)
        return 1;
    change(r, r->seen[i].null_at, 4, e->value, strlen(e->value));
    r->seen[i].is_there = 1;
    return 0;
}

/* Appends `"name":value,…` of all members of one object that are missing; 1 where there are some. */
static int append_missing(struct run *r, int is_inner, int is_first)
{
    int has_some = 0;
    for (size_t i = 0; i < r->edits->items_n; i++) {
        const struct json_edit *e = &r->edits->items[i];
        if (e->is_inner != is_inner || !is_missing(r, i))
            continue;
        append(r, is_first && !has_some ? "\"" : ",\"");
        append(r, e->name);
        append(r, "\":");
        append(r, e->value);
        has_some = 1;
    }
    return has_some;
}

static void add_at(struct run *r, const char *at, size_t cut_n, size_t from)
{
    change(r, at, cut_n, r->s->added + from, r->s->added_n - from);
}

/* `{…}` in `added`, or nothing; 1 where there is something. */
static int append_inner_object(struct run *r)
{
    size_t from = r->s->added_n;
    append(r, "{");
    int has_some = append_missing(r, 1, 1);
    append(r, "}");
    if (!has_some)
        r->s->added_n = from;
    return has_some;
}

/* `,"options":{…}`, or nothing; 1 where there is something. */
static int append_inner_member(struct run *r, int is_first)
{
    size_t from = r->s->added_n;
    append(r, is_first ? "\"" : ",\"");
    append(r, r->edits->inner);
    append(r, "\":");
    int has_some = append_inner_object(r);
    if (!has_some)
        r->s->added_n = from;
    return has_some;
}

static void add_missing(struct run *r, const struct object *top)
{
    size_t from = r->s->added_n;
    int is_new = r->edits->inner && (!r->has_inner || (r->inner_null_at && r->has_inner_object));
    if (r->inner_null_at && !is_new) {
        if (append_inner_object(r))
            add_at(r, r->inner_null_at, 4, from);
    } else if (r->has_inner && !is_new && append_missing(r, 1, r->inner.is_first)) {
        add_at(r, r->inner.end, 0, from);
    }
    from = r->s->added_n;
    int has_some = append_missing(r, 0, top->is_first);
    if (is_new) /* in the place of a null it would be merged with the objects before, which the null has emptied */
        has_some |= append_inner_member(r, top->is_first && !has_some);
    if (has_some)
        add_at(r, top->end, 0, from);
}

int json_splice_find(struct json_splice *s, const char *json, size_t json_n, const struct json_edits *edits)
{
    struct run r = {.s = s, .json = json, .edits = edits};
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    s->changes_n = s->added_n = 0;
    int got = json_take(&w, '{') ? 1 : -EINVAL;
    struct object top = {w.at, 1};
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got != 1)
            break;
        if (edits->inner && json_match(m.name, edits->inner) != JSON_OTHER)
            take_inner(&r, &m.value);
        edit_member(&r, 0, &top, &m, next_at(&w));
    }
    if (got >= 0 && !r.is_wrong)
        add_missing(&r, &top);
    int error = got < 0 ? got : r.is_wrong ? 0 : r.error;
    if (error || r.is_wrong)
        s->changes_n = 0;
    return error;
}

size_t json_splice_size(const struct json_splice *s, size_t json_n)
{
    for (size_t i = 0; i < s->changes_n; i++)
        json_n = json_n - s->changes[i].cut_n + s->changes[i].text_n;
    return json_n;
}

/* What stays between two changes: from where, how much, to where. */
struct piece {
    size_t from, n, to;
};

/* The pieces around changes_n changes are one more; the nth. */
static struct piece piece_at(const struct json_splice *s, size_t nth, size_t json_n)
{
    struct piece p = {0, 0, 0};
    for (size_t i = 0; i < nth; i++) {
        p.to += s->changes[i].at - p.from + s->changes[i].text_n;
        p.from = s->changes[i].at + s->changes[i].cut_n;
    }
    p.n = (nth < s->changes_n ? s->changes[nth].at : json_n) - p.from;
    return p;
}

static void move(char *bytes, struct piece p)
{
    memmove(bytes + p.to, bytes + p.from, p.n);
}

/* Who moves back does so after those behind it, who moves forward after those before it: nobody is written over who is
 * still to move. */
void json_splice_apply(const struct json_splice *s, char *bytes, size_t json_n)
{
    for (size_t i = s->changes_n + 1; i-- > 0;) {
        struct piece p = piece_at(s, i, json_n);
        if (p.to > p.from)
            move(bytes, p);
    }
    for (size_t i = 0; i <= s->changes_n; i++) {
        struct piece p = piece_at(s, i, json_n);
        if (p.to < p.from)
            move(bytes, p);
    }
    for (size_t i = 0; i < s->changes_n; i++) {
        struct piece p = piece_at(s, i, json_n);
        memcpy(bytes + p.to + p.n, s->changes[i].text, s->changes[i].text_n);
    }
}
