/*
 * See suspend.h. A machine that is suspended in the middle of all this, before the answer has come or long behind it, loses nothing:
 * its sockets stay, and so do we.
 */
#include "supervisor/suspend.h"

#include "common/log.h"
#include "supervisor/diary.h"

#include <stdio.h>
#include <string.h>

enum { REFUSED_TIMEOUTS = 2 }; /* for so many times suspend_timeout a refusal holds */

/* The idleness is judged anew: somebody may be there by now. */
static void end(struct supervisor *s)
{
    s->suspend.state = SUSPEND_OFF;
    machine_leave(&s->suspend.machine);
    loop_disarm(&s->loop, &s->suspend.timer);
    falling_init(&s->falling, loop_now_ms(&s->loop));
    loop_arm(&s->loop, &s->idle_timer, loop_now_ms(&s->loop));
}

static void refuse(struct supervisor *s, const char *why)
{
    if (!s->is_stopping)
        log_event(LOG_WARNING, "suspend_refused", "reason=\"%s\" hint=\"while nobody needs us we exit instead; set [supervisor] idle_action\"", why);
    diary_sleep_failed(s);
    s->suspend.refused_until_ms = loop_now_ms(&s->loop) + REFUSED_TIMEOUTS * s->conf->supervisor.suspend_timeout_ms;
    end(s);
}

static void answered(void *context, const char *why)
{
    struct supervisor *s = context;
    char text[MACHINE_WHY_BYTES + 128];
    if (*why) {
        snprintf(text, sizeof text, "%s: %s", s->conf->supervisor.suspend_socket, why);
        refuse(s, text);
        return;
    }
    s->suspend.state = SUSPEND_GRANTED;
    log_event(LOG_INFO, "suspending", "within_ms=%lld", (long long)s->conf->supervisor.suspend_timeout_ms);
    loop_arm(&s->loop, &s->suspend.timer, loop_now_ms(&s->loop) + s->conf->supervisor.suspend_timeout_ms);
}

static void nothing_has_happened(void *context, int64_t now_ms)
{
    struct supervisor *s = context;
    char why[96];
    (void)now_ms;
    snprintf(why, sizeof why, "the machine's API said yes, and %lld ms later the machine still runs",
             (long long)s->conf->supervisor.suspend_timeout_ms);
    refuse(s, why);
}

void suspend_init(struct supervisor *s)
{
    timer_init(&s->suspend.timer, nothing_has_happened, s);
    machine_init(&s->suspend.machine, &s->loop, answered, s);
}

void suspend_fini(struct supervisor *s)
{
    if (s->suspend.machine.loop)
        machine_leave(&s->suspend.machine);
}

enum conf_idle_action suspend_action(const struct supervisor *s)
{
    enum conf_idle_action action = (enum conf_idle_action)s->conf->supervisor.idle_action;
    return action == CONF_IDLE_SUSPEND && loop_now_ms(&s->loop) < s->suspend.refused_until_ms ? CONF_IDLE_EXIT : action;
}

void suspend_begin(struct supervisor *s)
{
    const char *app, *id, *socket = s->conf->supervisor.suspend_socket;
    char why[PARSE_WHY_BYTES];
    int error = conf_machine(s->conf, &app, &id, why);
    if (error) {
        refuse(s, why);
        return;
    }
    log_event(LOG_INFO, "suspend", "app=%s machine=%s idle_timeout_ms=%lld", app, id, (long long)s->conf->supervisor.idle_timeout_ms);
    s->suspend.state = SUSPEND_ASKED;
    diary_sleep_begins(s, SLEPT_SUSPEND); /* it may happen before the answer has come */
    error = machine_ask(&s->suspend.machine, socket, app, id, s->conf->supervisor.suspend_timeout_ms);
    if (error) {
        snprintf(why, sizeof why, "%.107s: %s", socket, strerror(-error));
        refuse(s, why);
    }
}

int suspend_is_under_way(const struct supervisor *s)
{
    return s->suspend.state != SUSPEND_OFF;
}

void suspend_resumed(struct supervisor *s, int64_t by_ms)
{
    if (s->suspend.state == SUSPEND_OFF || s->is_stopping)
        return;
    diary_sleep_ends(s);
    log_event(LOG_INFO, "suspended", "by_ms=%lld", (long long)by_ms);
    end(s);
}
