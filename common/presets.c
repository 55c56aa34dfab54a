/*
 * See presets.h. A file that people write: all of its mistakes are told, so that reading goes on behind each, and what is half
 * understood is kept until the end, as its name may come again.
 */
#include "common/presets.h"

#include "common/json_read.h"
#include "common/keep_alive.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdlib.h>

enum { WORD_BYTES = 256 };

struct reader {
    struct json_mistakes m;
    struct presets *out;
    int lines[PRESETS_MAX]; /* where each stands */
    int is_full;            /* that there are too many was told */
};

#define TELL(r, at, ...) json_mistakes_tell(&(r)->m, DIAG_ERROR, at, __VA_ARGS__)

static int add_model(struct reader *r, struct preset *p, const struct json_value *v)
{
    char name[WORD_BYTES], why[PARSE_WHY_BYTES];
    ssize_t n = v->kind == JSON_STRING ? json_decode(json_read_text(v), name, sizeof name) : 0;
    if (n == -EINVAL)
        return 0; /* its escape was told */
    if (v->kind != JSON_STRING)
        TELL(r, v->at, "preset \"%s\": a model is a string, such as \"llama3.2:1b\"", p->name);
    else if (n < 0 || strlen(name) != (size_t)n)
        TELL(r, v->at, "preset \"%s\": this is no model's name: it %s", p->name, n < 0 ? "is longer than 190 bytes" : "has a NUL byte");
    else if (parse_model_name(name, why) < 0)
        TELL(r, v->at, "preset \"%s\": %s", p->name, why);
    else if (p->models.items_n == PRESET_MODELS_MAX)
        TELL(r, v->at, "preset \"%s\": more than %d models", p->name, PRESET_MODELS_MAX);
    else
        return list_append(&p->models, name, (size_t)n);
    return 0;
}

static void tell_models_twice(struct reader *r, const struct preset *p, const char *at)
{
    for (size_t i = 0; i < p->models.items_n; i++)
        for (size_t k = 0; k < i; k++)
            if (model_name_equal(p->models.items[i], strlen(p->models.items[i]), p->models.items[k], strlen(p->models.items[k])))
                TELL(r, at, "preset \"%s\": %s stands twice in the list of models", p->name, p->models.items[i]);
}

static int take_model(struct reader *r, struct preset *p, const struct json_value *v)
{
    struct json_items items;
    struct json_value item;
    int error = 0;
    size_t items_n = 0;
    if (v->kind != JSON_ARRAY)
        return add_model(r, p, v);
    json_items_init(&items, v);
    for (; !error && json_items_next(&items, &item); items_n++)
        error = items_n <= PRESET_MODELS_MAX ? add_model(r, p, &item) : 0; /* one too many is told once */
    if (items_n == 0)
        TELL(r, v->at, "preset \"%s\": the list of models is empty", p->name);
    tell_models_twice(r, p, v->at);
    return error;
}

static int take_options(struct reader *r, struct preset *p, const struct json_value *v)
{
    return preset_options_read(&r->m, p->name, v, &p->options, &p->options_n);
}

/* 0 or -ENOMEM. */
static int keep(char **out, const struct json_value *v)
{
    *out = malloc(v->n + 1);
    if (!*out)
        return -ENOMEM;
    memcpy(*out, v->at, v->n);
    (*out)[v->n] = '\0';
    return 0;
}

static int take_system(struct reader *r, struct preset *p, const struct json_value *v)
{
    if (v->kind == JSON_STRING)
        return keep(&p->system, v);
    TELL(r, v->at, "preset \"%s\": system must be a string", p->name);
    return 0;
}

static int take_keep_alive(struct reader *r, struct preset *p, const struct json_value *v)
{
    int64_t ms;
    if ((v->kind == JSON_STRING || v->kind == JSON_NUMBER) && keep_alive_read(v->at, v->n, &ms) == 0)
        return keep(&p->keep_alive, v);
    TELL(r, v->at, "preset \"%s\": keep_alive must be a number of seconds, or a duration such as \"5m\" or \"1h30m\"; -1 means for ever", p->name);
    return 0;
}

static int take_use(struct reader *r, struct preset *p, const struct json_value *v)
{
    struct json_text text = v->kind == JSON_STRING ? json_read_text(v) : (struct json_text){"", 0};
    if (json_match(text, "text") == JSON_EXACT)
        p->use = PRESET_TEXT;
    else if (json_match(text, "image") == JSON_EXACT)
        p->use = PRESET_IMAGE;
    else
        TELL(r, v->at, "preset \"%s\": for must be \"text\" or \"image\": requests without, or with an image", p->name);
    return 0;
}

enum { MEMBER_MODEL, MEMBER_USE = 4, MEMBERS_N };

static const struct member {
    const char *name;
    int (*take)(struct reader *r, struct preset *p, const struct json_value *v); /* 0, also after a mistake; -ENOMEM */
} members[MEMBERS_N] = {
    [MEMBER_MODEL] = {"model", take_model}, {"options", take_options}, {"system", take_system},
    {"keep_alive", take_keep_alive},        [MEMBER_USE] = {"for", take_use},
};

static void unknown_member(struct reader *r, const struct preset *p, const char *at, const char *name)
{
    const char *names[MEMBERS_N + 1] = {NULL};
    for (size_t i = 0; i < MEMBERS_N; i++)
        names[i] = members[i].name;
    const char *nearest = diag_nearest(name, names);
    TELL(r, at, "preset \"%s\": unknown member \"%.60s\"; %s%s%s", p->name, name, nearest ? "did you mean " : "there are model, options, system, keep_alive and for",
         nearest ? nearest : "", nearest ? "?" : "");
}

/* A member that was there before, and where. */
struct seen {
    const char *at; /* NULL: it was not */
    int line;
};

static int take_member(struct reader *r, struct preset *p, const struct json_member *m, struct seen seen[MEMBERS_N])
{
    char name[WORD_BYTES];
    ssize_t n = json_decode(m->name, name, sizeof name);
    size_t i = 0;
    if (n == -EINVAL)
        return 0; /* its escape was told */
    while (i < MEMBERS_N && (n < 0 || strcmp(name, members[i].name) != 0 || strlen(name) != (size_t)n))
        i++;
    if (i == MEMBERS_N) {
        unknown_member(r, p, m->at, n < 0 ? "…" : name);
        return 0;
    }
    if (seen[i].at) {
        TELL(r, m->at, "preset \"%s\": %s stands twice, first in line %d", p->name, name, seen[i].line);
        return 0;
    }
    seen[i] = (struct seen){m->at, json_mistakes_line(&r->m, m->at)};
    return members[i].take(r, p, &m->value);
}

/* What it is for: by its name where it does not say (an image to `vision`, else `cheap_text`); one preset each. */
static void settle_use(struct reader *r, struct preset *p, const char *name_at, const char *said_at)
{
    const char *at = said_at ? said_at : name_at;
    if (!said_at && strcmp(p->name, "cheap_text") == 0)
        p->use = PRESET_TEXT;
    if (!said_at && strcmp(p->name, "vision") == 0)
        p->use = PRESET_IMAGE;
    for (size_t i = 0; p->use != PRESET_NAMED && &r->out->items[i] < p; i++)
        if (r->out->items[i].use == p->use)
            TELL(r, at, "preset \"%s\" is for requests %s an image%s, and so is \"%s\" in line %d: one of them only", p->name,
                 p->use == PRESET_IMAGE ? "with" : "without", said_at ? "" : " by its name", r->out->items[i].name,
                 r->lines[i]);
}

static int read_members(struct reader *r, struct preset *p, const char *name_at, const struct json_value *object)
{
    struct seen seen[MEMBERS_N] = {{NULL, 0}};
    struct json_walk w = {object->at + 1, object->at + object->n};
    struct json_member m = {.is_last = 0};
    int error = 0, got = 1;
    for (int is_first = 1; got == 1 && !m.is_last && !error; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1)
            error = take_member(r, p, &m, seen);
    }
    if (!seen[MEMBER_MODEL].at)
        TELL(r, name_at, "preset \"%s\" names no model: add \"model\": \"NAME\"", p->name);
    settle_use(r, p, name_at, seen[MEMBER_USE].at);
    return error;
}

/* Whether it may be a name, which people read and write; a mistake is told. */
static int has_good_name(struct reader *r, const struct json_member *m, char name[PRESET_NAME_BYTES])
{
    ssize_t n = json_decode(m->name, name, PRESET_NAME_BYTES);
    uint32_t point;
    if (n == -EINVAL)
        return 0; /* its escape was told */
    if (n == 0)
        TELL(r, m->at, "a preset needs a name: {\"NAME\": {\"model\": \"…\"}}");
    if (n < 0)
        TELL(r, m->at, "the name of a preset has %d bytes at the most", PRESET_NAME_BYTES - 1);
    for (ssize_t i = 0, length; i < n; i += length) {
        length = (ssize_t)utf8_decode(name + i, (size_t)(n - i), &point);
        if (length > 0 && !utf8_is_harmful(point))
            continue;
        if (length > 0) /* else it was told */
            TELL(r, m->at, "the name of a preset has no control characters");
        return 0;
    }
    return n > 0;
}

/* 0, also after a mistake; -ENOMEM. */
static int take_preset(struct reader *r, const struct json_member *m)
{
    char name[PRESET_NAME_BYTES];
    struct presets *out = r->out;
    if (!has_good_name(r, m, name))
        return 0;
    const struct preset *before = presets_find(out, name, strlen(name));
    if (before)
        TELL(r, m->at, "preset \"%s\" stands twice, first in line %d", name, r->lines[before - out->items]);
    else if (out->items_n == PRESETS_MAX && !r->is_full)
        TELL(r, m->at, "more than %d presets", PRESETS_MAX);
    r->is_full |= out->items_n == PRESETS_MAX;
    if (before || r->is_full)
        return 0;
    struct preset *items = realloc(out->items, (out->items_n + 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    out->items = items;
    struct preset *p = &items[out->items_n];
    *p = (struct preset){.name = strdup(name)};
    if (!p->name)
        return -ENOMEM;
    r->lines[out->items_n++] = json_mistakes_line(&r->m, m->at);
    if (m->value.kind == JSON_OBJECT)
        return read_members(r, p, m->at, &m->value);
    TELL(r, m->value.at, "preset \"%s\" must be an object, such as {\"model\": \"llama3.2:1b\"}", name);
    return 0;
}

/* 0, also after mistakes; -ENOMEM. */
static int read_file(struct reader *r)
{
    struct json_walk w = {r->m.text, r->m.end};
    struct json_member m = {.is_last = 0};
    int error = 0, got = json_take(&w, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last && !error; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1)
            error = take_preset(r, &m);
    }
    if (error)
        return error;
    if (got >= 0)
        json_space(&w);
    if (got < 0)
        json_mistakes_stopped(&r->m, w.at);
    else if (w.at < w.end)
        TELL(r, w.at, "something stands behind the closing bracket: leave it out");
    return 0;
}

int presets_read(struct presets *p, const char *json, size_t json_n, const char *where, struct diag *d)
{
    struct reader r = {.out = p};
    unsigned before_n = d->errors_n;
    int error = 0;
    json_mistakes_init(&r.m, json, json_n, where, d);
    if (json_n > PRESETS_FILE_BYTES)
        diag_add(d, DIAG_ERROR, where, 0, "the file has %zu bytes; %d at the most", json_n, PRESETS_FILE_BYTES);
    else if (json_mistakes_look(&r.m) == 0)
        error = read_file(&r);
    return error ? error : d->errors_n > before_n ? -EINVAL : 0;
}

void presets_fini(struct presets *p)
{
    for (size_t i = 0; i < p->items_n; i++) {
        struct preset *item = &p->items[i];
        free(item->name);
        free(item->system);
        free(item->keep_alive);
        list_fini(&item->models);
        preset_options_fini(item->options, item->options_n);
    }
    free(p->items);
    *p = (struct presets){0};
}

const struct preset *presets_for(const struct presets *p, enum preset_use use)
{
    for (size_t i = 0; i < p->items_n; i++)
        if (p->items[i].use == use)
            return &p->items[i];
    return NULL;
}

const struct preset *presets_find(const struct presets *p, const char *name, size_t name_n)
{
    for (size_t i = 0; i < p->items_n; i++)
        if (strlen(p->items[i].name) == name_n && memcmp(p->items[i].name, name, name_n) == 0)
            return &p->items[i];
    return NULL;
}

static int write_text(struct buf *out, const char *before, const char *text)
{
    int error = buf_text(out, before);
    return error ? error : buf_json_string(out, text, strlen(text));
}

int presets_write(const struct preset *p, struct buf *out)
{
    int error = p->use == PRESET_NAMED ? buf_text(out, "{\"model\": ")
                                       : buf_printf(out, "{\"for\": \"%s\", \"model\": ", p->use == PRESET_TEXT ? "text" : "image");
    for (size_t i = 0; i < p->models.items_n && !error; i++)
        error = write_text(out, i ? ", " : "[", p->models.items[i]);
    error = error ? error : buf_text(out, "], \"options\": {");
    for (size_t i = 0; i < p->options_n && !error; i++)
        error = buf_printf(out, "%s\"%s\": %s", i ? ", " : "", p->options[i].name, p->options[i].value);
    error = error ? error : buf_text(out, "}");
    if (!error && p->keep_alive)
        error = buf_printf(out, ", \"keep_alive\": %s", p->keep_alive);
    if (!error && p->system)
        error = buf_printf(out, ", \"system\": %s", p->system);
    return error ? error : buf_text(out, "}");
}
