/*
 * See exchange_state.h. What a request counts for (limits.h): whatever infers, or changes models. It is decided from its head, before its body is
 * read, its model waited for, or anybody woken; and it has counted then, whatever becomes of it.
 */
#include "proxy/exchange_state.h"

#include <stdio.h>
#include <string.h>

/* Who has a key has its limits alone. Who has none counts for his address; whom a trusted proxy does not name, for the proxy's. */
static void find_who(const struct exchange *x, struct limits_who *who)
{
    const struct conf_proxy *conf = &x->env->conf->proxy;
    const struct conf_key *key = x->admission.key;
    const struct sender *sender = &x->admission.sender;
    struct ip ip = sender->peer->ip;
    if (key) {
        *who = (struct limits_who){.per_minute = {key->requests_per_minute, key->tokens_per_minute}, .key = key->name};
        who->key_index = x->admission.key_index;
        return;
    }
    if (sender->is_known && sender->client != sender->peer->text && ip_parse(sender->client, strlen(sender->client), &ip) < 0)
        ip = sender->peer->ip;
    *who = (struct limits_who){.per_minute = {conf->requests_per_minute, conf->tokens_per_minute}};
    limits_address(&ip, &who->ip);
}

static int is_in_force(const struct limits_who *who)
{
    return who->per_minute[LIMIT_REQUESTS] > 0 || who->per_minute[LIMIT_TOKENS] > 0;
}

static void refuse(struct exchange *x, const struct limits_verdict *v)
{
    char text[320];
    limits_text(&x->limited, v, text, sizeof text);
    exchange_fail_until(x, 429, "rate_limit_exceeded", text, limits_retry_s(v));
}

int exchange_pass_limits(struct exchange *x)
{
    static const char exposed[] = "Access-Control-Expose-Headers: x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
                                  "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens\r\n";
    const struct route *route = x->admission.route;
    struct limits_verdict v;
    if (route->right != RIGHT_INFERENCE && route->right != RIGHT_MANAGE)
        return 0;
    find_who(x, &x->limited);
    if (!is_in_force(&x->limited))
        return 0;
    limits_enter(&x->env->limits, &x->limited, route->needs_model, loop_now_ms(x->env->loop), &v);
    int error = limits_lines(&v, &x->deliver.extra);
    if (!error && x->admission.trust.origin != TRUST_ORIGIN_NONE)
        error = buf_text(&x->deliver.extra, exposed);
    if (error) {
        exchange_fail(x, 500, NULL, "out of memory");
        return -1;
    }
    if (v.refused_by == LIMIT_KINDS) {
        store_took(x->env->store, &x->limited, LIMIT_REQUESTS, 1);
        return 0;
    }
    refuse(x, &v);
    return -1;
}
