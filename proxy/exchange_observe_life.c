/* See exchange_observe.h. How somebody begins to look on, and how that ends well. */
#include "proxy/exchange_observe.h"

#include <stdlib.h>

int exchange_begin_look(struct exchange *x)
{
    x->look = calloc(1, sizeof *x->look);
    if (!x->look) {
        exchange_fail(x, 500, NULL, "out of memory");
        return -1;
    }
    exchange_enter(x, EXCHANGE_LOOK);
    return 0;
}

void exchange_end_look(struct exchange *x)
{
    if (x->state != EXCHANGE_LOOK || !x->deliver.is_begun)
        return;
    exchange_leave_look(x);
    deliver_end(&x->deliver);
    exchange_finish(x, EXCHANGE_CLEAN);
}
