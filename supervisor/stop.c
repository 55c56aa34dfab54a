/*
 * See stop.h. Each program is asked only when the one that was started after it is gone: the proxy drains while Ollama
 * still answers it, and so do engines that serve a model each, which are asked together behind the proxy.
 */
#include "supervisor/stop.h"

#include "common/log.h"
#include "supervisor/descendants.h"
#include "supervisor/diary.h"
#include "supervisor/instances/instances.h"

#include <errno.h>
#include <signal.h>

enum { HURRY_MS = 500, FINAL_MS = 200, RESERVE_MS = 2000, SWEEP_MS = 5000, KILL_AGAIN_MS = 50, KILLS_MAX = 10, OUTER_SLACK_MS = 2000 };

/* When a program must be gone so that those that wait for its end have their reserve. */
static int64_t last_moment_ms(const struct supervisor *s, unsigned behind_n)
{
    int64_t budget_ms = s->conf->supervisor.shutdown_timeout_ms;
    int64_t left_ms = s->stop_by_ms - FINAL_MS - loop_now_ms(&s->loop);
    int64_t share_ms = left_ms > 0 ? left_ms / ((int64_t)behind_n + 1) : 0; /* where they are many: to each the same */
    int64_t reserve_ms = s->is_hurried ? 0 : budget_ms / 4 < RESERVE_MS ? budget_ms / 4 : RESERVE_MS;
    if (reserve_ms > share_ms)
        reserve_ms = share_ms;
    return s->stop_by_ms - FINAL_MS - reserve_ms * (int64_t)behind_n;
}

/* When the proxy was started first, among the programs; 0 where there is none. */
static unsigned proxy_order(const struct supervisor *s)
{
    for (size_t i = 0; i < s->children_n; i++)
        if (s->children[i].launch.has_listeners)
            return s->start_order[i];
    return 0;
}

/* No KILL has ended it: it hangs in the kernel, or we may not signal it. Those that wait for its end wait no longer. */
static int is_beyond_us(const struct supervisor *s, const struct program *p)
{
    return p->state == CONTRACT_STOPPING && p->stop_stage == 2 && loop_now_ms(&s->loop) >= p->stop_hard_ms + FINAL_MS / 2;
}

/* Whether an engine is there that can be waited for. */
static int has_engines(struct supervisor *s)
{
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++) {
        const struct child *c = state_engine_at(s, i);
        if (c && program_is_alive(&c->program) && !is_beyond_us(s, &c->program))
            return 1;
    }
    return 0;
}

/* How many run that were started before the proxy; engines are one, as they are asked together. */
static unsigned behind_proxy(struct supervisor *s)
{
    unsigned behind_n = has_engines(s) != 0, order = proxy_order(s);
    for (size_t i = 0; i < s->children_n; i++)
        behind_n += program_is_alive(&s->children[i].program) && s->start_order[i] < order;
    return behind_n;
}

/* An old proxy still answers somebody: what was started before its successor is kept for it. */
static int is_needed_by_draining(const struct supervisor *s, const struct child *c)
{
    for (size_t i = 0; i < s->children_n; i++)
        if (s->children[i].launch.has_listeners)
            return s->start_order[c - s->children] < s->start_order[i] && !draining_is_empty(&s->draining);
    return 0;
}

static struct child *last_started(struct supervisor *s, unsigned *behind_n)
{
    struct child *last = NULL;
    *behind_n = 0;
    for (size_t i = 0; i < s->children_n; i++) {
        if (!program_is_alive(&s->children[i].program) || is_beyond_us(s, &s->children[i].program))
            continue;
        if (last)
            ++*behind_n;
        if (!last || s->start_order[i] > s->start_order[last - s->children])
            last = &s->children[i];
    }
    *behind_n += last && has_engines(s) && s->start_order[last - s->children] >= proxy_order(s);
    return last;
}

/* Neither the proxy runs nor who was started after it: nobody asks engines any more, but for those that drain. */
static int is_engines_turn(struct supervisor *s, const struct child *last)
{
    return has_engines(s) && (!last || s->start_order[last - s->children] < proxy_order(s));
}

static void ask(struct supervisor *s, struct child *c, unsigned behind_n)
{
    int64_t now_ms = loop_now_ms(&s->loop), hard_ms = last_moment_ms(s, behind_n);
    if (!c->launch.has_listeners && now_ms + c->program.conf->stop_timeout_ms < hard_ms)
        hard_ms = now_ms + c->program.conf->stop_timeout_ms; /* the proxy alone may use all there is: it drains */
    if (hard_ms < now_ms)
        hard_ms = now_ms;
    int64_t soft_ms = hard_ms - HURRY_MS > now_ms ? hard_ms - HURRY_MS : now_ms;
    program_stop_by(&c->program, soft_ms, hard_ms, now_ms);
}

static int is_asked(const struct supervisor *s, const struct program *p)
{
    return p->state == CONTRACT_STOPPING && !s->is_hurried && p->stop_hard_ms <= s->stop_by_ms;
}

static void look_when_stuck(struct supervisor *s, const struct program *p)
{
    loop_arm(&s->loop, &s->stuck_timer, p->stop_hard_ms + FINAL_MS / 2);
}

static void stop_engines(struct supervisor *s, unsigned behind_n)
{
    const struct program *next = NULL; /* to be killed */
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++) {
        struct child *c = state_engine_at(s, i);
        if (!c || !program_is_alive(&c->program) || is_beyond_us(s, &c->program))
            continue;
        if (!is_asked(s, &c->program))
            ask(s, c, behind_n);
        if (!next || c->program.stop_hard_ms < next->stop_hard_ms)
            next = &c->program;
    }
    if (next)
        look_when_stuck(s, next);
}

/* What was told to stop and is still there is killed: again and again, as it may have made others meanwhile. One that
 * no KILL ends hangs in the kernel, and does not keep us. */
static void sweep_timer(void *context, int64_t now_ms)
{
    struct supervisor *s = context;
    int left_n = descendants_signal(SIGKILL, NULL, 0);
    if (left_n > 0 && s->sweep_kills_n++ == 0)
        log_event(LOG_WARNING, "swept", "processes=%d signal=9", left_n);
    if (left_n <= 0 || s->sweep_kills_n > KILLS_MAX)
        loop_stop(&s->loop);
    else
        loop_arm(&s->loop, &s->sweep_timer, now_ms + KILL_AGAIN_MS);
}

static int64_t sweep_by_ms(const struct supervisor *s)
{
    int64_t at_ms = loop_now_ms(&s->loop) + SWEEP_MS, last_ms = s->stop_by_ms - FINAL_MS;
    return at_ms < last_ms ? at_ms : last_ms;
}

/* All programs are gone; what they left behind in groups of its own is asked to stop too. Each of these is a child of ours
 * sooner or later, so its end is heard of; and where we have no child, nobody is below us: no need to read through /proc,
 * which takes longer than all the rest of a stop. */
static void sweep(struct supervisor *s)
{
    int has_children = sys_dead_child() != -ECHILD;
    int left_n = has_children ? descendants_signal(s->is_sweeping ? 0 : SIGTERM, NULL, 0) : 0;
    if (left_n <= 0 && has_children && sys_dead_child() > 0)
        return; /* it has died since: its end is heard of, and may be followed by another, as that of who writes the diary */
    if (left_n <= 0) {
        loop_stop(&s->loop);
    } else if (!s->is_sweeping) {
        s->is_sweeping = 1;
        log_event(LOG_INFO, "swept", "processes=%d signal=15", left_n);
        timer_init(&s->sweep_timer, sweep_timer, s);
        loop_arm(&s->loop, &s->sweep_timer, sweep_by_ms(s));
    } else if (s->sweep_kills_n == 0 && sweep_by_ms(s) < s->sweep_timer.at_ms) {
        loop_arm(&s->loop, &s->sweep_timer, sweep_by_ms(s)); /* hurried meanwhile */
    }
}

/* Stops the program that was started last; the others wait until it is gone. The budget is one: each that waits
 * keeps a reserve, what is left is for the one that is asked now. */
void stop_step(struct supervisor *s)
{
    unsigned behind_n;
    struct child *c = last_started(s, &behind_n);
    if (is_engines_turn(s, c)) {
        if (draining_is_empty(&s->draining))
            stop_engines(s, behind_n + (c != NULL));
        return;
    }
    if (!c && draining_is_empty(&s->draining)) {
        sweep(s);
        return;
    }
    if (!c || is_needed_by_draining(s, c))
        return;
    if (!is_asked(s, &c->program))
        ask(s, c, behind_n);
    look_when_stuck(s, &c->program);
}

static void stuck_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    state_evaluate_soon(context);
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
        draining_hurry(&s->draining);
    } else {
        log_event(LOG_INFO, "stopping", "cause=%s exit_code=%d", cause, exit_code);
        s->is_stopping = 1;
        diary_end(s);
        timer_init(&s->stuck_timer, stuck_timer, s);
        s->exit_code = exit_code;
        s->stop_by_ms = now_ms + s->conf->supervisor.shutdown_timeout_ms;
        outer_stopping(&s->outer, s->conf->supervisor.shutdown_timeout_ms + OUTER_SLACK_MS);
        atomic_store(&s->board.page->is_stopping, 1);
        state_tell_all(s, CONTRACT_STATE_CHANGED);
        for (size_t i = 0; i < s->children_n; i++)
            program_end(&s->children[i].program, now_ms);
        instances_end(s);
        draining_stop_by(&s->draining, last_moment_ms(s, behind_proxy(s)) - HURRY_MS);
    }
    state_evaluate_soon(s);
}
