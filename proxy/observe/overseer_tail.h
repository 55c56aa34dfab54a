/*
 * overseer_tail: the lines that programs write, from the supervisor as they come (the control socket's `tail`).
 */
#ifndef PROXY_OBSERVE_OVERSEER_TAIL_H
#define PROXY_OBSERVE_OVERSEER_TAIL_H

#include "proxy/observe/overseer.h"

enum {
    OVERSEER_TAIL_WHY_BYTES = 400,
    OVERSEER_TAIL_LINES_MOST = 1000000, /* that can be asked for */
};

/* Why the supervisor does not begin, by the `code` of its refusal (docs/contract.md, Control socket). */
enum overseer_refusal { OVERSEER_NOT_REFUSED, OVERSEER_BUSY, OVERSEER_UNKNOWN_PROGRAM, OVERSEER_NO_LINES, OVERSEER_REFUSED /* for another reason */ };

struct overseer_tail_ask {
    unsigned lines_n;
    int is_following;    /* also those that come, until it is left */
    const char *program; /* its lines alone; NULL: those of all */
};

/* Embedded in what reads them. Either call may leave, and free what it is in. */
struct overseer_tail {
    struct overseer *overseer; /* borrowed, while something is under way */
    int fd; /* -1: nothing is under way */
    int is_begun;
    enum overseer_refusal refusal; /* on_end() tells the supervisor's own words where it is one */
    struct timer timer; /* until it has begun */
    struct buf coming;  /* a line's beginning, whose end has not come */
    /* Whole lines with their ends, each an object of JSON: {"name","level","at","line"}, or {"dropped":N}. The first call says that it has begun, and may have
     * none (""). Borrowed. */
    void (*on_lines)(void *context, const char *lines, size_t lines_n);
    /* The last call. why: in words, where it was refused or the supervisor does not answer; NULL: it has told all, or the supervisor has ended. */
    void (*on_end)(void *context, const char *why);
    void *context;
};

void overseer_tail_init(struct overseer_tail *t, void (*on_lines)(void *, const char *, size_t), void (*on_end)(void *, const char *), void *context);
/* 0, and calls will come, never from within; -ENOTSUP where there is no supervisor, -EINVAL for what can't be a program's name, -EBUSY where
 * OVERSEER_TAILS_MAX are under way; else -errno. */
int overseer_tail_begin(struct overseer_tail *t, struct overseer *o, const struct overseer_tail_ask *ask) WARN_UNUSED;
/* While its reader takes no more, the supervisor's lines stay there, and the oldest are lost there. */
void overseer_tail_pause(struct overseer_tail *t, int is_paused);
/* No call comes any more. Harmless where nothing is under way. */
void overseer_tail_leave(struct overseer_tail *t);

#endif
