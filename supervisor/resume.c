/*
 * See resume.h. Deadlines need nothing: the loop's time stands still while we do. What is left is what others may have
 * missed meanwhile: probes begin to count anew, and to have been woken is activity.
 */
#include "supervisor/resume.h"

#include "common/log.h"
#include "supervisor/hang.h"
#include "supervisor/suspend.h"

#include <errno.h>

static void clock_was_set(void *context, short revents)
{
    struct supervisor *s = context;
    uint64_t expirations_n;
    (void)revents;
    ssize_t n = sys_read(s->clock_fd, &expirations_n, sizeof expirations_n);
    if (n < 0 && n != -ECANCELED && n != -EAGAIN)
        resume_fini(s); /* it would be ready for ever */
}

static void look(void *context)
{
    struct supervisor *s = context;
    int64_t by_ms;
    enum clocks_event event = gap_look(&s->gap, &s->loop, &by_ms);
    if (event == CLOCKS_STEADY)
        return;
    if (event == CLOCKS_RESUMED)
        log_event(LOG_INFO, "resumed", "by_ms=%lld", (long long)by_ms);
    else
        log_event(LOG_INFO, "clock_stepped", "by_ms=%lld", (long long)by_ms);
    if (event == CLOCKS_RESUMED)
        outer_resumed(&s->outer);
    s->resumed_at_ms = loop_now_ms(&s->loop);
    if (by_ms > 0) {
        suspend_resumed(s, by_ms);
        state_tell_all(s, CONTRACT_RESUMED);
    }
    for (size_t i = 0; i < s->children_n; i++)
        live_resumed(&s->children[i].live);
    hang_resumed(s);
}

void resume_init(struct supervisor *s)
{
    gap_init(&s->gap, &s->loop);
    s->loop.woken_context = s;
    s->loop.woken = look;
    s->clock_fd = sys_clock_watch();
    if (s->clock_fd >= 0 && loop_add(&s->loop, s->clock_fd, POLLIN, clock_was_set, s) < 0)
        resume_fini(s);
}

void resume_fini(struct supervisor *s)
{
    if (s->clock_fd < 0)
        return;
    loop_remove(&s->loop, s->clock_fd);
    sys_close(s->clock_fd);
    s->clock_fd = -1;
}
