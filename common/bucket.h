/*
 * bucket: how many of something are let through, with a burst, and how many were not. A token bucket; time is an argument.
 */
#ifndef COMMON_BUCKET_H
#define COMMON_BUCKET_H

#include <stdint.h>

struct bucket {
    int64_t rate;   /* a second; 0: no limit */
    int64_t burst;  /* at once, after a pause */
    int64_t thousandths; /* of what may pass now */
    int64_t at_ms;  /* when that was so */
};

/* Full. rate and burst are not negative. */
void bucket_init(struct bucket *b, int64_t rate, int64_t burst, int64_t now_ms);
/* Another rate and burst; what is in the bucket stays, as far as it still fits. */
void bucket_change(struct bucket *b, int64_t rate, int64_t burst, int64_t now_ms);
/* 1, and one less is left, where one may pass; else 0. */
int bucket_take(struct bucket *b, int64_t now_ms);

#endif
