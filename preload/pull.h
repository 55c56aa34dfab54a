/*
 * pull: the machine that gets a list of models into an Ollama, one request at a time.
 *
 * It makes no request itself: `ask` says which one is wanted now, `ask_n` changes with each new wish, and the driver
 * carries it out and hands back bytes, the answer's end, and the time. So a test can play a whole preload.
 */
#ifndef PRELOAD_PULL_H
#define PRELOAD_PULL_H

#include "common/lines.h"
#include "common/pull_progress.h"
#include "preload/models.h"
#include "preload/show.h"

enum pull_state { PULL_WAITING, PULL_LISTING, PULL_PULLING, PULL_PAUSING, PULL_ENDED, PULL_STATE_COUNT };
enum pull_event { PULL_TIMER, PULL_ANSWER, PULL_STOP, PULL_EVENT_COUNT };
enum pull_ask { PULL_ASK_NOTHING, PULL_ASK_TAGS, PULL_ASK_PULL };

#define PULL_NEVER_MS INT64_MAX

struct pull_limits {
    int64_t stall_ms;    /* without a byte of progress for so long, a pull is given up and tried again */
    int64_t api_wait_ms; /* Ollama may be away for so long in one piece */
    int64_t tags_ms;     /* for one answer to GET /api/tags */
    int64_t poll_min_ms, poll_max_ms; /* between two questions whether it is there */
};
extern const struct pull_limits pull_limits_default;

/* How many may be PULLING at once, of those that share it. */
struct pull_turns {
    size_t used_n, most_n;
};

struct pull_setup {
    struct models *models; /* borrowed, as all of these */
    struct show *show;
    struct pull_turns *turns; /* NULL: it is the only one */
    const char *backend;   /* for people: HOST:PORT, or its name as one of several */
    int64_t retries;
    int is_backend_ours;   /* the supervisor runs it, and knows when it has failed for good */
    struct pull_limits limits;
};

/* How a request ended. */
struct pull_answer {
    int is_lost;      /* no (whole) answer: text says why */
    long status;      /* HTTP */
    const char *text;
};

struct pull {
    struct pull_setup setup;
    enum pull_state state;
    int64_t deadline_ms; /* PULL_TIMER is due; PULL_NEVER_MS: nothing is */
    enum pull_ask ask;
    unsigned ask_n;
    struct model *current; /* pulled, or to be pulled again; NULL between models */
    int is_claimed;        /* Ollama says that current is there now */
    int is_stopped;
    struct progress progress; /* of current */
    uint64_t told_grown;
    struct lines lines;
    struct buf body; /* of GET /api/tags */
    int is_body_cut;
    int64_t now_ms;           /* of the last call */
    int64_t waiting_since_ms; /* -1: Ollama answers */
    int64_t poll_ms;
    char why[160]; /* it does not answer */
};

/* Starts: the first request is wanted at once where there are models at all. */
void pull_init(struct pull *p, const struct pull_setup *setup, int64_t now_ms);
void pull_fini(struct pull *p);

/* Bytes of the body of the request that is under way. */
void pull_bytes(struct pull *p, const char *bytes, size_t bytes_n, int64_t now_ms);
/* Ollama answers now: where it is waited for, it is asked at once. */
void pull_hurry(struct pull *p, int64_t now_ms);
/* The request has ended by itself. */
void pull_answer(struct pull *p, const struct pull_answer *answer, int64_t now_ms);
/* The time; call it at least once a second. */
void pull_time(struct pull *p, int64_t now_ms);
/* Stop now: what is under way is given up (Ollama keeps what it has of it). */
void pull_stop(struct pull *p, int64_t now_ms);

/* 1 where no work would be lost if everything went to sleep now. */
int pull_may_sleep(const struct pull *p);

/* For the test that no cell of the table is empty. */
int pull_has_action(enum pull_state state, enum pull_event event);

#endif
