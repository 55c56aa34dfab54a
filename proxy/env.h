/*
 * env: what all exchanges share.
 */
#ifndef PROXY_ENV_H
#define PROXY_ENV_H

#include "common/bucket.h"
#include "common/conf.h"
#include "common/contract.h"
#include "common/loop.h"
#include "proxy/asked.h"
#include "proxy/asleep.h"
#include "proxy/backend.h"
#include "proxy/budget.h"
#include "proxy/first_load.h"
#include "proxy/gate.h"
#include "proxy/gpu_watch.h"
#include "proxy/limits.h"
#include "proxy/keys.h"
#include "proxy/loader.h"
#include "proxy/observe/overseer.h"
#include "proxy/optimizer.h"
#include "proxy/puller.h"
#include "proxy/queue.h"
#include "proxy/tell.h"
#include "proxy/trust.h"

struct catalog;
struct exchange;
struct feed;
struct fleet;
struct hub_calls;
struct observe;
struct serve;
struct store;
struct upstreams;

/* It outlives every exchange. All that it points to is borrowed. */
struct env {
    struct loop *loop;
    const struct conf *conf;
    struct contract_page *page; /* NULL where there is no supervisor */
    struct contract_line *line;       /* never NULL */
    int channel_fd;                   /* -1 where there is no supervisor */
    struct backend *backend;
    struct upstreams *upstreams;      /* those of [backend:NAME]; NULL: none. main's */
    struct fleet *fleet;              /* several Ollamas in the place of that one; NULL: it is that one. main's */
    struct lister lister;             /* … of their models */
    struct timer list_timer;          /* … asked for again, while a model that none of them has is waited for at the gate */
    struct store *store;              /* answers and limits in Redis; NULL: each proxy has its own. main's */
    struct serve *serve;              /* models of a hub, served by engines; NULL: none are. main's */
    struct hub_calls *hub_calls;      /* … and what is done in their cache for clients; NULL: nothing yet. main's */
    struct waiting waiting;           /* at the gate and in the queue */
    struct gate gate;
    struct budget bodies;             /* that are held */
    struct queue queue;
    struct deferred queue_work;
    struct loader loader;
    struct puller puller;
    struct asked_list asked;          /* who waits for a byte of the backend's */
    struct first_load first_load;
    struct asleep asleep;
    struct gpu_watch gpu;
    struct overseer overseer;         /* what the supervisor is asked */
    struct optimizer optimizer;
    struct observe *observe;          /* what is remembered of requests; main's */
    void (*work_over)(void *context); /* the last load that was under way has ended, or a pull; for main to set, or NULL */
    void *work_over_context;
    struct catalog *catalog;          /* models that Ollama has, for who looks; main's, as feed */
    struct feed *feed;                /* what goes on, for who looks on */
    struct timer trim_timer;          /* gives memory back, a moment after large bodies are gone */
    struct trust_rules trust;         /* for main to fill in */
    struct limits limits;             /* … too */
    struct keys keys;                 /* … this, too */
    struct tell tell;
    struct timer review_timer;        /* looks at the page again while somebody waits */
    int64_t started_at_ms;
    int32_t loaded_pid, answered_pid; /* the Ollama of which it was told that it has loaded a model, and answered; 0: none */
    int64_t wanted_at_ms;             /* when CONTRACT_WANT was sent last; 0: never */
    struct bucket warnings;           /* of refusals and broken answers: whoever makes many does not fill the log */
    uint64_t untold_n;                /* those that were not told since the last */
    uint64_t next_id;
    struct exchange *spare;           /* memory of exchanges that have ended; exchange.c's */
    size_t spares_n;
    int is_draining;
    int64_t draining_since_ms;
    int give_fd; /* to the next proxy; -1: none */
};

/* contract, line: as adopted; line may be any other where there is no supervisor. */
void env_init(struct env *env, struct loop *loop, const struct conf *conf, const struct contract *contract,
              struct contract_line *line, struct backend *backend);

/* After the last exchange. */
void env_fini(struct env *env);

#ifdef WITH_BALANCER
/* balance/fleet_env.c. env->fleet, where conf has several Ollamas: before env->upstreams. 0 or -ENOMEM. */
int env_open_fleet(struct env *env) WARN_UNUSED;
/* After the last exchange, and after env->upstreams. */
void env_close_fleet(struct env *env);
#endif

/* Somebody waits at the gate: it is reviewed from time to time, should a message be lost, and the supervisor is told
 * where ollama is down. */
void env_wait(struct env *env);
/* The page has changed, or we begin. */
void env_review(struct env *env);

/* The level at which a failure is told: a warning, or, where there were too many of late, for debugging only. The next warning is
 * preceded by their number. */
enum log_level env_warning(struct env *env);

/* A backend of several gets no requests now, or one of [backend:NAME] can't be used, once for each time: who looks is told. */
void env_backend_failed(void *env, const char *name, const char *why);

/* A held body is gone. */
void env_body_gone(struct env *env, struct budget_share *share);
/* Gives back a slot, or a place in line; who is next goes at the end of this turn of the loop. */
void env_leave_queue(struct env *env, struct queue_ticket *t);
/* While we drain: whether another proxy serves already, or will, so that a restart is none of the clients' business. */
int env_has_successor(const struct env *env);

/* One activity more, or less, under way: what the supervisor reads to know whether anything is. */
void env_count_activity(struct env *env, int is_begun);
void env_count_held(struct env *env, int is_begun);

/* A model was loaded; an answer that needed one has begun. The supervisor is told of the first after each start of Ollama:
 * phases of a boot (supervisor/boots.h). */
void env_note_load(struct env *env);
void env_note_first_token(struct env *env);

#endif
