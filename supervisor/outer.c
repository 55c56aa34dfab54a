/*
 * See outer.h. With WITH_SYSTEMD libsystemd's sd_notify(3) sends, else our own datagram does; what is sent is the same.
 */
#include "supervisor/outer.h"

#include "common/log.h"
#include "common/notify_socket.h"
#include "common/utf8.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

enum { AGAIN_FIRST_MS = 250, AGAIN_MAX_MS = 30000, MESSAGE_BYTES = OUTER_STATUS_BYTES + 400 };

/* Kinds of lines, in the order in which a datagram has them. A manager takes RELOADING=1 and READY=1 in one datagram for a
 * reload that is over. */
enum {
    SAY_RELOADING = 1,
    SAY_READY = 2,
    SAY_STOPPING = 4,
    SAY_STATUS = 8,
    SAY_EXTEND = 16,
    SAY_WATCHDOG = 32,
    SAY_END = 64,
};

static int send_text(const char *path, const char *text)
{
#ifdef WITH_SYSTEMD
    /* sd_notify(3) waits where the queue is full; so it is asked only when there is room. */
    int error = notify_socket_has_room(path);
    if (error < 0)
        return error;
    error = sd_notify(0, text);
    return error < 0 ? error : 0;
#else
    return notify_socket_send(path, text);
#endif
}

static void compose(const struct outer *o, char text[MESSAGE_BYTES])
{
    struct {
        unsigned kind;
        char line[OUTER_STATUS_BYTES + 16];
    } lines[] = {{SAY_RELOADING, ""}, {SAY_READY, "READY=1\n"}, {SAY_STOPPING, "STOPPING=1\n"}, {SAY_STATUS, ""},
                 {SAY_EXTEND, ""},    {SAY_WATCHDOG, "WATCHDOG=1\n"}, {SAY_END, ""}};
    snprintf(lines[0].line, sizeof lines[0].line, "RELOADING=1\nMONOTONIC_USEC=%lld\n", (long long)o->reloading_at_us);
    snprintf(lines[3].line, sizeof lines[3].line, "STATUS=%s\n", o->status);
    snprintf(lines[4].line, sizeof lines[4].line, "EXTEND_TIMEOUT_USEC=%lld\n", (long long)o->extend_us);
    if (o->error_number)
        snprintf(lines[6].line, sizeof lines[6].line, "ERRNO=%d\nEXIT_STATUS=%d\n", o->error_number, o->exit_code);
    else
        snprintf(lines[6].line, sizeof lines[6].line, "EXIT_STATUS=%d\n", o->exit_code);
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof lines / sizeof *lines && n < MESSAGE_BYTES; i++)
        if (o->unsaid & lines[i].kind)
            n += (size_t)snprintf(text + n, MESSAGE_BYTES - n, "%s", lines[i].line);
}

/* A manager that is gone is nothing to trouble the owner with; a path of a form that we don't know is. */
static void tell_failure(struct outer *o, int error)
{
    int is_gone = error == -ENOENT || error == -ECONNREFUSED;
    if (o->is_failure_told)
        return;
    o->is_failure_told = 1;
    log_event(is_gone ? LOG_DEBUG : LOG_WARNING, "outer_failed", "path=\"%s\" error=\"%s\"", o->path, strerror(-error));
}

/* Sends all that is unsaid. What fails stays unsaid; only a full queue is tried again by itself. */
static void flush(struct outer *o)
{
    char text[MESSAGE_BYTES];
    if (!o->path[0] || !o->unsaid)
        return;
    compose(o, text);
    int error = send_text(o->path, text);
    if (error == -EAGAIN || error == -ENOBUFS) {
        if (!o->loop)
            return; /* these were last words */
        o->again_in_ms = o->again_in_ms == 0 ? AGAIN_FIRST_MS : o->again_in_ms < AGAIN_MAX_MS / 2 ? o->again_in_ms * 2 : AGAIN_MAX_MS;
        loop_arm(o->loop, &o->again, loop_now_ms(o->loop) + o->again_in_ms);
        return;
    }
    if (o->loop)
        loop_disarm(o->loop, &o->again);
    o->again_in_ms = 0;
    if (error)
        tell_failure(o, error);
    else
        o->unsaid = 0;
}

static void say(struct outer *o, unsigned kinds)
{
    o->unsaid |= kinds;
    flush(o);
}

static void again(void *context, int64_t now_ms)
{
    (void)now_ms;
    flush(context);
}

static void watchdog(void *context, int64_t now_ms)
{
    struct outer *o = context;
    loop_arm(o->loop, &o->watchdog, now_ms + o->watchdog_every_ms);
    say(o, SAY_WATCHDOG);
}

void outer_resumed(struct outer *o)
{
    if (o->watchdog_every_ms > 0)
        watchdog(o, loop_now_ms(o->loop));
}

/* A variable as a number of at least 1: 0, -ENOENT where it is not set, or -EINVAL. */
static int env_number(const char *name, int64_t *out)
{
    const char *text = getenv(name);
    char *end;
    if (!text || !*text)
        return -ENOENT;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || errno || *end || number < 1)
        return -EINVAL;
    *out = number;
    return 0;
}

static void start_watchdog(struct outer *o)
{
    enum { US_PER_MS = 1000 };
    int64_t every_us, pid;
    int error = env_number("WATCHDOG_USEC", &every_us), pid_error = env_number("WATCHDOG_PID", &pid);
    if (error == -ENOENT || (pid_error == 0 && pid != sys_getpid()))
        return;
    if (error == -EINVAL || pid_error == -EINVAL) {
        log_event(LOG_WARNING, "outer_failed", "error=\"WATCHDOG_USEC or WATCHDOG_PID is no number: no watchdog\"");
        return;
    }
    int64_t half_ms = every_us / 2 / US_PER_MS;
    o->watchdog_every_ms = half_ms < 1 ? 1 : half_ms > INT_MAX ? INT_MAX : half_ms;
    loop_arm(o->loop, &o->watchdog, loop_now_ms(o->loop) + o->watchdog_every_ms);
}

static void find_path(struct outer *o)
{
    const char *path = getenv("NOTIFY_SOCKET");
    if (path && strlen(path) >= sizeof o->path)
        log_event(LOG_WARNING, "outer_failed", "error=\"NOTIFY_SOCKET is too long: nobody is told\"");
    else if (path)
        snprintf(o->path, sizeof o->path, "%s", path);
}

void outer_init(struct outer *o, struct loop *loop)
{
    *o = (struct outer){.loop = loop};
    timer_init(&o->again, again, o);
    timer_init(&o->watchdog, watchdog, o);
    find_path(o);
    if (o->path[0])
        start_watchdog(o);
}

void outer_fini(struct outer *o)
{
    if (!o->loop)
        return;
    loop_disarm(o->loop, &o->again);
    loop_disarm(o->loop, &o->watchdog);
    o->path[0] = '\0';
}

int outer_is_there(const struct outer *o)
{
    return o->path[0] != '\0';
}

/* A line of whole characters: a manager throws away a STATUS= that is no UTF-8. */
static void clean(char out[OUTER_STATUS_BYTES], const char *text)
{
    size_t n = 0, left_n = strlen(text);
    while (left_n > 0) {
        uint32_t point;
        size_t length = utf8_decode(text, left_n, &point), step = length ? length : 1;
        int is_bad = length == 0 || utf8_is_harmful(point);
        if (n + (is_bad ? 1 : length) >= OUTER_STATUS_BYTES)
            break;
        memcpy(out + n, is_bad ? "?" : text, is_bad ? 1 : length);
        n += is_bad ? 1 : length;
        text += step;
        left_n -= step;
    }
    out[n] = '\0';
}

void outer_status(struct outer *o, const char *text)
{
    char line[OUTER_STATUS_BYTES];
    clean(line, text);
    if (strcmp(line, o->status) == 0)
        return;
    memcpy(o->status, line, sizeof line);
    say(o, SAY_STATUS);
}

void outer_ready(struct outer *o)
{
    say(o, SAY_READY);
}

void outer_reloading(struct outer *o)
{
    o->reloading_at_us = sys_monotonic_us();
    o->unsaid &= ~(unsigned)SAY_READY; /* it would be taken for the end of this reload */
    say(o, SAY_RELOADING);
}

void outer_stopping(struct outer *o, int64_t budget_ms)
{
    o->unsaid &= ~(unsigned)(SAY_READY | SAY_RELOADING);
    o->extend_us = budget_ms * 1000;
    say(o, SAY_STOPPING | SAY_EXTEND);
}

void outer_extend(struct outer *o, int64_t for_ms)
{
    o->extend_us = for_ms * 1000;
    say(o, SAY_EXTEND);
}

void outer_end(struct outer *o, int exit_code, int error)
{
    o->exit_code = exit_code;
    o->error_number = -error;
    say(o, SAY_END);
}

void outer_refuse(const char *text, int exit_code)
{
    struct outer o = {.loop = NULL};
    find_path(&o);
    clean(o.status, text);
    o.exit_code = exit_code;
    say(&o, SAY_STATUS | SAY_END);
}
