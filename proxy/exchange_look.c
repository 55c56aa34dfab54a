/* See exchange_observe.h. What somebody who looks on is told, and its end. */
#include "proxy/exchange_observe.h"

void exchange_leave_look(struct exchange *x)
{
    struct exchange_look *look = x->look;
    if (!look)
        return;
    catalog_leave(x->env->catalog, &look->catalog);
    overseer_leave(&look->overseer);
    feed_leave(x->env->feed, &look->listener);
    if (look->is_tail)
        overseer_tail_leave(&look->tail);
    look->is_tail = 0;
}

int exchange_show(void *context, const char *bytes, size_t bytes_n)
{
    struct exchange *x = context;
    if (x->deliver.sink->pending_bytes(x->deliver.sink->context) > 0)
        return 0;
    deliver_body(&x->deliver, bytes, bytes_n);
    deliver_flush(&x->deliver);
    return 1;
}
