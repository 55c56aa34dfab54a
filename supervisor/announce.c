/*
 * See announce.h. Ollama's line has the blob's digest only; its name stands in a folder of files that may lie on a slow disk,
 * and PID 1 must not wait for one. So a process of its own looks, says the name over a pipe, and is reaped like any orphan.
 */
#include "supervisor/announce.h"

#include "common/log.h"
#include "supervisor/errand.h"
#include "supervisor/naming.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_LIMIT_MS = 2000, LOOKS_A_SECOND = 1, LOOKS_AT_ONCE = 8 };

/* All but the name, as the runner may be another one by the time that it is found. */
static void describe(struct announce *a)
{
    const struct runner *r = &a->room->runner;
    size_t n = 0, rest_n = sizeof a->room->rest;
    a->room->rest[0] = '\0';
    if (r->parallel != RUNNER_UNKNOWN)
        n += (size_t)snprintf(a->room->rest + n, rest_n - n, " parallel=%ld", r->parallel);
    if (r->has_mmap != RUNNER_UNKNOWN)
        n += (size_t)snprintf(a->room->rest + n, rest_n - n, " mmap=%s", r->has_mmap ? "yes" : "no");
    if (r->context != RUNNER_UNKNOWN)
        n += (size_t)snprintf(a->room->rest + n, rest_n - n, " context=%ld", r->context);
    if (r->batch != RUNNER_UNKNOWN)
        n += (size_t)snprintf(a->room->rest + n, rest_n - n, " batch=%ld", r->batch);
    if (r->is_mlx || r->is_ollama_engine)
        snprintf(a->room->rest + n, rest_n - n, " engine=%s", r->is_mlx ? "mlx" : "ollama");
    snprintf(a->room->short_digest, sizeof a->room->short_digest, "%.*s", RUNNER_SHORT_BYTES - 1, r->digest);
}

static void tell(const struct announce *a)
{
    if (a->name_n > 0)
        log_event_for(*a->program, LOG_INFO, "runner", "model=%s%s", a->room->name, a->room->rest);
    else
        log_event_for(*a->program, LOG_INFO, "runner", "model=sha256-%s%s", a->room->short_digest, a->room->rest);
}

/* What was found so far is all that will be; whoever still looks finds nobody who listens. */
static void settle(struct announce *a)
{
    if (a->fd < 0)
        return;
    loop_remove(a->loop, a->fd);
    loop_disarm(a->loop, &a->timer);
    sys_close(a->fd);
    a->fd = -1;
    a->room->name[a->name_n] = '\0';
    tell(a);
}

static void too_late(void *context, int64_t now_ms)
{
    struct announce *a = context;
    (void)now_ms;
    a->name_n = 0; /* half a name is none */
    settle(a);
}

static void name_ready(void *context, short revents)
{
    struct announce *a = context;
    (void)revents;
    ssize_t n = sys_read(a->fd, a->room->name + a->name_n, sizeof a->room->name - 1 - a->name_n);
    if (n == -EAGAIN)
        return;
    if (n > 0)
        a->name_n += (size_t)n;
    if (n <= 0 || a->name_n == sizeof a->room->name - 1)
        settle(a);
}

/* In a process of its own. */
static void look(const struct runner *r) __attribute__((noreturn));
static void look(const struct runner *r)
{
    char name[RUNNER_NAME_BYTES];
    if (naming_find(r->folder, r->digest, name, sizeof name))
        (void)!sys_write(ERRAND_FD, name, strlen(name)); /* below PIPE_BUF: whole, or not at all */
    sys_exit_now(0);
}

static void start_looking(struct announce *a)
{
    if (errand_ask(a->loop, LOOK_LIMIT_MS / 1000, name_ready, a, &a->fd) == 0)
        look(&a->room->runner);
}

void announce_init(struct announce *a, struct loop *loop, struct announce_room *room, const char *const *program)
{
    *a = (struct announce){.loop = loop, .room = room, .program = program, .fd = -1};
    timer_init(&a->timer, too_late, a);
    bucket_init(&a->looks, LOOKS_A_SECOND, LOOKS_AT_ONCE, loop_now_ms(loop));
}

void announce_line(struct announce *a, const char *line)
{
    if (!a->has_line)
        runner_init(&a->room->runner);
    a->has_line = 1;
    if (!runner_line(&a->room->runner, line))
        return;
    settle(a); /* the one before is told first */
    describe(a);
    a->name_n = 0;
    if (a->room->runner.name[0]) {
        snprintf(a->room->name, sizeof a->room->name, "%s", a->room->runner.name);
        a->name_n = strlen(a->room->name);
    } else if (bucket_take(&a->looks, loop_now_ms(a->loop))) {
        start_looking(a);
    }
    if (a->fd >= 0)
        loop_arm(a->loop, &a->timer, loop_now_ms(a->loop) + LOOK_LIMIT_MS);
    else
        tell(a);
}

void announce_fini(struct announce *a)
{
    settle(a);
}
