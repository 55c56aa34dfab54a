/* See hang.h. */
#include "supervisor/hang.h"

#include "common/human.h"
#include "common/log.h"
#include "supervisor/reasons.h"

#include <stdio.h>

enum { UNLOAD_WITHIN_MS = 10000 };

static const char words[] = "no token and no processor time for";

/* Ollama where it may be hung: it is ready, and has a limit. */
static struct child *suspect(struct supervisor *s)
{
    struct child *c = state_child(s, "ollama");
    return c && !s->is_stopping && c->program.state == CONTRACT_READY && c->program.conf->stall_timeout_ms > 0 ? c : NULL;
}

static uint64_t asked_n(const struct supervisor *s)
{
    struct board_activity activity;
    board_activity(&s->board, loop_monotonic_ms(&s->loop), &activity);
    return activity.asked_n;
}

static void rest(struct supervisor *s)
{
    struct hang *h = &s->hang;
    h->is_watching = h->is_asked = 0;
    loop_disarm(&s->loop, &h->timer);
    stall_look_stop(&h->look);
}

static void look_later(struct supervisor *s, const struct child *c)
{
    loop_arm(&s->loop, &s->hang.timer, loop_now_ms(&s->loop) + contract_stall_interval_ms(c->program.conf->stall_timeout_ms));
}

static void restart(struct supervisor *s, struct child *c)
{
    char limit[HUMAN_BYTES], why[CONTRACT_REASON_BYTES];
    human_time(limit, c->program.conf->stall_timeout_ms);
    snprintf(why, sizeof why, "hung: %s %s, and its model could not be unloaded", words, limit);
    rest(s);
    program_hung(&c->program, why, loop_now_ms(&s->loop));
}

static void act(struct supervisor *s, struct child *c)
{
    struct hang *h = &s->hang;
    char limit[HUMAN_BYTES];
    human_time(limit, c->program.conf->stall_timeout_ms);
    log_event(LOG_WARNING, "hung", "program=ollama pid=%d asked=%llu reason=\"%s %s\"", (int)c->program.pid, (unsigned long long)asked_n(s), words, limit);
    reasons_tell(s, TROUBLE_PROGRAM, "ollama was hung: %s %s", words, limit);
    draining_tell(&s->draining, CONTRACT_STALLED); /* what these say to it is ignored */
    h->answers_n = state_tell_proxies(s, CONTRACT_STALLED, 0);
    h->is_asked = 1;
    if (h->answers_n == 0)
        restart(s, c);
    else
        loop_arm(&s->loop, &h->timer, loop_now_ms(&s->loop) + UNLOAD_WITHIN_MS);
}

static void told(void *context, const struct stall_sample *sample)
{
    struct supervisor *s = context;
    struct child *c = suspect(s);
    if (!c) {
        rest(s);
        return;
    }
    switch (stall_judge(&s->hang.stall, sample, board_progress(&s->board), c->program.conf->stall_timeout_ms, loop_now_ms(&s->loop))) {
    case STALL_MOVES:
    case STALL_STILL:
        look_later(s, c);
        return;
    case STALL_HUNG:
        act(s, c);
        return;
    }
}

static void on_timer(void *context, int64_t now_ms)
{
    struct supervisor *s = context;
    struct child *c = suspect(s);
    (void)now_ms;
    if (!c || (!s->hang.is_asked && asked_n(s) == 0))
        rest(s);
    else if (s->hang.is_asked)
        restart(s, c);
    else
        stall_look_start(&s->hang.look, c->program.pid);
}

static void stuck(void *context)
{
    hang_look(context);
}

void hang_init(struct supervisor *s)
{
    s->draining.stuck = stuck;
    s->draining.context = s;
    timer_init(&s->hang.timer, on_timer, s);
    stall_look_init(&s->hang.look, &s->loop, told, s);
}

void hang_look(struct supervisor *s)
{
    struct child *c = suspect(s);
    if (s->hang.is_watching || !c || asked_n(s) == 0)
        return;
    s->hang.is_watching = 1;
    stall_begin(&s->hang.stall);
    stall_look_start(&s->hang.look, c->program.pid);
}

void hang_follow(struct supervisor *s, const struct child *c)
{
    if (s->hang.is_watching && state_is_ollama(c) && c->program.state != CONTRACT_READY)
        rest(s);
}

void hang_answered(struct supervisor *s, const struct child *c, int is_unloaded)
{
    struct hang *h = &s->hang;
    struct child *ollama = suspect(s);
    if (!h->is_asked || !c->launch.has_listeners || !ollama)
        return;
    if (!is_unloaded) {
        restart(s, ollama);
    } else if (--h->answers_n == 0) {
        log_event(LOG_INFO, "unhung", "program=ollama pid=%d", (int)ollama->program.pid);
        rest(s);
        hang_look(s);
    }
}

void hang_resumed(struct supervisor *s)
{
    if (s->hang.is_watching)
        stall_begin(&s->hang.stall);
}

int hang_is_watching(const struct supervisor *s)
{
    return s->hang.is_watching;
}

void hang_fini(struct supervisor *s)
{
    stall_look_stop(&s->hang.look);
}
