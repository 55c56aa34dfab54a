/*
 * upstreams: the backends of [backend:NAME] beside Ollama: where they are, what they have, and which of them a request goes to.
 *
 * Who has a model: a backend whose `models` names it, in the file's order; else Ollama, where it lists it; else the first backend
 * that lists it; else Ollama, which will say what is wrong. Lists (GET /v1/models; Ollama's: /api/tags) are asked for at the start, and again when they are
 * used and older than 30 s; a model that nobody has, and a client that asks for the list, wait for fresh ones, which are asked for once a
 * second at the most. A list that can't be had stays what it was. Models of a hub's cache are not among these: exchange_lists.c puts them behind.
 */
#ifndef PROXY_UPSTREAMS_H
#define PROXY_UPSTREAMS_H

#include "common/conf.h"
#include "proxy/gate.h"
#include "proxy/lister.h"
#include "proxy/own_request.h"
#include "proxy/upstream.h"
#include "proxy/upstream_models.h"

enum { UPSTREAMS_WHY_BYTES = 160 };

enum upstreams_state {
    UPSTREAMS_UNKNOWN, /* no list was asked for yet, or it is on its way */
    UPSTREAMS_GOOD,
    UPSTREAMS_FAILED,  /* the last one could not be had: row->why */
};

struct upstreams;

/* Ollama (the first row, without conf), or one of [backend:NAME]. */
struct upstreams_row {
    struct upstreams *all;
    const struct conf_backend *conf; /* NULL: Ollama */
    struct upstream upstream;
    struct backend backend;          /* unused where it is Ollama's */
    struct queue queue;
    struct deferred queue_work;
    struct own_request list;
    struct upstream_models models;
    enum upstreams_state state;
    int is_asking;
    int64_t asked_ms;                /* 0: never */
    char origin[HTTPS_ORIGIN_BYTES], authorization[4096], path[256], list_path[272];
    char why[UPSTREAMS_WHY_BYTES];
};

/* Who waits for lists; embedded in it, all zero but for fn and context. */
struct upstreams_ticket {
    struct upstreams_ticket *previous, *next;
    int is_waiting;
    const char *model; /* whoever has it will do; NULL: all lists. Borrowed */
    void (*fn)(void *context);
    void *context;
};

struct upstreams {
    struct loop *loop;
    struct gate *gate;
    const struct tell *tell;
    const struct lister *lister;  /* the first row is several Ollamas; NULL: it is one */
    int has_no_ollama;            /* nobody is behind the first row: it lists nothing */
    struct https *https;          /* owned; NULL where nothing needs it */
    struct deferred review_work;
    struct buf tags;              /* the last list of Ollama's, as it came; {"models":[]} before there is one */
    void (*failed)(void *context, const char *name, const char *why); /* one of [backend:NAME], once for each reason; or NULL. For main to set */
    void *failed_context;
    struct upstreams_ticket *first;
    size_t rows_n;
    struct upstreams_row rows[];
};

/* All is borrowed. lister: of several Ollamas, in the place of `ollama`; or NULL. 0 with *out, NULL where no other backend is configured, no lister, and no models of a hub are served; -ENOMEM. What else is wrong with one is told, and makes it fail. */
int upstreams_new(struct upstreams **out, struct loop *loop, const struct conf *conf, struct gate *gate, struct backend *ollama,
                  const struct lister *lister, const struct tell *tell) WARN_UNUSED;
/* Nobody may wait, and no request may be under way. */
void upstreams_free(struct upstreams **u);

/* Who answers for this model: 1 with *out (NULL: Ollama); or 0: t waits, and its fn comes, never from within. t NULL, as from
 * there: as far as is known now. */
int upstreams_choose(struct upstreams *u, struct upstreams_ticket *t, const char *model, const struct upstream **out);
/* Whether Ollama's list, as far as it is known now, has this model. */
int upstreams_is_ollamas(const struct upstreams *u, const char *model);
/* Fresh lists: 1 where they are as fresh as they can be; or 0, as above. */
int upstreams_refresh(struct upstreams *u, struct upstreams_ticket *t);
void upstreams_leave(struct upstreams *u, struct upstreams_ticket *t);

/* The model behind *at (all zero for the first), in the lists from *row on (1: those of all backends but Ollama), without names that an
 * earlier list has: 1, or 0 behind the last. */
int upstreams_next_model(const struct upstreams *u, size_t *row, struct upstream_model *at);
/* Each model of each list, Ollama's first, a name once. upstream: NULL for Ollama's. Ends where fn says other than 0, and returns that. */
typedef int upstreams_model_fn(void *context, const struct upstream *upstream, const struct upstream_model *model);
int upstreams_each_model(const struct upstreams *u, upstreams_model_fn *fn, void *context);
/* Ollama's list (the answer to GET /api/tags), as known from elsewhere: of one that sleeps since before we began. Nothing where there is
 * one already, or this is none. */
void upstreams_know_ollama(struct upstreams *u, const char *json, size_t json_n);
/* The lister has another list. */
void upstreams_relist(struct upstreams *u);
/* `{"name","state","models_n","error"}` of each backend, for /health; a comma before each but the first of all. 0 or -errno. */
int upstreams_write(const struct upstreams *u, struct buf *out, int *is_first) WARN_UNUSED;

#endif
