/*
 * pace: whether a client is fast enough, in both directions. Pure; times are the loop's.
 */
#ifndef PROXY_PACE_H
#define PROXY_PACE_H

#include <stdint.h>

/* A body on its way to us. Its sender may be ahead of the least rate, or behind it, by what that rate gives in `grace`; only
 * the time counts in which we wait for bytes. */
struct pace_in {
    int64_t credit;    /* in bytes times milliseconds a second: whole numbers, however small the pieces */
    int64_t at_ms;     /* up to when it is reckoned */
    int is_waited_for; /* since at_ms */
};

/* The most that counts, so that nothing overflows. */
enum { PACE_GRACE_MAX_MS = 3600 * 1000 };

/* A body begins. rate: bytes a second, 0: any will do; grace_ms: 0 to PACE_GRACE_MAX_MS. */
void pace_in_begin(struct pace_in *p, int64_t rate, int64_t grace_ms, int64_t now_ms);
/* From now on we wait for bytes, or we don't. */
void pace_in_wait(struct pace_in *p, int64_t rate, int is_waited_for, int64_t now_ms);
/* So many bytes have come. */
void pace_in_came(struct pace_in *p, int64_t rate, int64_t grace_ms, uint64_t bytes_n);
/* How long the next byte may take; 0: it is too slow; -1: as long as it likes, as there is no rate. */
int64_t pace_in_left_ms(const struct pace_in *p, int64_t rate);

/* Bytes on their way to a client that does not take them. What it has taken shows only in what the kernel still has to send,
 * as room for more is told when a third of the kernel's buffer is free: for a slow reader after minutes. */
struct pace_out {
    int64_t since_ms;      /* when it was last seen to take any */
    int64_t left_bytes;    /* in the kernel, when that was last looked at; -1: not yet */
};

/* It has taken bytes just now, or the first ones wait. */
void pace_out_begin(struct pace_out *p, int64_t now_ms);
/* left_bytes: what the kernel still has to send, < 0 where nobody knows. 1: it has taken nothing for limit_ms. */
int pace_out_is_stalled(struct pace_out *p, int64_t left_bytes, int64_t limit_ms, int64_t now_ms);

#endif
