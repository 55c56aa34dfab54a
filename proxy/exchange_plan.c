/*
 * See exchange_state.h. What becomes of the body of an optimised request, by its strategy, and what the answer teaches of tokens.
 */
#include "proxy/exchange_state.h"

#include "common/text.h"
#include "proxy/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int begin(struct exchange *x)
{
    x->plan = calloc(1, sizeof *x->plan);
    if (x->plan)
        return 0;
    exchange_fail(x, 500, NULL, "out of memory");
    return -1;
}

static struct plan_rules rules_of(const struct exchange *x, const char *asked_model)
{
    const struct translation *t = &x->answer.translation;
    return (struct plan_rules){.conf = x->env->conf,
                               .estimates = &x->env->optimizer.estimates,
                               .asked_model = asked_model,
                               .unsaid = t->unsaid,
                               .words_n = t->has_tool_words ? 1 : 0};
}

int exchange_fail_plan(struct exchange *x, int error, const char *why)
{
    if (error == -E2BIG)
        exchange_fail(x, 400, "context_length_exceeded", why);
    else if (error == -EINVAL)
        exchange_fail(x, 400, "invalid_request", why);
    else if (error == -ENOBUFS)
        exchange_fail_for_bodies(x);
    else
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    return -1;
}

/* It names no model of Ollama's. */
static int refuse_auto(struct exchange *x)
{
    char text[240];
    snprintf(text, sizeof text, "no [strategy:NAME] is for prompts of about %llu tokens, as this one: name another model than auto, or a strategy in "
             "X-Sidecar-Strategy", (unsigned long long)x->plan->received.tokens_n);
    exchange_fail(x, 400, "no_strategy", text);
    return -1;
}

static int choose(struct exchange *x)
{
    char room[EXCHANGE_STRATEGY_BYTES], why[PLAN_WHY_BYTES];
    struct plan *p = x->plan;
    if (!x->ask.model[0])
        (void)!ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)); /* it was translated from one that is good */
    struct plan_rules rules = rules_of(x, x->ask.model);
    int error = plan_make(p, &rules, buf_data(&x->body), buf_size(&x->body), exchange_asked_strategy(x, room), why);
    if (error)
        return exchange_fail_plan(x, error, why);
    if (!p->strategy)
        return exchange_names_auto(x) ? refuse_auto(x) : 0;
    log_event(LOG_DEBUG, "strategy", "id=%s strategy=%s model=%s tokens=%llu chars=%llu", x->deliver.request_id, p->strategy->name, p->model,
              (unsigned long long)p->received.tokens_n, (unsigned long long)p->received.chars_n);
    if (p->strategy->timeout_ms > 0)
        x->end_by_ms = loop_now_ms(x->env->loop) + p->strategy->timeout_ms;
    exchange_tell_times(x);
    return 0;
}

unsigned exchange_plan_lacks(const struct exchange *x)
{
    int is_words = x->plan && x->plan->strategy && x->plan->strategy->tools == CONF_TOOLS_WORDS;
    return is_words ? x->answer.translation.needs & TRANSLATE_TOOLS : 0;
}

int exchange_make_plan(struct exchange *x)
{
    struct translation *t = &x->answer.translation;
    int is_maker = x->inner && x->admission.route->api == API_OPENAI_CHAT; /* for those whose requests are optimised */
    if (is_maker && !x->plan && begin(x) < 0)
        return -1;
    if (!x->plan)
        return 0;
    if (!x->plan->is_made && choose(x) < 0)
        return -1;
    unsigned lacks = exchange_plan_lacks(x) & ~t->lacks;
    t->lacks |= lacks;
    return lacks != 0;
}

int exchange_write_plan(struct exchange *x)
{
    struct plan *p = x->plan;
    char why[PLAN_WHY_BYTES];
    struct buf out;
    if (!p || !p->strategy || p->step == PLAN_MAP)
        return 0;
    struct plan_rules rules = rules_of(x, x->ask.model);
    buf_init(&out, 0);
    int error = plan_write(p, &rules, buf_data(&x->body), buf_size(&x->body), p->step == PLAN_REDUCE ? p->summaries : NULL, &out, why);
    error = error ? error : budget_grow(&x->env->bodies, &x->body_share, buf_size(&out) + buf_size(&x->asked_body));
    if (error) {
        buf_fini(&out);
        return exchange_fail_plan(x, error, why);
    }
    buf_fini(&x->body);
    x->body = out;
    exchange_tell_times(x);
    return 0;
}

uint64_t exchange_summaries_room(const struct exchange *x, size_t items_n)
{
    struct plan_rules rules = rules_of(x, x->ask.model);
    return plan_summaries_room(x->plan, &rules, buf_data(&x->body), buf_size(&x->body), items_n);
}

void exchange_learn_tokens(const struct exchange *x)
{
    const struct plan *p = x->plan;
    struct ending_facts facts;
    if (!p || !p->strategy || x->backend_status != 200 || (x->answer.translation.needs & TRANSLATE_IMAGES))
        return;
    ending_read(&x->ending, &facts);
    if (facts.prompt_tokens_n > 0)
        token_learn(&x->env->optimizer.estimates, p->model, p->sent.chars_n, p->sent.messages_n, (uint64_t)facts.prompt_tokens_n, p->num_ctx);
}

int exchange_miss_strategys_model(struct exchange *x)
{
    const struct plan *p = x->plan;
    char text[3 * CONTRACT_NAME_BYTES + 120];
    if (!p || !p->strategy || x->answer.status != 404)
        return 0;
    snprintf(text, sizeof text, "model %s not found: it is the one that answers by [strategy:%s]; ollama pull %s", p->model, p->strategy->name, p->model);
    exchange_fail(x, 404, "model_not_found", text);
    return 1;
}

void exchange_fail_late(struct exchange *x)
{
    const struct conf_strategy *s = x->plan->strategy;
    char text[CONTRACT_NAME_BYTES + 160], limit[TEXT_NUMBER_BYTES];
    text_duration(limit, s->timeout_ms);
    snprintf(text, sizeof text, "the answer was not whole within %s ([strategy:%s] timeout)", limit, s->name);
    exchange_fail(x, 504, "strategy_timeout", text);
}
