/*
 * waiting: how many requests wait, at the gate and for a slot together.
 */
#ifndef PROXY_WAITING_H
#define PROXY_WAITING_H

#include <stddef.h>

struct waiting {
    size_t now_n;
    size_t limit_n; /* [proxy] max_queue */
};

/* Nobody else may begin to wait. Who was let in once is not turned away later: it is counted, and this not asked. */
static inline int waiting_is_full(const struct waiting *w)
{
    return w->now_n >= w->limit_n;
}

#endif
