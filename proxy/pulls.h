/*
 * pulls: models that the backend has not and that somebody asks for: which of those that he may use he gets, and who waits while one is
 * pulled. A pull belongs to nobody: it goes on when all who wait have left, and serves whoever comes meanwhile. Pure: what is to be asked
 * is asked by who owns it (puller.h).
 */
#ifndef PROXY_PULLS_H
#define PROXY_PULLS_H

#include "common/contract.h"
#include "common/pull_failure.h"
#include "common/pull_progress.h"
#include "common/pull_retry.h"
#include "proxy/installed.h"
#include "proxy/waiting.h"

enum {
    PULLS_MODELS = 16,  /* that are pulled, wait for that, or have failed of late */
    PULLS_AT_ONCE = 2,  /* a small model need not wait for a large one, and more would only share the line, and the disk, between them */
    PULLS_REST_FIRST_MS = 10000, /* one that has failed is not tried before, */
    PULLS_REST_GROWTH = 3,       /* then so many times as long as the time before, */
    PULLS_REST_LONGEST_MS = 300000,
    PULLS_TEXT_BYTES = 4096,
    PULLS_AFRESH_MS = 1000,      /* a backend that gave no list is asked for it again */
};

enum pulls_state {
    PULLS_FREE,
    PULLS_QUEUED, /* others are being pulled */
    PULLS_RUNNING,
    PULLS_PAUSED,  /* a try has failed: the next one begins at until_ms */
    PULLS_CLAIMED, /* the backend says that it is there: its list will tell */
    PULLS_LOST,    /* the backend is away: it is pulled on when somebody asks for it */
    PULLS_RESTS,   /* it can't be had: it is not tried before until_ms */
};

struct pulls_ticket;
struct pulls_line {
    struct pulls_ticket *first, *last;
};

/* A request that waits; embedded in it. */
struct pulls_ticket {
    struct pulls_ticket *previous, *next;
    struct pulls_line *line; /* that it stands in; NULL: none */
    int is_accepted;         /* it was let in to wait before: max_queue does not count */
    unsigned failed;         /* a bit for each of the models that it may use: it was seen to fail, whatever has become of its row */
    void (*fn)(void *context); /* called once: it is to look again */
    void *context;
};

struct pulls_row {
    enum pulls_state state;
    char model[CONTRACT_NAME_BYTES];
    unsigned order;            /* of those who are queued */
    struct retry retry;
    enum failure kind;         /* of the last try that failed */
    char reason[CONTRACT_REASON_BYTES];
    int64_t begun_ms, until_ms;
    int64_t rest_ms;           /* the last one; 0: there was none */
    int64_t told_ms;
    int told_percent;
    uint64_t completed_bytes, total_bytes;
    struct pulls_line line;
    void *pulling;             /* of who pulls, and owned by him */
};

/* What somebody may use: the first that is there, else the first that can be pulled. All borrowed for the call. */
struct pulls_want {
    char *const *models;
    size_t models_n;
    const char *preset; /* whose these are; NULL: the client has named it */
    int may_pull;
    int is_of_many;     /* of several Ollamas: none is pulled, whatever the configuration says */
};

/* Of who asks the backend. None of them calls back from within. */
struct pulls_ops {
    int (*begin)(void *context, struct pulls_row *row);  /* a try: pulls_tried is due. 0 or -ENOMEM */
    void (*end)(void *context, struct pulls_row *row);   /* there will be no more tries: row->pulling becomes NULL */
    void (*list)(void *context, int is_afresh);          /* GET /api/tags: pulls_listed is due. is_afresh: one that is under way is too old */
    int (*is_ready)(void *context);                      /* the backend may be asked */
    int (*is_awaited)(void *context, const char *model); /* the gate waits for it: the preloader pulls it */
    void (*count)(void *context, int is_begun);          /* a pull is under way, or is no more */
    void (*lost)(void *context, const struct pulls_row *row); /* one was given up, for its reason */
    void *context;
};

struct pulls {
    struct installed installed;
    struct waiting *waiting;      /* borrowed */
    int64_t retries;              /* of a try that failed for a while */
    struct pulls_ops ops;
    unsigned next_order;
    int64_t unknowable_until_ms;  /* the backend gives no list */
    struct pulls_line asking;     /* who waits for it */
    struct pulls_line due;        /* who is being told */
    struct pulls_row rows[PULLS_MODELS];
};

void pulls_init(struct pulls *p, struct waiting *waiting, int64_t retries, const struct pulls_ops *ops);
/* Nobody may wait any more. */
void pulls_fini(struct pulls *p);

enum pulls_verdict {
    PULLS_GO,      /* models[*nth] is there, or nobody can tell */
    PULLS_WAIT,    /* t->fn comes */
    PULLS_AT_GATE, /* the preloader pulls models[*nth] */
    PULLS_FULL,    /* too many wait */
    PULLS_CROWDED, /* too many others are to be pulled */
    PULLS_NONE,    /* none is there, nor can be pulled: pulls_tell says why */
};
/* Which of them the request gets; where it is to wait, t is in a line until t->fn, or pulls_leave. */
enum pulls_verdict pulls_look(struct pulls *p, struct pulls_ticket *t, const struct pulls_want *want, int64_t now_ms, size_t *nth);
/* Does not wait any more; harmless for who does not. The pull goes on. */
void pulls_leave(struct pulls *p, struct pulls_ticket *t);

/* The list as it was at since_ms or later. GO: it is there; WAIT: it is asked for, t->fn comes, and it is to look again; FULL; NONE: it
 * can't be had now. t NULL: it is only asked for, and nobody waits. */
enum pulls_verdict pulls_refresh(struct pulls *p, struct pulls_ticket *t, int64_t since_ms, int64_t now_ms);

/* A try moves. */
void pulls_progress(struct pulls *p, struct pulls_row *row, uint64_t completed_bytes, uint64_t total_bytes, int64_t now_ms);
/* … has ended: FAILURE_NONE, or why. detail: clean words, or "". has_moved: it brought the model nearer; random: any number. */
void pulls_tried(struct pulls *p, struct pulls_row *row, enum failure kind, const char *detail, int has_moved, uint32_t random, int64_t now_ms);
/* The list was asked for, and read into p->installed (is_known), or can't be had. */
void pulls_listed(struct pulls *p, int is_known, int64_t now_ms);
/* What is due by now is done. */
void pulls_time(struct pulls *p, int64_t now_ms);
/* When something will be; -1: nothing. */
int64_t pulls_next_ms(const struct pulls *p);

/* Models were changed through us: what is there, and what could not be had, is not known any more. */
void pulls_models_changed(struct pulls *p);

/* Whether it is being pulled, or is to be as soon as it may. */
static inline int pulls_is_under_way(const struct pulls_row *row)
{
    return row->state != PULLS_FREE && row->state != PULLS_LOST && row->state != PULLS_RESTS;
}
/* How many pulls are under way; and how many of which there may be something on the disk that is wanted, as they are, or were lost. */
size_t pulls_under_way_n(const struct pulls *p);
size_t pulls_kept_n(const struct pulls *p);
/* The row of a model that can't be had, and is not tried now; NULL: there is none. */
const struct pulls_row *pulls_failed(const struct pulls *p, const char *model, int64_t now_ms);

/* What PULLS_NONE means for a client. */
struct pulls_told {
    int status;        /* 404, 502, 503 */
    int64_t retry_ms;  /* of 503: when it is worth another try */
    char text[PULLS_TEXT_BYTES];
};
void pulls_tell(const struct pulls *p, const struct pulls_want *want, int64_t now_ms, struct pulls_told *out);

#endif
