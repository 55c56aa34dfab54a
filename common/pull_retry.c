/*
 * Pauses double from one second to a minute, with a quarter of jitter either way so that many machines behind one
 * registry do not come back at once. A try that got bytes onto the disk resets the pause: Ollama resumes where it
 * was, so even a line that breaks every few minutes gets a big model home in the end.
 *
 * Invariant: the number of tries of one model is bounded whatever the other side does.
 */
#include "common/pull_retry.h"

int64_t retry_after_failure(struct retry *r, int64_t retries, int has_progress, uint32_t random)
{
    r->total_n++;
    r->streak_n = has_progress ? 1 : r->streak_n + 1;
    if ((int64_t)r->streak_n > retries || (int64_t)r->total_n > retries * RETRY_ROUNDS_MAX)
        return -1;
    int64_t pause_ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < r->streak_n && pause_ms < RETRY_LONGEST_MS; i++)
        pause_ms *= 2;
    pause_ms += (int64_t)(random % (uint32_t)(pause_ms / 2 + 1)) - pause_ms / 4;
    return pause_ms < RETRY_LONGEST_MS ? pause_ms : RETRY_LONGEST_MS;
}

int retry_is_loss_free(struct retry *r)
{
    return ++r->lost_n <= RETRY_LOSSES_FREE;
}
