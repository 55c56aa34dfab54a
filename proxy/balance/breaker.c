/*
 * See breaker.h. The table has an action for each state and event; only enter() writes the state. An action that has nothing to do is `ignore`,
 * written out, so that an empty cell is a mistake that a test finds.
 */
#include "proxy/balance/breaker.h"

static void enter(struct breaker *b, enum breaker_state state, int64_t now_ms)
{
    b->state = state;
    b->era++;
    b->since_ms = now_ms;
    b->until_ms = 0;
    b->good_n = b->bad_n = b->failures_n = 0;
    b->is_trying = b->is_slow = 0;
}

static int is_reached(unsigned n, unsigned limit_n)
{
    return n >= limit_n;
}

typedef void breaker_action_fn(struct breaker *b, int64_t now_ms);

static void ignore(struct breaker *b, int64_t now_ms)
{
    (void)b;
    (void)now_ms;
}

static void settle(struct breaker *b, int64_t now_ms)
{
    enter(b, BREAKER_CLOSED, now_ms);
}

static void fall(struct breaker *b, int64_t now_ms)
{
    enter(b, BREAKER_DOWN, now_ms);
}

/* All who wait would go there at once: it gets its slots one after the other. */
static void come_back(struct breaker *b, int64_t now_ms)
{
    enter(b, BREAKER_CLOSED, now_ms);
    b->is_slow = b->rules->slow_start_ms > 0;
}

static void open(struct breaker *b, int64_t now_ms)
{
    enter(b, BREAKER_OPEN, now_ms);
    b->until_ms = now_ms + b->rules->open_ms;
}

static void let_one_try(struct breaker *b, int64_t now_ms)
{
    enter(b, BREAKER_HALF_OPEN, now_ms);
}

static void let_another_try(struct breaker *b, int64_t now_ms)
{
    (void)now_ms;
    b->is_trying = 0;
}

static void count_good_probe(struct breaker *b, int64_t now_ms)
{
    if (is_reached(++b->good_n, b->rules->rise_n))
        come_back(b, now_ms);
}

static void count_bad_probe(struct breaker *b, int64_t now_ms)
{
    if (is_reached(++b->bad_n, b->rules->fall_n))
        fall(b, now_ms);
}

static void forget_bad_probes(struct breaker *b, int64_t now_ms)
{
    (void)now_ms;
    b->bad_n = 0;
}

static void forget_good_probes(struct breaker *b, int64_t now_ms)
{
    (void)now_ms;
    b->good_n = 0;
}

/* Who answers is there, whatever its probes say: it may be too busy for them. */
static void forget_failures(struct breaker *b, int64_t now_ms)
{
    (void)now_ms;
    b->failures_n = b->bad_n = 0;
}

static void count_failure(struct breaker *b, int64_t now_ms)
{
    if (is_reached(++b->failures_n, b->rules->failures_n) && b->rules->failures_n > 0)
        open(b, now_ms);
}

#define CELL(fn) {fn, #fn}
static const struct {
    breaker_action_fn *act;
    const char *name;
} cells[BREAKER_STATES][BREAKER_EVENTS] = {
    [BREAKER_UNKNOWN] = {[BREAKER_PROBE_GOOD] = CELL(settle), [BREAKER_PROBE_BAD] = CELL(fall), [BREAKER_ANSWER_GOOD] = CELL(ignore),
                         [BREAKER_ANSWER_BAD] = CELL(ignore), [BREAKER_ANSWER_NONE] = CELL(ignore), [BREAKER_TIME] = CELL(ignore)},
    [BREAKER_CLOSED] = {[BREAKER_PROBE_GOOD] = CELL(forget_bad_probes), [BREAKER_PROBE_BAD] = CELL(count_bad_probe),
                        [BREAKER_ANSWER_GOOD] = CELL(forget_failures), [BREAKER_ANSWER_BAD] = CELL(count_failure),
                        [BREAKER_ANSWER_NONE] = CELL(ignore), [BREAKER_TIME] = CELL(ignore)},
    [BREAKER_OPEN] = {[BREAKER_PROBE_GOOD] = CELL(forget_bad_probes), [BREAKER_PROBE_BAD] = CELL(count_bad_probe),
                      [BREAKER_ANSWER_GOOD] = CELL(ignore), [BREAKER_ANSWER_BAD] = CELL(ignore), [BREAKER_ANSWER_NONE] = CELL(ignore),
                      [BREAKER_TIME] = CELL(let_one_try)},
    [BREAKER_HALF_OPEN] = {[BREAKER_PROBE_GOOD] = CELL(forget_bad_probes), [BREAKER_PROBE_BAD] = CELL(count_bad_probe),
                           [BREAKER_ANSWER_GOOD] = CELL(come_back), [BREAKER_ANSWER_BAD] = CELL(open),
                           [BREAKER_ANSWER_NONE] = CELL(let_another_try), [BREAKER_TIME] = CELL(ignore)},
    [BREAKER_DOWN] = {[BREAKER_PROBE_GOOD] = CELL(count_good_probe), [BREAKER_PROBE_BAD] = CELL(forget_good_probes),
                      [BREAKER_ANSWER_GOOD] = CELL(ignore), [BREAKER_ANSWER_BAD] = CELL(ignore), [BREAKER_ANSWER_NONE] = CELL(ignore),
                      [BREAKER_TIME] = CELL(ignore)},
};

static const char *const state_names[] = {
    [BREAKER_UNKNOWN] = "unknown",     [BREAKER_CLOSED] = "up", [BREAKER_OPEN] = "open",
    [BREAKER_HALF_OPEN] = "half_open", [BREAKER_DOWN] = "down",
};
_Static_assert(sizeof state_names / sizeof *state_names == BREAKER_STATES, "a name for each state");

const char *breaker_state_name(enum breaker_state state)
{
    return state_names[state];
}

const char *breaker_cell_name(enum breaker_state state, enum breaker_event event)
{
    return cells[state][event].name;
}

static void take(struct breaker *b, enum breaker_event event, int64_t now_ms)
{
    cells[b->state][event].act(b, now_ms);
}

static void pass_time(struct breaker *b, int64_t now_ms)
{
    if (b->until_ms > 0 && now_ms >= b->until_ms)
        take(b, BREAKER_TIME, now_ms);
}

void breaker_init(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms)
{
    *b = (struct breaker){.rules = rules, .state = BREAKER_UNKNOWN, .since_ms = now_ms};
}

void breaker_probed(struct breaker *b, int is_good, int64_t now_ms)
{
    pass_time(b, now_ms);
    take(b, is_good ? BREAKER_PROBE_GOOD : BREAKER_PROBE_BAD, now_ms);
}

int breaker_may(struct breaker *b, int64_t now_ms)
{
    pass_time(b, now_ms);
    return b->state == BREAKER_CLOSED || (b->state == BREAKER_HALF_OPEN && !b->is_trying);
}

unsigned breaker_begin(struct breaker *b, int64_t now_ms)
{
    pass_time(b, now_ms);
    if (b->state == BREAKER_HALF_OPEN)
        b->is_trying = 1;
    return b->era;
}

void breaker_end(struct breaker *b, unsigned era, enum breaker_outcome outcome, int64_t now_ms)
{
    static const enum breaker_event events[] = {
        [BREAKER_GOOD] = BREAKER_ANSWER_GOOD, [BREAKER_BAD] = BREAKER_ANSWER_BAD, [BREAKER_NOTHING] = BREAKER_ANSWER_NONE,
        [BREAKER_REFUSED] = BREAKER_ANSWER_NONE,
    };
    pass_time(b, now_ms);
    if (era != b->era)
        return;
    take(b, events[outcome], now_ms);
    if (outcome == BREAKER_REFUSED)
        take(b, BREAKER_PROBE_BAD, now_ms);
}

static int is_slow(const struct breaker *b, size_t slots_n, int64_t now_ms)
{
    return b->is_slow && slots_n > 1 && now_ms - b->since_ms < b->rules->slow_start_ms;
}

size_t breaker_slots(const struct breaker *b, size_t slots_n, int64_t now_ms)
{
    if (b->state == BREAKER_HALF_OPEN && slots_n > 1)
        return 1;
    if (!is_slow(b, slots_n, now_ms))
        return slots_n;
    return 1 + (size_t)((now_ms - b->since_ms) * (int64_t)(slots_n - 1) / b->rules->slow_start_ms);
}

/* Of a slow start: when the next slot is there, rounded up to where breaker_slots has it. */
int64_t breaker_due_ms(const struct breaker *b, size_t slots_n, int64_t now_ms)
{
    if (b->state == BREAKER_OPEN)
        return b->until_ms;
    if (!is_slow(b, slots_n, now_ms))
        return 0;
    int64_t more_n = (int64_t)slots_n - 1, next_n = (int64_t)breaker_slots(b, slots_n, now_ms);
    return b->since_ms + (next_n * b->rules->slow_start_ms + more_n - 1) / more_n;
}
