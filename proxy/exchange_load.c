/*
 * See exchange_state.h. What a request means for its model, and what it waits for: a load that belongs to nobody (loads.h).
 * Without a slot it waits for its model loaded in whatever way, so that all who wait learn at once where it can't be loaded;
 * with its slot it sees to it that it is loaded as it needs it, or makes its body ask for what is loaded.
 */
#include "proxy/exchange_fleet.h"
#include "proxy/pin.h"
#include "proxy/splice_body.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { KNOWN_WITHIN_MS = 1000 }; /* the kernel's counter, and an exit code, are read a little later than our connection ends */

static void on_loaded(void *context, const struct load_result *result)
{
    struct exchange *x = context;
    switch (result->end) {
    case LOAD_ENDED_WELL:
        x->go_on(x);
        return;
    case LOAD_ENDED_UNTOLD:
        x->model = MODEL_LEFT;
        x->is_model_gone = result->status == 404;
        x->go_on(x);
        return;
    case LOAD_ENDED_FAILED:
        if (exchange_is_fleets(x) && exchange_go_elsewhere(x, FAILURE_OF_MODEL, result->text))
            return;
        exchange_tell_why(x, result->status, result->text);
        return;
    case LOAD_ENDED_REFUSED:
        x->way->refused(x, result->text);
        return;
    case LOAD_ENDED_LOST:
        x->way->lost(x, result->text);
        return;
    }
}

void exchange_load_init(struct exchange *x, void (*go_on)(struct exchange *x))
{
    x->go_on = go_on;
    x->load = (struct load_ticket){.fn = on_loaded, .context = x};
}

/* keep_alive of less than a second, and nothing to infer: Ollama only unloads then (GenerateHandler, ChatHandler, v0.9.5). */
static int is_unload(const struct exchange *x)
{
    enum route_api api = x->admission.route->api;
    int is_empty = ((api == API_GENERATE || api == API_PRESET) && !x->ask.has_prompt) || (api == API_CHAT && !x->ask.has_messages);
    return is_empty && x->load.wish.keep_alive_ms != ASK_KEEP_UNSAID && x->load.wish.keep_alive_ms < 1000;
}

static enum exchange_model model_use(struct exchange *x)
{
    const struct route *route = x->admission.route;
    struct load_wish *wish = &x->load.wish;
    if (!route->needs_model)
        return route->right == RIGHT_MANAGE && route->is_activity ? MODEL_OTHERS : MODEL_NONE;
    if (route->api == API_OTHER)
        return MODEL_OTHERS;
    if (!x->ask.model[0] || x->ask.is_odd)
        return MODEL_NONE;
    wish->options = x->ask.options;
    wish->terms.soft = x->preset_options;
    wish->keep_alive_ms = x->ask.keep_alive_ms;
    if (route->api == API_SIDECAR_UNLOAD) /* whatever is pinned */
        return MODEL_UNLOADS;
    pin_wish(x->env->conf, x->env->page != NULL, x->ask.model, wish);
    return is_unload(x) ? MODEL_UNLOADS : MODEL_NEEDED;
}

void exchange_find_wish(struct exchange *x)
{
    x->load.wish = (struct load_wish){.keep_alive_ms = ASK_KEEP_UNSAID};
    x->model = x->upstream ? MODEL_NONE : model_use(x);
}

int exchange_use_model(struct exchange *x, const char *model)
{
    struct json_edit edit = {0, "model", NULL, JSON_SET};
    struct json_edits all = {.items = &edit, .items_n = 1};
    struct buf name;
    buf_init(&name, 0);
    int error = buf_json_string(&name, model, strlen(model));
    error = error ? error : buf_append(&name, "", 1);
    edit.value = buf_data(&name);
    error = error ? error : splice_body(&x->body, &all);
    buf_fini(&name);
    error = error ? error : pin_body(x->env->conf, x->env->page != NULL, x->admission.route, x->answer.translation.ops != NULL, &x->body);
    if (error == -E2BIG)
        exchange_fail(x, 400, "too_many_names", "the body names its model, or an option that is pinned here, again and again");
    else if (error)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    if (error)
        return error;
    x->is_model_used = 1;
    (void)!ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)); /* the backend will say what is wrong with it */
    exchange_find_wish(x);
    return 0;
}

/* Its body asks for what is loaded from now on, and so does its wish, should it have to be sent once more. */
static void ride_on(struct exchange *x, const struct load_ride *ride)
{
    struct json_edit edits[LOAD_OPTION_COUNT + 1];
    char values[LOAD_OPTION_COUNT][LOAD_VALUE_BYTES], keep_alive[KEEP_ALIVE_JSON_BYTES];
    struct json_edits all = {.inner = "options", .items = edits};
    for (int i = 0; i < LOAD_OPTION_COUNT; i++) {
        if (ride->dropped >> i & 1) {
            edits[all.items_n++] = (struct json_edit){1, load_option_name((enum load_option)i), NULL, JSON_REMOVE};
            load_options_drop(&x->load.wish.options, (enum load_option)i);
        }
        if (!load_options_has(&ride->options, (unsigned)i))
            continue;
        load_option_json((enum load_option)i, ride->options.values[i], values[i]);
        edits[all.items_n++] = (struct json_edit){1, load_option_name((enum load_option)i), values[i], JSON_SET};
        load_options_set(&x->load.wish.options, (enum load_option)i, ride->options.values[i]);
    }
    if (ride->keep_alive_ms != ASK_KEEP_UNSAID) {
        load_keep_alive_json(ride->keep_alive_ms, keep_alive);
        edits[all.items_n++] = (struct json_edit){0, "keep_alive", keep_alive, JSON_SET};
        x->load.wish.keep_alive_ms = ride->keep_alive_ms;
    }
    int error = all.items_n ? splice_body(&x->body, &all) : 0;
    if (error == -E2BIG)
        exchange_fail(x, 400, "too_many_names", "the body names an option that its model is loaded with again and again");
    else if (error)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
}

/* What the supervisor knows of what went wrong with that load; "" where it is about another time, or says the same. */
static void read_cause(const struct exchange *x, const struct cooldown *row, char cause[CONTRACT_REASON_BYTES])
{
    const struct loop *loop = x->env->loop;
    int64_t at_ms = loop_monotonic_ms(loop) - (loop_now_ms(loop) - row->failed_ms);
    cause[0] = '\0';
    if (x->env->page && atomic_load(&x->env->page->trouble.at_ms) <= at_ms + KNOWN_WITHIN_MS)
        contract_trouble_read(&x->env->page->trouble, at_ms - KNOWN_WITHIN_MS, cause);
    if (exchange_adds_nothing(row->why, cause))
        cause[0] = '\0';
}

/* Its model's load has failed too often of late. */
static void tell_rest(struct exchange *x)
{
    const struct loader_rest *rest = &exchange_loader(x)->rest;
    char cause[CONTRACT_REASON_BYTES], text[COOLDOWNS_TEXT_BYTES + 2 + CONTRACT_REASON_BYTES];
    read_cause(x, rest->row, cause);
    snprintf(text, sizeof text, "%s%s%s", rest->text, *cause ? "; " : "", cause);
    int64_t left_ms = rest->until_ms - loop_now_ms(x->env->loop);
    exchange_fail_until(x, 503, "load_cooldown", text, (left_ms + 999) / 1000);
}

enum load_verdict exchange_look_for_model(struct exchange *x, int must_fit)
{
    struct load_ride ride;
    if (x->model != MODEL_NEEDED)
        return LOAD_GO;
    x->load.is_accepted = x->ticket.is_accepted;
    enum load_verdict verdict = loader_look(exchange_loader(x), &x->load, x->ask.model, must_fit, &ride);
    if (verdict == LOAD_GO && must_fit)
        ride_on(x, &ride);
    else if (verdict == LOAD_RESTS && !(exchange_is_fleets(x) && exchange_go_elsewhere(x, FAILURE_OF_MODEL, exchange_loader(x)->rest.text)))
        tell_rest(x);
    return verdict;
}
