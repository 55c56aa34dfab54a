/*
 * memory: notices when the kernel kills for want of memory, a program's main process or any process below one, and tells it
 * with the limit.
 */
#ifndef SUPERVISOR_MEMORY_H
#define SUPERVISOR_MEMORY_H

#include "common/buf.h"
#include "common/loop.h"
#include "supervisor/cgroup.h"

enum { MEMORY_WHY_BYTES = 160, MEMORY_NAME_BYTES = 64 };

struct memory {
    struct loop *loop;
    struct cgroup group;
    int watch_fd;         /* becomes readable, or has news, when a process may have been killed; -1: nothing watches */
    int64_t seen_n;       /* the kernel's counter when it was last read; CGROUP_NONE: there is none */
    uint64_t kills_n;     /* since boot */
    unsigned looks_n;     /* how often it is still looked again: v1 tells before it kills */
    unsigned unclaimed_n; /* killed, and it may yet turn out that it was a main process */
    unsigned late_n;      /* told as no main process; the reaping of a large one may come late */
    int64_t unclaimed_since_ms, late_until_ms;
    unsigned untold_n;    /* of them the log has said nothing yet */
    int has_told;
    int64_t told_at_ms;
    char main_name[MEMORY_NAME_BYTES]; /* the last program whose main process is among the untold; "" */
    struct timer settle, tell;
    /* The name of the program that must have had the process that was killed, or NULL where it may have been several. */
    const char *(*owner)(void *context);
    /* The counter has grown just now; limit: in words, or "". NULL: nobody asks. */
    void (*killed)(void *context, const char *limit);
    void *context;
};

/* Finds the limit and logs it, and from now on watches the kernel's counter of kills, where the kernel has a way to tell of it
 * (cgroup v2; v1 where its files can be written). proc: "/proc", but for tests. Never fails: what is not there is not watched. */
void memory_init(struct memory *m, struct loop *loop, const char *proc, const char *(*owner)(void *context), void *context);
void memory_fini(struct memory *m);

/* What all programs may take together; negative: not known. */
int64_t memory_limit_bytes(const struct memory *m);
/* A program complains, or has lost an answer: where nothing watches the counter, it is looked at soon. */
void memory_look_soon(struct memory *m);
/* Processes were reaped, and those killed by SIGKILL claimed: the same, and what the machine lost until now is not ours. */
void memory_reaped(struct memory *m);
/* A program's main process was killed by SIGKILL, and not by us: 1 where that was for want of memory, with the words for it,
 * such as "out of memory, the limit is 2.0 GiB". */
int memory_claim(struct memory *m, const char *program, char why[MEMORY_WHY_BYTES]) WARN_UNUSED;

/* {"limit_bytes":…,"used_bytes":…,"peak_bytes":…,"cache_bytes":…,"oom_kills":…,"source":"…"}, null for what is not known. 0 or -errno. */
int memory_write(const struct memory *m, struct buf *out) WARN_UNUSED;

#endif
