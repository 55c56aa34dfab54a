/*
 * fair: in which order requests are served. Each gets one number when it comes, its tag, and keeps it: the lower is served first.
 *
 *     owed  = the sum of the costs of what its payer has in line and in slots, of its class and of higher ones
 *     start = now + min(owed, fair_max)
 *     tag   = start + (9 - priority) * ageing
 *
 * So it counts as if it had come when all that its payer has there already had been served, one after the other (start-time fair queueing: Goyal, Vin,
 * Cheng, SIGCOMM 1996; here a payer's virtual time is ahead of the clock by what he has there, and by nothing else). Who has sent much comes behind others
 * who have not. What is over is not counted any more: an estimate that was wrong does no harm beyond the request that it was made for. A class lower comes
 * behind as if it had come later by ageing_ms, and nobody is overtaken for ever: whoever comes later than that is behind him.
 *
 * Of one payer: his high class does not wait behind his flood of a lower one, and his lower class comes behind what he has in higher ones.
 * Of classes: at the same moment the higher one goes first, as long as its payer owes less than the classes between them are worth (ageing each). A flood puts its
 * own later requests behind a lower class of others, as it is long. A guess does not (fair_cost_ms): ten requests of a model of which nothing is known owe one ageing.
 * Of two that a payer sends at different times the later may go first, where what was there between them took less than was estimated.
 *
 * All in milliseconds. Pure.
 */
#ifndef PROXY_BALANCE_FAIR_H
#define PROXY_BALANCE_FAIR_H

#include "proxy/balance/ticket.h"

enum { FAIR_SETS = 128, FAIR_WAYS = 8, FAIR_GUESSES = 10 };

/* Who has something in line or in a slot. Where more are than there is room for, the one who owes least is forgotten. All zero: nobody. */
struct fair {
    struct fair_row {
        uint64_t payer;
        int64_t owed_ms[BALANCE_PRIORITIES], sum_ms;
    } rows[FAIR_SETS][FAIR_WAYS];
};

/* What is owed for one that takes so much of all backends together. is_guess: nothing has been learnt yet of what its model takes; such a one owes at the most
 * an ageing by FAIR_GUESSES. */
int64_t fair_cost_ms(const struct balance_rules *rules, int64_t whole_ms, int is_guess);
/* The tag of one that comes now. payer 0: it counts for nobody, and starts now. */
int64_t fair_tag_ms(const struct fair *f, const struct balance_rules *rules, uint64_t payer, unsigned priority, int64_t now_ms);
/* It is there from now on, and: it has left, with the same words. */
void fair_owe(struct fair *f, uint64_t payer, unsigned priority, int64_t cost_ms);
void fair_settle(struct fair *f, uint64_t payer, unsigned priority, int64_t cost_ms);

#endif
