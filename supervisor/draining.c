/* See draining.h. */
#include "supervisor/draining.h"

#include "common/log.h"

#include <errno.h>
#include <signal.h>

enum { HONEST_END_MS = 500 };

/* It is on its way out: no program that it wants is started for it. But who waits for its answers may wait for an Ollama that hangs, or for an engine. */
static void draining_said(void *context, const struct contract_message *m, int fd)
{
    const struct draining_table *t = ((struct draining *)context)->table;
    if (m->kind == CONTRACT_CHANGED && m->value == 1 && t->stuck)
        t->stuck(t->context);
    else if (t->asked)
        t->asked(t->context, m, fd);
}

/* The first time a second TERM: end your answers now. From then on KILL. */
static void hurry(struct draining *d)
{
    if (d->pid <= 0)
        return;
    sys_kill_group(d->pid, d->stage == 0 ? SIGTERM : SIGKILL);
    d->stage++;
    loop_arm(d->loop, &d->timer, loop_now_ms(d->loop) + HONEST_END_MS);
}

static void draining_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    hurry(context);
}

/* There is always a place for the next one: the oldest, which had the most time, is asked to end its answers. One that was asked
 * before is on its way. */
static void keep_a_place_free(struct draining_table *t)
{
    struct draining *oldest = &t->items[0];
    if (draining_find(t, 0))
        return;
    for (int i = 0; i < DRAINING_MAX; i++) {
        if (t->items[i].stage > 0)
            return;
        if (t->items[i].number < oldest->number)
            oldest = &t->items[i];
    }
    log_event(LOG_WARNING, "crowded", "pid=%d draining=%d hint=\"the oldest ends its answers: so many restarts within drain_timeout are too many\"",
              (int)oldest->pid, (int)DRAINING_MAX);
    hurry(oldest);
}

int draining_take(struct draining_table *t, struct loop *loop, struct board *board, pid_t pid, struct channel *channel,
                  int line, int64_t limit_ms)
{
    struct draining *d = draining_find(t, 0);
    if (!d)
        return -EBUSY;
    int error = sys_kill_group(pid, SIGTERM); /* one that can't be asked would serve on beside its successor */
    if (error < 0)
        return error;
    *d = (struct draining){.loop = loop, .board = board, .pid = pid, .line = line, .number = t->taken_n++, .table = t};
    channel_init(&d->channel, loop, "proxy (draining)", draining_said, d);
    channel_move(channel, &d->channel);
    timer_init(&d->timer, draining_timer, d);
    loop_arm(loop, &d->timer, loop_now_ms(loop) + limit_ms);
    log_event(LOG_INFO, "draining", "pid=%d", (int)pid);
    keep_a_place_free(t);
    return 0;
}

struct draining *draining_find(struct draining_table *t, pid_t pid)
{
    for (int i = 0; i < DRAINING_MAX; i++)
        if (t->items[i].pid == pid)
            return &t->items[i];
    return NULL;
}

void draining_reaped(struct draining *d)
{
    log_event(LOG_INFO, "drained", "pid=%d", (int)d->pid);
    loop_disarm(d->loop, &d->timer);
    channel_end(&d->channel);
    board_free_line(d->board, d->line, loop_monotonic_ms(d->loop));
    d->pid = 0;
}

void draining_hurry(struct draining_table *t)
{
    for (int i = 0; i < DRAINING_MAX; i++)
        hurry(&t->items[i]);
}

void draining_stop_by(struct draining_table *t, int64_t at_ms)
{
    for (int i = 0; i < DRAINING_MAX; i++)
        if (t->items[i].pid > 0 && t->items[i].stage == 0 && at_ms < t->items[i].timer.at_ms)
            loop_arm(t->items[i].loop, &t->items[i].timer, at_ms);
}

void draining_tell(struct draining_table *t, enum contract_kind kind)
{
    for (int i = 0; i < DRAINING_MAX; i++)
        if (t->items[i].pid > 0)
            channel_tell(&t->items[i].channel, kind, 0);
}

int draining_is_empty(const struct draining_table *t)
{
    for (int i = 0; i < DRAINING_MAX; i++)
        if (t->items[i].pid > 0)
            return 0;
    return 1;
}
