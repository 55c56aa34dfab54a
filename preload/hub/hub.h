/*
 * hub: what all jobs have: settings, transfers, the lines that are said, the signals that end it. A job does one thing after the other; while it
 * waits, hub_turn moves the transfers.
 */
#ifndef PRELOAD_HUB_HUB_H
#define PRELOAD_HUB_HUB_H

#include "preload/hub/fetch.h"
#include "preload/hub/say.h"
#include "preload/hub/settings.h"
#include "preload/hub/why.h"

enum {
    HUB_TURN_MS = 1000,
    HUB_SOON_MS = 18 * 1000, /* before [proxy] heartbeat_after: so long an error may still be told with a status of its own */
};

struct hub {
    struct settings settings;
    struct fetcher fetcher;
    struct say say;
    struct trouble trouble; /* why the job has failed */
    int64_t now_ms;         /* monotonic, of the last turn */
    int64_t begun_ms;       /* the job's beginning */
    int has_bytes;          /* of a file: it is under way, and worth to be waited for */
    int signal_fd;
};

/* Waits for something to happen, at most timeout_ms. 0; -1 where a signal has ended the job: then that is its trouble. */
int hub_turn(struct hub *h, int64_t timeout_ms) WARN_UNUSED;
/* As many turns as fill the time. The same. */
int hub_pause(struct hub *h, int64_t pause_ms) WARN_UNUSED;

/* The pause before what has failed, and took took_ms, is tried again; or -1: give up. Who asked is told soon, and with a status, rather than late: before the
 * first bytes of a file no pause is made, nor as long a try, that leads over HUB_SOON_MS. Behind that there is time. */
int64_t hub_pause_ms(const struct hub *h, const struct why *why, struct retry *retry, int has_progress, int64_t took_ms);

/* The whole of an answer, NUL-terminated in text, which is emptied first; tries again what may go by. what: for people, `the model org/name`.
 * 0 with the answer's head (NULL: nobody wants it), or -1 with the trouble. */
int hub_get(struct hub *h, const char *url, const char *what, struct buf *text, struct fetch_head *head) WARN_UNUSED;

#endif
