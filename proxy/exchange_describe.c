/*
 * See exchange_state.h. What a request is to the fleet, by its body as the backend gets it. An answer that has no tokens (embeddings) ends with its
 * prompt, and no backend keeps that.
 */
#include "proxy/balance/fleet.h"
#include "proxy/describe.h"
#include "proxy/exchange_state.h"

static int is_embedding(const struct route *route)
{
    return route->api == API_EMBED || route->api == API_EMBED_ONE || route->api == API_OPENAI_EMBED;
}

void exchange_describe(struct exchange *x, struct fleet_ask *out)
{
    const struct optimizer *o = &x->env->optimizer; /* counts tokens, whether it has anything else to do or not */
    struct description d;
    describe_body(buf_data(&x->body), buf_size(&x->body), token_line(&o->estimates, x->ask.model), o->secret, &d);
    if (is_embedding(x->admission.route)) {
        d.prefix.cuts_n = 0;
        d.output_most = 1;
    }
    out->model = x->ask.model;
    out->id = x->deliver.request_id;
    out->priority = x->priority;
    out->payer = x->payer;
    out->prompt_tokens = d.prompt_tokens;
    out->output_most = d.output_most;
    out->prefix = d.prefix;
}
