/* See falling.h. An event that means nothing in a state leaves it as it is, and is written out, so that a hole is a mistake. */
#include "supervisor/falling.h"

struct cell {
    enum falling_state next;
    enum falling_order order;
    int is_there;
};

#define TO(next, order) {FALLING_##next, FALLING_##order, 1}
static const struct cell cells[FALLING_STATE_COUNT][FALLING_EVENT_COUNT] = {
    [FALLING_AWAKE] = {[FALLING_IDLE] = TO(ASKING, ASK), [FALLING_BUSY] = TO(AWAKE, NOTHING), [FALLING_YES] = TO(AWAKE, NOTHING),
                       [FALLING_NO] = TO(AWAKE, NOTHING), [FALLING_CLEAR] = TO(AWAKE, NOTHING),
                       [FALLING_UNCLEAR] = TO(AWAKE, NOTHING), [FALLING_LATE] = TO(AWAKE, NOTHING)},
    [FALLING_ASKING] = {[FALLING_IDLE] = TO(ASKING, NOTHING), [FALLING_BUSY] = TO(AWAKE, NOTHING), [FALLING_YES] = TO(CLOSING, SHUT),
                        [FALLING_NO] = TO(AWAKE, NOTHING), [FALLING_CLEAR] = TO(ASKING, NOTHING),
                        [FALLING_UNCLEAR] = TO(AWAKE, NOTHING), [FALLING_LATE] = TO(AWAKE, NOTHING)},
    [FALLING_CLOSING] = {[FALLING_IDLE] = TO(CLOSING, NOTHING), [FALLING_BUSY] = TO(AWAKE, OPEN), [FALLING_YES] = TO(CLOSING, NOTHING),
                         [FALLING_NO] = TO(CLOSING, NOTHING), [FALLING_CLEAR] = TO(CONFIRMING, CONFIRM),
                         [FALLING_UNCLEAR] = TO(CLOSING, NOTHING), [FALLING_LATE] = TO(AWAKE, OPEN)},
    [FALLING_CONFIRMING] = {[FALLING_IDLE] = TO(CONFIRMING, NOTHING), [FALLING_BUSY] = TO(AWAKE, OPEN), [FALLING_YES] = TO(ASLEEP, ACT),
                            [FALLING_NO] = TO(AWAKE, OPEN), [FALLING_CLEAR] = TO(CONFIRMING, NOTHING),
                            [FALLING_UNCLEAR] = TO(CLOSING, NOTHING), [FALLING_LATE] = TO(AWAKE, OPEN)},
    [FALLING_ASLEEP] = {[FALLING_IDLE] = TO(ASLEEP, NOTHING), [FALLING_BUSY] = TO(ASLEEP, NOTHING), [FALLING_YES] = TO(ASLEEP, NOTHING),
                        [FALLING_NO] = TO(ASLEEP, NOTHING), [FALLING_CLEAR] = TO(ASLEEP, NOTHING),
                        [FALLING_UNCLEAR] = TO(ASLEEP, NOTHING), [FALLING_LATE] = TO(ASLEEP, NOTHING)},
};

static const char *const names[] = {
    [FALLING_AWAKE] = "awake", [FALLING_ASKING] = "asking", [FALLING_CLOSING] = "closing", [FALLING_CONFIRMING] = "confirming",
    [FALLING_ASLEEP] = "asleep",
};
_Static_assert(sizeof names / sizeof *names == FALLING_STATE_COUNT, "a name for each state");

const char *falling_name(enum falling_state state)
{
    return names[state];
}

void falling_init(struct falling *f, int64_t now_ms)
{
    *f = (struct falling){.state = FALLING_AWAKE, .since_ms = now_ms};
}

enum falling_order falling_event(struct falling *f, enum falling_event event, int64_t now_ms)
{
    struct cell cell = cells[f->state][event];
    if (cell.order == FALLING_SHUT && !f->has_doors)
        cell = cells[FALLING_CONFIRMING][FALLING_YES];
    if (cell.order == FALLING_SHUT)
        f->shut_since_ms = now_ms;
    if (cell.next != f->state)
        f->since_ms = now_ms;
    f->state = cell.next;
    return cell.order;
}

int64_t falling_limit_ms(const struct falling *f)
{
    switch (f->state) {
    case FALLING_ASKING:
    case FALLING_CONFIRMING:
        return f->since_ms + FALLING_ANSWER_MS;
    case FALLING_CLOSING:
        return f->shut_since_ms + FALLING_SHUT_MS;
    case FALLING_AWAKE:
    case FALLING_ASLEEP:
    case FALLING_STATE_COUNT:
        break;
    }
    return -1;
}

int64_t falling_look_ms(const struct falling *f, int64_t now_ms)
{
    enum { SELDOM_MS = 50 };
    int64_t wait_ms = (now_ms - f->shut_since_ms) / 2;
    wait_ms = wait_ms < FALLING_SETTLE_MS ? FALLING_SETTLE_MS : wait_ms > SELDOM_MS ? SELDOM_MS : wait_ms;
    return now_ms + wait_ms < falling_limit_ms(f) ? now_ms + wait_ms : falling_limit_ms(f);
}

int falling_is_shut(const struct falling *f)
{
    return f->state == FALLING_CLOSING || f->state == FALLING_CONFIRMING;
}

int falling_is_clear(const struct falling *f, const struct falling_view *v, int64_t now_ms)
{
    int64_t least_ms = v->half_open < 0 ? v->blind_ms : FALLING_SETTLE_MS;
    return !v->is_waited && v->half_open <= 0 && now_ms - f->shut_since_ms >= least_ms;
}

int falling_cell(enum falling_state state, enum falling_event event, enum falling_state *next, enum falling_order *order)
{
    *next = cells[state][event].next;
    *order = cells[state][event].order;
    return cells[state][event].is_there;
}
