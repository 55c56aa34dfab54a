/* See assign.h. */
#include "proxy/balance/assign.h"

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void add_end(struct assign_backend *b, int64_t end_ms)
{
    if (b->ends_n == ASSIGN_ENDS && end_ms >= b->ends_ms[ASSIGN_ENDS - 1])
        return;
    size_t at = b->ends_n < ASSIGN_ENDS ? b->ends_n++ : ASSIGN_ENDS - 1;
    for (; at > 0 && b->ends_ms[at - 1] > end_ms; at--)
        b->ends_ms[at] = b->ends_ms[at - 1];
    b->ends_ms[at] = end_ms;
}

static void drop_ends(struct assign_backend *b, size_t n)
{
    n = n < b->ends_n ? n : b->ends_n;
    b->ends_n -= n;
    for (size_t i = 0; i < b->ends_n; i++)
        b->ends_ms[i] = b->ends_ms[i + n];
}

struct assign_backend *assign_add(struct assign *a, size_t slots_n, unsigned weight, int is_open)
{
    struct assign_backend *b = &a->backends[a->backends_n++];
    *b = (struct assign_backend){.is_open = is_open && slots_n > 0, .free_n = slots_n, .weight = weight ? weight : 1};
    return b;
}

void assign_add_lease(const struct assign *a, struct assign_backend *b, int64_t granted_ms, int64_t ends_ms)
{
    b->used_n++;
    if (b->free_n > 0)
        b->free_n--;
    if (ends_ms <= a->now_ms)
        ends_ms = a->now_ms + max_ms(ASSIGN_OVERDUE_LEAST_MS, (a->now_ms - granted_ms) * ASSIGN_OVERDUE_PERCENT / 100);
    add_end(b, ends_ms);
}

void assign_cut(struct assign_backend *b, size_t slots_n)
{
    if (b->used_n > slots_n)
        drop_ends(b, b->used_n - slots_n);
}

/* What a ticket would have of one backend. */
struct offer {
    int64_t at_ms, cost_ms, finish_ms;
    int is_free; /* a slot is free, whatever model is there */
};

/* 0 where it may not go there. */
static int make_offer(const struct assign *a, size_t i, const struct balance_way *way, int is_loaded, struct offer *out)
{
    const struct assign_backend *b = &a->backends[i];
    if (!b->is_open || way->run_ms < 0 || (b->free_n == 0 && b->ends_n == 0))
        return 0;
    out->is_free = b->free_n > 0;
    out->at_ms = out->is_free ? a->now_ms : max_ms(a->now_ms, b->ends_ms[0]);
    out->cost_ms = (int64_t)way->run_ms + (is_loaded ? 0 : way->load_ms);
    int64_t detour_ms = is_loaded || !b->is_wanted ? 0 : (int64_t)way->load_ms * ASSIGN_SWAP_LOADS;
    if (!is_loaded && b->is_wanted)
        out->at_ms = max_ms(out->at_ms, b->swapped_ms + max_ms(a->min_residency_ms, detour_ms));
    out->finish_ms = out->at_ms + out->cost_ms + detour_ms;
    return 1;
}

/* Of two that are as good. */
static int is_preferred(const struct assign_backend *a, const struct assign_backend *b)
{
    uint64_t taken_a = (uint64_t)a->used_n * 1000 / a->weight, taken_b = (uint64_t)b->used_n * 1000 / b->weight;
    return taken_a != taken_b ? taken_a < taken_b : a->last_ms < b->last_ms;
}

/* The best of those that have an offer, or of those that could begin now; -1: none. */
static int choose(const struct assign *a, const struct offer *offers, uint64_t has_offer, int only_now)
{
    int64_t least_ms = INT64_MAX;
    uint64_t among = 0;
    for (size_t i = 0; i < a->backends_n; i++) {
        if (!(has_offer >> i & 1) || (only_now && offers[i].at_ms > a->now_ms))
            continue;
        among |= UINT64_C(1) << i;
        if (offers[i].finish_ms < least_ms)
            least_ms = offers[i].finish_ms;
    }
    int best = -1;
    for (size_t i = 0; i < a->backends_n && among; i++) {
        int64_t tie_ms = max_ms(ASSIGN_TIE_LEAST_MS, (least_ms - a->now_ms) * ASSIGN_TIE_PERCENT / 100);
        if ((among >> i & 1) && offers[i].finish_ms <= least_ms + tie_ms && (best < 0 || is_preferred(&a->backends[i], &a->backends[best])))
            best = (int)i;
    }
    return best;
}

/* When time alone may change the mind of a ticket that waits for best: 0 where it has no choice. */
static int64_t again_ms(const struct assign *a, const struct offer *offers, uint64_t has_offer, int best)
{
    int64_t least_ms = offers[best].at_ms;
    int has_choice = 0;
    for (size_t i = 0; i < a->backends_n; i++) {
        if (!(has_offer >> i & 1) || !offers[i].is_free)
            continue;
        has_choice = 1;
        if (offers[i].at_ms > a->now_ms && offers[i].at_ms < least_ms)
            least_ms = offers[i].at_ms;
    }
    return has_choice ? least_ms : 0;
}

void assign_pick(const struct assign *a, const struct balance_way *ways, uint64_t loaded, struct assign_pick *out)
{
    struct offer offers[BALANCE_BACKENDS];
    uint64_t has_offer = 0;
    for (size_t i = 0; i < a->backends_n; i++)
        if (make_offer(a, i, &ways[i], (int)(loaded >> i & 1), &offers[i]))
            has_offer |= UINT64_C(1) << i;
    int best = choose(a, offers, has_offer, 0), now = choose(a, offers, has_offer, 1);
    if (now >= 0 && offers[now].finish_ms <= offers[best].finish_ms + offers[now].cost_ms * ASSIGN_PATIENCE_PERCENT / 100)
        best = now;
    *out = (struct assign_pick){.backend = best};
    if (best < 0)
        return;
    out->at_ms = offers[best].at_ms;
    out->cost_ms = offers[best].cost_ms;
    if (out->at_ms > a->now_ms)
        out->again_ms = again_ms(a, offers, has_offer, best);
}

void assign_take(struct assign *a, const struct assign_pick *pick)
{
    struct assign_backend *b = &a->backends[pick->backend];
    if (b->free_n > 0 && pick->at_ms > a->now_ms)
        return;
    if (b->free_n > 0) {
        b->free_n--;
        b->used_n++;
    } else {
        drop_ends(b, 1);
    }
    add_end(b, pick->at_ms + pick->cost_ms);
}

