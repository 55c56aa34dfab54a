/*
 * assign: which backend is best for a ticket, and when it could begin there; the rule itself, over numbers alone. balance.c walks the tickets, and
 * the script of proxy/store/balance does the same in Redis, step by step: what changes here changes there (tests compare them).
 *
 * The tickets that are looked at: of each model that somebody waits for the first DEPTH = max(ASSIGN_LANE_LEAST, ASSIGN_WINDOW / models) of its line, so
 * that no model's line hides another's; all of them in the order of tags, then of arrival. For each:
 *
 *   For each backend b that is open, has slots, and that the ticket may go to (run_ms >= 0):
 *     at     = now where a slot of b is free, else the earliest of the ends of b's slots; where none is known, b is left out.
 *     loaded = the ticket's model is loaded at b.
 *     cost   = run + (loaded ? 0 : load).
 *     If not loaded, and b is wanted as it is (tickets of the model that b was given last, and still has, are among those looked at, and one of them may go
 *              to b): at = max(at, b's last change of models + max(min_residency, ASSIGN_SWAP_LOADS * load)), and detour = ASSIGN_SWAP_LOADS * load: that
 *              model is to be loaded again for them, who wait meanwhile. Else detour = 0.
 *     finish = at + cost + detour.
 *   best = the one of the smallest finish, free = the same among those with at <= now. A tie is what is within max(10 ms, 1 % of (the smallest finish - now)) of the
 *     smallest: of such the one with fewer taken slots * 1000 / weight, then with the earlier last grant, then with the lower index.
 *   If there is a free, and finish(free) <= finish(best) + ASSIGN_PATIENCE_PERCENT of cost(free): it is granted free, and all begins anew.
 *   Else the ticket waits for best, and takes its slot in mind: where none is free there, the earliest end is taken out, and at + cost put among the ends. (Where
 *     one is free it may not change models yet, and the slot is for others until then.) If a slot is free at a backend that it may go to, all is to be looked at
 *     again at the earliest `at` that is not now, of best and of the backends with a free slot.
 *
 * A slot's end is when its ticket was granted + what it was to cost. One that is past counts as now + max(ASSIGN_OVERDUE_LEAST_MS, (now - granted) * ASSIGN_OVERDUE_PERCENT / 100).
 * Of a backend's ends the earliest ASSIGN_ENDS are kept. Where more of its slots are taken than it has, so many of the earliest ends are taken out as are
 * too many, before anything is looked at.
 */
#ifndef PROXY_BALANCE_ASSIGN_H
#define PROXY_BALANCE_ASSIGN_H

#include "proxy/balance/ticket.h"

enum {
    ASSIGN_WINDOW = 32,
    ASSIGN_LANE_LEAST = 4,
    ASSIGN_ENDS = 16,
    ASSIGN_PATIENCE_PERCENT = 50,
    ASSIGN_SWAP_LOADS = 3,
    ASSIGN_OVERDUE_LEAST_MS = 1000,
    ASSIGN_OVERDUE_PERCENT = 50,
    ASSIGN_TIE_LEAST_MS = 10,
    ASSIGN_TIE_PERCENT = 1,
};

/* A backend, as it is and as it becomes while tickets take slots in mind. */
struct assign_backend {
    int is_open;
    size_t free_n, used_n;
    unsigned weight;
    int64_t last_ms; /* when it was given something last */
    int64_t swapped_ms; /* when it changed models last */
    int is_wanted;      /* somebody waits for the model that is there */
    size_t ends_n;
    int64_t ends_ms[ASSIGN_ENDS]; /* of slots that are taken, the earliest first */
};

struct assign {
    int64_t now_ms, min_residency_ms;
    size_t backends_n;
    struct assign_backend backends[BALANCE_BACKENDS];
};

struct assign_pick {
    int backend;     /* -1: none will do */
    int64_t at_ms;   /* when it may begin: now_ms, if it is granted */
    int64_t cost_ms; /* from then on */
    int64_t again_ms; /* a slot is free where it may go, and it does better to wait: when to look again; 0: not before something has changed */
};

/* A backend with so many slots, all of them free as yet; the next index. 0 slots, or not open: nothing is picked there. */
struct assign_backend *assign_add(struct assign *a, size_t slots_n, unsigned weight, int is_open);
/* A slot of it is taken, since and until when. */
void assign_add_lease(const struct assign *a, struct assign_backend *b, int64_t granted_ms, int64_t ends_ms);
/* After all leases: those beyond its slots_n. */
void assign_cut(struct assign_backend *b, size_t slots_n);
/* loaded: a bit for each backend where the ticket's model is loaded. */
void assign_pick(const struct assign *a, const struct balance_way *ways, uint64_t loaded, struct assign_pick *out);
/* A ticket that waits takes that slot in mind; or one that is granted, where it is only asked how all would go. */
void assign_take(struct assign *a, const struct assign_pick *pick);

#endif
