/*
 * exchange_fleet: a request whose Ollama is one of several (balance/fleet.h). It asks for a member of the fleet instead of a slot of the one
 * Ollama; all that it knows of models there is the member's. Without the balancer (BALANCER=no) nothing of it is called, as nobody's Ollama is a
 * fleet's.
 */
#ifndef PROXY_EXCHANGE_FLEET_H
#define PROXY_EXCHANGE_FLEET_H

#include "proxy/balance/fleet.h"
#include "proxy/exchange_state.h"

#ifdef WITH_BALANCER
#define exchange_is_fleets(x) ((x)->env->fleet && !(x)->upstream)
#else
#define exchange_is_fleets(x) 0
#endif

enum { EXCHANGE_PLACE_BYTES = 64 };

struct unload;

/* What a request has that is the fleet's. */
struct exchange_fleet {
    struct fleet_ticket ticket;
    char name[MEMBER_NAME_BYTES]; /* of the member that it has, or had last; "" before */
    unsigned tries_n, refused_n;  /* members that have failed it, and of those who took no connection */
    size_t extra_bytes;           /* of deliver.extra, before a member had answered */
    size_t place;                 /* in line, when it came: 1 is the next; 0: it has not stood there */
    int64_t expected_ms;          /* … and how long that was expected to take; 0: nobody knew */
    char comment[EXCHANGE_PLACE_BYTES];
    struct unload *unload;        /* while one is under way; or NULL */
    void (*unloaded)(struct exchange *x); /* … what is done then */
};

/* Which backend it goes to, or went to; NULL: it has no name. */
static inline const char *exchange_backend_name(const struct exchange *x)
{
    return x->upstream ? x->upstream->name : x->fleet && *x->fleet->name ? x->fleet->name : NULL;
}

/* Who loads its model, and knows what is loaded. */
static inline struct loader *exchange_loader(const struct exchange *x)
{
    return x->member ? &x->member->loader : &x->env->loader;
}

/* How a member has failed it, before the first byte of an answer. */
enum exchange_failure {
    FAILURE_OF_MODEL,   /* it does not have its model, or can't load it: the member itself is well */
    FAILURE_OF_ANSWER,  /* it answered with 5xx, or did not */
    FAILURE_TO_CONNECT, /* nothing was sent */
};

#ifdef WITH_BALANCER

/* exchange_fleet.c. Its head, or body, is there: whether the member that its X-Sidecar-Backend names is one. 0, or -1: the exchange has ended, with 400. */
int exchange_check_backend(struct exchange *x) WARN_UNUSED;
/* The gate lets it pass: a member's slot, or where it needs none any member. 1: it has it (x->member); 0: it waits in line, and passes the gate
 * again later; -1: it has ended. */
int exchange_take_member(struct exchange *x) WARN_UNUSED;
/* 1 where it goes on, elsewhere or in a moment; 0: nobody else is left, and it has its member still. */
int exchange_go_elsewhere(struct exchange *x, enum exchange_failure failure, const char *why) WARN_UNUSED;
/* exchange_member.c. How its answer ended: well (1), by the request's fault (0), by the member's (-1; why). Once. */
void exchange_judge_member(struct exchange *x, int how, const char *why);
/* Its answer has begun. */
void exchange_keep_member(struct exchange *x);
/* What /health and /metrics tell of all of them: 1, or 0 where there is one Ollama. */
int exchange_gather_fleet(const struct env *env, struct fleet_facts *out);
/* How many slots of all of them are free, beside those that others wait for. */
size_t exchange_free_slots(const struct exchange *x);
/* It needs no member any more. Harmless where it has none. */
void exchange_leave_member(struct exchange *x);
/* Models were changed at its member. */
void exchange_changed_member(struct exchange *x);
/* exchange_fleet.c. What is read of all of them: 1 where it was answered. */
int exchange_answer_for_fleet(struct exchange *x);
/* X-Sidecar-Backend of the request: 1 with *name, borrowed; or 0. */
int exchange_named_backend(const struct exchange *x, const char **name, size_t *name_n);
/* exchange_unload.c. Its model is unloaded from each member that has it, or those of them that are named. done: then; or it has ended with an error. */
void exchange_unload_everywhere(struct exchange *x, void (*done)(struct exchange *x));
/* exchange_place.c. It begins to stand in line: its place and wait, for the answer's head. */
void exchange_note_place(struct exchange *x);
/* `place 3, about 12 s`, for a heartbeat; borrowed until the next call. NULL: it does not stand in line. */
const char *exchange_place_text(struct exchange *x);

#else

#define exchange_check_backend(x) 0
#define exchange_take_member(x) 1
#define exchange_go_elsewhere(x, failure, why) 0
#define exchange_judge_member(x, how, why) ((void)0)
#define exchange_keep_member(x) ((void)0)
#define exchange_gather_fleet(env, out) ((void)(out), 0)
#define exchange_free_slots(x) ((size_t)0)
#define exchange_leave_member(x) ((void)0)
#define exchange_changed_member(x) ((void)0)
#define exchange_answer_for_fleet(x) 0
#define exchange_unload_everywhere(x, done) ((void)(done))
#define exchange_place_text(x) NULL
#define fleet_write(f, shown, out) ((void)(shown), 0) /* exchange_status.c's */
#define fleet_write_members(f, shown, w) ((void)(shown), 0)
#define fleet_drain(f, name, name_n, is_drained) 0

#endif

#endif
