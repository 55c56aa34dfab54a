/*
 * trouble: why a job of the hub's failed: a code for programs, the HTTP status for who asked for it, and words: what, where, what to do.
 */
#ifndef PRELOAD_HUB_TROUBLE_H
#define PRELOAD_HUB_TROUBLE_H

#include "common/buf.h"

enum { TROUBLE_TEXT_BYTES = 800 };

enum trouble_code {
    TROUBLE_NONE,
    TROUBLE_NOT_FOUND,
    TROUBLE_GATED,
    TROUBLE_UNAUTHORIZED,
    TROUBLE_FORBIDDEN,
    TROUBLE_NO_SPACE,
    TROUBLE_READ_ONLY,
    TROUBLE_NETWORK,
    TROUBLE_RATE_LIMITED,
    TROUBLE_MISMATCH,
    TROUBLE_BAD_NAME,
    TROUBLE_BAD_FILE,
    TROUBLE_BUSY,
    TROUBLE_CANCELLED,
    TROUBLE_SYSTEM,
    TROUBLE_CODE_COUNT
};

struct trouble {
    enum trouble_code code;
    int64_t retry_after_s; /* the hub said so; 0: it said nothing */
    char text[TROUBLE_TEXT_BYTES];
};

/* The first one stays. What comes from outside is made harmless. Returns -1, for who says `return trouble_set(…)`. */
int trouble_set(struct trouble *t, enum trouble_code code, const char *format, ...) PRINTF_LIKE(3, 4);
/* A call failed on a path: error is -errno. What can be told by it has a code of its own (no space, read only). Returns -1. */
int trouble_system(struct trouble *t, int error, const char *doing, const char *path);
/* {"error":…,"code":…,"status":…} and a newline. 0 or -errno. */
int trouble_write(const struct trouble *t, struct buf *out) WARN_UNUSED;

#endif
