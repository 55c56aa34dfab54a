/*
 * probe: asks one HTTP URL again and again: until it answers 200, or whether it still does. A fixed GET to an IP literal or
 * localhost; no library.
 */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

#include "common/loop.h"
#include "common/parse.h"

/* Of an answer the status counts, and of Ollama's the beginning of its body, after some 150 bytes of header. Each program
 * has room for one, and PID 1 is to be small. */
enum { PROBE_PATH_BYTES = 512, PROBE_ANSWER_BYTES = 512, PROBE_WHY_BYTES = 128 };

/* What only a probe that runs needs. It is apart and never cleared, so that an idle program costs no memory for it. */
struct probe_room {
    char path[PROBE_PATH_BYTES];
    char answer[PROBE_ANSWER_BYTES];
};

struct probe {
    struct loop *loop;
    struct probe_room *room; /* borrowed */
    /* Of a probe for readiness once, on the first good answer, and it has ended then; else after each try. */
    void (*told)(void *context, int is_good);
    void *context;
    struct address address;
    const char *must_contain; /* text that the answer must have; NULL: the status is enough */
    int fd;                   /* -1: no request under way */
    enum { PROBE_OFF, PROBE_WAITING, PROBE_CONNECTING, PROBE_READING } state;
    struct timer timer;
    int64_t asked_at_ms, started_at_ms;
    int64_t interval_ms; /* between tries, where they go on for ever; 0: for readiness */
    size_t answer_n;
    char why[PROBE_WHY_BYTES]; /* what was wrong with the last answer; "" when it is not running */
};

/* room: its own, with anything in it. */
void probe_init(struct probe *p, struct loop *loop, struct probe_room *room, void (*told)(void *context, int is_good),
                void *context);
/* Begins to ask http://ADDRESS/PATH for readiness: every 10 ms in the first two seconds, then more and more rarely. A
 * request that is not answered within two seconds, and as long again as was asked before, is given up and tried again. */
void probe_start(struct probe *p, const struct address *address, const char *path, const char *must_contain);
/* Begins to ask whether it still answers: every interval_ms, the first time after one; that is also how long an answer may
 * take. */
void probe_watch(struct probe *p, const struct address *address, const char *path, const char *must_contain,
                 int64_t interval_ms);
/* Ends; harmless when it is not running. */
void probe_stop(struct probe *p);

#endif
