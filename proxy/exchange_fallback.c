/*
 * See exchange_state.h. [proxy] fallback_answer: for clients that can't read errors, an error is told as an answer. It is made as
 * Ollama would say it, and takes the way of what Ollama says.
 */
#include "proxy/empty_token.h"
#include "proxy/exchange_engine.h"
#include "proxy/json_write.h"
#include "proxy/reply.h"

#include <stdio.h>
#include <string.h>

/* Not for who is not let in, or asks too often: whoever runs the client has to know of that, and a program is to wait. Nor for what the
 * operator has ended: a program that takes that for an answer goes on with its next question. */
static int is_meant(const struct exchange *x, int status, const char *code)
{
    const struct route *route = x->admission.route;
    int is_cancelled = code && strcmp(code, "cancelled") == 0;
    return exchange_may_fall_back(x) && route && x->is_body_complete && status != 401 && status != 403 && status != 429 && !is_cancelled;
}

static int has_messages(enum route_api api)
{
    return api == API_CHAT || api == API_SERVE_CHAT || api == API_OPENAI_CHAT;
}

int exchange_may_fall_back(const struct exchange *x)
{
    enum route_api api = x->admission.route ? x->admission.route->api : API_OTHER;
    return !x->inner && x->env->conf->proxy.fallback_answer && (has_messages(api) || api == API_GENERATE || api == API_OPENAI_TEXT);
}

/* Behind what has gone, a whole piece can only stand where a piece has ended. */
static int has_room(const struct answer *a)
{
    const struct deliver *d = a->deliver;
    return !d->is_begun || (!d->is_ended && !a->translation.has_ended && a->form != FORM_OTHER &&
                            (d->framing == DELIVER_CHUNKED || d->framing == DELIVER_CLOSE) && answer_is_between(a));
}

/* The last object of an answer: it says the error, behind what was said before. */
static int write_object(struct buf *out, const struct exchange *x, const char *text)
{
    const struct answer *a = &x->answer;
    const char *model = exchange_told_model(x);
    struct json_write w = json_write_begin(out);
    int is_message = has_messages(x->admission.route->api);
    int is_said = buf_size(&a->out) > 0 || (a->deliver->is_begun && a->deliver->body_bytes > a->quiet_bytes);
    struct buf said;
    char now[EMPTY_TOKEN_TIME_BYTES];
    buf_init(&said, 0);
    w.error = buf_printf(&said, "%sError: %s", is_said ? "\n\n" : "", text);
    json_write_text(&w, "{\"model\":");
    json_write_string(&w, model, strlen(model));
    json_write_text(&w, ",\"created_at\":\"");
    json_write_bytes(&w, now, empty_token_time(now));
    json_write_text(&w, "\",\"done\":true,\"done_reason\":\"stop\",");
    json_write_text(&w, is_message ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"response\":");
    json_write_string(&w, buf_data(&said), buf_size(&said));
    json_write_text(&w, is_message ? "}}\n" : "}\n");
    buf_fini(&said);
    return json_write_end(&w);
}

/* Appended to what is to go to the client. */
static int write_answer(struct exchange *x, int is_stream, const char *text)
{
    struct answer *a = &x->answer;
    const struct translate_ops *ops = translate_ops_of(x->admission.route->api, BACKEND_API_OLLAMA);
    struct translation own = {.ops = ops, .id = "chatcmpl-error", .created_s = sys_realtime_ms() / 1000, .model = exchange_told_model(x)};
    struct translation *t = a->translation.ops == ops ? &a->translation : &own; /* relayed from a backend that speaks OpenAI's API */
    struct buf object;
    if (!ops)
        return write_object(&a->out, x, text);
    buf_init(&object, 0);
    t->is_stream = is_stream;
    t->calls_n = 0; /* what was called before is part of an answer that broke: no client is told to run it */
    int error = write_object(&object, x, text);
    error = error ? error : ops->object(t, buf_data(&object), buf_size(&object), &a->out);
    buf_fini(&object);
    return error;
}

int exchange_fall_back(struct exchange *x, int status, const char *code, const char *text)
{
    struct answer *a = &x->answer;
    struct deliver *d = &x->deliver;
    if (!is_meant(x, status, code) || !has_room(a))
        return 0;
    int is_openai = x->admission.route->dialect == DIALECT_OPENAI;
    int is_stream = d->is_begun ? a->form != FORM_JSON : x->admission.route->shape == SHAPE_LINES ? x->ask.is_stream != 0 : x->ask.is_stream > 0;
    int was_begun = d->is_begun;
    if (write_answer(x, is_stream, text) < 0)
        return 0;
    if (!was_begun) {
        x->told_status = status;
        if (buf_printf(&d->extra, "X-Sidecar-Error: %s\r\n", code ? code : "backend_error") < 0 ||
            reply_begin(d, is_stream ? is_openai ? "text/event-stream" : "application/x-ndjson" : "application/json; charset=utf-8") < 0)
            return 1; /* memory is short: it ends here, as a broken one */
    }
    deliver_body(d, buf_data(&a->out), buf_size(&a->out));
    deliver_end(d);
    buf_consume(&a->out, buf_size(&a->out));
    return 1;
}
