/*
 * See strays.h. Only direct children are signalled: their pids can't be somebody else's before we reap them. What is below
 * them comes to us when they die, and is found by the next look.
 */
#include "supervisor/strays.h"

#include "common/log.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRACE_MS = 5000, KILL_AGAIN_MS = 100, KILLS_MAX = 10, PIDS_BYTES = 4096, ENVIRON_BYTES = 4096 };

static int is_main(struct supervisor *s, pid_t pid)
{
    if (state_main_of(s, pid))
        return 1;
    for (int i = 0; i < DRAINING_MAX; i++)
        if (s->draining.items[i].pid == pid)
            return 1;
    return 0;
}

/* Our variable is among the first of what each program is started with. The main process that it names, or 0. */
static pid_t main_of(pid_t pid)
{
    char path[64], text[ENVIRON_BYTES], mark[64];
    int mark_n = snprintf(mark, sizeof mark, LAUNCH_ENV_RUN "=%d.", (int)sys_getpid());
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    ssize_t text_n = sys_read_text(path, text, sizeof text);
    for (const char *at = text; text_n > 0 && at < text + text_n; at += strlen(at) + 1)
        if (strncmp(at, mark, (size_t)mark_n) == 0)
            return (pid_t)strtol(at + mark_n, NULL, 10);
    return 0;
}

/* How many there were. */
static int signal_strays(struct supervisor *s, int signal_number)
{
    char path[64], pids[PIDS_BYTES], *end = pids;
    int found_n = 0, self = (int)sys_getpid();
    snprintf(path, sizeof path, "/proc/self/task/%d/children", self);
    if (sys_read_text(path, pids, sizeof pids) <= 0)
        return 0;
    for (const char *at = pids; *at; at = end) {
        pid_t pid = (pid_t)strtol(at, &end, 10);
        if (end == at || *end != ' ') /* the end, or a number that was cut there */
            break;
        if (is_main(s, pid))
            continue;
        pid_t main_pid = main_of(pid);
        if (main_pid > 0 && !is_main(s, main_pid))
            found_n += sys_kill(pid, signal_number) == 0;
    }
    return found_n;
}

static void strays_timer(void *context, int64_t now_ms)
{
    struct supervisor *s = context;
    if (s->is_stopping)
        return;
    int left_n = signal_strays(s, SIGKILL);
    if (left_n == 0)
        return;
    if (s->strays_kills_n++ == 0)
        log_event(LOG_WARNING, "swept", "processes=%d signal=9", left_n);
    if (s->strays_kills_n < KILLS_MAX)
        loop_arm(&s->loop, &s->strays_timer, now_ms + KILL_AGAIN_MS);
}

void strays_init(struct supervisor *s)
{
    timer_init(&s->strays_timer, strays_timer, s);
}

void strays_look(struct supervisor *s)
{
    int asked_n = s->is_stopping ? 0 : signal_strays(s, SIGTERM);
    if (asked_n == 0)
        return;
    log_event(LOG_INFO, "swept", "processes=%d signal=15", asked_n);
    s->strays_kills_n = 0;
    loop_arm(&s->loop, &s->strays_timer, loop_now_ms(&s->loop) + GRACE_MS);
}
