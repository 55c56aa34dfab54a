/*
 * balance: which request goes to which backend next. Requests wait in one place, by priority, and leave it only when a backend has a free
 * slot; each goes where its answer is expected to end first. Pure: no clock, no socket, no request; the proxy and the simulator of
 * bench/balance run this very code.
 *
 * Order is one number that never changes, so that ageing is free: a request's tag is its start (now, or later by what its payer has there already) plus
 * ageing_ms for each class below 9. See assign.h for who gets which slot, fair.h for the tag.
 */
#ifndef PROXY_BALANCE_BALANCE_H
#define PROXY_BALANCE_BALANCE_H

#include "common/contract.h"
#include "proxy/balance/ticket.h"
#include "proxy/waiting.h"

enum balance_verdict {
    BALANCE_WAIT, /* it stands in line: balance_next may give it a slot, at once too */
    BALANCE_FULL, /* too many wait already */
    BALANCE_NO_MEMORY,
};

struct balance;

/* All is borrowed. NULL: no memory. */
struct balance *balance_new(const struct balance_rules *rules, struct waiting *waiting);
/* Nobody may be in it any more. */
void balance_free(struct balance **b);

/* The backend at this index: slots_n requests at once, of all models together (0: it is not there); is_open: it may be given new ones. What is
 * in its slots stays. weight: of equals the one with more goes first. */
void balance_set_backend(struct balance *b, int index, size_t slots_n, unsigned weight, int is_open);
/* The models that are loaded there, as it says itself; those that were given to it since asked_ms count as well. names: borrowed for the call. */
void balance_set_loaded(struct balance *b, int index, const char *const *names, size_t names_n, int64_t asked_ms);

/* t: priority, payer, is_guess, ways and context are set. model: shorter than CONTRACT_NAME_BYTES; copied. Names that Ollama takes for the same model share a
 * line. is_accepted: it was let in to wait before, so that max_queue does not count; it keeps its tag then. */
enum balance_verdict balance_enter(struct balance *b, struct balance_ticket *t, const char *model, int is_accepted, int64_t now_ms);
/* Gives back the slot, or the place in line. Harmless for who has neither. */
void balance_leave(struct balance *b, struct balance_ticket *t);
/* What a request takes of all open backends together, which its payer owes: a load only where its model is not loaded yet, or those who came
 * first would pay for all. */
int64_t balance_cost_ms(const struct balance *b, const char *model, const struct balance_way *ways, int is_guess);
/* The next ticket that gets a slot now: t->backend is set. NULL: none; *again_ms is when to look again, 0: when something has changed. */
struct balance_ticket *balance_next(struct balance *b, int64_t now_ms, int64_t *again_ms);
/* Somebody else has decided: t, which stands in line, has a slot of this backend. */
void balance_grant(struct balance *b, struct balance_ticket *t, int backend, int64_t now_ms);

/* How many stand before it in line, of all models, and when its slot is expected; 0 where nobody knows. Of one that stands in line. */
size_t balance_place(const struct balance *b, const struct balance_ticket *t);
int64_t balance_wait_ms(struct balance *b, const struct balance_ticket *t, int64_t now_ms);
size_t balance_used_n(const struct balance *b, int index);
size_t balance_waiting_n(const struct balance *b);
/* Each that stands in line, in the order of tags, with what balance_place and balance_wait_ms would say; ends where fn says other than 0, and says
 * that. fn calls nothing of balance's. */
typedef int balance_fn(void *context, const struct balance_ticket *t, const char *model, size_t place, int64_t wait_ms);
int balance_each(struct balance *b, int64_t now_ms, balance_fn *fn, void *context);

#endif
