/*
 * See fair.h. A payer is in one set of the table, by his hash, as in a processor's cache; a row whose time has come says no more than an empty
 * one, so that nothing has to be taken out.
 */
#include "proxy/balance/fair.h"

#include "common/hash.h"

static struct fair_row *row_of(struct fair *f, uint64_t payer, unsigned priority)
{
    struct fair_row *set = f->rows[hash_add(hash_add(HASH_START, payer), priority) % FAIR_SETS];
    struct fair_row *least = set;
    for (size_t i = 0; i < FAIR_WAYS; i++) {
        if (set[i].payer == payer && set[i].priority == priority)
            return &set[i];
        if (set[i].finish_ms < least->finish_ms)
            least = &set[i];
    }
    *least = (struct fair_row){.payer = payer, .priority = priority};
    return least;
}

int64_t fair_tag_ms(struct fair *f, const struct balance_rules *rules, uint64_t payer, unsigned priority, int64_t cost_ms, int64_t now_ms)
{
    int64_t start_ms = now_ms;
    if (payer) {
        struct fair_row *row = row_of(f, payer, priority);
        int64_t most_ms = now_ms + rules->fair_max_ms;
        if (row->finish_ms > now_ms)
            start_ms = row->finish_ms;
        row->finish_ms = start_ms + cost_ms < most_ms ? start_ms + cost_ms : most_ms;
    }
    return start_ms + (int64_t)(BALANCE_PRIORITIES - 1 - priority) * rules->ageing_ms;
}
