/*
 * ctl: what every verb of sidecarctl is given, and the verbs.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stddef.h>

struct address;

/* sidecarctl's exit codes. */
enum { CTL_OK = 0, CTL_REFUSED = 1, CTL_USAGE = 100, CTL_NOBODY = 111 };

struct ctl {
    const char *socket_path; /* where the supervisor listens */
    const struct address *listen; /* the doors, by the configuration; NULL where it was not read */
    size_t listen_n;
    const char *argument;    /* NAME, or NULL */
    const char *const *names; /* tail: the names, NULL-terminated */
    const char *number;      /* -n: lines of tail, pictures of top, rounds of bench; NULL where it is not said */
    int is_following;        /* tail -f */
    int is_cold_asked;       /* bench --cold */
    int is_json;             /* print replies as they come */
    int is_ready_asked;      /* health --ready */
    int has_colours;
};

#endif
