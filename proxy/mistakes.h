/*
 * mistakes: all that is wrong with a request, as one text: what, where, and what would be right. What does not fit is counted, up to MISTAKES_MAX.
 */
#ifndef PROXY_MISTAKES_H
#define PROXY_MISTAKES_H

#include "common/sys.h"

struct mistakes {
    char *why;     /* borrowed; NUL-terminated always */
    size_t room_n; /* at least MISTAKES_ROOM_BYTES */
    size_t used_n, told_n, found_n;
};

enum { MISTAKES_ROOM_BYTES = 128, MISTAKES_MAX = 100 };

void mistakes_init(struct mistakes *m, char *why, size_t room_n);
/* One more: `messages[2].role: missing; …`. */
void mistakes_add(struct mistakes *m, const char *format, ...) PRINTF_LIKE(2, 3);
/* Whether nobody needs to look for more: those of a body of megabytes would take seconds. */
static inline int mistakes_are_many(const struct mistakes *m)
{
    return m->found_n >= MISTAKES_MAX;
}
/* How many bytes at the beginning of such a text are the place of its first mistake: `messages[2].role` of the above, for machines. 0 where it
 * begins with none. */
size_t mistakes_place(const char *why);
/* Says how many were not told. How many were found. */
size_t mistakes_end(struct mistakes *m);

#endif
