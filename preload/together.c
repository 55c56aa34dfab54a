/*
 * See together.h. A model is PULLING while any site pulls it, READY when all have it, FAILED when each has it or has failed: the reason
 * names who has. What a site's rows say is looked at only where one of them has changed.
 */
#include "preload/together.h"

#include <stdio.h>
#include <string.h>

/* What the sites say of one model. */
struct tally {
    size_t of[CONTRACT_MODEL_FAILED + 1];
    char who[CONTRACT_REASON_BYTES]; /* names of those that failed, else of those that try again */
    const char *reason;              /* of the first of them; NULL: nobody has one */
};

/* Those that failed for good are told before those that will try again. */
static int is_told(const struct model *m, int is_failed)
{
    return m->reason && (m->state == CONTRACT_MODEL_FAILED) == is_failed;
}

static void tell_who(struct tally *t, const struct site *sites, size_t sites_n, size_t at, int is_failed)
{
    size_t n = 0;
    for (size_t i = 0; i < sites_n; i++) {
        const struct model *m = &sites[i].own.items[at];
        if (!is_told(m, is_failed))
            continue;
        t->reason = t->reason ? t->reason : m->reason;
        if (n < sizeof t->who)
            n += (size_t)snprintf(t->who + n, sizeof t->who - n, "%s%s", n ? ", " : "", sites[i].name);
    }
}

static void count(struct tally *t, const struct site *sites, size_t sites_n, size_t at)
{
    *t = (struct tally){.reason = NULL};
    for (size_t i = 0; i < sites_n; i++)
        t->of[sites[i].own.items[at].state]++;
    tell_who(t, sites, sites_n, at, 1);
    if (!t->reason)
        tell_who(t, sites, sites_n, at, 0);
}

static enum contract_model_state state_of(const struct tally *t)
{
    if (t->of[CONTRACT_MODEL_PULLING])
        return CONTRACT_MODEL_PULLING;
    if (t->of[CONTRACT_MODEL_PENDING])
        return CONTRACT_MODEL_PENDING;
    return t->of[CONTRACT_MODEL_FAILED] ? CONTRACT_MODEL_FAILED : CONTRACT_MODEL_READY;
}

static void tell_row(struct models *all, const struct site *sites, size_t sites_n, size_t at, int64_t now_ms)
{
    struct tally t;
    struct model *row = &all->items[at];
    char reason[CONTRACT_REASON_BYTES] = "";
    count(&t, sites, sites_n, at);
    if (t.reason)
        snprintf(reason, sizeof reason, "%.*s: %s", CONTRACT_REASON_BYTES / 2, t.who, t.reason);
    if (state_of(&t) != row->state || strcmp(reason, row->reason ? row->reason : "") != 0)
        models_set(all, row, state_of(&t), reason, now_ms);
}

/* Bytes of one model, at all that pull it now. */
static void tell_progress(struct models *all, struct site *sites, size_t sites_n, struct site *of, int64_t now_ms)
{
    const struct model *current = of->pull.current;
    size_t at = (size_t)(current - of->own.items);
    uint64_t completed = 0, total = 0;
    for (size_t i = 0; i < sites_n; i++) {
        const struct pull *p = &sites[i].pull;
        if (p->state != PULL_PULLING || p->current != &sites[i].own.items[at])
            continue;
        completed += p->progress.completed;
        total += p->progress.total;
    }
    uint64_t told = of->told_model == current ? of->told_grown : 0;
    of->told_model = current;
    of->told_grown = of->pull.progress.grown;
    models_progress(all, &all->items[at], completed, total, of->told_grown > told ? of->told_grown - told : 0, now_ms);
}

void together_tell(struct models *all, struct site *sites, size_t sites_n, int64_t now_ms)
{
    int is_changed = 0;
    for (size_t i = 0; i < sites_n; i++) {
        is_changed |= sites[i].own.is_untold;
        sites[i].own.is_untold = 0;
    }
    for (size_t at = 0; is_changed && at < all->items_n; at++)
        tell_row(all, sites, sites_n, at, now_ms);
    for (size_t i = 0; i < sites_n; i++) {
        if (sites[i].has_news && sites[i].pull.state == PULL_PULLING)
            tell_progress(all, sites, sites_n, &sites[i], now_ms);
        sites[i].has_news = 0;
    }
}
