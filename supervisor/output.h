/*
 * output: what a program writes to stdout and stderr becomes log lines, and its last words are kept.
 */
#ifndef SUPERVISOR_OUTPUT_H
#define SUPERVISOR_OUTPUT_H

#include "common/loop.h"

enum { OUTPUT_LINE_BYTES = 1024, OUTPUT_LAST_BYTES = 200 };

struct output {
    struct loop *loop;
    const char *name; /* of the program; borrowed */
    int fd;           /* our end of the pipe; -1: closed */
    char line[OUTPUT_LINE_BYTES];
    size_t line_n;
    int is_cut;                       /* the rest of a line that was too long is dropped */
    char last[OUTPUT_LAST_BYTES];     /* the last line that said something */
    void (*complained)(void *context); /* it called a line a warning or an error; NULL: nobody asks */
    void *context;
};

void output_init(struct output *o, struct loop *loop, const char *name);
/* Makes the pipe for a new process; the writing end, which the caller closes after the fork, or -errno. */
int output_open(struct output *o) WARN_UNUSED;
/* The process is gone: takes what is still in the pipe, at most 64 KB of it, flushes a last line without an end, closes. */
void output_close(struct output *o);

#endif
