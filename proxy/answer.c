/*
 * See answer.h. Which bytes a heartbeat is made of was tried with the clients (docs/clients.md): a space before a line of
 * JSON, and before an object, is nothing to any of them, and neither is a comment with one line end between two events. With
 * two, some take it for an event without data.
 */
#include "proxy/answer.h"

#include "proxy/empty_token.h"
#include "proxy/json_scan.h"
#include "proxy/key_models.h"
#include "proxy/lacks.h"
#include "proxy/openai_models.h"
#include "common/json_read.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void answer_init(struct answer *a, struct deliver *deliver)
{
    a->deliver = deliver;
    buf_init(&a->in, ANSWER_OBJECT_BYTES);
    buf_init(&a->out, 0); /* what is translated has its limit */
    events_init(&a->events, ANSWER_OBJECT_BYTES);
}

void answer_fini(struct answer *a)
{
    const struct translate_ops *ops = a->translation.ops;
    if (ops && ops->fini)
        ops->fini(&a->translation);
    events_fini(&a->events);
    buf_fini(&a->in);
    buf_fini(&a->out);
}

void answer_expect(struct answer *a, const struct route *route, int is_stream, const char *model, enum conf_heartbeat heartbeat)
{
    static const enum answer_form forms[][2] = {
        [SHAPE_OTHER] = {FORM_OTHER, FORM_OTHER},
        [SHAPE_JSON] = {FORM_JSON, FORM_JSON},
        [SHAPE_LINES] = {FORM_JSON, FORM_NDJSON},
        [SHAPE_LINES_ASKED] = {FORM_JSON, FORM_NDJSON},
        [SHAPE_EVENTS] = {FORM_JSON, FORM_SSE},
    };
    int is_streamed = is_stream >= 0 ? is_stream : route->shape == SHAPE_LINES;
    const struct translate_ops *ops = a->translation.ops;
    if (ops && !ops->is_openai && a->translation.is_stream) /* Ollama's lines become events: of /v1, and where Accept asks for them */
        a->form = FORM_SSE;
    else
        a->form = forms[route->shape][ops ? a->translation.is_stream : is_streamed];
    a->is_late_api = lacks_may(route);
    a->dialect = a->form == FORM_SSE && a->is_late_api && route->dialect == DIALECT_OPENAI ? DIALECT_RESPONSES : route->dialect;
    a->api = route->api;
    a->model = model;
    a->heartbeat = heartbeat;
}

int answer_may_beat(const struct answer *a)
{
    const struct deliver *d = a->deliver;
    int has_room = !d->is_begun || d->framing == DELIVER_CHUNKED || d->framing == DELIVER_CLOSE;
    return a->heartbeat != CONF_HEARTBEAT_OFF && a->form != FORM_OTHER && !d->is_head_request && !d->is_ended && has_room;
}

int answer_is_between(const struct answer *a)
{
    const struct deliver *d = a->deliver;
    if (d->body_bytes == a->quiet_bytes)
        return 1;
    if (a->form == FORM_JSON)
        return 0;
    return d->last[1] == '\n' && (a->form == FORM_NDJSON || d->last[0] == '\n');
}

static const char *type_of(enum answer_form form)
{
    if (form == FORM_NDJSON)
        return "application/x-ndjson";
    return form == FORM_SSE ? "text/event-stream" : "application/json; charset=utf-8";
}

static int append_beat(struct answer *a)
{
    int is_chunk = a->heartbeat == CONF_HEARTBEAT_CHUNK;
    const struct translate_ops *ops = a->translation.ops;
    if (is_chunk && a->form == FORM_SSE && ops && ops->nothing)
        return ops->nothing(&a->translation, &a->out);
    if (is_chunk && a->form == FORM_NDJSON && (a->api == API_CHAT || a->api == API_GENERATE || a->api == API_PRESET))
        return empty_token(&a->out, a->api == API_CHAT, a->model, "\n");
    if (a->form != FORM_SSE)
        return buf_text(&a->out, " ");
    if (a->dialect == DIALECT_ANTHROPIC)
        return buf_text(&a->out, "event: ping\ndata: {\"type\": \"ping\"}\n\n");
    return a->comment && *a->comment ? buf_printf(&a->out, ": %s\n", a->comment) : buf_text(&a->out, ": ping\n");
}

static void send_out(struct answer *a)
{
    deliver_body(a->deliver, buf_data(&a->out), buf_size(&a->out));
    deliver_flush(a->deliver);
    buf_consume(&a->out, buf_size(&a->out));
}

void answer_beat(struct answer *a)
{
    const struct deliver_sink *sink = a->deliver->sink;
    if (!answer_may_beat(a) || !answer_is_between(a) || sink->pending_bytes(sink->context) > 0 || buf_size(&a->out) > 0)
        return;
    if (append_beat(a) < 0 || (!a->deliver->is_begun && reply_begin(a->deliver, type_of(a->form)) < 0)) {
        buf_release(&a->out);
        return;
    }
    a->beats_bytes += buf_size(&a->out);
    send_out(a);
    a->quiet_bytes = a->deliver->body_bytes;
}

static void pass_head(struct answer *a, const struct forward_answer *f)
{
    struct deliver *d = a->deliver;
    const struct message *m = f->answer;
    int is_bodiless = m->status == 204 || m->status == 304;
    struct forward_answer own = *f;
    d->status = m->status;
    own.is_stream = !is_bodiless && m->length_bytes < 0 && !d->is_head_request;
    own.encoding = d->encoding;
    int error = forward_answer_head(&d->head, &own);
    error = error || !d->vary ? error : buf_text(&d->head, d->vary);
    error = error || !*d->lines ? error : buf_text(&d->head, d->lines);
    error = error ? error : deliver_begin(d, is_bodiless, m->length_bytes);
    if (error)
        a->fault = "out of memory";
    a->form = f->stream == STREAM_NDJSON ? FORM_NDJSON : f->stream == STREAM_SSE ? FORM_SSE : FORM_OTHER;
}

/* When to come again is told beside the error. */
static void keep_retry_after(struct answer *a, const struct message *m)
{
    int place = m->status == 429 || m->status == 503 ? message_find(m, "retry-after", 0) : -1;
    if (place < 0)
        return;
    struct span value = m->fields[place].value;
    (void)!buf_printf(&a->deliver->extra, "Retry-After: %.*s\r\n", (int)value.n, message_at(m, value));
}

void answer_head(struct answer *a, const struct forward_answer *f, int64_t now_ms)
{
    int is_good = f->answer->status == 200;
    a->heard_ms = now_ms;
    a->first_ms = a->first_ms ? a->first_ms : now_ms;
    a->fault = NULL;
    a->has_error = 0;
    a->status = f->answer->status;
    buf_release(&a->in);
    int may_be_told = f->stream == STREAM_NONE && !forward_is_encoded(f->answer);
    int is_told = may_be_told && ((a->is_why_known && a->status == 500) || (a->is_fallback && a->status >= 400) ||
                                  (a->is_one_of_many && (a->status == 404 || a->status >= 500)) ||
                                  (a->api == API_PRESET && a->status == 404) ||
                                   (a->is_key_ours && answer_is_about_key(a->status)) ||
                                  (a->is_late_api && (a->status == 404 || a->status == 405 || a->status == 501)));
    int is_read = a->translation.ops || (a->deliver->shown && !a->deliver->is_head_request);
    if (!is_read && !a->deliver->is_begun && !is_told) {
        a->state = ANSWER_PASS;
        pass_head(a, f);
        return;
    }
    a->state = !is_good ? ANSWER_GATHER : is_read ? ANSWER_TRANSLATE : ANSWER_PASS;
    a->pieces = !a->translation.ops            ? PIECES_WHOLE
                : !a->translation.ops->is_openai ? (a->translation.is_stream ? PIECES_LINES : PIECES_WHOLE)
                : f->stream == STREAM_SSE        ? PIECES_EVENTS
                                                 : PIECES_WHOLE;
    if (a->state == ANSWER_GATHER)
        keep_retry_after(a, f->answer);
    events_forget(&a->events);
    a->in.limit_bytes = is_good ? ANSWER_OBJECT_BYTES : ANSWER_ERROR_BYTES;
    if (a->state == ANSWER_TRANSLATE && a->pieces == PIECES_EVENTS && !a->translation.is_stream)
        a->fault = "a stream, where one object was asked for";
    if (forward_is_encoded(f->answer))
        a->fault = "an answer that is packed (Content-Encoding), which was not asked for";
}

/* The member "error" in which something is, or the whole, where it says that it is one ("object": "error", as vLLM once wrote it); 0 where there
 * is none. */
static int find_error(const char *json, size_t json_n, struct json_value *out)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = !json_take(&w, '{')};
    for (int is_first = 1; !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0) {
        if (json_match(m.name, "error") == JSON_EXACT && m.value.kind != JSON_NULL && m.value.kind != JSON_FALSE && m.value.n > 2) {
            *out = m.value;
            return 1;
        }
        if (json_match(m.name, "object") == JSON_EXACT && json_read_is(&m.value, "error")) {
            *out = (struct json_value){JSON_OBJECT, json, json_n};
            return 1;
        }
    }
    return 0;
}

/* Most objects have no such word in them. */
static int is_error(const char *json, size_t json_n)
{
    struct json_value error;
    return memmem(json, json_n, "\"error\"", 7) && find_error(json, json_n, &error);
}

/* What is to be told as an error, in `in`. */
static void note_error(struct answer *a, int status, const char *json, size_t json_n)
{
    a->has_error = 1;
    a->status = status;
    if (json == buf_data(&a->in))
        return;
    buf_release(&a->in);
    if (buf_append(&a->in, json, json_n) < 0)
        buf_release(&a->in);
}

static void fault_of(struct answer *a, int error)
{
    const struct translation *t = &a->translation;
    if (error)
        a->fault = error != -EINVAL ? "out of memory" : t->fault ? t->fault : t->ops->is_openai ? "an object that is none of OpenAI's" : "an object that is none of Ollama's";
}

/* One object of the backend's. */
static void translate(struct answer *a, const char *json, size_t json_n)
{
    static const char no_model[] = "{\"error\":\"" OPENAI_MODELS_NONE "\"}";
    if (a->has_error || a->fault || a->translation.has_ended)
        return;
    if (is_error(json, json_n)) {
        note_error(a, 500, json, json_n);
        return;
    }
    const struct translate_ops *ops = a->translation.ops;
    int error = ops ? ops->object(&a->translation, json, json_n, &a->out) : buf_append(&a->out, json, json_n);
    if (error == -ENOENT)
        note_error(a, 404, no_model, sizeof no_model - 1);
    else
        fault_of(a, error);
}

static int take_event(void *context, const char *data, size_t data_n, int is_told_error)
{
    struct answer *a = context;
    if (is_told_error && !a->has_error && !a->translation.has_ended)
        note_error(a, 500, data, data_n);
    else
        translate(a, data, data_n);
    return a->has_error || a->fault || a->translation.has_ended;
}

static void fault_of_events(struct answer *a, int error)
{
    if (error < 0)
        a->fault = error == -EFBIG ? "an event that is too large" : "out of memory";
}

static void gather(struct answer *a, const char *bytes, size_t bytes_n)
{
    int error = buf_append(&a->in, bytes, bytes_n);
    if (error && a->state == ANSWER_TRANSLATE)
        a->fault = error == -EFBIG ? "an object that is too large" : "out of memory";
}

int answer_withhold(struct answer *a, const char *bytes, size_t bytes_n)
{
    if (a->form != FORM_NDJSON || bytes[bytes_n - 1] != '\n' || !answer_is_between(a) || a->deliver->framing == DELIVER_LENGTH)
        return 0;
    deliver_flush(a->deliver);
    a->state = ANSWER_GATHER;
    a->status = 500;
    a->in.limit_bytes = ANSWER_ERROR_BYTES;
    a->has_error = 1;
    if (buf_append(&a->in, bytes, bytes_n) < 0)
        a->fault = "out of memory";
    return 1;
}

static int is_blank(const char *text, size_t n)
{
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\r' || text[n - 1] == '\n' || text[n - 1] == '\t'))
        n--;
    return n == 0;
}

static void end_line(struct answer *a, const char *line, size_t line_n)
{
    if (buf_size(&a->in) == 0) {
        if (!is_blank(line, line_n))
            translate(a, line, line_n);
        return;
    }
    gather(a, line, line_n);
    if (!is_blank(buf_data(&a->in), buf_size(&a->in)))
        translate(a, buf_data(&a->in), buf_size(&a->in));
    if (!a->has_error)
        buf_consume(&a->in, buf_size(&a->in));
}

void answer_take(struct answer *a, const char *bytes, size_t bytes_n)
{
    if (a->fault || a->has_error)
        return;
    if (a->state != ANSWER_TRANSLATE || a->pieces == PIECES_WHOLE) {
        gather(a, bytes, bytes_n);
        return;
    }
    if (a->pieces == PIECES_EVENTS) {
        if (!a->translation.has_ended)
            fault_of_events(a, events_take(&a->events, bytes, bytes_n, take_event, a));
        return;
    }
    for (const char *end = bytes + bytes_n; bytes < end && !a->has_error && !a->fault;) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        if (newline)
            end_line(a, bytes, (size_t)(newline - bytes));
        else
            gather(a, bytes, (size_t)(end - bytes));
        bytes = newline ? newline + 1 : end;
    }
}

/* The head is written with the first event: up to then an error has its own status. */
static void send_events(struct answer *a)
{
    if (buf_size(&a->out) == 0 || !a->translation.is_stream)
        return;
    if (!a->deliver->is_begun && reply_begin(a->deliver, type_of(a->form)) < 0) {
        a->fault = "out of memory";
        return;
    }
    send_out(a);
}

void answer_flush(struct answer *a, int64_t now_ms)
{
    if (a->state != ANSWER_TRANSLATE || (a->translation.is_stream && buf_size(&a->out) > 0)) /* of what is gathered the client hears nothing */
        a->heard_ms = now_ms;
    if (a->state == ANSWER_PASS)
        deliver_flush(a->deliver);
    else if (a->state == ANSWER_TRANSLATE && !a->fault)
        send_events(a);
}

/* Of what an OpenAI-speaking backend sent. */
static void end_events(struct answer *a)
{
    struct translation *t = &a->translation;
    if (a->pieces == PIECES_EVENTS && !a->has_error && !a->fault && !t->has_ended)
        fault_of_events(a, events_end(&a->events, take_event, a));
    if (t->is_stream && t->ops->end && !a->has_error && !a->fault && !t->has_ended)
        fault_of(a, t->ops->end(t, &a->out));
}

/* A list of models is shown as far as its key may see it. */
static void narrow(struct answer *a)
{
    struct deliver *d = a->deliver;
    struct buf all = a->out;
    buf_init(&a->out, 0);
    int error = key_models_show(d->shown, buf_data(&all), buf_size(&all), &a->out);
    if (error)
        a->fault = error == -EINVAL ? "something else than a list of models" : "out of memory";
    buf_fini(&all);
    d->shown = NULL; /* it is done */
}

static int end_translation(struct answer *a)
{
    struct deliver *d = a->deliver;
    if (!a->has_error && !is_blank(buf_data(&a->in), buf_size(&a->in)))
        translate(a, buf_data(&a->in), buf_size(&a->in));
    end_events(a);
    if (d->shown && !a->has_error && !a->fault)
        narrow(a);
    if (a->has_error)
        return -EREMOTEIO;
    if (!a->fault && buf_size(&a->out) == 0 && !d->is_begun)
        a->fault = "an empty answer";
    send_events(a);
    if (a->fault)
        return -EBADMSG;
    if (a->translation.is_stream && !a->translation.has_ended)
        return -ENODATA;
    if (!d->is_begun) {
        reply_json(d, 200, buf_data(&a->out), buf_size(&a->out), NULL);
        a->fault = d->is_begun ? NULL : "out of memory"; /* else who listens behind another exchange would wait for its head */
        return a->fault ? -EBADMSG : 0;
    }
    deliver_body(d, buf_data(&a->out), buf_size(&a->out));
    deliver_end(d);
    return 0;
}

int answer_end(struct answer *a)
{
    if (a->fault)
        return -EBADMSG;
    if (a->state == ANSWER_GATHER)
        return -EREMOTEIO;
    if (a->state == ANSWER_TRANSLATE)
        return end_translation(a);
    deliver_end(a->deliver);
    return 0;
}

/* {"error": "text"}, {"error": {"message": "text"}}; of other servers {"message": "text"}, {"detail": "text"}. */
static ssize_t find_text(const char *json, size_t json_n, char text[ANSWER_TEXT_BYTES])
{
    struct json_value error;
    ssize_t n = json_scan_string(json, json_n, "error", text, ANSWER_TEXT_BYTES);
    if (n <= 0 && find_error(json, json_n, &error) && error.kind == JSON_OBJECT)
        n = json_scan_string(error.at, error.n, "message", text, ANSWER_TEXT_BYTES);
    if (n <= 0)
        n = json_scan_string(json, json_n, "message", text, ANSWER_TEXT_BYTES);
    return n <= 0 ? json_scan_string(json, json_n, "detail", text, ANSWER_TEXT_BYTES) : n;
}

int answer_words(const char *json, size_t json_n, char text[ANSWER_TEXT_BYTES])
{
    return find_text(json, json_n, text) > 0 && *text;
}

void answer_error(const struct answer *a, char text[ANSWER_TEXT_BYTES])
{
    const char *bytes = buf_data(&a->in);
    size_t n = buf_size(&a->in);
    if (answer_words(bytes, n, text))
        return;
    if (is_blank(bytes, n))
        snprintf(text, ANSWER_TEXT_BYTES, "the backend answered with status %d", a->status);
    else
        snprintf(text, ANSWER_TEXT_BYTES, "the backend answered with status %d: %.*s", a->status, n < 300 ? (int)n : 300, bytes);
}

void answer_break(struct answer *a, int status, const char *code, const char *text)
{
    struct deliver *d = a->deliver;
    struct buf tail;
    const struct translate_ops *ops = a->translation.ops;
    buf_init(&tail, 0);
    if (ops && ops->rest && !a->translation.has_ended && a->translation.is_stream)
        (void)!ops->rest(&a->translation, &a->out); /* memory is short: what is told is the break */
    deliver_body(d, buf_data(&a->out), buf_size(&a->out));
    int has_room = d->framing == DELIVER_CHUNKED || d->framing == DELIVER_CLOSE, is_at_line = answer_is_between(a);
    if (text && has_room && (a->form == FORM_NDJSON || a->form == FORM_SSE || (a->form == FORM_JSON && is_at_line)) &&
        reply_append_tail(&tail, d, a->form == FORM_SSE, is_at_line, a->dialect, status, code, text) == 0)
        deliver_body(d, buf_data(&tail), buf_size(&tail));
    deliver_break(d);
    buf_consume(&a->out, buf_size(&a->out));
    buf_fini(&tail);
}
