/* See fair.h. A payer is in one set of the table, by his hash, as in a processor's cache; a row of one who owes nothing is free. */
#include "proxy/balance/fair.h"

#include "common/hash.h"

/* NULL: he owes nothing, as far as is known. */
static struct fair_row *find(const struct fair *f, uint64_t payer)
{
    const struct fair_row *set = f->rows[hash_add(HASH_START, payer) % FAIR_SETS];
    for (size_t i = 0; payer && i < FAIR_WAYS; i++)
        if (set[i].payer == payer)
            return (struct fair_row *)&set[i];
    return NULL;
}

static struct fair_row *take(struct fair *f, uint64_t payer)
{
    struct fair_row *set = f->rows[hash_add(HASH_START, payer) % FAIR_SETS], *least = set;
    for (size_t i = 1; i < FAIR_WAYS; i++)
        if (set[i].sum_ms < least->sum_ms)
            least = &set[i];
    *least = (struct fair_row){.payer = payer};
    return least;
}

int64_t fair_cost_ms(const struct balance_rules *rules, int64_t whole_ms, int is_guess)
{
    int64_t most_ms = rules->ageing_ms / FAIR_GUESSES;
    return is_guess && whole_ms > most_ms ? most_ms : whole_ms;
}

int64_t fair_tag_ms(const struct fair *f, const struct balance_rules *rules, uint64_t payer, unsigned priority, int64_t now_ms)
{
    const struct fair_row *row = find(f, payer);
    int64_t owed_ms = 0;
    for (unsigned i = priority; row && i < BALANCE_PRIORITIES; i++)
        owed_ms += row->owed_ms[i];
    return now_ms + (owed_ms < rules->fair_max_ms ? owed_ms : rules->fair_max_ms) + (int64_t)(BALANCE_PRIORITIES - 1 - priority) * rules->ageing_ms;
}

void fair_owe(struct fair *f, uint64_t payer, unsigned priority, int64_t cost_ms)
{
    if (!payer || cost_ms == 0)
        return;
    struct fair_row *row = find(f, payer);
    row = row ? row : take(f, payer);
    row->owed_ms[priority] += cost_ms;
    row->sum_ms += cost_ms;
}

void fair_settle(struct fair *f, uint64_t payer, unsigned priority, int64_t cost_ms)
{
    struct fair_row *row = find(f, payer);
    if (!row)
        return;
    int64_t owed_ms = row->owed_ms[priority] < cost_ms ? row->owed_ms[priority] : cost_ms; /* less: he was forgotten meanwhile */
    row->owed_ms[priority] -= owed_ms;
    row->sum_ms -= owed_ms;
    if (row->sum_ms == 0)
        row->payer = 0;
}
