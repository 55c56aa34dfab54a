/*
 * fleet_state: what the files of the fleet share, and nobody else: fleet.c (its life, who gets a slot), fleet_members.c (its members),
 * fleet_ticket.c (who waits, and how he leaves), fleet_ways.c (where a request may go, and what it takes there), fleet_shared.c (the other replicas),
 * fleet_write.c (what is told of it).
 */
#ifndef PROXY_BALANCE_FLEET_STATE_H
#define PROXY_BALANCE_FLEET_STATE_H

#include "common/loop.h"
#include "proxy/balance/fleet.h"

enum { FLEET_BUCKETS = 256 };

struct fleet {
    struct fleet_site site;
    struct balance_rules rules;
    struct members *members;
    struct balance *balance;
    struct speeds *speeds;
    struct prefixes *prefixes;
    struct shared *shared;   /* owned; NULL: we are alone */
    unsigned replicas_n;     /* that were seen last, ourselves included */
    struct deferred work;
    struct timer timer;      /* when to look again by time alone */
    int are_ways_due;        /* those who wait may go elsewhere by now, or nowhere */
    int are_untold;          /* Redis is still to be told of some of them */
    int are_parts_due;       /* how many slots are ours may be another number */
    int are_lists_due;       /* what the members have may be something else */
    int64_t settled_ms;      /* a member that has not told by then what it has is not waited for */
    int64_t reckoned_ms;     /* when the ways of all who wait were found last */
    uint64_t next_id;
    int64_t longest_wait_ms, longest_until_ms; /* the wait of the last in line, as it was found last; so long that holds */
    struct fleet_ticket *tickets[FLEET_BUCKETS]; /* all that are in, by id */
    struct fleet_ticket *due_first, **due_end;   /* those of them to whom something is to be said; where the next one is put */
};

/* The loop's clock. */
static inline int64_t fleet_now_ms(const struct fleet *f)
{
    return loop_now_ms(f->site.loop);
}

/* Whoever can have a slot by now gets one, later in this turn. */
static inline void fleet_look(struct fleet *f)
{
    loop_defer(f->site.loop, &f->work);
}

/* This is to be said to t, which is in, when the turn ends; FLEET_DUE_NOTHING: nothing any more. So nobody has to look for them among all that are in. */
static inline void fleet_set_due(struct fleet *f, struct fleet_ticket *t, enum fleet_due due)
{
    if (due && !t->due) {
        t->due_next = NULL;
        t->due_link = f->due_end;
        *f->due_end = t;
        f->due_end = &t->due_next;
    } else if (!due && t->due) {
        *t->due_link = t->due_next;
        *(t->due_next ? &t->due_next->due_link : &f->due_end) = t->due_link;
    }
    t->due = due;
}

/* fleet_ways.c */
enum fleet_ways {
    FLEET_WAYS_SOME,
    FLEET_WAYS_UNTOLD, /* members are still to say what they have */
    FLEET_WAYS_TRIED,  /* none but those that have failed it */
    FLEET_WAYS_NONE,
};
/* Into t->ways. */
enum fleet_ways fleet_find_ways(struct fleet *f, struct fleet_ticket *t);
/* Its member is down and has not answered it, and another one would be tried now. */
int fleet_is_stuck(const struct fleet *f, const struct fleet_ticket *t);
/* Whether the member is one that this ask may go to, whatever it has. */
int fleet_is_meant(const struct fleet_ask *ask, const struct member *m);

/* fleet_ticket.c. t has a slot by balance's word: it is told. */
void fleet_give(struct fleet *f, struct fleet_ticket *t);
/* It has no place and no slot any more, through nobody's fault; Redis is told nothing. */
void fleet_withdraw(struct fleet *f, struct fleet_ticket *t);

/* fleet_members.c. 0 or -ENOMEM. */
int fleet_open_members(struct fleet *f) WARN_UNUSED;
/* Its slots and whether it is open, as balance is to know them. */
void fleet_see_member(struct fleet *f, struct member *m);

/* fleet_shared.c. The other replicas. Nothing is told where we are alone, or Redis is away. 0 or -ENOMEM; */
int fleet_share(struct fleet *f) WARN_UNUSED;
void fleet_unshare(struct fleet *f);
/* whether Redis grants; whether balance does, as Redis is away, or there is none (neither: shared.h, SHARED_FIRST); our part of so many slots; an id that no
 * other replica has; */
int fleet_is_shared(const struct fleet *f);
int fleet_is_alone(const struct fleet *f);
size_t fleet_slots_part(const struct fleet *f, size_t slots_n);
uint64_t fleet_next_id(struct fleet *f);
/* one that waits, or whose ways are others now; whose answer has begun; that has left; its place (1: the next; 0: not known) and wait; */
void fleet_share_ticket(struct fleet *f, struct fleet_ticket *t);
void fleet_share_keep(struct fleet *f, const struct fleet_ticket *t);
void fleet_unshare_ticket(struct fleet *f, const struct fleet_ticket *t);
/* … those for which there was no room before; */
void fleet_share_untold(struct fleet *f);
size_t fleet_shared_place(const struct fleet *f, const struct fleet_ticket *t, int64_t *wait_ms);
/* a member's slots; that it is gone; what it has loaded; what was learnt of a model there. */
void fleet_share_member(struct fleet *f, struct member *m);
void fleet_unshare_member(struct fleet *f, const struct member *m);
void fleet_share_loaded(struct fleet *f, const struct member *m, const char *const *names, size_t names_n);
void fleet_share_speeds(struct fleet *f, const struct member *m, const char *model);

#endif
