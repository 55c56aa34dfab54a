/*
 * See output.h. A program's ordinary lines are worth a line of ours at level debug only; what it calls a warning or an
 * error is told at the default level. The pipe is drained whatever becomes of our own log: the program never waits.
 */
#include "supervisor/output.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { READ_BYTES = 4096, READS_A_TURN = 8, LAST_READS = 16 };

void output_init(struct output *o, struct loop *loop, const char *name)
{
    *o = (struct output){.loop = loop, .name = name, .fd = -1};
}

/* slog's and logrus' level words, and what Go and shells write when they give up. */
static enum log_level level_of(const char *line)
{
    static const char *const bad[] = {"level=WARN", "level=ERROR", "level=FATAL", "Error:", "panic:", "fatal error:"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (strstr(line, bad[i]))
            return LOG_WARNING;
    return LOG_DEBUG;
}

static void flush_line(struct output *o)
{
    o->line[o->line_n] = '\0';
    if (o->line_n > 0 && o->line[o->line_n - 1] == '\r')
        o->line[o->line_n - 1] = '\0';
    if (o->line[0]) {
        enum log_level level = level_of(o->line);
        log_event_for(o->name, level, "output", "%s", o->line);
        if (level >= LOG_WARNING && o->complained)
            o->complained(o->context);
        snprintf(o->last, sizeof o->last, "%.*s", OUTPUT_LAST_BYTES - 1, o->line);
    }
    o->line_n = 0;
}

static void take(struct output *o, const char *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n; i++) {
        if (bytes[i] == '\n') {
            if (!o->is_cut)
                flush_line(o);
            o->is_cut = 0;
        } else if (o->line_n == sizeof o->line - 1) {
            if (!o->is_cut)
                flush_line(o);
            o->is_cut = 1;
            o->line_n = 0;
        } else if (!o->is_cut) {
            o->line[o->line_n++] = bytes[i] ? bytes[i] : '?';
        }
    }
}

static void stop_reading(struct output *o)
{
    loop_remove(o->loop, o->fd);
    sys_close(o->fd);
    o->fd = -1;
}

/* 0 while there may be more. */
static int read_some(struct output *o, int reads_n)
{
    char bytes[READ_BYTES];
    while (reads_n-- > 0) {
        ssize_t n = sys_read(o->fd, bytes, sizeof bytes);
        if (n == -EAGAIN)
            return 0;
        if (n <= 0)
            return -1;
        take(o, bytes, (size_t)n);
    }
    return 0;
}

static void output_ready(void *context, short revents)
{
    struct output *o = context;
    (void)revents;
    if (read_some(o, READS_A_TURN) < 0)
        stop_reading(o);
}

int output_open(struct output *o)
{
    int fds[2];
    output_close(o);
    o->last[0] = '\0';
    int error = sys_pipe(fds, 0);
    if (error < 0)
        return error;
    error = sys_set_nonblock(fds[0]); /* our end alone: the program's stays as programs expect it */
    if (error >= 0)
        error = loop_add(o->loop, fds[0], POLLIN, output_ready, o);
    if (error < 0) {
        sys_close(fds[0]);
        sys_close(fds[1]);
        return error;
    }
    o->fd = fds[0];
    return fds[1];
}

void output_close(struct output *o)
{
    if (o->fd >= 0) {
        (void)read_some(o, LAST_READS);
        stop_reading(o);
    }
    if (o->line_n > 0 && !o->is_cut)
        flush_line(o);
    o->line_n = 0;
    o->is_cut = 0;
}
