/* See loader.h. */
#include "proxy/loader.h"

#include "common/log.h"

#include <stdio.h>

enum { TOLD_MS = 100 }; /* a load that takes longer is worth a line */

void loader_init(struct loader *l, struct backend *backend, const struct tell *tell, struct waiting *waiting,
                 int64_t keep_alive_ms, const struct loader_ops *ops)
{
    loads_init(&l->loads, keep_alive_ms, waiting);
    l->backend = backend;
    l->tell = tell;
    l->ops = *ops;
    for (size_t i = 0; i < LOADS_MODELS; i++)
        l->under_way[i] = (struct loader_load){.loader = l};
}

void loader_fini(struct loader *l)
{
    for (size_t i = 0; i < LOADS_MODELS; i++)
        load_request_free(&l->under_way[i].request);
}

static void tell_end(const struct loader *l, const struct load *load, const struct load_result *result)
{
    static const char *const words[] = {"loaded", "not_by_request", "failed", "refused", "lost"};
    int64_t took_ms = loop_now_ms(l->backend->loop) - load->begun_ms;
    int is_well = result->end == LOAD_ENDED_WELL || result->end == LOAD_ENDED_UNTOLD;
    log_event(!is_well ? LOG_WARNING : took_ms >= TOLD_MS ? LOG_INFO : LOG_DEBUG, "load_end", "model=%s result=%s ms=%lld reason=\"%s\"",
              load->model, words[result->end], (long long)took_ms, is_well || !result->text ? "" : result->text);
}

static void on_loaded(void *context, const struct load_result *result)
{
    struct loader_load *place = context;
    struct loader *l = place->loader;
    struct load *load = place->load;
    place->load = NULL;
    place->request = NULL; /* it frees itself */
    tell_end(l, load, result);
    if (result->end == LOAD_ENDED_WELL)
        l->ops.loaded(l->ops.context, load);
    loads_end(&l->loads, load, result, loop_now_ms(l->backend->loop));
    l->ops.count(l->ops.context, 0);
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

/* 0 or -ENOMEM. There is a place for each row. */
static int begin(struct loader *l, struct load *load)
{
    struct loader_load *place = l->under_way;
    struct load_request_to to = {l->backend, l->tell, load->model, &load->options, loads_keep_alive_ms(&l->loads, load)};
    while (place->load)
        place++;
    int error = load_request_new(&place->request, &to, on_loaded, place);
    if (error)
        return error;
    place->load = load;
    l->ops.count(l->ops.context, 1);
    tell_begin(load);
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

void loader_see_backend(struct loader *l, int32_t pid)
{
    if (pid == 0 || (l->backend_pid && pid != l->backend_pid))
        loads_forget_all(&l->loads);
    if (pid)
        l->backend_pid = pid;
}
