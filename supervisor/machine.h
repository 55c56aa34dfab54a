/*
 * machine: asks the API of the machine that we run in, a UNIX socket of Fly's, that it be suspended. One fixed POST; no library.
 *
 * fly.io/docs/reference/suspend-resume: POST /v1/apps/APP/machines/ID/suspend on /.fly/api, which needs no token for a machine's
 * own suspend. After a 2xx the machine stops at some moment, within seconds; what runs in it goes on later as if nothing had been.
 */
#ifndef SUPERVISOR_MACHINE_H
#define SUPERVISOR_MACHINE_H

#include "common/loop.h"

enum {
    MACHINE_NAME_BYTES = 64,
    MACHINE_ANSWER_BYTES = 1024, /* of an answer the status counts, and for people the beginning of its body */
    MACHINE_WHY_BYTES = 256,
};

struct machine {
    struct loop *loop;
    /* The end: why is "" where the answer is yes; else what came in its place. It may ask again. */
    void (*told)(void *context, const char *why);
    void *context;
    struct timer timer;
    int fd; /* -1: nothing is under way */
    int has_asked;
    int64_t limit_ms;
    size_t question_n, answer_n;
    char question[3 * MACHINE_NAME_BYTES + 128];
    char answer[MACHINE_ANSWER_BYTES];
};

void machine_init(struct machine *m, struct loop *loop, void (*told)(void *context, const char *why), void *context);
/* socket: a path of at most 107 bytes; app, id: as conf_machine gives them, letters, digits, - and _ only. 0, and told comes later;
 * or -errno where not even that could be begun. limit_ms: from now to the last byte of the answer that is read. */
int machine_ask(struct machine *m, const char *socket, const char *app, const char *id, int64_t limit_ms) WARN_UNUSED;
/* Nobody is told any more; harmless where nothing is under way. What was asked for may come all the same. */
void machine_leave(struct machine *m);

#endif
