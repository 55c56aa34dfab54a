/*
 * door: the proxy, as sidecarctl reaches it: at the first listener that can be reached from here, which the supervisor names, or, where there is no control
 * socket (it could not be made anywhere), or it is not for us, the configuration. Wildcard addresses are reached by loopback.
 */
#ifndef CTL_DOOR_H
#define CTL_DOOR_H

#include "ctl/ctl.h"

#include "common/buf.h"

struct door_answer {
    struct buf body;
    long status;
};

/* GET, or POST without a body, of this path; no longer than five seconds in all. CTL_OK with an answer, whatever its status; else an exit code, and
 * stderr says why. door_answer_fini() is due either way. */
int door_ask(const struct ctl *ctl, const char *method, const char *path, struct door_answer *out);
void door_answer_fini(struct door_answer *a);

#endif
