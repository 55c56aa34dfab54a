/*
 * observe: what is remembered of requests, for who wants to know: /metrics, /sidecar/status, the page. A request is counted once, when it
 * ends; nothing is done for a token.
 *
 * Who tells it: `live` is to be walked, oldest first, with exchange_tell_live() for each; `recent` by recent_ended() and its errors;
 * `series` by exchange_tell_series().
 */
#ifndef PROXY_OBSERVE_OBSERVE_H
#define PROXY_OBSERVE_OBSERVE_H

#include "proxy/observe/counts.h"
#include "proxy/observe/live.h"
#include "proxy/observe/notice.h"
#include "proxy/observe/recent.h"
#include "proxy/observe/series.h"

struct observe {
    struct live_list live;
    struct counts counts;
    struct recent recent;
    struct series series;
    struct notice notice;
};

/* *o is all zero: what is never used takes no memory. */
void observe_init(struct observe *o, int64_t now_ms);
void observe_fini(struct observe *o);

/* One request more is under way, or less: one that others answer than this process itself. */
void observe_begin(struct observe *o, struct live *one, struct exchange *exchange, int64_t now_ms);
void observe_leave(struct observe *o, struct live *one, int64_t now_ms);

/* A client's request has ended: *a is all that is known of it, and *m its head, as far as it was read. realtime_ms: of its end. */
void observe_end(struct observe *o, const struct access *a, const struct message *m, int64_t now_ms, int64_t realtime_ms, uint64_t out_bytes);

/* An answer has come to its end, at now_ms: its tokens, which began to come at from_ms. observe_end() has those of a request that was not made
 * inside. */
void observe_tokens(struct observe *o, const char *model, const struct ending_facts *f, int64_t from_ms, int64_t now_ms);

/* What is only counted. */
void observe_count(struct observe *o, enum count which, uint64_t n);
/* So many wait for Ollama or a model from now on. */
void observe_held(struct observe *o, int64_t now_ms, size_t held_n);

#endif
