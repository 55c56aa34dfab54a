/*
 * See relay.h. The hot path: what a read brings from the backend leaves for the client in the same turn, in one
 * call, unread and from the buffer that it came into. It decides nothing: whether to try again, and how to end what
 * broke, is the exchange's business.
 */
#include "proxy/relay.h"

#include "proxy/upstream_head.h"

#include <errno.h>
#include <stdio.h>

static enum ending_form ending_form(const struct relay *r, const struct message *answer)
{
    if (answer->status >= 400 && r->stream == STREAM_NONE && !forward_is_encoded(answer))
        return ENDING_ERROR;
    if (!r->is_watched || answer->status != 200 || forward_is_encoded(answer))
        return ENDING_NONE;
    if (r->stream == STREAM_NONE)
        return ENDING_JSON;
    if (r->stream == STREAM_NDJSON)
        return ENDING_NDJSON;
    return r->answer->dialect == DIALECT_ANTHROPIC ? ENDING_MESSAGES : ENDING_SSE;
}

static void on_head(void *context, const struct message *answer)
{
    struct relay *r = context;
    const struct deliver *d = r->answer->deliver;
    struct forward_answer f = {.answer = answer, .request_id = d->request_id, .is_cors_dropped = r->is_cors_ours, .is_hosted = r->is_hosted, .is_member = r->is_member};
    if (forward_is_html(answer)) {
        r->answer->fault = "an HTML page, where an API was expected";
        return;
    }
    r->stream = forward_stream_kind(answer);
    ending_begin(r->ending, ending_form(r, answer));
    f.stream = r->stream;
    f.tell = r->tell;
    f.extra = buf_data(&d->extra);
    f.extra_n = buf_size(&d->extra);
    f.is_limited = r->is_limited;
    answer_head(r->answer, &f, loop_now_ms(r->fetch.backend->loop));
    r->ops->begun(r->context);
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct relay *r = context;
    if (r->is_work) /* lists and the like are answered by an Ollama that hangs too */
        atomic_fetch_add_explicit(&r->line->progress_bytes, bytes_n, memory_order_relaxed);
    if (r->answer->fault)
        return;
    if (r->answer->state == ANSWER_TRANSLATE)
        r->answer->translation.now_ms = loop_now_ms(r->fetch.backend->loop);
    ending_see(r->ending, bytes, bytes_n);
    answer_body(r->answer, bytes, bytes_n);
}

static void spoil(struct relay *r)
{
    fetch_cancel(&r->fetch);
    if (r->answer->state == ANSWER_PASS)
        buf_release(&r->answer->deliver->head);
    r->ops->end(r->context, RELAY_GARBAGE, r->answer->fault);
}

static void tell_error(struct relay *r)
{
    fetch_cancel(&r->fetch);
    r->ops->end(r->context, RELAY_TOLD, "");
}

static void pause_reading(struct relay *r)
{
    fetch_pause(&r->fetch);
    r->ops->paused(r->context, 1);
}

static void on_flush(void *context)
{
    struct relay *r = context;
    const struct deliver_sink *sink = r->answer->deliver->sink;
    if (!r->answer->fault)
        answer_flush(r->answer, loop_now_ms(r->fetch.backend->loop));
    if (r->answer->fault)
        spoil(r);
    else if (r->answer->has_error) /* it is told now, whatever is still to come */
        tell_error(r);
    else if (sink->pending_bytes(sink->context) > RELAY_HIGH_BYTES)
        pause_reading(r);
}

static void on_sent(void *context)
{
    struct relay *r = context;
    r->ops->room(r->context);
}

/* That an answer's framing ended says little: Ollama ends it as well where it has given up (a token repeated more than 30
 * times) or lost its runner. And where all was said before the connection broke, nothing is missing. */
static enum relay_end judge(const struct relay *r, enum fetch_end end)
{
    static const enum relay_end plain[] = {
        [FETCH_DONE] = RELAY_DONE,     [FETCH_REFUSED] = RELAY_REFUSED, [FETCH_LOST] = RELAY_LOST,
        [FETCH_BROKEN] = RELAY_BROKEN, [FETCH_GARBAGE] = RELAY_GARBAGE,
    };
    const struct deliver *d = r->answer->deliver;
    struct ending_facts facts;
    if ((end != FETCH_DONE && end != FETCH_BROKEN) || r->stream == STREAM_NONE || r->ending->form == ENDING_NONE)
        return plain[end];
    ending_read(r->ending, &facts);
    if (facts.has_error)
        return RELAY_ERROR;
    if (end == FETCH_DONE)
        return facts.is_done ? RELAY_DONE : RELAY_UNFINISHED;
    return facts.is_done && d->framing != DELIVER_LENGTH && d->last[1] == '\n' ? RELAY_DONE : RELAY_BROKEN;
}

/* All that the backend sent is there. */
static enum relay_end finish(struct relay *r)
{
    int error = answer_end(r->answer);
    if (error == -EREMOTEIO)
        return RELAY_TOLD;
    if (error == -ENODATA)
        return RELAY_UNFINISHED;
    return error ? RELAY_GARBAGE : RELAY_DONE;
}

static void on_end(void *context, enum fetch_end end, const char *why)
{
    struct relay *r = context;
    if (end == FETCH_DONE && r->answer->fault) {
        spoil(r);
        return;
    }
    const struct answer *a = r->answer;
    int is_told = a->state == ANSWER_TRANSLATE && a->has_error && (end == FETCH_DONE || end == FETCH_BROKEN);
    enum relay_end how = a->translation.has_ended ? RELAY_DONE : is_told ? RELAY_TOLD : judge(r, end); /* what comes behind its end is nobody's */
    if (how == RELAY_ERROR && r->answer->state != ANSWER_PASS)
        how = RELAY_TOLD;
    else if (how == RELAY_DONE)
        how = finish(r);
    r->ops->end(r->context, how, how == RELAY_GARBAGE && r->answer->fault ? r->answer->fault : why);
}

static const struct fetch_ops fetch_ops = {on_head, on_body, on_flush, on_sent, on_end};

void relay_init(struct relay *r, struct backend *backend, struct answer *answer, struct ending *ending,
                struct contract_line *line, const struct relay_ops *ops, void *context)
{
    *r = (struct relay){.ops = ops, .context = context, .answer = answer, .line = line, .ending = ending};
    buf_init(&r->head, 0); /* the client's head has its limit */
    fetch_init(&r->fetch, backend, &fetch_ops, r);
    r->fetch.soon[0] = answer->deliver;
    r->fetch.soon[1] = answer->deliver->sink;
}

void relay_fini(struct relay *r)
{
    fetch_fini(&r->fetch);
    buf_fini(&r->head);
}

int relay_start(struct relay *r, const struct relay_request *request, char *why, size_t why_n)
{
    const struct message *m = request->request;
    struct forward_request f = {.request = m, .host = r->fetch.backend->host, .request_id = r->answer->deliver->request_id};
    f.path = r->fetch.backend->path;
    f.authorization = r->fetch.backend->authorization;
    f.is_member = r->is_member = request->is_member;
    f.target = request->target;
    f.body_bytes = request->body ? (int64_t)buf_size(request->body) : m->length_bytes;
    f.is_origin_dropped = request->is_cors_ours;
    f.tell = r->tell = request->tell;
    f.sender = request->sender;
    r->is_cors_ours = request->is_cors_ours;
    r->is_hosted = request->upstream && request->upstream->is_hosted;
    r->is_limited = request->is_limited;
    r->answer->fault = NULL;
    r->is_watched = request->is_watched;
    r->is_work = request->is_work;
    ending_begin(r->ending, ENDING_NONE);
    buf_consume(&r->head, buf_size(&r->head));
    int error = request->upstream ? upstream_head(&r->head, &f, request->upstream) : forward_request_head(&r->head, &f);
    if (error) {
        snprintf(why, why_n, "out of memory");
        return error;
    }
    struct fetch_request to = {
        .head = buf_data(&r->head),
        .head_n = buf_size(&r->head),
        .body = request->body ? buf_data(request->body) : NULL,
        .body_n = request->body ? buf_size(request->body) : 0,
        .is_streamed = !request->body,
        .is_chunked = f.body_bytes < 0,
        .is_head = m->method == METHOD_HEAD,
        .is_fresh = request->is_fresh,
    };
    return fetch_start(&r->fetch, &to, why, why_n);
}

void relay_drained(struct relay *r)
{
    if (r->fetch.is_paused) {
        fetch_resume(&r->fetch);
        r->ops->paused(r->context, 0);
    }
}
