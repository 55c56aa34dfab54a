/*
 * announce: one line of our log for each runner that Ollama starts, with the model's name.
 *
 *     info ollama runner model=llama3.2:1b parallel=1 mmap=yes context=2048 batch=512
 */
#ifndef SUPERVISOR_ANNOUNCE_H
#define SUPERVISOR_ANNOUNCE_H

#include "common/bucket.h"
#include "common/loop.h"
#include "supervisor/runner.h"

enum { ANNOUNCE_REST_BYTES = 96, RUNNER_SHORT_BYTES = 13 };

/* What only a program that writes needs. It is apart and not cleared before, as PID 1 is to be small. */
struct announce_room {
    struct runner runner;           /* as far as the program's lines go */
    char rest[ANNOUNCE_REST_BYTES]; /* of the line whose model's name is looked for */
    char short_digest[RUNNER_SHORT_BYTES]; /* what stands for the name if there is none */
    char name[RUNNER_NAME_BYTES];
};

struct announce {
    struct loop *loop;
    struct announce_room *room; /* borrowed; anything may be in it until has_line */
    int has_line;               /* the program has written one */
    const char *const *program; /* where its name stands; borrowed */
    int fd;              /* the looking process's word; -1: nobody looks */
    struct timer timer;  /* it has taken too long */
    struct bucket looks; /* a program that makes up lines makes us fork so often, and no more */
    size_t name_n;
};

/* room: its own, with anything in it. *program: its name, which may become another text by a reload. */
void announce_init(struct announce *a, struct loop *loop, struct announce_room *room, const char *const *program);
/* The next line that the program wrote: where it completes a runner's start, that is logged, at once or when its name was
 * found, in two seconds at the latest. Never waits. */
void announce_line(struct announce *a, const char *line);
/* Logs what is still to be told, and stops looking. */
void announce_fini(struct announce *a);

#endif
