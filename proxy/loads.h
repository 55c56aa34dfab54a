/*
 * loads: what is known of each model at the backend (is it loaded, with which options, for how long), and who waits while one
 * is loaded. A load belongs to nobody: it goes on when all who wait have left, and serves whoever comes meanwhile. Pure: the
 * request that loads is sent by whoever is told to (loader.h).
 *
 * What is known is only ever a reason to leave a load request out, and where nothing is known one is sent: it costs a
 * millisecond where the model is there. Sources: Ollama's server/sched.go, v0.9.5 (needsReload, useLoadedRunner, expireRunner).
 */
#ifndef PROXY_LOADS_H
#define PROXY_LOADS_H

#include "common/contract.h"
#include "proxy/load_options.h"
#include "proxy/waiting.h"

enum {
    LOADS_MODELS = 64,
    LOADS_MARGIN_MS = 1000,      /* so long before its keep_alive ends a model does not count as loaded any more */
    LOADS_KEEP_LEAST_MS = 10000, /* a load keeps its model so long at least, for the request that it is for */
    LOADS_INSTANT_MS = 10,       /* a load that took less has loaded nothing: it was there. A runner's start takes longer */
};

enum load_state { LOAD_UNKNOWN, LOAD_LOADING, LOAD_LOADED };

/* What a request asks for. */
struct load_wish {
    struct load_options options;
    struct load_terms terms;
    int64_t keep_alive_ms; /* as in ask.h */
};

struct load_ticket;

/* What is known of one model. */
struct load {
    enum load_state state;
    struct load_wish wish;       /* of who began the load */
    struct load_options options; /* it is loaded, or being loaded, with */
    int64_t keep_alive_ms;       /* Ollama keeps it so long behind the last answer; ASK_KEEP_FOR_EVER */
    int64_t until_ms;            /* … which is until then, where nobody is being answered */
    int64_t begun_ms, used_ms;
    struct load_before {
        enum load_state state;
        struct load_options options;
        int is_perhaps;
    } before;                    /* what was known when the load began */
    int is_perhaps;              /* UNKNOWN, but it may well be loaded with `options` until until_ms */
    int is_keep_ours;            /* our load has set its keep_alive, and no request another */
    int is_telling;              /* those who waited are being told */
    int is_load_doubted;         /* it was unloaded, or the like, while it is loaded: what the load leaves is not known */
    int is_answer_doubted;       /* … while somebody is being answered: nor what he leaves */
    unsigned turn;               /* of those who wait: who comes while others are told is not of theirs */
    size_t answering_n;          /* requests that are with the backend now */
    struct load_ticket *first, *last;
    char model[CONTRACT_NAME_BYTES]; /* "": a free row */
};

enum load_end {
    LOAD_ENDED_WELL,
    LOAD_ENDED_UNTOLD,  /* the backend would not do it by such a request: whoever waits asks it himself */
    LOAD_ENDED_FAILED,  /* it said why: status, text */
    LOAD_ENDED_REFUSED, /* it took no connection */
    LOAD_ENDED_LOST,    /* it gave no answer, or none that is whole */
};

struct load_result {
    enum load_end end;
    int status;       /* of FAILED */
    const char *text; /* of FAILED, REFUSED, LOST; borrowed for the call */
    int is_untried;   /* the backend was not asked at all: what it has loaded is what it had */
};

typedef void load_fn(void *context, const struct load_result *result);

/* A request that waits for a load; embedded in it. */
struct load_ticket {
    struct load_ticket *previous, *next;
    struct load *load; /* that it waits for; NULL: none */
    unsigned turn;
    int is_counted;    /* among those who wait */
    int is_accepted;   /* it was let in to wait before: max_queue does not count */
    struct load_wish wish;
    load_fn *fn;       /* called once, from loads_end */
    void *context;
};

enum load_verdict {
    LOAD_GO,    /* it may go on: the model is loaded, or nobody can say more */
    LOAD_BEGIN, /* it waits, and *load is to be loaded with load->options now: loads_end is due */
    LOAD_WAIT,  /* it waits */
    LOAD_FULL,  /* too many wait already */
    LOAD_LATER, /* it has to be asked for again in a moment (load_may_fn) */
    LOAD_RESTS, /* it is not to be loaded now (load_may_fn) */
};

/* Whether a load with these options may begin: BEGIN; else LATER or RESTS, and nothing is changed by having asked. */
typedef enum load_verdict load_may_fn(void *context, const char *model, const struct load_options *options);

/* What a request must name, so that nothing is loaded again. */
struct load_ride {
    struct load_options options;
    unsigned dropped;      /* what it must not name: bits, 1 << enum load_option */
    int64_t keep_alive_ms; /* ASK_KEEP_UNSAID: nothing */
};

struct loads {
    struct waiting *waiting; /* borrowed */
    int64_t keep_alive_ms;   /* of a request that says nothing; ASK_KEEP_FOR_EVER */
    int is_keep_known;       /* … it is the backend's own, and no guess */
    load_may_fn *may;        /* NULL: each may begin */
    void *may_context;
    size_t loading_n;
    uint32_t hashes[LOADS_MODELS]; /* beside rows */
    struct load rows[LOADS_MODELS];
};

/* keep_alive_ms: ASK_KEEP_UNSAID where nobody knows the backend's. */
void loads_init(struct loads *l, int64_t keep_alive_ms, struct waiting *waiting);

/* t->wish is set. must_fit: the model must be loaded so that t->wish is met, and *ride is what has to be named for that;
 * else it may be loaded in any way. *load: of BEGIN. */
enum load_verdict loads_look(struct loads *l, struct load_ticket *t, const char *model, int must_fit, int64_t now_ms,
                             struct load **load, struct load_ride *ride);
/* Does not wait any more; harmless for who does not. The load goes on. */
void loads_leave(struct loads *l, struct load_ticket *t);
/* The load has ended: those who wait are told, in the order of their arrival. That it has failed is told to those who asked
 * for the same options; others are told that all is well, and look again: all of them, where it was loaded with more than was
 * asked for. From their fn anybody may look and leave. */
void loads_end(struct loads *l, struct load *load, const struct load_result *result, int64_t now_ms);
/* The keep_alive that a load asks for; ASK_KEEP_UNSAID: none, so that it is the backend's own. */
int64_t loads_keep_alive_ms(const struct loads *l, const struct load *load);

/* How an answer ended. */
enum load_answer {
    LOAD_ANSWER_WELL, /* the model is there, loaded as was wished */
    LOAD_ANSWER_LEFT, /* nobody has waited for the end */
    LOAD_ANSWER_NONE, /* it was refused for what it says, and its model not even looked for */
    LOAD_ANSWER_BAD,  /* nobody knows what there is now */
};

/* A request goes to the backend: what it may give to loads_answered. NULL where nobody can count it, as there are too many models. */
struct load *loads_answer(struct loads *l, const char *model, int64_t now_ms);
void loads_answered(struct loads *l, struct load *load, const struct load_wish *wish, enum load_answer how, int64_t now_ms);

/* Nothing is known any more: of one model, nor of what its load and its answers leave that are under way; of all; of all but
 * this one (or NULL) that nobody is being answered by, as another may have taken their memory. A load that is under way goes on. */
void loads_forget(struct loads *l, const char *model);
void loads_forget_all(struct loads *l);
/* … of all, but each may well be there: a load asks for what it was loaded with, where that meets the wish. */
void loads_doubt_all(struct loads *l);
void loads_forget_idle(struct loads *l, const struct load *but);

#endif
