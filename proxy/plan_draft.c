/* See plan_draft.h. */
#include "proxy/plan_draft.h"

#include "common/json_read.h"
#include "proxy/plan_system.h"

#include <errno.h>

enum { ANSWER_TOKENS = 1024 }; /* that are kept for the answer where nobody says how long it may be; at most a quarter of num_ctx */

/* The members of `options` that say how long the answer may be. */
static uint64_t answer_tokens(const struct plan_draft *d)
{
    static const char *const names[] = {"num_predict"};
    struct json_value asked;
    uint64_t num_ctx = d->plan->num_ctx, otherwise = num_ctx / 4 < ANSWER_TOKENS ? num_ctx / 4 : ANSWER_TOKENS;
    int64_t number;
    json_read_object(&d->prompt.options, names, 1, JSON_EXACT, &asked);
    uint64_t asked_n = json_read_count(&asked);
    if (asked_n > 0)
        return asked_n;
    return conf_strategy_option(d->plan->strategy, "num_predict", &number) && number > 0 ? (uint64_t)number : otherwise;
}

static uint64_t budget_of(const struct plan_draft *d)
{
    uint64_t num_ctx = d->plan->num_ctx, answer_n = num_ctx ? answer_tokens(d) : 0;
    if (num_ctx == 0)
        return UINT64_MAX;
    return answer_n < num_ctx - num_ctx / 2 ? num_ctx - answer_n : num_ctx / 2;
}

/* A long system prompt becomes one message. */
static int cut_system(struct plan_draft *d)
{
    struct truncate_result cut;
    size_t system_n = d->prompt.system_n, words_n = d->rules->words_n;
    d->own_n = system_n > words_n ? system_n - words_n : 0;
    int error = plan_system_cut(&d->prompt, d->own_n, (size_t)d->rules->conf->optimizer.system_budget, &d->system, &cut);
    if (error || !cut.is_truncated)
        return error;
    d->plan->is_truncated = 1;
    d->plan->is_exceeded = cut.is_exceeded;
    d->plan->tools_found_n = cut.tools_n;
    d->plan->tools_lost_n = cut.tools_lost_n;
    d->chars_n -= plan_system_chars(&d->prompt, d->own_n);
    d->chars_n += cut.chars_n;
    d->messages_n -= d->own_n - 1;
    return 0;
}

int plan_draft_begin(struct plan_draft *d, struct plan *plan, const struct plan_rules *rules, const char *json, size_t json_n)
{
    *d = (struct plan_draft){.plan = plan, .rules = rules};
    buf_init(&d->system, 0);
    int error = prompt_read(&d->prompt, json, json_n);
    if (error)
        return error == -E2BIG ? -EINVAL : error;
    plan->is_truncated = plan->is_exceeded = 0;
    plan->tools_found_n = plan->tools_lost_n = plan->turns_dropped_n = 0;
    d->line = token_line(rules->estimates, plan->model);
    d->from = d->prompt.system_n;
    d->chars_n = prompt_chars(&d->prompt);
    d->messages_n = d->prompt.messages_n;
    d->budget_tokens_n = budget_of(d);
    return cut_system(d);
}

void plan_draft_end(struct plan_draft *d)
{
    buf_fini(&d->system);
    prompt_fini(&d->prompt);
}
