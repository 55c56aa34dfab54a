/*
 * puller: asks the backend what pulls.h wants to know, and for the models that it lacks. A pull that has begun goes on whoever leaves, and
 * is work: nothing falls asleep meanwhile.
 */
#ifndef PROXY_PULLER_H
#define PROXY_PULLER_H

#include "common/conf.h"
#include "proxy/gate.h"
#include "proxy/lister.h"
#include "proxy/own_request.h"
#include "proxy/pulls.h"

/* What it works with; all borrowed. */
struct puller_site {
    const struct conf *conf;
    struct backend *backend;
    const struct tell *tell;
    struct gate *gate;
    const struct lister *lister; /* of several Ollamas; NULL: the backend is asked. Nothing is pulled where there is one */
    struct contract_line *line; /* … says how many pulls there are, and bytes of them are progress */
    void (*count)(void *context, int is_begun); /* a pull is under way, or is no more */
    void (*lost)(void *context, const struct pulls_row *row); /* one was given up, for its reason */
    void *context;
};

struct puller {
    struct puller_site site;
    struct pulls pulls;
    struct own_request list;
    struct timer timer;
    int64_t asked_ms;
    int is_asking;
    int is_asked_again; /* … while it is asked: what comes may be from before that */
    int is_list_due;    /* there was no memory to ask: that it can't be had is to be told; or the lister's is as good as it can be */
    int32_t backend_pid;           /* what pulls knows is of the time of these */
    enum contract_phase phase;
    size_t missing_n;
};

void puller_init(struct puller *p, const struct puller_site *site);
/* Ends what is under way. Nobody may wait any more. */
void puller_fini(struct puller *p);

/* See pulls_look. */
enum pulls_verdict puller_look(struct puller *p, struct pulls_ticket *t, const struct pulls_want *want, size_t *nth);
/* See pulls_refresh. */
enum pulls_verdict puller_refresh(struct puller *p, struct pulls_ticket *t, int64_t since_ms);
/* The lister has another list. */
void puller_relist(struct puller *p);
/* Its list, as it was told to somebody else; what is none is ignored. */
void puller_take_list(struct puller *p, const char *json, size_t json_n);
/* The backend says that this model is not there, which it may have listed. */
void puller_forget(struct puller *p, const char *model);
/* Models were changed through us. */
void puller_models_changed(struct puller *p);
/* The page may have changed: another Ollama, or the preloader, may have other models. */
void puller_see_page(struct puller *p);

#endif
