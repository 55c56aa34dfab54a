/* See plan.h: which strategy a prompt gets. What its body becomes then: plan_write.c. */
#include "proxy/plan.h"

#include "proxy/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int is_known(const struct plan_rules *r, const char *model)
{
    return token_is_known(r->estimates, model);
}

/* By the tokens of the model that is asked for where they are known; else by those of the one that a first guess leads to. */
static void choose(struct plan *p, const struct plan_rules *r)
{
    const struct prompt_counts *c = &p->received;
    const char *model = r->asked_model;
    uint64_t tokens_n = token_estimate(r->estimates, model, c->chars_n, c->messages_n);
    const struct conf_strategy *s = conf_strategy_for(r->conf, tokens_n);
    if (s && !is_known(r, model) && is_known(r, s->model)) {
        tokens_n = token_estimate(r->estimates, s->model, c->chars_n, c->messages_n);
        s = conf_strategy_for(r->conf, tokens_n);
    }
    p->received.tokens_n = tokens_n;
    p->strategy = s;
}

static void list_names(const struct conf *c, char *out, size_t out_n)
{
    size_t n = 0;
    *out = '\0';
    for (size_t i = 0; i < c->strategies_n && n < out_n; i++)
        n += (size_t)snprintf(out + n, out_n - n, "%s, ", c->strategies[i].name);
}

const struct conf_strategy *plan_find(const struct conf *conf, const char *name, char *why)
{
    const struct conf_strategy *s = conf_strategy(conf, name, strlen(name));
    char names[CONF_STRATEGIES_MAX * (CONF_NAME_N + 2) + 1];
    if (s)
        return s;
    list_names(conf, names, sizeof names);
    snprintf(why, PLAN_WHY_BYTES, "X-Sidecar-Strategy: there is no strategy \"%.*s\"; it may be %soff, or left out", CONF_NAME_N, name, names);
    return NULL;
}

static int force(struct plan *p, const struct plan_rules *r, const char *name, char *why)
{
    p->strategy = plan_find(r->conf, name, why);
    if (!p->strategy)
        return -EINVAL;
    p->received.tokens_n = token_estimate(r->estimates, p->strategy->model, p->received.chars_n, p->received.messages_n);
    return 0;
}

int plan_make(struct plan *p, const struct plan_rules *rules, const char *json, size_t json_n, const char *forced_name, char *why)
{
    struct prompt prompt;
    *p = (struct plan){.is_made = 1};
    int error = prompt_read(&prompt, json, json_n);
    if (error == -E2BIG) {
        snprintf(why, PLAN_WHY_BYTES, "messages: too many; at most %d are read", PROMPT_MESSAGES_MAX);
        return -EINVAL;
    }
    if (error)
        return error == -EINVAL ? 0 : error;
    p->received = (struct prompt_counts){.chars_n = prompt_chars(&prompt), .messages_n = prompt.messages_n};
    prompt_fini(&prompt);
    if (forced_name)
        error = force(p, rules, forced_name, why);
    else
        choose(p, rules);
    if (error || !p->strategy)
        return error;
    p->model = p->strategy->model;
    p->num_ctx = (uint64_t)conf_strategy_num_ctx(rules->conf, p->strategy, p->model);
    p->step = conf_strategy_is_map(p->strategy) ? PLAN_MAP : PLAN_DIRECT;
    return 0;
}
