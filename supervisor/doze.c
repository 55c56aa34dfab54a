/* See doze.h. A request that comes in this very moment is not lost: it is counted before its proxy looks whether Ollama is ready. */
#include "supervisor/doze.h"

#include "common/log.h"
#include "supervisor/diary.h"

static void enter(struct supervisor *s, enum contract_sleep sleep)
{
    atomic_store(&s->board.page->sleep, (uint32_t)sleep);
    s->sleep_since_ms = loop_now_ms(&s->loop);
}

int doze_is_meant(const struct conf *conf)
{
    return conf->supervisor.idle_action == CONF_IDLE_STOP && conf->supervisor.idle_timeout_ms > 0 && conf->is_backend_ours;
}

/* One that speaks the contract holds who comes, and says that Ollama is wanted. */
static int has_proxy(struct supervisor *s)
{
    const struct child *proxy = state_child(s, "proxy");
    return proxy && proxy->launch.has_contract && proxy->program.state == CONTRACT_READY;
}

int doze_begin(struct supervisor *s)
{
    struct child *ollama = state_child(s, "ollama");
    struct board_activity activity;
    if (!doze_is_meant(s->conf) || !has_proxy(s) || ollama->program.state != CONTRACT_READY)
        return 0;
    _Atomic uint32_t *state = &s->board.page->programs[ollama - s->children].state;
    enter(s, CONTRACT_ASLEEP);
    atomic_store(state, CONTRACT_STOPPING); /* from here on who comes waits; who came before has been counted */
    board_activity(&s->board, loop_monotonic_ms(&s->loop), &activity);
    if (activity.in_flight_n > 0 || activity.held_n > 0) {
        enter(s, CONTRACT_AWAKE);
        atomic_store(state, CONTRACT_READY);
        state_tell_all(s, CONTRACT_STATE_CHANGED);
        return 0;
    }
    log_event(LOG_INFO, "asleep", "action=stop idle_timeout_ms=%lld", (long long)diary_timeout_ms(s));
    diary_sleep_begins(s, SLEPT_STOP);
    ollama->program.is_wanted = 0;
    program_event(&ollama->program, PROGRAM_STOP, loop_now_ms(&s->loop));
    return 1;
}

/* Somebody wants it, or has started it. One that is on its way down is wanted by nobody yet. */
static int is_called(const struct program *p)
{
    return p->is_wanted || p->state == CONTRACT_STARTING || p->state == CONTRACT_READY || p->state == CONTRACT_BACKOFF;
}

static int has_arrived(const struct program *p)
{
    return p->state == CONTRACT_READY || p->state == CONTRACT_FAILED || (p->state == CONTRACT_DOWN && !p->is_wanted);
}

int doze_look(struct supervisor *s)
{
    const struct child *ollama = state_child(s, "ollama");
    int64_t since_ms = loop_now_ms(&s->loop) - s->sleep_since_ms;
    if (s->is_stopping || state_sleep(s) == CONTRACT_AWAKE)
        return 0;
    if (state_sleep(s) == CONTRACT_ASLEEP && is_called(&ollama->program)) {
        log_event(LOG_INFO, "waking", "slept_ms=%lld", (long long)since_ms);
        diary_sleep_ends(s);
        enter(s, CONTRACT_WAKING);
        state_tell_all(s, CONTRACT_STATE_CHANGED);
        since_ms = 0;
    }
    if (state_sleep(s) != CONTRACT_WAKING || !has_arrived(&ollama->program))
        return 0;
    log_event(LOG_INFO, "awake", "ollama=%s after_ms=%lld", contract_state_name(ollama->program.state), (long long)since_ms);
    enter(s, CONTRACT_AWAKE);
    return 1;
}

void doze_needed_by(struct supervisor *s, const struct child *c)
{
    const struct program *p = &c->program;
    if (state_sleep(s) != CONTRACT_ASLEEP || !p->is_task || p->state != CONTRACT_STARTING)
        return;
    for (size_t i = 0; i < p->conf->depends.items_n; i++)
        state_want(s, p->conf->depends.items[i]);
}

void doze_reloaded(struct supervisor *s)
{
    if (state_sleep(s) == CONTRACT_ASLEEP && !doze_is_meant(s->conf))
        state_want(s, "ollama");
}
