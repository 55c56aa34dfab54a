/*
 * See exchange_state.h. Which requests are the optimizer's: by their model, and by X-Sidecar-Strategy.
 */
#include "proxy/exchange_state.h"

#include <stdio.h>
#include <string.h>

const char *exchange_asked_strategy(const struct exchange *x, char room[EXCHANGE_STRATEGY_BYTES])
{
    int place = message_find(x->request, "x-sidecar-strategy", 0);
    struct span value = place < 0 ? (struct span){0, 0} : x->request->fields[place].value;
    if (value.n == 0)
        return NULL;
    snprintf(room, EXCHANGE_STRATEGY_BYTES, "%.*s", (int)(value.n < EXCHANGE_STRATEGY_BYTES ? value.n : EXCHANGE_STRATEGY_BYTES),
             message_at(x->request, value));
    return room;
}

int exchange_names_auto(const struct exchange *x)
{
    return model_name_equal(x->ask.model, strlen(x->ask.model), "auto", strlen("auto"));
}

static int refuse(struct exchange *x, const char *code, const char *text)
{
    exchange_fail(x, 400, code, text);
    return -1;
}

int exchange_is_optimised(struct exchange *x)
{
    const struct conf *conf = x->env->conf;
    char room[EXCHANGE_STRATEGY_BYTES], why[PLAN_WHY_BYTES];
    if (!conf->optimizer.enabled || x->admission.route->api != API_OPENAI_CHAT || ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)) < 0 ||
        !conf_names_model(&conf->optimizer.models, x->ask.model, strlen(x->ask.model)))
        return 0;
    const char *asked = exchange_asked_strategy(x, room);
    if (asked && strcmp(asked, "off") == 0 && !exchange_names_auto(x))
        return 0;
    if (asked && strcmp(asked, "off") == 0)
        return refuse(x, "no_strategy", "the model auto is the optimizer's, and X-Sidecar-Strategy is off: name another model, or leave the header out");
    if (asked && plan_find(conf, asked, why) == NULL)
        return refuse(x, "unknown_strategy", why);
    return 1;
}
