/* See bucket.h. Counted in thousandths, so that a millisecond refills whole numbers whatever the rate. */
#include "common/bucket.h"

enum { PARTS = 1000 };

static void refill(struct bucket *b, int64_t now_ms)
{
    int64_t gone_ms = now_ms - b->at_ms, most = b->burst * PARTS;
    b->at_ms = now_ms;
    if (gone_ms <= 0)
        return;
    int64_t missing = most - b->thousandths;
    if (b->rate > 0 && gone_ms > missing / b->rate)
        b->thousandths = most;
    else
        b->thousandths += gone_ms * b->rate;
}

void bucket_init(struct bucket *b, int64_t rate, int64_t burst, int64_t now_ms)
{
    *b = (struct bucket){.rate = rate, .burst = burst, .thousandths = burst * PARTS, .at_ms = now_ms};
}

void bucket_change(struct bucket *b, int64_t rate, int64_t burst, int64_t now_ms)
{
    refill(b, now_ms);
    b->rate = rate;
    b->burst = burst;
    if (b->thousandths > burst * PARTS)
        b->thousandths = burst * PARTS;
}

int bucket_take(struct bucket *b, int64_t now_ms)
{
    if (b->rate == 0)
        return 1;
    refill(b, now_ms);
    if (b->thousandths < PARTS)
        return 0;
    b->thousandths -= PARTS;
    return 1;
}
