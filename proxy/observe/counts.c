/* See counts.h. */
#include "proxy/observe/counts.h"

#include "proxy/route.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"ok", "refused", "timeout", "cancelled", "client_gone", "backend_error", "failed"};
_Static_assert(sizeof names / sizeof *names == OUTCOME_COUNT, "a name for each outcome");

const char *outcome_name(enum outcome outcome)
{
    return names[outcome];
}

void counts_init(struct counts *c)
{
    memcpy(c->other.name, "other", sizeof "other");
}

void counts_fini(struct counts *c)
{
    for (size_t i = 0; i < c->models_n; i++)
        free(c->models[i]);
    c->models_n = 0;
}

/* Most requests are for the model of the one before. */
static struct model_counts *find(struct counts *c, const char *model)
{
    if (c->latest < c->models_n && strcmp(c->models[c->latest]->name, model) == 0)
        return c->models[c->latest];
    for (size_t i = 0; i < c->models_n; i++) {
        if (strcmp(c->models[i]->name, model) == 0) {
            c->latest = i;
            return c->models[i];
        }
    }
    return NULL;
}

size_t counts_route(const struct route *r)
{
    size_t n;
    const struct route *table = route_table(&n);
    return r ? (size_t)(r - table) : n;
}

struct model_counts *counts_model(struct counts *c, const char *model, int is_real)
{
    struct model_counts *m = *model ? find(c, model) : &c->none;
    size_t model_n = strlen(model);
    if (m)
        return m;
    if (!is_real || c->models_n == COUNTS_MODELS_MAX || model_n >= sizeof m->name || strcmp(model, c->other.name) == 0)
        return &c->other;
    m = calloc(1, sizeof *m);
    if (!m)
        return &c->other;
    memcpy(m->name, model, model_n);
    c->latest = c->models_n;
    c->models[c->models_n++] = m;
    return m;
}
