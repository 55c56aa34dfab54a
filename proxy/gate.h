/*
 * gate: where requests wait until what they need is there: the API, and their own model of the preload list.
 */
#ifndef PROXY_GATE_H
#define PROXY_GATE_H

#include "common/contract.h"
#include "common/parse.h"
#include "proxy/waiting.h"

/* Of several Ollamas: whether one of them has this model, of the preload list that goes to all; a review follows when more is known. */
typedef int gate_has_fn(void *context, const char *model);

/* What the shared page says, as far as a request may depend on it. */
struct gate_view {
    int is_supervised;   /* there is a page */
    int is_api_watched;  /* the backend is the supervisor's own ollama */
    int is_stopping;
    int is_shut;         /* Ollama is to be restarted: who needs a model waits for that */
    int is_stalled;      /* ollama was found hung, and its models are being unloaded */
    enum contract_state ollama;
    int32_t ollama_pid;  /* which one it is; 0: there is none */
    uint32_t ollama_restarts_n; /* after how many deaths */
    enum contract_phase phase;
    char reason[CONTRACT_REASON_BYTES]; /* of ollama's state */
    gate_has_fn *has; /* NULL: there is one Ollama, which the list is for */
    void *has_context;
    size_t missing_n;                   /* models that are waited for or being pulled */
    char missing[CONTRACT_MODELS][CONTRACT_NAME_BYTES];
};

/* page: NULL where there is no supervisor. */
void gate_look(struct gate_view *view, const struct contract_page *page, int is_backend_ours);

enum gate_verdict {
    GATE_PASS,
    GATE_WAIT_API,
    GATE_WAIT_MODEL,
    GATE_FAILED,   /* ollama has failed for good: view->reason */
    GATE_STOPPING, /* it will not come: everything is being stopped */
    GATE_FULL,     /* too many wait already */
};

/* model: "" where the request needs none, or names none. Pure. */
enum gate_verdict gate_decide(const struct gate_view *view, int needs_model, const char *model);
static inline int gate_is_waiting(enum gate_verdict verdict)
{
    return verdict == GATE_WAIT_API || verdict == GATE_WAIT_MODEL;
}
/* Whether the name of a request's model matters now. */
int gate_asks_model(const struct gate_view *view);

typedef void gate_fn(void *context, enum gate_verdict verdict);

/* A request's place in the line; embedded in what waits. */
struct gate_ticket {
    struct gate_ticket *previous, *next;
    int is_waiting;
    int is_accepted;   /* it was let in to wait before: max_queue does not count */
    int needs_model;
    const char *model; /* borrowed; never NULL */
    gate_fn *fn;       /* called once, from gate_review */
    void *context;
};

struct gate {
    const struct contract_page *page; /* borrowed */
    int is_backend_ours;
    int is_shut;     /* for the owner to set; see gate_view */
    int is_orphaned; /* the supervisor is gone: what is not there now will not come */
    int is_stalled;  /* see gate_view; for stalled.c to set */
    struct waiting *waiting; /* borrowed */
    gate_has_fn *has;        /* for the owner to set; see gate_view */
    void *has_context;
    struct gate_view view;
    struct gate_ticket *first, *last, *cursor;
    size_t waiting_n;
};

void gate_init(struct gate *g, const struct contract_page *page, int is_backend_ours, struct waiting *waiting);

/* Looks at the page again, into g->view. */
void gate_refresh(struct gate *g);

/* PASS, FAILED, STOPPING, FULL at once; or a verdict of waiting: then t->fn comes later, unless gate_leave comes
 * first. Those who wait longer are let go first. */
enum gate_verdict gate_enter(struct gate *g, struct gate_ticket *t);
void gate_leave(struct gate *g, struct gate_ticket *t);
/* Looks at the page again and lets go, in order, who need not wait any more. */
void gate_review(struct gate *g);

#endif
