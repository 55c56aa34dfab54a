/*
 * members_inner: what the files of member.h share. members.c has all of them, and the addresses of their hosts' names; member.c one;
 * member_ask.c what that is asked; member_lists.c what they say together.
 */
#ifndef PROXY_BALANCE_MEMBERS_INNER_H
#define PROXY_BALANCE_MEMBERS_INNER_H

#include "proxy/balance/member.h"
#include "proxy/balance/resolve.h"

/* A section, whose members are one, or one for each address of its host's name. */
struct members_row {
    struct members *all;
    const struct conf_backend *conf;
    struct url url;
    char origin[HTTPS_ORIGIN_BYTES]; /* of its url */
    char *authorization;      /* owned; NULL: it has no key */
    int is_followed;          /* its host is a name that we look up */
    int is_drained;           /* … by its own name: those that come are, too */
    int is_lost;              /* the last lookup failed, which was told */
    struct resolve resolve;
    struct timer timer;       /* the next lookup, or the first one takes long */
    int64_t looked_up_ms;     /* a lookup was begun */
};

struct members {
    struct loop *loop;
    const struct conf *conf;
    const struct tell *tell;
    struct waiting *waiting;
    struct members_ops ops;
    struct breaker_rules rules;
    struct https *https;      /* owned; NULL where nothing needs it */
    struct deferred review_work; /* those that have changed, or go, are told of */
    int is_full_told;
    struct member *places[BALANCE_BACKENDS];
    size_t rows_n;
    struct members_row rows[];
};

/* At the end of this turn `changed` is told of it, or it goes. */
static inline void members_touch(struct member *m)
{
    m->is_changed = 1;
    loop_defer(m->all->loop, &m->all->review_work);
}

/* member.c. A new one without a place; NULL: no memory. */
struct member *member_new(struct members_row *row, int index);
void member_free(struct member **m);
/* Where it is: at this address, or (NULL) as its url says. It is probed from now on. 0; -ENOMEM; or another error, with m->why. */
int member_settle(struct member *m, const struct ip *ip) WARN_UNUSED;
/* It can't be probed: why. */
void member_fail(struct member *m, const char *why);
/* It goes, or stays after all: it is probed no more, or again. */
void member_set_leaving(struct member *m, int is_leaving);

/* member_ask.c: the two requests of one that is somewhere; both come to an end within their limits. probed: of a probe: why it was not well, else "". */
void member_ask_init(struct member *m, void (*probed)(struct member *m, const char *why));
void member_ask_cancel(struct member *m);
void member_ask_fini(struct member *m);
/* Probes it, unless a probe is under way. */
void member_ask(struct member *m);
/* Its list is asked for, unless it is younger than older_ms or was just asked for. 1 where it is on its way. */
int member_refresh(struct member *m, int64_t older_ms);
/* Why it does not do what it should, as /status tells it. */
void member_say(struct member *m, const char *why);

#endif
