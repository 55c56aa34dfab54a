/* See exchange_hub.h. What is asked for. */
#include "proxy/serve/exchange_hub.h"

enum { BODY_BYTES = 64 * 1024 };

void exchange_begin_hub(struct exchange *x)
{
    if (buf_size(&x->body) > BODY_BYTES) {
        exchange_fail(x, 413, "body_too_large", "the body of such a request has 64 KiB at the most");
        return;
    }
    exchange_read_body(x); /* what is logged of it, and whether it streams */
    if (exchange_hub_make(x) < 0)
        return;
    switch (x->admission.route->api) {
    case API_SERVE_PULL:
        exchange_hub_pull(x);
        return;
    case API_SERVE_MODEL:
        exchange_hub_remove(x);
        return;
    default:
        exchange_hub_models(x);
    }
}
