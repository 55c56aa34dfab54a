/* See capabilities.h. */
#include "proxy/capabilities.h"

#include "common/json_read.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/parse.h"

#include <stdio.h>
#include <string.h>

enum { LIST, TEMPLATE, PROJECTOR, SHOW_N };

/* A thinking model's template says .Thinking; other marks of it differ from model to model. */
static unsigned read_template(const struct json_value *v)
{
    unsigned has = TRANSLATE_THINKING;
    if (v[TEMPLATE].kind != JSON_STRING)
        return CAPABILITIES_ALL;
    if (memmem(v[TEMPLATE].at, v[TEMPLATE].n, ".Tools", 6))
        has |= TRANSLATE_TOOLS;
    return v[PROJECTOR].kind == JSON_OBJECT ? has | TRANSLATE_IMAGES : has;
}

unsigned capabilities_read(const char *json, size_t json_n)
{
    static const char *const names[SHOW_N] = {"capabilities", "template", "projector_info"};
    static const struct {
        const char *name;
        unsigned bit;
    } rows[] = {{"tools", TRANSLATE_TOOLS}, {"vision", TRANSLATE_IMAGES}, {"thinking", TRANSLATE_THINKING}};
    struct json_walk w = {json, json + json_n};
    struct json_value v[SHOW_N], item;
    struct json_items items;
    unsigned has = 0;
    if (json_read_members(&w, names, SHOW_N, JSON_EXACT, v) < 0)
        return CAPABILITIES_ALL;
    if (v[LIST].kind != JSON_ARRAY)
        return read_template(v);
    json_items_init(&items, &v[LIST]);
    while (json_items_next(&items, &item))
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (json_read_is(&item, rows[i].name))
                has |= rows[i].bit;
    return has;
}

void capabilities_init(struct capabilities *c, struct backend *backend, const struct tell *tell, capabilities_shown_fn *shown, void *context)
{
    c->backend = backend;
    c->tell = tell;
    c->shown = shown;
    c->context = context;
}

void capabilities_fini(struct capabilities *c)
{
    for (size_t i = 0; i < CAPABILITIES_MODELS; i++)
        show_request_free(&c->rows[i].show);
}

static struct capabilities_row *find(struct capabilities *c, const char *model)
{
    for (size_t i = 0; i < CAPABILITIES_MODELS; i++) {
        struct capabilities_row *row = &c->rows[i];
        if (row->model[0] && model_name_equal(row->model, strlen(row->model), model, strlen(model)))
            return row;
    }
    return NULL;
}

static int is_busy(const struct capabilities_row *row)
{
    return row->show || row->first;
}

/* The model's, a free one, or the longest unused of those that nobody waits for; NULL: there is none. */
static struct capabilities_row *row_of(struct capabilities *c, const char *model)
{
    struct capabilities_row *row = find(c, model);
    if (row)
        return row;
    for (size_t i = 0; i < CAPABILITIES_MODELS && !(row && !row->model[0]); i++)
        if (!is_busy(&c->rows[i]) && (!row || c->rows[i].used < row->used))
            row = &c->rows[i];
    if (!row)
        return NULL;
    *row = (struct capabilities_row){.owner = c};
    snprintf(row->model, sizeof row->model, "%s", model);
    return row;
}

static void note(struct capabilities_row *row, const char *json, size_t json_n)
{
    int64_t now_ms = loop_now_ms(row->owner->backend->loop);
    row->has = json ? capabilities_read(json, json_n) : CAPABILITIES_ALL;
    row->until_ms = now_ms + (json ? CAPABILITIES_KEPT_MS : CAPABILITIES_UNKNOWN_MS);
    log_event(LOG_DEBUG, "capabilities", "model=%s known=%s tools=%s images=%s thinking=%s", row->model, json ? "yes" : "no",
              row->has & TRANSLATE_TOOLS ? "yes" : "no", row->has & TRANSLATE_IMAGES ? "yes" : "no",
              row->has & TRANSLATE_THINKING ? "yes" : "no");
}

void capabilities_leave(struct capabilities_ticket *t)
{
    if (!t->row)
        return;
    if (t->prev)
        t->prev->next = t->next;
    else
        t->row->first = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        t->row->last = t->prev;
    t->row = NULL;
    t->next = t->prev = NULL;
}

static void on_shown(void *context, const char *json, size_t json_n)
{
    struct capabilities_row *row = context;
    struct capabilities *c = row->owner;
    row->show = NULL; /* it frees itself */
    if (!row->is_stale)
        note(row, json, json_n);
    row->is_stale = 0;
    if (json && c->shown)
        c->shown(c->context, row->model, json, json_n);
    while (row->first && !row->show) { /* one of them may ask for it once more */
        struct capabilities_ticket *t = row->first;
        capabilities_leave(t);
        t->fn(t->context);
    }
}

int capabilities_look(struct capabilities *c, struct capabilities_ticket *t, const char *model, unsigned *has)
{
    struct capabilities_row *row = row_of(c, model);
    *has = CAPABILITIES_ALL;
    if (!row)
        return 1;
    row->used = ++c->uses;
    if (loop_now_ms(c->backend->loop) < row->until_ms) {
        *has = row->has;
        return 1;
    }
    if (!row->show && show_request_new(&row->show, c->backend, c->tell, model, on_shown, row) < 0)
        return 1;
    capabilities_leave(t);
    t->row = row;
    t->prev = row->last;
    if (row->last)
        row->last->next = t;
    else
        row->first = t;
    row->last = t;
    return 0;
}

void capabilities_learn(struct capabilities *c, const char *model, const char *json, size_t json_n)
{
    struct capabilities_row *row = json ? row_of(c, model) : NULL;
    if (!row)
        return;
    row->used = ++c->uses;
    if (!row->show)
        note(row, json, json_n);
}

void capabilities_forget(struct capabilities *c)
{
    for (size_t i = 0; i < CAPABILITIES_MODELS; i++) {
        struct capabilities_row *row = &c->rows[i];
        if (!row->model[0])
            continue;
        row->until_ms = 0;
        row->is_stale = row->show != NULL;
    }
}
