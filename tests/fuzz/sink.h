/*
 * sink: a client that takes all that it is sent into a buffer.
 */
#ifndef TESTS_FUZZ_SINK_H
#define TESTS_FUZZ_SINK_H

#include "proxy/deliver.h"

#include <stdlib.h>

static inline void sink_on_write(void *context, const struct iovec *from, int from_n)
{
    for (int i = 0; i < from_n; i++)
        if (buf_append(context, from[i].iov_base, from[i].iov_len) < 0)
            abort();
}

static inline size_t sink_on_pending(void *context)
{
    (void)context;
    return 0;
}

static inline int sink_on_keep(void *context)
{
    (void)context;
    return 1;
}

/* sent, parts (DELIVER_PARTS): borrowed for the sink's life. */
static inline struct deliver_sink sink_into(struct buf *sent, struct iovec *parts)
{
    return (struct deliver_sink){sent, parts, sink_on_write, sink_on_pending, sink_on_keep, NULL};
}

#endif
