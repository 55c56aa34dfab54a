/*
 * recent: the requests that have ended last, and the errors that there were last, of whatever. Texts are copied and cut. Pure.
 */
#ifndef PROXY_OBSERVE_RECENT_H
#define PROXY_OBSERVE_RECENT_H

#include "proxy/access.h"

enum {
    RECENT_ENDED_MAX = 64,
    RECENT_ERRORS_MAX = 32,
    RECENT_TEXT_BYTES = 240, /* of any text, with its end */
    RECENT_TEXTS_BYTES = 448, /* of all texts of a request */
};

/* Texts of an ended request, in the order of their worth: what has no room is cut. */
enum ended_text { ENDED_ID, ENDED_METHOD, ENDED_PATH, ENDED_MODEL, ENDED_CLIENT, ENDED_BACKEND, ENDED_KEY, ENDED_ERROR, ENDED_TEXT_COUNT };

/* What is not known is -1, of texts "". */
struct ended {
    int64_t at_ms; /* when it ended; realtime */
    enum access_end how;
    int status;    /* 0: none was told */
    const char *code; /* a literal; or NULL */
    int64_t wait_ms, queue_ms, load_ms, first_token_ms, total_ms;
    int64_t prompt_tokens_n, tokens_n;
    double tokens_per_s;
    uint16_t at[ENDED_TEXT_COUNT]; /* where each begins in texts; ended_text() */
    char texts[RECENT_TEXTS_BYTES];
};

/* Whose error it is. */
enum error_from { ERROR_OF_REQUEST, ERROR_OF_PROGRAM, ERROR_OF_PRELOAD, ERROR_OF_BACKEND, ERROR_OF_ENGINE, ERROR_OF_PULL, ERROR_FROM_COUNT };

struct error_note {
    int64_t at_ms; /* the last time; realtime */
    enum error_from from;
    unsigned times_n;       /* how often of late, in the very same words */
    const char *what_to_do; /* a literal; NULL: what says it, or nobody knows */
    char what[RECENT_TEXT_BYTES];
    char id[64];            /* of the last request with it; "": of none */
};

/* All zero: nothing yet. Rings. */
struct recent {
    struct ended ended[RECENT_ENDED_MAX];
    uint64_t ended_n;  /* so far */
    struct error_note errors[RECENT_ERRORS_MAX];
    size_t errors_n;   /* in errors, newest first */
};

/* A request has ended. texts: by enum ended_text, NULL for "". *facts: all but `at` and `texts`. */
void recent_end(struct recent *r, const struct ended *facts, const char *const texts[ENDED_TEXT_COUNT]);
/* Of those that have ended, the newest is 0; NULL: there are no more. */
const struct ended *recent_ended(const struct recent *r, size_t i);
const char *ended_text(const struct ended *e, enum ended_text which);

/* An error in plain words, which are cut. what_to_do: a literal or NULL. id: "" where it is no request's. */
void recent_error(struct recent *r, enum error_from from, int64_t at_ms, const char *what, const char *what_to_do, const char *id);
/* `request`. */
const char *error_from_name(enum error_from from);

#endif
