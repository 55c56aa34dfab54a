/*
 * blob: one file on its way into the cache. Its bytes go to blobs/ETAG.incomplete, are hashed as they come, and become blobs/ETAG when they are all
 * there and the hash is the hub's: so what has that name is whole, whatever ends us, and what has not is gone on with.
 */
#ifndef PRELOAD_HUB_BLOB_H
#define PRELOAD_HUB_BLOB_H

#include "common/pull_retry.h"
#include "common/sha256.h"
#include "preload/hub/hub.h"
#include "preload/hub/place.h"
#include "preload/hub/sha1.h"
#include "preload/hub/tree.h"

enum blob_state {
    BLOB_EMPTY,     /* the slot has none */
    BLOB_LOCKED,    /* another process downloads it */
    BLOB_RECALLING, /* what an earlier try has left is hashed */
    BLOB_FETCHING,
    BLOB_PAUSING,   /* before another try */
    BLOB_DONE,
    BLOB_FAILED,    /* the job's trouble says why */
    BLOB_STATE_COUNT
};

struct blob {
    enum blob_state state;
    struct hub *hub;                /* borrowed, as the next two */
    const struct place *place;
    const struct tree_file *file;
    char revision[PLACE_REVISION_N + 1];
    int fd, lock_fd;                /* -1: none */
    uint64_t have_n, resumed_n;     /* bytes that are there; those of earlier tries */
    uint64_t told_n;                /* those that were said last */
    uint64_t begun_n;               /* those that were there when this try began */
    int64_t due_at_ms;              /* LOCKED, PAUSING: look again */
    int64_t asked_at_ms;            /* FETCHING */
    struct sha256 sha256;
    struct sha1 sha1;
    struct retry retry;
    struct fetch fetch;
};

void blob_init(struct blob *b, struct hub *h, const struct place *place);
/* What is under way is given up; what is there of it stays. */
void blob_fini(struct blob *b);

/* Puts a file into an EMPTY slot. */
void blob_begin(struct blob *b, const struct tree_file *file, const char *revision);
/* Does what can be done without waiting; call it each turn. */
void blob_turn(struct blob *b);
/* How long, in ms, until it is to be called though no transfer has moved; HUB_TURN_MS at the most. */
int64_t blob_wait_ms(const struct blob *b);

/* How many bytes of the file are not in the cache yet; 0: the blob is there. */
uint64_t blob_missing(const struct place *place, const struct tree_file *file);

#endif
