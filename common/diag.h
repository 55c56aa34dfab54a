/*
 * diag: a list of mistakes, so that a user sees all of them and not just the first.
 */
#ifndef COMMON_DIAG_H
#define COMMON_DIAG_H

#include "common/buf.h"

enum diag_level { DIAG_ERROR, DIAG_WARNING };

struct diag {
    struct buf text; /* one line each: `FILE:LINE: error: …`, or `NAME: warning: …` without a line */
    unsigned errors_n;
    unsigned warnings_n;
};

void diag_init(struct diag *d);
void diag_fini(struct diag *d);

/* Adds one line. where: a file or the name of a variable; line: 0 where there is none. */
void diag_add(struct diag *d, enum diag_level level, const char *where, int line,
              const char *format, ...) PRINTF_LIKE(5, 6);

/* Prints what was found to stderr and forgets it; the counters stay. */
void diag_print(struct diag *d);

/* The word of the NULL-terminated list that is nearest to what was typed, or NULL when none is near. */
const char *diag_nearest(const char *typed, const char *const *words);

#endif
