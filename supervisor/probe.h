/*
 * probe: asks one HTTP URL again and again until it answers 200. A fixed GET to an IP literal or localhost; no library.
 */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

#include "common/loop.h"
#include "common/parse.h"

enum { PROBE_PATH_BYTES = 512, PROBE_ANSWER_BYTES = 4096, PROBE_WHY_BYTES = 128 };

struct probe {
    struct loop *loop;
    void (*answered)(void *context); /* once, on the first good answer; the probe has ended then */
    void *context;
    struct address address;
    char path[PROBE_PATH_BYTES];
    const char *must_contain; /* text that the answer must have; NULL: the status is enough */
    int fd;                   /* -1: no request under way */
    enum { PROBE_OFF, PROBE_WAITING, PROBE_CONNECTING, PROBE_READING } state;
    struct timer timer;
    int64_t started_at_ms;
    char answer[PROBE_ANSWER_BYTES];
    size_t answer_n;
    char why[PROBE_WHY_BYTES]; /* what was wrong with the last answer */
};

void probe_init(struct probe *p, struct loop *loop, void (*answered)(void *context), void *context);
/* Begins to ask http://ADDRESS/PATH: every 10 ms in the first two seconds, then more and more rarely. A request that is
 * not answered within two seconds is given up and tried again. */
void probe_start(struct probe *p, const struct address *address, const char *path, const char *must_contain);
/* Ends; harmless when it is not running. */
void probe_stop(struct probe *p);

#endif
