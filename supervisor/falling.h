/*
 * falling: the steps in which we fall asleep, as a table of states and events. Pure: it knows neither sockets nor proxies, and
 * says what is to be done next.
 *
 *     AWAKE -> ASKING -> (CLOSING -> CONFIRMING ->) ASLEEP
 *
 * The steps in brackets are for an end of everything: no client whose connection the kernel took may be lost by it. So nobody
 * new is let in, who is half in comes in, and then the proxies are asked for the last time. Any work or doubt leads back to AWAKE.
 */
#ifndef SUPERVISOR_FALLING_H
#define SUPERVISOR_FALLING_H

#include "common/sys.h"

enum falling_state {
    FALLING_AWAKE,
    FALLING_ASKING,     /* the proxies were asked, and all is open still */
    FALLING_CLOSING,    /* nobody is let in any more; who is on his way comes in */
    FALLING_CONFIRMING, /* the proxies were asked once more */
    FALLING_ASLEEP,
    FALLING_STATE_COUNT
};

enum falling_event {
    FALLING_IDLE,    /* there has been nothing to do for long enough */
    FALLING_BUSY,    /* there is something to do after all */
    FALLING_YES,     /* so say all who were asked … */
    FALLING_NO,      /* … and so one of them */
    FALLING_CLEAR,   /* nobody is between the doors and a proxy */
    FALLING_UNCLEAR, /* somebody is, or may be */
    FALLING_LATE,    /* the state has lasted too long */
    FALLING_EVENT_COUNT
};

enum falling_order {
    FALLING_NOTHING,
    FALLING_ASK,     /* the proxies, whether anything is under way */
    FALLING_SHUT,    /* let nobody in */
    FALLING_CONFIRM, /* ask them again */
    FALLING_OPEN,    /* the doors, and stay awake */
    FALLING_ACT,     /* sleep */
};

/* ANSWER: for the proxies. SHUT: for all that is between the doors and them. SETTLE: another processor may be at work for a
 * client whom the doors let in when they were shut. AGAIN: how long we are awake after a no that tells of no work. */
enum { FALLING_ANSWER_MS = 2000, FALLING_SHUT_MS = 5000, FALLING_SETTLE_MS = 5, FALLING_AGAIN_MS = 1000 };

struct falling {
    enum falling_state state;
    int has_doors;         /* everything is to end; the caller's, before FALLING_YES */
    int64_t since_ms;      /* when it came into its state */
    int64_t shut_since_ms; /* when the doors were shut */
};

/* Awake. */
void falling_init(struct falling *f, int64_t now_ms);
enum falling_order falling_event(struct falling *f, enum falling_event event, int64_t now_ms);
/* When FALLING_LATE is due; -1: never. */
int64_t falling_limit_ms(const struct falling *f);
/* While the doors are shut: when to look whether nobody is on his way any more; first soon, then less often. */
int64_t falling_look_ms(const struct falling *f, int64_t now_ms);
/* Whether the doors are shut. */
int falling_is_shut(const struct falling *f);

/* Who is between the doors and a proxy. */
struct falling_view {
    int is_waited;     /* somebody is in the kernel's queue, or that can't be told */
    int half_open;     /* 1: a handshake has begun; 0: none has; negative: that can't be told */
    int64_t blind_ms;  /* where it can't be told: so long after the doors were shut each is over */
};
/* Whether that is FALLING_CLEAR. */
int falling_is_clear(const struct falling *f, const struct falling_view *v, int64_t now_ms);

/* Its word in the log. */
const char *falling_name(enum falling_state state);
/* For tests: what a cell of the table leads to, and whether there is one at all. */
int falling_cell(enum falling_state state, enum falling_event event, enum falling_state *next, enum falling_order *order);

#endif
