/*
 * ring: the last lines of all programs, in memory of a fixed size; the oldest go first.
 */
#ifndef SUPERVISOR_RING_H
#define SUPERVISOR_RING_H

#include "common/log.h"

enum { RING_BYTES = 32 * 1024, RING_NAME_BYTES = 200, RING_LINE_BYTES = 1024 };

struct ring {
    char *bytes; /* RING_BYTES, allocated with the first line; owned */
    uint64_t begin_at, end_at;         /* what is kept, in bytes since the first line ever */
    uint64_t begin_number, end_number; /* the same in lines */
    /* Told after each line; NULL: nobody. */
    void (*grown)(void *context);
    void *context;
};

/* Where a reader is; all zero: at the first line ever. */
struct ring_cursor {
    uint64_t at, number;
};

struct ring_record {
    int64_t at_ms; /* realtime */
    enum log_level level;
    char name[RING_NAME_BYTES];
    char line[RING_LINE_BYTES];
    size_t line_n;
};

void ring_init(struct ring *r);
void ring_fini(struct ring *r);
/* Keeps a line, cut at RING_LINE_BYTES - 1. Without memory it is as if it had not been said. */
void ring_push(struct ring *r, const char *name, enum log_level level, int64_t at_ms, const char *line, size_t line_n);
/* The line at the cursor, which moves on; 0 where there is none yet. *lost_n: so many before it were overwritten unread. */
int ring_next(const struct ring *r, struct ring_cursor *c, struct ring_record *out, uint64_t *lost_n);

#endif
