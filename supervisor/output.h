/*
 * output: what a program writes to stdout and stderr becomes log lines, and its last words are kept.
 *
 * Two bounds. Lines of ours: beyond a rate (output_rate) they are dropped, and how many is told. Bytes: a program that writes
 * more than some megabytes a second waits in its pipe, as reading them would be work for PID 1; nobody who writes a log to be
 * read ever comes near that, and the others must not wait.
 */
#ifndef SUPERVISOR_OUTPUT_H
#define SUPERVISOR_OUTPUT_H

#include "common/bucket.h"
#include "common/loop.h"
#include "supervisor/announce.h"
#include "supervisor/last_words.h"
#include "supervisor/ring.h"

enum { OUTPUT_LINE_BYTES = 1024, OUTPUT_BURST_S = 5 };

/* What only a program that writes needs. It is apart and never cleared, as PID 1 is to be small. */
struct output_room {
    char line[OUTPUT_LINE_BYTES];
    struct announce_room announce;
};

struct output {
    struct loop *loop;
    struct output_room *room; /* borrowed */
    struct ring *ring; /* where all lines are kept a while; borrowed; NULL: nowhere */
    const char *name;  /* of the program; borrowed */
    int fd;            /* our end of the pipe; -1: closed */
    size_t line_n;   /* of the line in room, as far as it has come */
    int is_cut;      /* the rest of a line that was too long is dropped */
    int has_return;  /* a carriage return was the last: what comes now writes over the line */
    struct last_words last;
    struct bucket lines;          /* of ours */
    unsigned long dropped_n;      /* lines that were not logged, since that was told last */
    struct timer tell;            /* when it is told, and lines are logged again */
    int64_t window_ms;            /* since when read_cost is counted */
    size_t read_cost;
    struct timer resume;          /* when reading goes on */
    int is_paused;
    struct announce announce;
    void (*complained)(void *context, const char *line, enum log_level level); /* it called a line a warning or an error; NULL: nobody asks */
    void *context;
};

/* room: its own, with anything in it. ring may be NULL. rate: lines of ours a second, 0: no limit. */
void output_init(struct output *o, struct loop *loop, struct output_room *room, struct ring *ring, const char *name,
                 int64_t rate);
/* By another configuration; name is borrowed. */
void output_reconfigure(struct output *o, const char *name, int64_t rate);
/* Makes the pipe for a new process; the writing end, which the caller closes after the fork, or -errno. */
int output_open(struct output *o) WARN_UNUSED;
/* The process is gone: takes what is still in the pipe, at most 64 KB of it, flushes a last line without an end, closes. */
void output_close(struct output *o);
/* The program is gone for good: the same, and nothing is told later. */
void output_fini(struct output *o);

#endif
