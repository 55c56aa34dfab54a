/*
 * See exchange_state.h. Which model a request uses: one of its preset's, the first that is there, or the one that its client has named;
 * and where there is none, that it is pulled (pulls.h). Where only one may be used and nothing may be pulled, nobody is asked.
 */
#include "proxy/exchange_state.h"

#include "common/parse.h"

#include <stdio.h>
#include <string.h>

static void on_told(void *context)
{
    struct exchange *x = context;
    x->look_again(x);
}

void exchange_pull_init(struct exchange *x, void (*look_again)(struct exchange *x))
{
    x->look_again = look_again;
    x->pull = (struct pulls_ticket){.fn = on_told, .context = x};
}

/* Whether its client has named a model that Ollama would look for. */
static int has_named_model(const struct exchange *x)
{
    char why[PARSE_WHY_BYTES];
    return x->ask.model[0] && (x->model == MODEL_NEEDED || x->model == MODEL_LEFT || (x->model == MODEL_OTHERS && x->ticket.needs_model)) &&
           parse_model_name(x->ask.model, why) == 0;
}

/* What it may use; named: room for one. 0 where there is nothing to choose and nothing to pull. */
static int want_of(struct exchange *x, struct pulls_want *want, char *named[1])
{
    int is_of_many = x->env->fleet != NULL;
    enum conf_pull_missing mode = is_of_many ? CONF_PULL_MISSING_NO : (enum conf_pull_missing)x->env->conf->proxy.pull_missing;
    named[0] = x->ask.model;
    *want = (struct pulls_want){.models = named, .models_n = 1, .is_of_many = is_of_many};
    if (!x->preset) {
        want->may_pull = mode == CONF_PULL_MISSING_YES;
        return want->may_pull && has_named_model(x);
    }
    want->preset = x->preset->name;
    want->may_pull = mode != CONF_PULL_MISSING_NO;
    if (!x->is_model_used) { /* else its body has what was pinned for that one */
        want->models = x->preset->models.items;
        want->models_n = x->preset->models.items_n;
    }
    return want->may_pull || want->models_n > 1;
}

static void tell_none(struct exchange *x, const struct pulls_want *want)
{
    struct loop *loop = x->env->loop;
    struct pulls_told told;
    pulls_tell(&x->env->puller.pulls, want, loop_now_ms(loop), &told);
    exchange_fail_until(x, told.status, told.status == 404 ? "model_not_found" : "pull_failed", told.text, told.status == 503 ? (told.retry_ms + 999) / 1000 : 0);
}

static enum exchange_found use(struct exchange *x, const char *model)
{
    if (!x->preset || x->is_model_used)
        return FOUND_MODEL;
    return exchange_use_model(x, model) == 0 ? FOUND_MODEL : FOUND_NONE;
}

enum exchange_found exchange_find_installed(struct exchange *x)
{
    struct pulls_want want;
    char *named[1];
    size_t nth = 0;
    if (!want_of(x, &want, named))
        return use(x, x->preset ? x->preset->models.items[0] : NULL);
    x->pull.is_accepted = x->ticket.is_accepted;
    switch (puller_look(&x->env->puller, &x->pull, &want, &nth)) {
    case PULLS_GO:
        return use(x, want.models[nth]);
    case PULLS_WAIT:
        return FOUND_PULL;
    case PULLS_AT_GATE:
        if (want.models != named)
            snprintf(x->ask.model, sizeof x->ask.model, "%s", want.models[nth]);
        return FOUND_AT_GATE;
    case PULLS_FULL:
        exchange_fail_full(x, 0);
        return FOUND_NONE;
    case PULLS_CROWDED:
        exchange_fail_for_now(x, "pulls_full", "too many other models are being pulled: ask again when some of them are there");
        return FOUND_NONE;
    case PULLS_NONE:
        tell_none(x, &want);
        return FOUND_NONE;
    }
    return FOUND_NONE;
}

int exchange_miss_model(struct exchange *x)
{
    struct pulls_want want;
    char *named[1];
    x->is_model_gone = 0;
    puller_forget(&x->env->puller, x->ask.model);
    if (x->preset && !x->is_missed_once)
        x->is_model_used = 0; /* another one of its preset's may be there */
    int is_wanted = want_of(x, &want, named);
    if (is_wanted && !x->is_missed_once) {
        x->is_missed_once = 1;
        exchange_find_wish(x);
        return 1;
    }
    if (x->preset)
        tell_none(x, &want);
    return 0;
}
