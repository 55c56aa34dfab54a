/*
 * events: server-sent events as they come from a backend, in pieces of any size (the HTML standard, section 9.2.6): lines that end with CR,
 * LF or both, comments, data of several lines.
 */
#ifndef PROXY_EVENTS_H
#define PROXY_EVENTS_H

#include "common/buf.h"

struct events {
    struct buf line;   /* one that is not whole */
    struct buf data;   /* of an event that is not whole */
    int has_data;
    int is_error;      /* the event's field was `error`, as llama-server once wrote it, or its type is */
    int is_begun;      /* a line has come */
    int is_behind_cr;  /* a LF that comes next belongs to it */
};

/* An event's data, valid for the call. 0 goes on; anything else ends events_take() at once, and is returned. */
typedef int events_fn(void *context, const char *data, size_t data_n, int is_error);

/* limit_bytes: of a line, and of an event's data. */
void events_init(struct events *e, size_t limit_bytes);
void events_fini(struct events *e);
/* Others begin. */
void events_forget(struct events *e);
/* More of them. 0, what fn returned, -EFBIG or -ENOMEM. */
int events_take(struct events *e, const char *bytes, size_t bytes_n, events_fn *fn, void *context) WARN_UNUSED;
/* No more comes: the last one counts, though nothing ends it, as servers do not all end it. Likewise. */
int events_end(struct events *e, events_fn *fn, void *context) WARN_UNUSED;

#endif
