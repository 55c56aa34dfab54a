/*
 * See output.h. A program's ordinary lines are worth a line of ours at level debug only; what it calls a warning or an
 * error is told at the default level. The pipe is drained whatever becomes of our own log: a reader of ours that is slow or
 * dead holds up nobody.
 */
#include "supervisor/output.h"

#include "common/log.h"
#include "supervisor/clean.h"
#include "supervisor/level.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
    READ_BYTES = 4096,
    READS_A_TURN = 8,
    LAST_READS = 16,
    CLOSED_MS = 1000,       /* an empty bucket is filled for so long: what passes then are lines in a row */
    WINDOW_MS = 100,
    WINDOW_COST = 256 << 10, /* of a window: bytes, and for each line as much as it costs us beside them */
    LINE_COST = 64,
};

static void tell_dropped(struct output *o)
{
    loop_disarm(o->loop, &o->tell);
    if (o->dropped_n > 0)
        log_event(LOG_WARNING, "output_dropped", "program=%s lines=%lu", o->name, o->dropped_n);
    o->dropped_n = 0;
}

static void tell_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    tell_dropped(context);
}

/* Lines below our level cost nothing, so they leave room for the others. */
static void log_line(struct output *o, enum log_level level, const char *line)
{
    if (!log_is_on(level))
        return;
    if (timer_is_armed(&o->tell) || !bucket_take(&o->lines, loop_now_ms(o->loop))) {
        o->dropped_n++;
        if (!timer_is_armed(&o->tell))
            loop_arm(o->loop, &o->tell, loop_now_ms(o->loop) + CLOSED_MS);
        return;
    }
    log_event_for(o->name, level, "output", "%s", line);
}

static void flush_line(struct output *o)
{
    if (o->line_n == 0)
        return;
    size_t n = clean_line(o->room->line, o->line_n, o->line_n == OUTPUT_LINE_BYTES - 1);
    o->line_n = 0;
    o->has_return = 0;
    o->read_cost += LINE_COST;
    if (strspn(o->room->line, " ") == n)
        return;
    enum log_level level = level_of_line(o->room->line);
    log_line(o, level, o->room->line);
    if (level >= LOG_WARNING && o->complained)
        o->complained(o->context, o->room->line, level);
    if (o->ring)
        ring_push(o->ring, o->name, level, sys_realtime_ms(), o->room->line, n);
    last_words_take(&o->last, o->room->line, level, loop_now_ms(o->loop));
    announce_line(&o->announce, o->room->line);
}

/* A progress bar writes over its line again and again: what stands there in the end counts. */
static void take_byte(struct output *o, char byte)
{
    if (byte == '\r') {
        o->has_return = 1;
        return;
    }
    if (o->has_return) {
        o->has_return = 0;
        o->line_n = 0;
        o->is_cut = 0;
    }
    if (o->line_n == OUTPUT_LINE_BYTES - 1) {
        if (!o->is_cut)
            flush_line(o);
        o->is_cut = 1;
        o->line_n = 0;
    } else if (!o->is_cut) {
        o->room->line[o->line_n++] = byte;
    }
}

static void take(struct output *o, const char *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n; i++) {
        if (bytes[i] != '\n') {
            take_byte(o, bytes[i]);
            continue;
        }
        if (!o->is_cut)
            flush_line(o);
        o->is_cut = o->has_return = 0;
    }
}

static void stop_reading(struct output *o)
{
    loop_remove(o->loop, o->fd);
    loop_disarm(o->loop, &o->resume);
    sys_close(o->fd);
    o->fd = -1;
    o->is_paused = 0;
}

/* 0 while there may be more, -1 at the end of the file. cost: how much may be read in this window. */
static int read_some(struct output *o, int reads_n, size_t cost)
{
    char bytes[READ_BYTES];
    while (reads_n-- > 0 && o->read_cost < cost) {
        ssize_t n = sys_read(o->fd, bytes, sizeof bytes);
        if (n == -EAGAIN)
            return 0;
        if (n <= 0)
            return -1;
        o->read_cost += (size_t)n;
        take(o, bytes, (size_t)n);
        if ((size_t)n < sizeof bytes)
            return 0; /* it was empty then */
    }
    return 0;
}

/* The pipe is left alone until the window is over. Not even watched: a hang-up would be told again and again. */
static void pause_reading(struct output *o)
{
    loop_remove(o->loop, o->fd);
    o->is_paused = 1;
    loop_arm(o->loop, &o->resume, o->window_ms + WINDOW_MS);
}

static void output_ready(void *context, short revents)
{
    struct output *o = context;
    int64_t now_ms = loop_now_ms(o->loop);
    (void)revents;
    if (now_ms - o->window_ms >= WINDOW_MS) {
        o->window_ms = now_ms;
        o->read_cost = 0;
    }
    if (read_some(o, READS_A_TURN, WINDOW_COST) < 0)
        stop_reading(o);
    else if (o->read_cost >= WINDOW_COST)
        pause_reading(o);
}

static void resume_timer(void *context, int64_t now_ms)
{
    struct output *o = context;
    (void)now_ms;
    o->is_paused = 0;
    if (loop_add(o->loop, o->fd, POLLIN, output_ready, o) < 0)
        stop_reading(o); /* no memory for a watch: the program's writes fail, which is better than that they wait for ever */
}

void output_init(struct output *o, struct loop *loop, struct output_room *room, struct ring *ring, const char *name,
                 int64_t rate)
{
    *o = (struct output){.loop = loop, .room = room, .ring = ring, .name = name, .fd = -1};
    bucket_init(&o->lines, rate, rate * OUTPUT_BURST_S, loop_now_ms(loop));
    timer_init(&o->tell, tell_timer, o);
    timer_init(&o->resume, resume_timer, o);
    announce_init(&o->announce, loop, &room->announce, &o->name);
}

void output_reconfigure(struct output *o, const char *name, int64_t rate)
{
    o->name = name;
    bucket_change(&o->lines, rate, rate * OUTPUT_BURST_S, loop_now_ms(o->loop));
}

int output_open(struct output *o)
{
    int fds[2];
    output_close(o);
    o->last = (struct last_words){.text = ""};
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
        (void)read_some(o, LAST_READS, SIZE_MAX);
        stop_reading(o);
    }
    if (o->line_n > 0 && !o->is_cut)
        flush_line(o);
    o->line_n = 0;
    o->is_cut = o->has_return = 0;
    tell_dropped(o);
}

void output_fini(struct output *o)
{
    output_close(o);
    announce_fini(&o->announce);
}
