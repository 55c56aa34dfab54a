/*
 * tail: one client's view of the programs' last lines, and of those that come.
 *
 *     tail [-f] [-n COUNT] [NAME…]
 */
#ifndef SUPERVISOR_TAIL_H
#define SUPERVISOR_TAIL_H

#include "common/buf.h"
#include "supervisor/ring.h"

enum { TAIL_DEFAULT_N = 10, TAIL_MOST_N = 1000000, TAIL_WHY_BYTES = 160 };

struct tail {
    int is_begun;
    int is_following;
    const char *names;          /* separated by blanks; "": all programs. Into the client's line */
    uint64_t until_number;      /* where it ends when it does not follow */
    struct ring_cursor cursor;
    uint64_t lost_n;            /* to be told yet */
};

/* Reads what stands behind the verb. 0; -EINVAL with the reason in why. arguments is borrowed while t is in use. */
int tail_parse(struct tail *t, const char *arguments, long *lines_n, char why[TAIL_WHY_BYTES]) WARN_UNUSED;
/* Goes to the last lines_n lines of the programs that are asked for. */
void tail_begin(struct tail *t, const struct ring *ring, long lines_n);
/* The next name at *at of a list such as t->names, its length in *name_n; NULL at the end. */
const char *tail_name(const char **at, size_t *name_n);

enum { TAIL_END, TAIL_WAIT, TAIL_MORE };

/* Appends the next lines as JSON, some 16 KB at a time: {"name","level","at","line"}, or {"dropped":N} where N lines, of
 * whatever program, were overwritten before this client took them. What is left: TAIL_MORE at once, TAIL_WAIT nothing now,
 * TAIL_END nothing ever; or -errno. */
int tail_write(struct tail *t, const struct ring *ring, struct buf *out) WARN_UNUSED;

#endif
