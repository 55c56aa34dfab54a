/*
 * See balance.h. What waits stands in a line of its model (lanes.h), by tag; what has a slot is in a list of its backend. A slot is given by assign.h's rule,
 * over the first tickets of all lines. While all slots are taken nobody is looked at.
 */
#include "proxy/balance/balance.h"

#include "common/parse.h"
#include "proxy/balance/assign.h"
#include "proxy/balance/fair.h"
#include "proxy/balance/lanes.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOADED_MODELS = 16,  /* at one backend, as far as it is known here */
    WAIT_LOOKED_AT = 256, /* who stands behind so many is told what these take in proportion */
};

struct backend {
    size_t slots_n, used_n;
    unsigned weight;
    int is_open;
    struct balance_ticket *first; /* of those in its slots */
    int64_t last_ms;              /* it was given something */
    struct loaded { uint32_t hash; int64_t given_ms; } loaded[LOADED_MODELS];
    size_t loaded_n;
    uint32_t resident;            /* the model that it was given last, where it has that loaded; 0: none */
    int64_t swapped_ms;           /* when it changed models last */
};

struct balance {
    const struct balance_rules *rules;
    struct waiting *waiting;
    uint64_t sequence;
    int backends_n; /* one above the highest index */
    struct backend backends[BALANCE_BACKENDS];
    struct lanes lanes;
    struct fair fair;
    struct assign assign; /* of the last look */
};

struct balance *balance_new(const struct balance_rules *rules, struct waiting *waiting)
{
    struct balance *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->rules = rules;
    b->waiting = waiting;
    return b;
}

void balance_free(struct balance **b)
{
    if (!*b)
        return;
    lanes_free(&(*b)->lanes);
    free(*b);
    *b = NULL;
}

void balance_set_backend(struct balance *b, int index, size_t slots_n, unsigned weight, int is_open)
{
    struct backend *k = &b->backends[index];
    k->slots_n = slots_n;
    k->weight = weight;
    k->is_open = is_open;
    if (slots_n == 0) { /* another one may have its place */
        k->loaded_n = 0;
        k->resident = 0;
    }
    if (index >= b->backends_n)
        b->backends_n = index + 1;
}

/* ---- which models are loaded where ---- */

/* loaded_n where it is not. */
static size_t find_loaded(const struct backend *k, uint32_t hash)
{
    size_t i = 0;
    while (i < k->loaded_n && k->loaded[i].hash != hash)
        i++;
    return i;
}

static void add_loaded(struct backend *k, uint32_t hash, int64_t given_ms)
{
    size_t i = find_loaded(k, hash);
    if (i == LOADED_MODELS)
        return;
    if (i == k->loaded_n)
        k->loaded_n++;
    k->loaded[i] = (struct loaded){hash, given_ms};
}

void balance_set_loaded(struct balance *b, int index, const char *const *names, size_t names_n, int64_t asked_ms)
{
    struct backend *k = &b->backends[index];
    size_t kept_n = 0;
    for (size_t i = 0; i < k->loaded_n; i++)
        if (k->loaded[i].given_ms >= asked_ms)
            k->loaded[kept_n++] = k->loaded[i];
    k->loaded_n = kept_n;
    for (size_t i = 0; i < names_n; i++) {
        uint32_t hash = model_name_hash(names[i], strlen(names[i]));
        if (find_loaded(k, hash) == k->loaded_n)
            add_loaded(k, hash, INT64_MIN);
    }
    if (find_loaded(k, k->resident) == k->loaded_n)
        k->resident = 0;
}

/* The backend works with this model from now on. */
static void give_model(struct backend *k, uint32_t hash, int64_t now_ms)
{
    if (find_loaded(k, hash) == k->loaded_n) { /* another one goes for it, as far as is known before it says so */
        k->loaded_n = 0;
        k->swapped_ms = now_ms;
    }
    add_loaded(k, hash, now_ms);
    k->resident = hash;
}

static uint64_t loaded_bits(const struct balance *b, uint32_t hash)
{
    uint64_t bits = 0;
    for (int i = 0; i < b->backends_n; i++)
        if (find_loaded(&b->backends[i], hash) < b->backends[i].loaded_n)
            bits |= UINT64_C(1) << i;
    return bits;
}

/* ---- who waits, and who has a slot ---- */

static int is_free(const struct backend *k)
{
    return k->is_open && k->used_n < k->slots_n;
}

static int has_free_way(const struct balance *b, const struct balance_way *ways)
{
    int i = 0;
    while (i < b->backends_n && !(is_free(&b->backends[i]) && ways[i].run_ms >= 0))
        i++;
    return i < b->backends_n;
}

static int64_t cost_ms(const struct balance *b, uint32_t hash, const struct balance_way *ways, int is_guess)
{
    uint64_t loaded = loaded_bits(b, hash);
    int64_t least_ms = INT64_MAX;
    size_t slots_n = 0;
    for (int i = 0; i < b->backends_n; i++) {
        if (!b->backends[i].is_open)
            continue;
        int64_t way_ms = (int64_t)ways[i].run_ms + (loaded >> i & 1 ? 0 : ways[i].load_ms);
        if (ways[i].run_ms >= 0 && way_ms < least_ms)
            least_ms = way_ms;
        slots_n += b->backends[i].slots_n;
    }
    return fair_cost_ms(b->rules, least_ms == INT64_MAX ? 0 : least_ms / (int64_t)(slots_n ? slots_n : 1), is_guess);
}

int64_t balance_cost_ms(const struct balance *b, const char *model, const struct balance_way *ways, int is_guess)
{
    return cost_ms(b, model_name_hash(model, strlen(model)), ways, is_guess);
}

enum balance_verdict balance_enter(struct balance *b, struct balance_ticket *t, const char *model, int is_accepted, int64_t now_ms)
{
    if (t->lane)
        return BALANCE_WAIT;
    struct balance_lane *lane = lanes_take(&b->lanes, model);
    if (!lane)
        return BALANCE_NO_MEMORY;
    int has_turn = !lane->line.root && has_free_way(b, t->ways);
    if (!is_accepted && !has_turn && waiting_is_full(b->waiting)) {
        lanes_settle(&b->lanes, lane);
        return BALANCE_FULL;
    }
    t->lane = lane;
    if (!t->is_tagged || !is_accepted) {
        t->tag_ms = fair_tag_ms(&b->fair, b->rules, t->payer, t->priority, now_ms);
        t->cost_ms = cost_ms(b, lane->hash, t->ways, t->is_guess);
        t->sequence = ++b->sequence;
        t->is_tagged = 1;
    }
    t->backend = -1;
    fair_owe(&b->fair, t->payer, t->priority, t->cost_ms);
    lanes_add(&b->lanes, t);
    b->waiting->now_n++;
    return BALANCE_WAIT;
}

static void step_out_of_line(struct balance *b, struct balance_ticket *t)
{
    lanes_remove(&b->lanes, t);
    b->waiting->now_n--;
}

static void leave_slot(struct balance *b, struct balance_ticket *t)
{
    struct backend *k = &b->backends[t->backend];
    *(t->left ? &t->left->right : &k->first) = t->right;
    if (t->right)
        t->right->left = t->left;
    t->left = t->right = NULL;
    k->used_n--;
    t->lane->serving_n--;
}

void balance_leave(struct balance *b, struct balance_ticket *t)
{
    struct balance_lane *lane = t->lane;
    if (!lane)
        return;
    if (t->backend < 0)
        step_out_of_line(b, t);
    else
        leave_slot(b, t);
    fair_settle(&b->fair, t->payer, t->priority, t->cost_ms);
    t->backend = -1;
    t->lane = NULL;
    lanes_settle(&b->lanes, lane);
}

void balance_grant(struct balance *b, struct balance_ticket *t, int backend, int64_t now_ms)
{
    struct backend *k = &b->backends[backend];
    const struct balance_way *way = &t->ways[backend];
    int64_t run_ms = way->run_ms > 0 ? way->run_ms : 0, load_ms = find_loaded(k, t->lane->hash) < k->loaded_n ? 0 : way->load_ms;
    step_out_of_line(b, t);
    t->backend = backend;
    t->granted_ms = now_ms;
    t->ends_ms = now_ms + run_ms + load_ms;
    t->left = NULL;
    t->right = k->first;
    if (k->first)
        k->first->left = t;
    k->first = t;
    k->used_n++;
    k->last_ms = now_ms;
    t->lane->serving_n++;
    give_model(k, t->lane->hash, now_ms);
}

/* ---- who is next ---- */

static size_t depth_of(const struct balance *b)
{
    size_t share_n = b->lanes.waited_n ? ASSIGN_WINDOW / b->lanes.waited_n : ASSIGN_WINDOW;
    return share_n > ASSIGN_LANE_LEAST ? share_n : ASSIGN_LANE_LEAST;
}

/* Whether one of those that are looked at waits for the model that is there, and may have it there. */
static int is_resident_wanted(const struct balance *b, int index)
{
    const struct backend *k = &b->backends[index];
    const struct balance_lane *lane = k->resident ? lanes_waited(&b->lanes, k->resident) : NULL;
    const struct balance_ticket *t = lane ? line_first(&lane->line) : NULL;
    for (size_t i = depth_of(b); t && i > 0 && t->ways[index].run_ms < 0; i--)
        t = i > 1 ? line_next(t) : NULL;
    return t != NULL;
}

/* What assign.h goes by, as it is now. */
static void look(struct balance *b, int64_t now_ms)
{
    struct assign *a = &b->assign;
    a->now_ms = now_ms;
    a->min_residency_ms = b->rules->min_residency_ms;
    a->backends_n = 0;
    for (int i = 0; i < b->backends_n; i++) {
        const struct backend *k = &b->backends[i];
        struct assign_backend *to = assign_add(a, k->slots_n, k->weight, k->is_open);
        to->last_ms = k->last_ms;
        for (const struct balance_ticket *t = k->first; t; t = t->right)
            assign_add_lease(a, to, t->granted_ms, t->ends_ms);
        assign_cut(to, k->slots_n);
        to->swapped_ms = k->swapped_ms;
        to->is_wanted = is_resident_wanted(b, i);
    }
    for (struct balance_lane *lane = b->lanes.waited; lane; lane = lane->next_waited)
        lane->loaded = loaded_bits(b, lane->hash);
}

static int is_any_free(const struct balance *b)
{
    int i = 0;
    while (i < b->backends_n && !is_free(&b->backends[i]))
        i++;
    return i < b->backends_n;
}

struct balance_ticket *balance_next(struct balance *b, int64_t now_ms, int64_t *again_ms)
{
    *again_ms = 0;
    if (b->lanes.waiting_n == 0 || !is_any_free(b))
        return NULL;
    look(b, now_ms);
    lanes_walk(&b->lanes, depth_of(b));
    for (struct balance_ticket *t; (t = lanes_next(&b->lanes));) {
        struct assign_pick pick;
        assign_pick(&b->assign, t->ways, t->lane->loaded, &pick);
        if (pick.backend >= 0 && pick.at_ms <= now_ms) {
            balance_grant(b, t, pick.backend, now_ms);
            *again_ms = 0;
            return t;
        }
        if (pick.again_ms && (*again_ms == 0 || pick.again_ms < *again_ms))
            *again_ms = pick.again_ms;
        if (pick.backend >= 0)
            assign_take(&b->assign, &pick);
    }
    return NULL;
}

/* ---- what those who wait are told ---- */

size_t balance_place(const struct balance *b, const struct balance_ticket *t)
{
    size_t before_n = 0;
    for (const struct balance_lane *lane = b->lanes.waited; lane; lane = lane->next_waited)
        before_n += line_before_n(&lane->line, t);
    return before_n;
}

/* The wait of who stands behind those that were looked at, the last of whom waits so long. */
static int64_t behind_ms(int64_t wait_ms, size_t place)
{
    return wait_ms * (int64_t)(place + 1) / WAIT_LOOKED_AT;
}

int balance_each(struct balance *b, int64_t now_ms, balance_fn *fn, void *context)
{
    int64_t wait_ms = 0;
    size_t place = 0;
    look(b, now_ms);
    lanes_walk(&b->lanes, SIZE_MAX);
    for (struct balance_ticket *t; (t = lanes_next(&b->lanes)); place++) {
        if (place < WAIT_LOOKED_AT) {
            struct assign_pick pick;
            assign_pick(&b->assign, t->ways, t->lane->loaded, &pick);
            wait_ms = pick.backend < 0 ? 0 : pick.at_ms - now_ms;
            if (pick.backend >= 0)
                assign_take(&b->assign, &pick);
        }
        int verdict = fn(context, t, t->lane->model, place, place < WAIT_LOOKED_AT ? wait_ms : behind_ms(wait_ms, place));
        if (verdict)
            return verdict;
    }
    return 0;
}

struct sought {
    size_t place;
    int64_t wait_ms;
};

static int take_wait(void *context, const struct balance_ticket *t, const char *model, size_t place, int64_t wait_ms)
{
    struct sought *s = context;
    (void)t;
    (void)model;
    s->wait_ms = wait_ms;
    return place == s->place;
}

int64_t balance_wait_ms(struct balance *b, const struct balance_ticket *t, int64_t now_ms)
{
    size_t place = balance_place(b, t), last = WAIT_LOOKED_AT - 1;
    struct sought s = {.place = place < last ? place : last};
    (void)balance_each(b, now_ms, take_wait, &s);
    return place <= last ? s.wait_ms : behind_ms(s.wait_ms, place);
}

size_t balance_used_n(const struct balance *b, int index)
{
    return b->backends[index].used_n;
}

size_t balance_waiting_n(const struct balance *b)
{
    return b->lanes.waiting_n;
}
