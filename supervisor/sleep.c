/*
 * See sleep.h. The judgement is idle.c's; here are the facts for it, and the last questions before the end: to the proxies
 * over their channel, and to the kernel about connections that nobody has accepted yet.
 */
#include "supervisor/sleep.h"

#include "common/log.h"
#include "supervisor/doze.h"
#include "supervisor/idle.h"
#include "supervisor/stop.h"

static void idle_later(struct supervisor *s, int64_t at_ms)
{
    s->is_asked_to_sleep = 0;
    loop_arm(&s->loop, &s->idle_timer, at_ms);
}

/* One that is down waits for what is on its way itself, or for what nobody has asked for: that keeps nobody awake. */
static int is_on_its_way(const struct child *c)
{
    return c->program.state == CONTRACT_STARTING || c->program.state == CONTRACT_BACKOFF;
}

static enum idle_verdict judge(struct supervisor *s, int64_t *again_at_ms)
{
    struct board_activity activity;
    int64_t now_ms = loop_now_ms(&s->loop);
    board_activity(&s->board, loop_monotonic_ms(&s->loop), &activity);
    struct idle_view view = {.timeout_ms = s->conf->supervisor.idle_timeout_ms, .last_active_ms = s->started_at_ms,
                             .is_busy = activity.in_flight_n > 0 || activity.held_n > 0};
    if (activity.last_active_ms - s->loop.frozen_ms > view.last_active_ms)
        view.last_active_ms = activity.last_active_ms - s->loop.frozen_ms;
    if (s->resumed_at_ms > view.last_active_ms) /* somebody woke the machine, and will say in a moment what for */
        view.last_active_ms = s->resumed_at_ms;
    for (size_t i = 0; i < s->children_n; i++) {
        const struct program *p = &s->children[i].program;
        view.is_busy |= is_on_its_way(&s->children[i]);
        if (p->state_since_ms > view.last_active_ms && p->state == CONTRACT_READY)
            view.last_active_ms = p->state_since_ms;
    }
    return idle_judge(&view, now_ms, again_at_ms);
}

/* A client whose connection waits in the kernel's queue is work that no proxy has counted yet. */
static int is_anyone_at_the_door(const struct supervisor *s)
{
    return doors_are_asked(&s->doors); /* an error too: doubt means awake */
}

static enum contract_nap nap_of(const struct conf *conf)
{
    switch ((enum conf_idle_action)conf->supervisor.idle_action) {
    case CONF_IDLE_STOP:
        return CONTRACT_NAP_STOP;
    case CONF_IDLE_SUSPEND:
        return CONTRACT_NAP_SUSPEND;
    case CONF_IDLE_EXIT:
    case CONF_IDLE_NONE:
        break;
    }
    return CONTRACT_NAP_EXIT;
}

static unsigned ask_proxies(struct supervisor *s)
{
    unsigned asked_n = 0;
    for (size_t i = 0; i < s->children_n; i++) {
        struct child *c = &s->children[i];
        if (c->launch.has_listeners && c->channel.fd >= 0) {
            channel_tell(&c->channel, CONTRACT_MAY_I_SLEEP, nap_of(s->conf));
            asked_n++;
        }
    }
    return asked_n;
}

/* Nobody needs us, and everybody was asked. */
static void act(struct supervisor *s, int64_t again_at_ms)
{
    switch ((enum conf_idle_action)s->conf->supervisor.idle_action) {
    case CONF_IDLE_EXIT:
    case CONF_IDLE_SUSPEND: /* where the machine can't be suspended */
        stop_begin(s, 0, "idle");
        break;
    case CONF_IDLE_STOP:
        if (!doze_begin(s))
            idle_later(s, again_at_ms);
        break;
    case CONF_IDLE_NONE:
        break;
    }
}

static void fall_asleep(struct supervisor *s)
{
    int64_t again_at_ms = loop_now_ms(&s->loop) + s->conf->supervisor.idle_timeout_ms;
    int64_t unused_ms;
    if (judge(s, &unused_ms) != IDLE_NOW || is_anyone_at_the_door(s)) {
        idle_later(s, again_at_ms);
        return;
    }
    act(s, again_at_ms);
}

static int is_asleep(const struct supervisor *s)
{
    return atomic_load(&s->board.page->sleep) == CONTRACT_ASLEEP;
}

static void idle_timer(void *context, int64_t now_ms)
{
    enum { ANSWER_WITHIN_MS = 2000 };
    struct supervisor *s = context;
    int64_t again_at_ms = 0;
    s->is_asked_to_sleep = 0;
    if (s->is_stopping || is_asleep(s))
        return;
    switch (judge(s, &again_at_ms)) {
    case IDLE_NEVER:
        break;
    case IDLE_LATER:
        idle_later(s, again_at_ms > now_ms ? again_at_ms : now_ms + 1);
        break;
    case IDLE_NOW:
        if (s->conf->supervisor.idle_action == CONF_IDLE_NONE) {
            log_event(LOG_DEBUG, "idle", "action=none");
            break;
        }
        s->sleep_answers_n = ask_proxies(s);
        if (s->sleep_answers_n == 0) {
            fall_asleep(s);
        } else {
            idle_later(s, now_ms + ANSWER_WITHIN_MS); /* one that does not answer is asked again: awake on doubt */
            s->is_asked_to_sleep = 1;
        }
        break;
    }
}

void sleep_answered(struct supervisor *s, int may_sleep)
{
    if (!s->is_asked_to_sleep)
        return;
    if (!may_sleep)
        idle_later(s, loop_now_ms(&s->loop) + s->conf->supervisor.idle_timeout_ms);
    else if (--s->sleep_answers_n == 0)
        fall_asleep(s);
}

void sleep_init(struct supervisor *s)
{
    loop_disarm(&s->loop, &s->idle_timer);
    timer_init(&s->idle_timer, idle_timer, s);
    s->is_asked_to_sleep = 0;
    doze_reloaded(s);
    if (s->conf->supervisor.idle_timeout_ms > 0)
        idle_later(s, loop_now_ms(&s->loop) + s->conf->supervisor.idle_timeout_ms);
}

void sleep_look(struct supervisor *s)
{
    if (doze_look(s) && s->conf->supervisor.idle_timeout_ms > 0)
        idle_later(s, loop_now_ms(&s->loop) + s->conf->supervisor.idle_timeout_ms);
}
