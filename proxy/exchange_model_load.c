/*
 * See exchange_state.h. A model that is loaded, or unloaded, by its operator's wish. Ollama's are by a request of its own API (model_load.h), on
 * the way of any request, but that of several Ollamas all are asked to unload it; one of the hub's is there when its engine is; other backends see to
 * theirs themselves.
 */
#include "proxy/exchange_engine.h"
#include "proxy/exchange_fleet.h"
#include "proxy/model_load.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>

static void answer(struct exchange *x, int64_t load_ms)
{
    struct buf out;
    buf_init(&out, 0);
    if (model_load_answer(&out, load_ms) < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
        buf_fini(&out);
        return;
    }
    if (x->deliver.is_begun) { /* a heartbeat was the first of it */
        deliver_body(&x->deliver, buf_data(&out), buf_size(&out));
        deliver_end(&x->deliver);
    } else {
        reply_json(&x->deliver, 200, buf_data(&out), buf_size(&out), NULL);
    }
    exchange_finish(x, EXCHANGE_CLEAN);
    buf_fini(&out);
}

static void answer_unloaded(struct exchange *x)
{
    answer(x, -1);
}

static void refuse_others(struct exchange *x)
{
    char text[320];
    snprintf(text, sizeof text, "the backend %s loads and unloads its models itself", x->upstream->name);
    exchange_fail(x, 501, "not_supported", text);
}

int exchange_answer_load(struct exchange *x)
{
    if (x->admission.route->api != API_SIDECAR_LOAD)
        return 0;
    exchange_count_time(x);
    x->answer.translation.load_ms = x->load_ms;
    if (x->engine)
        answer(x, x->load_ms);
    else if (x->upstream)
        refuse_others(x);
    return x->upstream != NULL;
}

#ifdef WITH_MODELS
static void stop_engine(struct exchange *x)
{
    char text[CONTRACT_NAME_BYTES + 80];
    if (serve_stop(x->env->serve, x->engine->model) != -EBUSY) {
        answer_unloaded(x);
        return;
    }
    snprintf(text, sizeof text, "the model %s is in use: its engine answers requests, or is waited for", x->engine->model);
    exchange_fail(x, 409, "model_in_use", text);
}
#else
#define stop_engine(x) ((void)0)
#endif

int exchange_answer_unload(struct exchange *x)
{
    if (x->admission.route->api != API_SIDECAR_UNLOAD || (!x->upstream && !exchange_is_fleets(x)))
        return 0;
    if (x->engine)
        stop_engine(x);
    else if (x->upstream)
        refuse_others(x);
    else
        exchange_unload_everywhere(x, answer_unloaded);
    return 1;
}
