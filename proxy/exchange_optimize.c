/* See exchange_state.h. Which requests are for the optimizer. */
#include "proxy/exchange_state.h"

int exchange_is_optimised(struct exchange *x)
{
    const struct conf_optimizer *conf = &x->env->conf->optimizer;
    if (!conf->enabled || x->admission.route->api != API_OPENAI_CHAT)
        return 0;
    int place = message_find(x->request, "x-sidecar-strategy", 0);
    if (place >= 0 && message_is(x->request, x->request->fields[place].value, "off"))
        return 0;
    if (ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)) < 0)
        return 0;
    return conf_names_model(&conf->models, x->ask.model, strlen(x->ask.model));
}
