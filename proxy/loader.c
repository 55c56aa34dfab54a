/* See loader.h. */
#include "proxy/loader.h"

#include "common/log.h"

#include <stdio.h>

enum { TOLD_MS = 100 }; /* a load that takes longer is worth a line */

/* A model that the backend may have died of is loaded alone: else the others that are loading would be taken for the cause. */
static enum load_verdict may_begin(void *context, const char *model, const struct load_options *options)
{
    struct loader *l = context;
    int64_t now_ms = loop_now_ms(l->backend->loop);
    const struct cooldown *row = cooldowns_look(&l->cooldowns, model, options, now_ms);
    if (row) {
        l->rest.until_ms = cooldown_until_ms(row);
        l->rest.row = row;
        cooldown_text(row, now_ms, l->rest.text);
        return LOAD_RESTS;
    }
    return l->loads.loading_n > 0 && cooldowns_is_suspect(&l->cooldowns, model) ? LOAD_LATER : LOAD_BEGIN;
}

/* Who asked for what it is able to has learnt what it is. */
static void on_capable(void *context, const char *model, const char *json, size_t json_n)
{
    struct loader *l = context;
    if (l->fit.limit_bytes > 0)
        fit_learn(&l->fit, model, json, json_n);
}

void loader_init(struct loader *l, struct backend *backend, const struct tell *tell, struct waiting *waiting,
                 int64_t keep_alive_ms, int64_t cooldown_ms, const struct loader_ops *ops)
{
    loads_init(&l->loads, keep_alive_ms, waiting);
    l->loads.may = may_begin;
    l->loads.may_context = l;
    cooldowns_init(&l->cooldowns, cooldown_ms);
    capabilities_init(&l->capabilities, backend, tell, on_capable, l);
    l->backend = backend;
    l->tell = tell;
    l->ops = *ops;
    for (size_t i = 0; i < LOADS_MODELS; i++)
        l->under_way[i] = (struct loader_load){.loader = l};
}

void loader_fini(struct loader *l)
{
    for (size_t i = 0; i < LOADS_MODELS; i++) {
        load_request_free(&l->under_way[i].request);
        show_request_free(&l->under_way[i].show);
    }
    capabilities_fini(&l->capabilities);
}

static void tell_end(const struct loader *l, const struct load *load, const struct load_result *result)
{
    static const char *const words[] = {"loaded", "not_by_request", "failed", "refused", "lost"};
    int64_t took_ms = loop_now_ms(l->backend->loop) - load->begun_ms;
    int is_well = result->end == LOAD_ENDED_WELL || result->end == LOAD_ENDED_UNTOLD;
    log_event(!is_well ? LOG_WARNING : took_ms >= TOLD_MS ? LOG_INFO : LOG_DEBUG, "load_end", "model=%s result=%s ms=%lld reason=\"%s\"",
              load->model, words[result->end], (long long)took_ms, is_well || !result->text ? "" : result->text);
}

static void tell_rest_is_over(size_t ended_n, const char *model, const char *cause)
{
    if (ended_n > 0)
        log_event(LOG_INFO, "cooldown_end", "model=%s cause=%s", model, cause);
}

/* 503 is a backend that has too much to do; a connection that was refused, one that is about to start: neither is the model's. */
static int is_failure(const struct load_result *result)
{
    return result->end == LOAD_ENDED_LOST || (result->end == LOAD_ENDED_FAILED && result->status != 503);
}

static void count(struct loader *l, const struct load *load, const struct load_result *result)
{
    char why[COOLDOWNS_WHY_BYTES];
    int is_lost = result->end == LOAD_ENDED_LOST;
    if (result->end == LOAD_ENDED_WELL || result->end == LOAD_ENDED_UNTOLD)
        tell_rest_is_over(cooldowns_loaded(&l->cooldowns, load->model, &load->options), load->model, "loaded");
    if (!is_failure(result))
        return;
    snprintf(why, sizeof why, "%s%s", is_lost ? "the backend was lost while it loaded it: " : "", result->text ? result->text : "");
    const struct cooldown *row = cooldowns_failed(&l->cooldowns, load->model, &load->options, why, is_lost, loop_now_ms(l->backend->loop));
    if (row)
        log_event(LOG_WARNING, "cooldown_begin", "model=%s failures=%u for_ms=%lld reason=\"%s\"", row->model, row->failures_n,
                  (long long)row->length_ms, row->why);
}

static void end(struct loader_load *place, const struct load_result *result)
{
    struct loader *l = place->loader;
    struct load *load = place->load;
    place->load = NULL;
    show_request_free(&place->show);
    if (result->end == LOAD_ENDED_WELL)
        l->ops.loaded(l->ops.context, load);
    loads_end(&l->loads, load, result, loop_now_ms(l->backend->loop));
    l->ops.count(l->ops.context, 0);
}

static void on_loaded(void *context, const struct load_result *result)
{
    struct loader_load *place = context;
    place->request = NULL; /* it frees itself */
    tell_end(place->loader, place->load, result);
    count(place->loader, place->load, result);
    end(place, result);
}

static void tell_begin(const struct load *load)
{
    struct buf options;
    if (!log_is_on(LOG_DEBUG))
        return;
    buf_init(&options, 512);
    if (load_options_write(&load->options, &options) == 0)
        log_event(LOG_DEBUG, "load_begin", "model=%s options=%.*s", load->model, (int)buf_size(&options), buf_data(&options));
    buf_fini(&options);
}

/* 0 or -ENOMEM. */
static int ask_to_load(struct loader_load *place)
{
    struct loader *l = place->loader;
    const struct load *load = place->load;
    struct load_request_to to = {l->backend, l->tell, load->model, &load->options, loads_keep_alive_ms(&l->loads, load)};
    int error = load_request_new(&place->request, &to, on_loaded, place);
    if (!error)
        tell_begin(load);
    return error;
}

/* What it is, is known now. Where it can't fit, the load is not asked for, or not any more: Ollama needs longer to get to where it
 * takes memory than to say what the model is. */
static void on_shown(void *context, const char *json, size_t json_n)
{
    struct loader_load *place = context;
    struct loader *l = place->loader;
    const struct load *load = place->load;
    char text[FIT_TEXT_BYTES];
    struct load_result result = {.end = LOAD_ENDED_FAILED, .status = 500, .text = text, .is_untried = !place->request};
    place->show = NULL; /* it frees itself */
    fit_learn(&l->fit, load->model, json, json_n);
    capabilities_learn(&l->capabilities, load->model, json, json_n);
    if (json && fit_judge(&l->fit, load->model, &load->options, text) == FIT_NOT) {
        fit_tell(&l->fit, load->model, &load->options, text);
        load_request_free(&place->request);
        end(place, &result);
    } else if (!place->request && ask_to_load(place) < 0) {
        result.end = LOAD_ENDED_UNTOLD;
        end(place, &result);
    }
}

/* 0 or -ENOMEM. There is a place for each row. What is not known is asked for beside, which costs the load no time; what would be
 * refused is asked for once more, and first: it may be another model by now. */
static int begin(struct loader *l, struct load *load)
{
    struct loader_load *place = l->under_way;
    char text[FIT_TEXT_BYTES];
    while (place->load)
        place++;
    enum fit_verdict fits = fit_judge(&l->fit, load->model, &load->options, text);
    place->load = load;
    int is_asked = fits != FIT_WELL && show_request_new(&place->show, l->backend, l->tell, load->model, on_shown, place) == 0;
    int error = is_asked && fits == FIT_NOT ? 0 : ask_to_load(place);
    if (error) {
        place->load = NULL;
        show_request_free(&place->show);
        return error;
    }
    l->ops.count(l->ops.context, 1);
    return 0;
}

enum load_verdict loader_look(struct loader *l, struct load_ticket *t, const char *model, int must_fit, struct load_ride *ride)
{
    static const struct load_result untold = {.end = LOAD_ENDED_UNTOLD};
    int64_t now_ms = loop_now_ms(l->backend->loop);
    struct load *load;
    enum load_verdict verdict = loads_look(&l->loads, t, model, must_fit, now_ms, &load, ride);
    if (verdict == LOAD_BEGIN && begin(l, load) < 0) { /* without memory it goes on, and may have more luck */
        loads_leave(&l->loads, t);
        loads_end(&l->loads, load, &untold, now_ms);
        return LOAD_GO;
    }
    return verdict;
}

void loader_stalled(struct loader *l, const char *why)
{
    const struct load_result lost = {.end = LOAD_ENDED_LOST, .text = why};
    for (size_t i = 0; i < LOADS_MODELS; i++) {
        if (!l->under_way[i].load)
            continue;
        load_request_free(&l->under_way[i].request);
        on_loaded(&l->under_way[i], &lost);
    }
}

void loader_models_changed(struct loader *l)
{
    fit_forget(&l->fit);
    capabilities_forget(&l->capabilities);
    tell_rest_is_over(cooldowns_forget(&l->cooldowns), "*", "changed");
}

void loader_see_backend(struct loader *l, int32_t pid, uint32_t deaths_n)
{
    int is_another = l->backend_pid && pid && pid != l->backend_pid;
    if (pid == 0 || is_another)
        loads_forget_all(&l->loads);
    if (is_another)
        fit_forget(&l->fit);
    if (is_another)
        capabilities_forget(&l->capabilities);
    if (is_another && deaths_n == l->backend_deaths_n)
        tell_rest_is_over(cooldowns_forget(&l->cooldowns), "*", "restarted");
    if (pid) {
        l->backend_pid = pid;
        l->backend_deaths_n = deaths_n;
    }
}
