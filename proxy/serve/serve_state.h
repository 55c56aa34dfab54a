/*
 * serve_state: what the files of serve.h share, and nobody else: serve.c (leases and its life), serve_list.c (the shelf), serve_start.c (what the
 * supervisor is told), serve_instances.c (what a request is sent to), serve_note.c (how long loads took), serve_write.c (GET /status), serve_gpus.c (its GPUs).
 */
#ifndef PROXY_SERVE_SERVE_STATE_H
#define PROXY_SERVE_SERVE_STATE_H

#include "proxy/env.h"
#include "proxy/serve/hub_job.h"
#include "proxy/serve/serve.h"

/* An engine that is, or was, READY: gone when the page does not have it any more, and nobody holds it. */
struct serve_instance {
    struct serve_instance *next;
    struct loop *loop; /* borrowed */
    uint32_t number;   /* of its row */
    char name[CONTRACT_ENGINE_BYTES];
    unsigned leases_n;
    struct upstream upstream;
    struct backend backend;
    struct queue queue;
    struct deferred queue_work;
};

/* A load that is noted beside its model. */
struct serve_note {
    struct serve_note *next;
    struct serve *s;
    struct hub_job job;
};

struct serve_list {
    struct shelf *shelf;
    struct hub_job job;
    struct serve_lease *first; /* who waits for it */
    int64_t told_ms;           /* when the last one came, or could not be had; 0: never */
    int is_outdated;           /* the cache has changed since it was asked for */
    char why[SERVE_WHY_BYTES]; /* the last one could not be had; "": it could */
};

struct serve_gpus {
    struct hub_job job;
    struct serve_lease *first; /* who waits for it */
    struct deferred work;
    struct buf told;           /* an array; empty: nobody has told yet */
    int64_t next_ms;           /* it is not asked again before */
    int is_silent;             /* a job did not end in time */
};

struct serve {
    struct env *env;
    struct engines engines;
    struct contract_instance_view rows[CONTRACT_INSTANCES]; /* as they were seen last */
    struct serve_list list;
    struct serve_gpus gpus;
    struct serve_instance *instances;
    struct serve_note *notes;
    struct deferred review_work, list_work;
    struct timer timer; /* the next review */
    struct translate_models loaded; /* for the translation of Ollama's answer to GET /api/ps: who is asked for them */
};

/* serve.c. Something has changed: it is looked at, at the end of this turn. */
void serve_review_soon(struct serve *s);

/* serve_list.c */
int serve_list_init(struct serve *s); /* 0 or -ENOMEM */
void serve_list_fini(struct serve *s);
/* A lease among those that wait for a job: it may be there already, and is in one such list at most; it leaves; all are woken, until the job is under way again,
 * as from its fn whoever waited may wait again, or end others. */
void serve_wait(struct serve_lease **first, struct serve_lease *lease);
void serve_wait_no_more(struct serve_lease *lease);
void serve_wake(struct serve_lease **first, const struct hub_job *job);

/* serve_gpus.c */
void serve_gpus_init(struct serve *s);
void serve_gpus_fini(struct serve *s);
int serve_write_gpus(const struct serve *s, struct buf *out); /* what was told last, as an array; 0 or -errno */

/* serve_start.c: of struct engines_ops; context: struct serve. */
int serve_start(void *context, const char *model, const struct engines_try *with);
int serve_tell_stop(void *context, const char *model);
size_t serve_find_ways(void *context, const char *model, struct engines_try tries[ENGINES_TRIES_MAX]);
/* Whether the program of an engine is there; why (CONTRACT_REASON_BYTES): where it was looked for. */
int serve_is_installed(const struct conf_engine *e, char *why);

/* serve_instances.c. That of this row, which is READY; NULL: there is no memory, or no such row. */
struct serve_instance *serve_instance_of(struct serve *s, uint32_t number);
/* Frees those that are gone; is_all: whatever they are. */
void serve_instances_forget(struct serve *s, int is_all);

/* serve_note.c: of struct engines_ops; context: struct serve. */
void serve_note_load(void *context, const struct engines_model *model);
void serve_notes_free(struct serve *s);

#endif
