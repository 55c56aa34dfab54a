/*
 * See sleep.h. The judgement is idle.c's, the order of the steps falling.c's; here are the facts for both, and what is done.
 * What is between the doors and a proxy is the kernel's: handshakes that have begun, and connections that nobody has accepted yet.
 */
#include "supervisor/sleep.h"

#include "common/log.h"
#include "supervisor/diary.h"
#include "supervisor/doze.h"
#include "supervisor/handshakes.h"
#include "supervisor/idle.h"
#include "supervisor/instances/instances.h"
#include "supervisor/stop.h"
#include "supervisor/suspend.h"

static void idle_later(struct supervisor *s, int64_t at_ms)
{
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
    const struct child *c;
    int64_t now_ms = loop_now_ms(&s->loop);
    board_activity(&s->board, loop_monotonic_ms(&s->loop), &activity);
    struct idle_view view = {.timeout_ms = diary_timeout_ms(s), .last_active_ms = s->started_at_ms,
                             .is_busy = activity.in_flight_n > 0 || activity.held_n > 0 || instances_are_pulling(s)};
    if (activity.last_active_ms - s->loop.frozen_ms > view.last_active_ms)
        view.last_active_ms = activity.last_active_ms - s->loop.frozen_ms;
    if (s->resumed_at_ms > view.last_active_ms) /* somebody woke the machine, and will say in a moment what for */
        view.last_active_ms = s->resumed_at_ms;
    for (size_t at = 0; (c = state_next_child(s, &at));) {
        view.is_busy |= is_on_its_way(c);
        if (c->program.state_since_ms > view.last_active_ms && c->program.state == CONTRACT_READY)
            view.last_active_ms = c->program.state_since_ms;
    }
    return idle_judge(&view, now_ms, again_at_ms);
}

static int is_idle(struct supervisor *s)
{
    int64_t unused_ms;
    return judge(s, &unused_ms) == IDLE_NOW && draining_is_empty(&s->draining); /* an old proxy still answers somebody */
}

static void add_ports(struct handshakes_ports *ports, const struct door_list *list)
{
    for (size_t i = 0; i < list->n && ports->n < HANDSHAKES_PORTS_MAX; i++)
        ports->ports[ports->n++] = (uint16_t)list->addresses[i].port;
}

/* Whether everybody whom the doors have let in is with a proxy, or has left. */
static int is_clear(const struct supervisor *s)
{
    struct handshakes_ports ports = {.n = 0};
    add_ports(&ports, &s->doors.open);
    add_ports(&ports, &s->doors.leaving);
    struct falling_view view = {.is_waited = doors_are_asked(&s->doors), .half_open = handshakes_look("/proc/net", &ports),
                                .blind_ms = DOORS_LEAVE_MS};
    return falling_is_clear(&s->falling, &view, loop_now_ms(&s->loop));
}

static enum contract_nap nap_of(const struct supervisor *s)
{
    switch (s->sleep_action) {
    case CONF_IDLE_STOP:
        return CONTRACT_NAP_STOP;
    case CONF_IDLE_SUSPEND:
        return CONTRACT_NAP_SUSPEND;
    case CONF_IDLE_EXIT:
    case CONF_IDLE_NONE:
        break;
    }
    return falling_is_shut(&s->falling) ? CONTRACT_NAP_LAST : CONTRACT_NAP_EXIT;
}

/* Each question has a number, so that a late answer to another one does not count. */
static void ask_proxies(struct supervisor *s)
{
    s->sleep_question = (s->sleep_question + 1) & CONTRACT_NAP_NUMBER_MAX;
    s->sleep_answers_n = state_tell_proxies(s, CONTRACT_MAY_I_SLEEP, contract_nap_value(s->sleep_question, (uint32_t)nap_of(s)));
}

/* Nobody needs us, and everybody was asked. */
static void act(struct supervisor *s)
{
    switch (s->sleep_action) {
    case CONF_IDLE_EXIT:
        diary_sleep_begins(s, SLEPT_EXIT);
        stop_begin(s, 0, "idle");
        break;
    case CONF_IDLE_SUSPEND:
        suspend_begin(s);
        break;
    case CONF_IDLE_STOP:
        instances_doze(s);
        if (!doze_begin(s)) /* not now; it is looked again later */
            falling_init(&s->falling, loop_now_ms(&s->loop));
        break;
    case CONF_IDLE_NONE:
        break;
    }
}

/* When to look again: while we fall asleep, or, awake, after something has kept us awake. */
static void arm(struct supervisor *s, enum falling_event event)
{
    int64_t now_ms = loop_now_ms(&s->loop), timeout_ms = diary_timeout_ms(s);
    switch (s->falling.state) {
    case FALLING_AWAKE:
        if (event != FALLING_BUSY)
            timeout_ms = timeout_ms < FALLING_AGAIN_MS ? timeout_ms : FALLING_AGAIN_MS;
        idle_later(s, now_ms + timeout_ms);
        break;
    case FALLING_CLOSING:
        idle_later(s, falling_look_ms(&s->falling, now_ms));
        break;
    case FALLING_ASKING:
    case FALLING_CONFIRMING:
        idle_later(s, falling_limit_ms(&s->falling)); /* one that does not answer is asked again: awake on doubt */
        break;
    case FALLING_ASLEEP:
    case FALLING_STATE_COUNT:
        loop_disarm(&s->loop, &s->idle_timer);
        break;
    }
}

static void follow(struct supervisor *s, enum falling_event event)
{
    int64_t now_ms = loop_now_ms(&s->loop);
    enum falling_state from = s->falling.state;
    enum falling_order order = falling_event(&s->falling, event, now_ms);
    if (order == FALLING_ASK)
        s->sleep_action = suspend_action(s);
    if (order == FALLING_ASK || order == FALLING_CONFIRM)
        ask_proxies(s);
    if (order == FALLING_ASK)
        s->falling.has_doors = s->sleep_action == CONF_IDLE_EXIT && s->sleep_answers_n > 0;
    if (order == FALLING_ASK && s->sleep_answers_n == 0) /* nobody serves who comes, nor would anybody be lost */
        order = falling_event(&s->falling, doors_are_asked(&s->doors) ? FALLING_NO : FALLING_YES, now_ms);
    if (order == FALLING_SHUT)
        (void)!doors_shut(&s->doors); /* where that can't be had, all is done as if: who comes is seen, or wakes another */
    if (order == FALLING_OPEN)
        doors_open_again(&s->doors);
    if (from != s->falling.state)
        log_event(LOG_DEBUG, "falling", "from=%s to=%s", falling_name(from), falling_name(s->falling.state));
    if (order == FALLING_ACT)
        act(s);
    arm(s, event);
}

/* idle_action = stop: Ollama, or an engine with a model. */
static int has_any_to_stop(struct supervisor *s)
{
    int has_any = state_child(s, "ollama")->program.state == CONTRACT_READY;
    for (size_t i = 0; i < CONTRACT_INSTANCES && !has_any; i++) {
        const struct child *c = state_engine_at(s, i);
        has_any = c && c->program.state == CONTRACT_READY;
    }
    return has_any;
}

static void look_awake(struct supervisor *s, int64_t now_ms)
{
    int64_t again_at_ms = 0;
    switch (judge(s, &again_at_ms)) {
    case IDLE_NEVER:
        break;
    case IDLE_LATER:
        idle_later(s, again_at_ms > now_ms ? again_at_ms : now_ms + 1);
        break;
    case IDLE_NOW:
        if (s->conf->supervisor.idle_action == CONF_IDLE_NONE)
            log_event(LOG_DEBUG, "idle", "action=none");
        else if (s->conf->supervisor.idle_action == CONF_IDLE_STOP && !has_any_to_stop(s))
            idle_later(s, now_ms + diary_timeout_ms(s));
        else
            follow(s, FALLING_IDLE);
        break;
    }
}

static void idle_timer(void *context, int64_t now_ms)
{
    struct supervisor *s = context;
    if (s->is_stopping || state_sleep(s) == CONTRACT_ASLEEP || suspend_is_under_way(s))
        return;
    if (s->falling.state == FALLING_AWAKE)
        look_awake(s, now_ms);
    else if (now_ms >= falling_limit_ms(&s->falling))
        follow(s, FALLING_LATE);
    else if (!is_idle(s))
        follow(s, FALLING_BUSY);
    else if (s->falling.state == FALLING_CLOSING)
        follow(s, is_clear(s) ? FALLING_CLEAR : FALLING_UNCLEAR);
    else
        idle_later(s, falling_limit_ms(&s->falling));
}

void sleep_answered(struct supervisor *s, uint32_t value)
{
    int is_confirming = s->falling.state == FALLING_CONFIRMING;
    if ((s->falling.state != FALLING_ASKING && !is_confirming) || contract_nap_number(value) != s->sleep_question || s->is_stopping)
        return;
    if (contract_nap_of(value) != 1)
        follow(s, FALLING_NO);
    else if (s->sleep_answers_n == 0 || --s->sleep_answers_n > 0)
        return;
    else if (!is_idle(s))
        follow(s, FALLING_BUSY);
    else if (is_confirming ? !is_clear(s) : doors_are_asked(&s->doors))
        follow(s, FALLING_UNCLEAR);
    else
        follow(s, FALLING_YES);
}

/* Awake, from now on. */
static void begin_again(struct supervisor *s)
{
    if (falling_is_shut(&s->falling))
        doors_open_again(&s->doors);
    falling_init(&s->falling, loop_now_ms(&s->loop));
    loop_disarm(&s->loop, &s->idle_timer);
    if (s->conf->supervisor.idle_timeout_ms > 0)
        idle_later(s, loop_now_ms(&s->loop) + diary_timeout_ms(s));
}

void sleep_init(struct supervisor *s)
{
    loop_disarm(&s->loop, &s->idle_timer);
    timer_init(&s->idle_timer, idle_timer, s);
    doze_reloaded(s);
    begin_again(s);
}

void sleep_look(struct supervisor *s)
{
    if (doze_look(s))
        begin_again(s);
}
