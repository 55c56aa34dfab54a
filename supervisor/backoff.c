/* See backoff.h. Deaths in a window are counted, not failed starts: a program that is ready for a second each time
 * and then dies is as broken as one that never gets there. */
#include "supervisor/backoff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int backoff_init(struct backoff *b, const struct backoff_rule *rule)
{
    *b = (struct backoff){.room_n = rule->max_restarts};
    if (b->room_n == 0)
        return 0;
    b->exits_at_ms = calloc(b->room_n, sizeof *b->exits_at_ms);
    return b->exits_at_ms ? 0 : -ENOMEM;
}

void backoff_fini(struct backoff *b)
{
    free(b->exits_at_ms);
    *b = (struct backoff){0};
}

void backoff_reset(struct backoff *b)
{
    b->exits_n = 0;
}

static void forget_old(struct backoff *b, int64_t before_ms)
{
    unsigned old_n = 0;
    while (old_n < b->exits_n && b->exits_at_ms[old_n] <= before_ms)
        old_n++;
    b->exits_n -= old_n;
    if (old_n)
        memmove(b->exits_at_ms, b->exits_at_ms + old_n, b->exits_n * sizeof *b->exits_at_ms);
}

int64_t backoff_wait(const struct backoff_rule *rule, unsigned earlier_n, uint32_t random)
{
    int64_t wait_ms = rule->min_ms;
    for (unsigned i = 1; i < earlier_n && wait_ms < rule->max_ms; i++)
        wait_ms *= 2;
    if (wait_ms > rule->max_ms)
        wait_ms = rule->max_ms;
    return wait_ms + (int64_t)(random % 1000) * wait_ms / 10000;
}

int64_t backoff_exit(struct backoff *b, const struct backoff_rule *rule, int64_t now_ms, uint32_t random)
{
    forget_old(b, now_ms - rule->window_ms);
    if (b->exits_n >= b->room_n)
        return -1;
    unsigned earlier_n = b->exits_n;
    b->exits_at_ms[b->exits_n++] = now_ms;
    return earlier_n == 0 ? 0 : backoff_wait(rule, earlier_n, random);
}
