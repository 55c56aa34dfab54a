/*
 * See stop.h. Each program is asked only when the one that was started after it is gone: the proxy drains while Ollama
 * still answers it.
 */
#include "supervisor/stop.h"

#include "common/log.h"

enum { HURRY_MS = 500, FINAL_MS = 200, RESERVE_MS = 2000 };

static struct child *last_started(struct supervisor *s, unsigned *behind_n)
{
    struct child *last = NULL;
    *behind_n = 0;
    for (size_t i = 0; i < s->children_n; i++) {
        if (!program_is_alive(&s->children[i].program))
            continue;
        if (last)
            ++*behind_n;
        if (!last || s->start_order[i] > s->start_order[last - s->children])
            last = &s->children[i];
    }
    return last;
}

/* Stops the program that was started last; the others wait until it is gone. The budget is one: each that waits
 * keeps a reserve, what is left is for the one that is asked now. */
void stop_step(struct supervisor *s)
{
    unsigned behind_n;
    int64_t now_ms = loop_now_ms(&s->loop);
    struct child *c = last_started(s, &behind_n);
    if (!c && draining_is_empty(&s->draining)) {
        loop_stop(&s->loop);
        return;
    }
    if (!c || (c->program.state == CONTRACT_STOPPING && !s->is_hurried && c->program.stop_hard_ms <= s->stop_by_ms))
        return;
    int64_t budget_ms = s->conf->supervisor.shutdown_timeout_ms;
    int64_t reserve_ms = s->is_hurried ? 0 : budget_ms / 4 < RESERVE_MS ? budget_ms / 4 : RESERVE_MS;
    int64_t hard_ms = s->stop_by_ms - FINAL_MS - reserve_ms * (int64_t)behind_n;
    if (!c->launch.has_listeners && now_ms + c->program.conf->stop_timeout_ms < hard_ms)
        hard_ms = now_ms + c->program.conf->stop_timeout_ms; /* the proxy alone may use all there is: it drains */
    if (hard_ms < now_ms)
        hard_ms = now_ms;
    int64_t soft_ms = hard_ms - HURRY_MS > now_ms ? hard_ms - HURRY_MS : now_ms;
    program_stop_by(&c->program, soft_ms, hard_ms, now_ms);
}

void stop_begin(struct supervisor *s, int exit_code, const char *cause)
{
    int64_t now_ms = loop_now_ms(&s->loop);
    if (s->is_stopping) {
        if (!s->is_hurried)
            log_event(LOG_INFO, "stopping", "cause=%s hurry=yes", cause);
        s->is_hurried = 1;
        if (now_ms + 2 * HURRY_MS < s->stop_by_ms)
            s->stop_by_ms = now_ms + 2 * HURRY_MS;
    } else {
        log_event(LOG_INFO, "stopping", "cause=%s exit_code=%d", cause, exit_code);
        s->is_stopping = 1;
        s->exit_code = exit_code;
        s->stop_by_ms = now_ms + s->conf->supervisor.shutdown_timeout_ms;
        atomic_store(&s->board.page->is_stopping, 1);
        state_tell_all(s, CONTRACT_STATE_CHANGED);
        for (size_t i = 0; i < s->children_n; i++) {
            s->children[i].program.is_wanted = 0;
            if (s->children[i].program.state == CONTRACT_BACKOFF)
                program_event(&s->children[i].program, PROGRAM_STOP, now_ms);
        }
    }
    draining_hurry(&s->draining);
    state_evaluate_soon(s);
}
