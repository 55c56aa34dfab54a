/*
 * engines: which models run, in which engine: who is started, who is stopped for it, and who waits. Pure: rows of the page, wants and the time go in, starts
 * and stops come out; times are the caller's, in milliseconds.
 *
 * At most models_max run at once: what ends has its place until it has ended. A place for one who waits is that of the model that was used least
 * recently, of those that nobody uses. Where each is in use, one is drained: its running answers end, new ones wait, then it is stopped; but not before it had a
 * turn of twice as long as its load took (TURN_MIN_MS to TURN_MAX_MS), so that models that are wanted in turn do not load all the time.
 *
 * There may be several proxies, those that drain and the one that follows: the page says what each has to do with an engine (enum contract_hold). What another
 * one uses, or waits for, is no more to be stopped than what is used here; and what it drains gets no new request.
 *
 * A load is tried with one engine after the other. Where all have failed the model rests: who wants it is told so at once.
 */
#ifndef PROXY_SERVE_ENGINES_H
#define PROXY_SERVE_ENGINES_H

#include "common/contract.h"

enum {
    ENGINES_MAX = 16,
    ENGINES_TRIES_MAX = 2 * ENGINES_MAX, /* each engine, quantised and not */
    ENGINES_MODELS_MAX = 1000,           /* that somebody wants, or that run */
    ENGINES_KEPT_MAX = 64,               /* … and whose failures are known */
    ENGINES_TURN_MIN_MS = 1000,
    ENGINES_TURN_MAX_MS = 60000,
    ENGINES_SOON_MS = 1000,      /* what nobody tells of is looked at again */
    ENGINES_SHARED_MS = 250,     /* … and what another proxy does */
    ENGINES_ASK_AGAIN_MS = 5000, /* a message to the supervisor may be lost */
    ENGINES_ASKED_MAX_MS = 30000,
    ENGINES_HOPELESS_MS = 5000, /* … and a load that can't even be tried is tried again */
};

/* A way to load a model. */
struct engines_try {
    unsigned engine;
    int is_quantized;
    int is_absent;                   /* its program is not installed */
    char why[CONTRACT_REASON_BYTES]; /* it has failed, or can't be tried; "": neither */
};

enum engines_state {
    ENGINES_IDLE,     /* it does not run */
    ENGINES_WANTED,   /* … and is in line for a place */
    ENGINES_ASKED,    /* the supervisor is to start it */
    ENGINES_STARTING,
    ENGINES_READY,
    ENGINES_STOPPING, /* it was told to stop, or does */
    ENGINES_RESTING,  /* no engine could load it; not before rest_until_ms */
    ENGINES_STATE_COUNT
};

struct engines_lease;

struct engines_model {
    struct engines_model *next;
    char name[CONTRACT_NAME_BYTES];
    enum engines_state state;
    uint32_t number;            /* of its row; 0: it has none (yet) */
    uint32_t asked_after;       /* of ASKED: its row's number will be above */
    unsigned engine;            /* of its row */
    int is_quantized;
    int is_inherited;           /* another proxy has started it */
    int is_drained;             /* its place is for another */
    unsigned elsewhere;         /* what other proxies have to do with it: enum contract_hold */
    int is_hopeless;            /* of RESTING: no engine could even be tried */
    unsigned users_n;           /* leases on what is READY */
    unsigned leases_n;          /* … and all others that know it */
    int64_t wanted_ms, asked_ms, told_ms, ready_ms, used_ms, rest_until_ms;
    int64_t load_ms;            /* of what runs; 0: not known */
    struct engines_try *tries;  /* owned */
    size_t tries_n, try_at;
    struct engines_lease *first, *last; /* who waits, in the order of arrival */
};

/* A hold on a model; embedded in what wants it, all zero but for fn and context. */
struct engines_lease {
    struct engines_lease *previous, *next;
    struct engines_model *model;
    uint32_t number; /* the instance that it uses; 0: none */
    int is_waiting, has_failed;
    void (*fn)(void *context); /* engines_want has another answer by now */
    void *context;
};

struct engines_ops {
    /* 0; -EAGAIN: not now; another -errno: not at all. */
    int (*start)(void *context, const char *model, const struct engines_try *with);
    int (*stop)(void *context, const char *model);
    /* The ways to load it, the best first; why of those that can't be tried is set. How many. */
    size_t (*find)(void *context, const char *model, struct engines_try tries[ENGINES_TRIES_MAX]);
    /* It is READY, for the first time as far as we know; load_ms is known. */
    void (*loaded)(void *context, const struct engines_model *model);
    /* No engine could load it: it rests. */
    void (*rests)(void *context, const struct engines_model *model);
    void *context;
};

struct engines_rules {
    size_t models_max, engines_n;
    int64_t cooldown_ms; /* 0: none rests */
    int64_t idle_ms[ENGINES_MAX]; /* an engine that nobody has used for so long is stopped; 0: never */
    const char *names[ENGINES_MAX + 1]; /* that behind the last one is of engines of another configuration */
};

struct engines {
    struct engines_rules rules;
    struct engines_ops ops;
    struct engines_model *first;
    size_t models_n;
    uint32_t number_max; /* of all rows that were seen */
    int is_shared;  /* another proxy has requests under way: what it does is looked at often */
    int is_leaving; /* another one follows us: what has no use for us may have one for it */
};

/* What the page says of an instance. Texts are borrowed. */
struct engines_row {
    enum contract_state state;
    uint32_t number;
    unsigned engine; /* engines_n: one that our configuration does not have */
    int is_quantized, was_ready;
    int64_t load_ms; /* 0: it was not ready */
    unsigned elsewhere; /* enum contract_hold of other proxies */
    const char *model, *reason;
};

enum engines_verdict {
    ENGINES_GO,    /* the lease has an instance: its number */
    ENGINES_WAIT,  /* fn comes, from engines_wake */
    ENGINES_FAIL,  /* no engine can load it */
    ENGINES_NO_MEMORY,
};

/* Both are copied; what they point to is borrowed. */
void engines_init(struct engines *e, const struct engines_rules *rules, const struct engines_ops *ops);
/* Nobody may have a lease any more. */
void engines_fini(struct engines *e);

/* After each of these engines_review is to be called, soon. */
enum engines_verdict engines_want(struct engines *e, struct engines_lease *lease, const char *model, int64_t now_ms);
/* Harmless for who has nothing. */
void engines_leave(struct engines *e, struct engines_lease *lease, int64_t now_ms);
/* What we have to do with the instance that it runs as: enum contract_hold, for the page. */
unsigned engines_holding(const struct engines_model *model);
/* 1 where the instance of this lease is READY still. */
int engines_holds(const struct engines_lease *lease);
/* The page, all rows that were ever used. */
void engines_see(struct engines *e, const struct engines_row *rows, size_t rows_n, int64_t now_ms);
/* 0: it is told to stop; -EBUSY where somebody uses it, or waits for it, wherever; -ENOENT where it does not run. */
int engines_stop(struct engines *e, const char *model, int64_t now_ms);

/* Starts and stops. When it is to be called again; 0: not by the time. */
int64_t engines_review(struct engines *e, int64_t now_ms);
/* Calls whoever has waited for what is there now. From fn anything may be called but this. */
void engines_wake(struct engines *e);

/* What is known of a model; NULL: nothing. */
const struct engines_model *engines_find(const struct engines *e, const char *model);
/* Some way to load it is known to lead nowhere: also where another one has led to what runs. That an engine is not installed counts where none is. */
int engines_has_failed(const struct engines_model *model);
/* Why this way does: `vllm (q4): …`, cut at text_n; how long it is, as snprintf(3) says. */
size_t engines_why_not(const struct engines *e, const struct engines_try *way, char *text, size_t text_n);
/* Why it can't be loaded, each engine's reason: `vllm: …; transformers: …`, cut at text_n. */
void engines_why(const struct engines *e, const struct engines_model *model, char *text, size_t text_n);
/* Its word in JSON and logs. */
const char *engines_state_name(enum engines_state state);

/* engines_ways.c, for engines.c. It is to be loaded, from the first way on: 1, or 0 where none can be tried. */
int engines_begin(struct engines *e, struct engines_model *m, int64_t now_ms);
/* What has become of the way that it was loaded by; … and then the next is to be tried, or it rests, and all who wait are told. */
void engines_note(struct engines_model *m, const char *why);
void engines_fail_way(struct engines *e, struct engines_model *m, const char *why, int64_t now_ms);
/* engines.c's, for engines_review.c. Starts that the supervisor has not begun have failed. */
void engines_give_up(struct engines *e, int64_t now_ms);

#endif
