/* See exchange_serve.h. The end of what such a request has beside its exchange. */
#include "proxy/serve/exchange_hub.h"

#include <stdlib.h>

void exchange_leave_hub(struct exchange *x)
{
    if (!x->hub)
        return;
    hub_calls_leave(&x->hub->waiter);
    serve_leave(x->env->serve, &x->hub->lease);
}

void exchange_free_hub(struct exchange *x)
{
    if (!x->hub)
        return;
    buf_fini(&x->hub->pulled);
    buf_fini(&x->hub->held);
    free(x->hub);
    x->hub = NULL;
}
