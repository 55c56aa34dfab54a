/*
 * own_request: a small request of our own to a backend, and its answer as a whole. No client's end ends it.
 */
#ifndef PROXY_OWN_REQUEST_H
#define PROXY_OWN_REQUEST_H

#include "proxy/backend.h"
#include "proxy/fetch.h"
#include "proxy/tell.h"

enum { OWN_REQUEST_TYPE_BYTES = 80 };

struct own_rules {
    size_t answer_bytes; /* a longer answer is not read to its end */
    int64_t limit_ms;    /* for all of it; 0: as long as it takes */
    int64_t body_ms;     /* from the head of its answer to the end; 0: as long as it takes */
};

/* What came of it; all borrowed for the call. */
struct own_answer {
    enum fetch_end end;  /* FETCH_DONE: it has answered. FETCH_GARBAGE also where time was up */
    int status;          /* 0: no head has come */
    int is_unread;       /* too long, or encoded: there are no bytes of it */
    const char *type;    /* Content-Type; "" where there is none, or too long a one */
    const char *bytes;
    size_t bytes_n;
    const char *why;     /* of another end */
};
typedef void own_request_fn(void *context, const struct own_answer *answer);

struct own_request {
    struct own_rules rules;
    struct fetch fetch;
    struct buf head, answer;
    struct timer timer; /* of an end that was known at the start, and of the limits */
    int status, is_unread, is_refused;
    own_request_fn *done;
    void *context;
    char type[OWN_REQUEST_TYPE_BYTES];
    char why[128];
};

/* done: the last call; the owner may free it all, or start another one. */
void own_request_init(struct own_request *r, struct backend *backend, const struct own_rules *rules, own_request_fn *done, void *context);
/* body: of a POST, borrowed for the call; NULL: a GET. done comes later, never from within, unless own_request_cancel comes first.
 * 0 or -ENOMEM. */
int own_request_start(struct own_request *r, const struct tell *tell, const char *path, const struct buf *body) WARN_UNUSED;
/* Ends it without a word; harmless where there is none. Between requests it holds no memory. */
void own_request_cancel(struct own_request *r);
void own_request_fini(struct own_request *r);

/* The bytes of such a request, for who reads its answer as it comes; as own_request_start takes them. 0 or -ENOMEM. */
int own_request_write(struct buf *out, const struct backend *backend, const struct tell *tell, const char *path, const struct buf *body) WARN_UNUSED;

#endif
