/*
 * shared_reply: what the script in Redis answers, read. Whatever a reply holds, only what has the right form is told; of a reply that has not, nothing,
 * or its beginning. Pure.
 */
#ifndef PROXY_STORE_SHARED_REPLY_H
#define PROXY_STORE_SHARED_REPLY_H

#include "common/sys.h"

#include <hiredis/hiredis.h>

/* 16 hexadecimal digits, and their NUL: a ticket's id, and a replica's. */
enum { SHARED_ID_BYTES = 17 };

/* An id as such digits, and back: 0 or -EINVAL. */
void shared_id_text(uint64_t id, char out[SHARED_ID_BYTES]);
int shared_id_parse(const char *text, size_t text_n, uint64_t *out) WARN_UNUSED;

/* A slot of this backend is that ticket's, which is the replica's. All is borrowed. */
typedef void shared_grant_fn(void *context, const char *replica, uint64_t id, const char *backend);

/* [[REPLICA, ID, BACKEND]…]: 0 or -EPROTO. */
int shared_read_grants(const redisReply *reply, shared_grant_fn *fn, void *context) WARN_UNUSED;
/* The same in [[…], 1 where replicas differ about its slots]. */
int shared_read_backend(const redisReply *reply, shared_grant_fn *fn, void *context, int *is_differing) WARN_UNUSED;
/* `ID BACKEND`, as it is published: 0 or -EPROTO. */
int shared_read_message(const char *text, size_t text_n, shared_grant_fn *fn, void *context) WARN_UNUSED;

/* Called in the order in which they stand here; replica of grant: NULL, it is ours. */
struct shared_beat_ops {
    void (*lost)(void *context, uint64_t id);
    shared_grant_fn *grant;
    void (*place)(void *context, uint64_t id, size_t place, int64_t wait_ms);
    void (*drained)(void *context, const char *backend, int is_drained);
    void (*learnt)(void *context, const char *backend, const char *model, const char *text);
};
struct shared_beat {
    unsigned replicas_n; /* at least 1 */
    int is_new;          /* Redis does not know (any more) what we have */
    int64_t settles_ms;  /* so long nothing is granted, as it was away itself; 0: it is */
};
/* To a beat: 0 or -EPROTO. */
int shared_read_beat(const redisReply *reply, const struct shared_beat_ops *ops, void *context, struct shared_beat *out) WARN_UNUSED;

#endif
