/*
 * lines: a stream of bytes cut into lines of bounded length.
 */
#ifndef COMMON_LINES_H
#define COMMON_LINES_H

#include "common/buf.h"

enum { LINES_LIMIT_BYTES = 64 * 1024 };

/* One line without its end; borrowed, not terminated. */
typedef void lines_fn(void *context, const char *line, size_t line_n);

struct lines {
    struct buf kept;    /* the start of a line whose end has not come */
    size_t limit_bytes; /* a longer line is dropped as a whole */
    int is_dropping;
    unsigned long dropped_n; /* lines that were too long */
    lines_fn *fn;
    void *context;
};

void lines_init(struct lines *l, size_t limit_bytes, lines_fn *fn, void *context);
void lines_fini(struct lines *l);

/* Takes all the bytes and calls fn for each line that they complete; empty lines are skipped. */
void lines_feed(struct lines *l, const char *bytes, size_t bytes_n);
/* The stream has ended: what is left is a line too. */
void lines_end(struct lines *l);
/* Ready for another stream; what is left of the old one is forgotten. */
void lines_reset(struct lines *l);

#endif
