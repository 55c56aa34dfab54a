/*
 * models: the preload list as rows, and how far each one is: here, on the shared page, and told to the supervisor.
 */
#ifndef PRELOAD_MODELS_H
#define PRELOAD_MODELS_H

#include "common/contract.h"
#include "common/parse.h"
#include "common/pull_failure.h"
#include "common/pull_retry.h"

enum { MODELS_TELL_MS = 250, MODELS_STATUS_MS = 1000 };

struct model {
    char *name; /* owned; always with its tag, as Ollama lists it */
    enum contract_model_state state;
    enum failure failure; /* of a FAILED one */
    char *reason;         /* as it was said last; owned; NULL: none, or no memory for it */
    struct retry retry;
};

struct models {
    struct model *items;
    size_t items_n;
    struct contract *contract; /* borrowed; empty where we run alone */
    int is_untold;             /* the supervisor was not yet told of a change */
    int64_t told_at_ms, status_at_ms;
};

/* Rows for the list, each PENDING; the page says LISTED from here on. contract is borrowed.
 * 0 or -ENOMEM, and then the page says DONE: nobody is to wait for rows that never come. */
int models_init(struct models *m, const struct list *list, struct contract *contract, int64_t now_ms) WARN_UNUSED;
void models_fini(struct models *m);

/* The first row that is still wanted, NULL where there is none. */
struct model *models_next(struct models *m);
size_t models_count(const struct models *m, enum contract_model_state state);

/* Moves a row to another state; reason: for people, "" where there is nothing to say. */
void models_set(struct models *m, struct model *model, enum contract_model_state state, const char *reason,
                int64_t now_ms);
/* Figures of the row that is pulled; grown: bytes that are new since the last call. */
void models_progress(struct models *m, struct model *model, uint64_t completed, uint64_t total, uint64_t grown,
                     int64_t now_ms);
/* Every row has its end, or nothing more will come: the page says DONE, the status how many are there. */
void models_end(struct models *m, int64_t now_ms);
/* A signal came. Where everything stops, whoever waits for a model is answered by the one who stops it; where only we stop, the rows get
 * their end here. 1 where another preloader follows: the page is not ours any more. */
int models_stop(struct models *m, int64_t now_ms);

/* One line for `STATUS=`: what is going on apart from the rows. */
void models_status(struct models *m, const char *text);

/* Tells the supervisor of what it was not told yet, at most every MODELS_TELL_MS; the time when there will be
 * something to do, -1 where there is nothing. */
int64_t models_tell(struct models *m, int64_t now_ms);

#endif
