/*
 * See exchange_state.h. What a body becomes on its way to the backend: what is asked for in another API's words, in Ollama's, and with
 * what is pinned.
 *
 * Not every model has a place for tools, sees, or thinks, and Ollama refuses a request for one that does not. So it is translated for
 * a model that can do all, which tells its client what is wrong at once; where its model can't, it is translated once more, now
 * that this is known: behind the gate, as the backend is asked, and before its model is loaded.
 */
#include "proxy/exchange_engine.h"
#include "proxy/exchange_fleet.h"
#include "proxy/exchange_serve.h"
#include "proxy/pin.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>

void exchange_read_body(struct exchange *x)
{
    if (x->admission.route->shape != SHAPE_OTHER)
        (void)!ask_read(&x->ask, buf_data(&x->body), buf_size(&x->body)); /* the backend will say what is wrong with it */
}

/* why: of -EINVAL. */
static void refuse(struct exchange *x, int error, const char *why)
{
    const char *code = x->answer.translation.code;
    if (error == -EINVAL) {
        exchange_tally_fault(x);
        exchange_fail(x, 400, code ? code : "invalid_request", why);
    } else if (error == -EFBIG) {
        exchange_fail(x, 413, "body_too_large", "the body is larger than twice [proxy] max_body when it says all that Ollama wants");
    } else if (error == -ENOBUFS) {
        exchange_fail_for_bodies(x);
    } else {
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    }
}

/* What is asked for by another API's words, in Ollama's. 0, or the exchange has ended. */
static int translate(struct exchange *x)
{
    const struct translate_ops *ops = translate_ops_of(x->admission.route->api, x->upstream ? x->upstream->api : BACKEND_API_OLLAMA);
    struct translation *t = &x->answer.translation;
    struct buf out;
    char why[TRANSLATE_WHY_BYTES]; /* of a translator that refuses */
    const struct translate_models *models = exchange_own_models(x);
    if (!ops && x->admission.route->api == API_LOADED)
        ops = exchange_ps_ops(x, &models);
    if (!ops && (t->lacks & TRANSLATE_TEMPLATE))
        ops = translate_ops_of_text(x->admission.route->api);
    if (!ops)
        return 0;
    if (!t->id[0]) { /* else a part of its answer may be there already */
        snprintf(t->id, sizeof t->id, "%s%llx", x->admission.route->api == API_OPENAI_TEXT ? "cmpl-" : "chatcmpl-",
                 (unsigned long long)x->env->next_id++);
        int64_t now_ms = sys_realtime_ms();
        t->created_s = now_ms / 1000;
        t->now_ms = loop_now_ms(x->env->loop);
        t->began_ms = t->now_ms - now_ms % 1000;
    }
    t->model = exchange_told_model(x);
    t->ops = ops;
    if (!ops->request) {
        x->target = ops->target;
        t->path = (struct json_text){message_at(x->request, x->request->path), x->request->path.n};
        t->models = models;
        return 0;
    }
    buf_init(&out, 2 * (size_t)x->env->conf->proxy.max_body_bytes); /* what is quoted once more may grow */
    why[0] = '\0';
    int error = ops->request(t, buf_data(&x->body), buf_size(&x->body), &out, why);
    x->target = t->ops->target;
    if (error == 1) {
        exchange_read_body(x);
        reply_json(&x->deliver, 200, buf_data(&out), buf_size(&out), NULL);
        buf_fini(&out);
        exchange_finish(x, EXCHANGE_CLEAN);
        return 1;
    }
    size_t kept_n = t->needs ? buf_size(&x->body) : 0;
    error = error ? error : budget_grow(&x->env->bodies, &x->body_share, buf_size(&out) + kept_n); /* names of tools may be added */
    if (error) {
        buf_fini(&out);
        exchange_read_body(x); /* the access log names its model all the same */
        refuse(x, error, why);
        return error;
    }
    if (t->needs)
        x->asked_body = x->body; /* exchange_suit_model() */
    else
        buf_fini(&x->body);
    x->body = out;
    return 0;
}

/* 0, or the exchange has ended. Where a preset chooses, that of the chosen model comes behind the gate: exchange_use_model. */
static int pin(struct exchange *x)
{
    if (x->preset || x->upstream || x->admission.route->api == API_SIDECAR_UNLOAD)
        return 0;
    int error = pin_body(x->env->conf, x->env->page != NULL, x->admission.route, x->answer.translation.ops != NULL, &x->body);
    if (error)
        exchange_read_body(x); /* for the access log, too */
    if (error == -E2BIG)
        exchange_fail(x, 400, "too_many_names", "the body names an option that is pinned here again and again");
    else if (error)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    return error;
}

int exchange_apply_plan(struct exchange *x)
{
    int error = exchange_write_plan(x);
    return error ? error : pin(x);
}

static void take_asked_body(struct exchange *x)
{
    buf_fini(&x->body);
    x->body = x->asked_body;
    buf_init(&x->asked_body, 0);
}

int exchange_translate(struct exchange *x)
{
    int error = translate(x), is_again = error ? 0 : exchange_make_plan(x);
    if (is_again > 0) {
        take_asked_body(x);
        error = translate(x);
    }
    return error ? error : is_again < 0 ? is_again : exchange_apply_plan(x);
}

static void on_known(void *context)
{
    struct exchange *x = context;
    x->go_on(x);
}

int exchange_suit_model(struct exchange *x)
{
    struct translation *t = &x->answer.translation;
    unsigned has;
    if (buf_size(&x->asked_body) == 0)
        return 1;
    x->capable.fn = on_known;
    x->capable.context = x;
    if (!capabilities_look(&exchange_loader(x)->capabilities, &x->capable, x->ask.model, &has))
        return 0;
    unsigned lacks = (t->needs & ~has) | exchange_plan_lacks(x);
    if (lacks != t->lacks) {
        t->lacks = lacks;
        take_asked_body(x);
        if (exchange_translate(x) < 0)
            return -1;
    }
    buf_release(&x->asked_body);
    return 1;
}
