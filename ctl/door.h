/*
 * door: the proxy, as sidecarctl reaches it: at the first listener that can be reached from here, which the supervisor names, or, where there is no control
 * socket (it could not be made anywhere), or it is not for us, the configuration. Wildcard addresses are reached by loopback. SIDECAR_KEY of the environment
 * goes along as the key.
 */
#ifndef CTL_DOOR_H
#define CTL_DOOR_H

#include "ctl/ctl.h"

#include "common/buf.h"

struct door_request {
    const char *method, *path; /* GET, POST, DELETE */
    const char *body;          /* of POST: JSON; NULL: none */
    /* Gets what an answer 200 brings, as it comes; 0 to go on. NULL: it is kept, as that of any other answer. */
    int (*take)(void *context, const char *bytes, size_t bytes_n);
    void *context;
    int is_patient; /* the answer takes as long as it takes; else no longer than five seconds in all */
    int is_quiet;   /* that the proxy does not answer is told by why, and not on stderr */
};

enum { DOOR_WHY_BYTES = 640 };

struct door_answer {
    struct buf body;
    long status;
    int64_t asked_at_ms; /* by sys_monotonic_ms() */
    int64_t load_ms;     /* so long the proxy had its model loaded before it asked: X-Sidecar-Load-Ms; -1: it does not say */
    char why[DOOR_WHY_BYTES]; /* the supervisor answers, and the proxy does not; "" */
};

/* CTL_OK with an answer, whatever its status; else an exit code, and stderr says why. A proxy that the supervisor says is stopped, or has failed, is not asked: its
 * listeners take connections all the same. door_answer_fini() is due either way. */
int door_ask(const struct ctl *ctl, const struct door_request *request, struct door_answer *out) WARN_UNUSED;
void door_answer_fini(struct door_answer *a);

#endif
