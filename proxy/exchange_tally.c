/*
 * See exchange_state.h. What optimised requests did, in numbers (optimizer_stats.h): of each client's exchange what became of it, and of
 * each inner one what was done to make an answer, once however many share that.
 */
#include "proxy/exchange_state.h"
#include "proxy/observe/observe.h"

static void add(const struct exchange *x, enum optimizer_counter which, uint64_t n)
{
    optimizer_count_add(&x->env->optimizer.stats, which, n);
}

void exchange_tally_fault(const struct exchange *x)
{
    if (x->inner)
        add(x, OPTIMIZER_SCHEMA_ERRORS, 1);
}

/* An error may have been told by a status, behind a heartbeat, within a stream, or as an answer. */
static enum optimizer_result result_of(const struct exchange *x)
{
    if (x->ended == ACCESS_CLIENT_GONE || x->ended == ACCESS_CLIENT_STALLED)
        return OPTIMIZER_LEFT;
    return x->ended != ACCESS_DONE || x->told_status || x->deliver.status >= 400 ? OPTIMIZER_FAILED : OPTIMIZER_ANSWERED;
}

static const char *strategy_of(struct exchange *x)
{
    const struct exchange *maker = exchange_maker(x);
    const struct plan *p = maker ? maker->plan : NULL;
    const struct cache_entry *kept = x->generation ? x->generation->kept : NULL;
    if (kept)
        return kept->answer.strategy;
    return p && p->strategy ? p->strategy->name : NULL;
}

static void count_request(struct exchange *x, enum optimizer_result result)
{
    if (x->is_optimised)
        optimizer_count_request(&x->env->optimizer.stats, strategy_of(x), result, loop_now_ms(x->env->loop) - x->began_ms);
    x->is_optimised = 0;
}

/* What a client asks for itself is counted at the end of its request. */
static void count_tokens(const struct exchange *x)
{
    struct ending_facts facts;
    int64_t now_ms = loop_now_ms(x->env->loop);
    ending_read(&x->ending, &facts);
    observe_tokens(x->env->observe, exchange_model(x), &facts, x->answer.first_ms ? x->answer.first_ms : now_ms, now_ms);
}

/* What was spared counts where there is an answer all the same. */
static void count_making(const struct exchange *x, enum exchange_end end)
{
    const struct plan *p = x->plan;
    count_tokens(x);
    add(x, OPTIMIZER_TOOL_CALLS, x->answer.translation.calls_n);
    if (!p)
        return;
    add(x, OPTIMIZER_TRUNCATIONS, p->is_truncated != 0);
    add(x, OPTIMIZER_BUDGETS_EXCEEDED, p->is_exceeded != 0);
    add(x, OPTIMIZER_TOOLS_LOST, p->tools_lost_n);
    if (end != EXCHANGE_CLEAN || !p->strategy)
        return;
    add(x, OPTIMIZER_TOKENS_RECEIVED, p->received.tokens_n);
    add(x, OPTIMIZER_TOKENS_SAVED, p->saved_tokens_n);
}

void exchange_tally(struct exchange *x, enum exchange_end end)
{
    if (x->inner)
        count_making(x, end);
    else
        count_request(x, result_of(x));
}

void exchange_tally_left(struct exchange *x)
{
    count_request(x, exchange_told_all(x) ? OPTIMIZER_ANSWERED : OPTIMIZER_LEFT);
}
