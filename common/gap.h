/*
 * gap: whoever has a loop learns by this that he did not run for a while (stopped, frozen, suspended), or that the calendar was
 * set. Deadlines need nothing for that, as the loop's time stands still meanwhile; what others may have missed does.
 */
#ifndef COMMON_GAP_H
#define COMMON_GAP_H

#include "common/clocks.h"
#include "common/loop.h"

struct gap {
    struct clocks clocks; /* at the last look */
};

/* Takes the first look. */
void gap_init(struct gap *g, const struct loop *l);
/* What happened since the last look, see clocks_look; to be asked in each turn. A freeze within a wait that was asked for counts
 * as time that passed: who is to notice every one of them never waits longer than LOOP_FREEZE_MS. */
enum clocks_event gap_look(struct gap *g, const struct loop *l, int64_t *by_ms);

#endif
