/*
 * See forward.h. Pure text work on heads that http1 has accepted: it knows no connection and decides nothing
 * about who may ask. Fields that belong to one hop are dropped on both ways, with all that Connection names.
 */
#include "proxy/forward.h"

#include "proxy/date.h"

#include <string.h>

#define KIND(word) message_name_kind(word, sizeof(word) - 1)

static int is_hop_by_hop(const struct message *m, struct span name)
{
    static const char *const names[] = {"connection", "keep-alive",        "proxy-connection", "te",
                                        "trailer",    "transfer-encoding", "upgrade",          "http2-settings"};
    const uint64_t kinds = KIND("connection") | KIND("keep-alive") | KIND("proxy-connection") | KIND("te") |
                           KIND("trailer") | KIND("transfer-encoding") | KIND("upgrade") | KIND("http2-settings");
    const char *text = message_at(m, name);
    for (size_t i = 0; (kinds & message_name_kind(text, name.n)) && i < sizeof names / sizeof *names; i++)
        if (text_is(text, name.n, names[i]))
            return 1;
    return name.n > 6 && text_is(text, 6, "proxy-");
}

/* What Connection can't take away: it says what the body is, who asks, or which way the message went; not the business of one
 * hop, whatever a sender calls it. RFC 9110 section 7.6.1 */
static int is_end_to_end(const char *name, size_t n)
{
    static const char *const names[] = {"accept", "authorization", "cache-control", "cookie", "forwarded", "host", "origin",
                                        "set-cookie", "user-agent", "via", "x-api-key", "x-request-id"};
    static const char *const beginnings[] = {"content-", "x-forwarded-"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_is(name, n, names[i]))
            return 1;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t beginning_n = strlen(beginnings[i]);
        if (n > beginning_n && text_is(name, beginning_n, beginnings[i]))
            return 1;
    }
    return 0;
}

/* Whether Connection names this field. RFC 9110 section 7.6.1 */
static int is_named(const struct message *m, struct span name, int has_connection)
{
    const char *text = message_at(m, name);
    return has_connection && message_lists(m, "connection", text, name.n) && !is_end_to_end(text, name.n);
}

static int is_one_of(const struct message *m, struct span name, const char *const *names)
{
    const char *text = message_at(m, name);
    for (; *names; names++)
        if (text_is(text, name.n, *names))
            return 1;
    return 0;
}

static int append_field(struct buf *out, const struct message *m, const struct field *f)
{
    int error = buf_append(out, message_at(m, f->name), f->name.n);
    error = error ? error : buf_append(out, ": ", 2);
    error = error ? error : buf_append(out, message_at(m, f->value), f->value.n);
    return error ? error : buf_append(out, "\r\n", 2);
}

/* The bytes of a field's line where they came as append_field() writes them, else 0. */
static uint32_t plain_line_bytes(const struct message *m, const struct field *f)
{
    const char *text = buf_data(&m->text);
    uint32_t end = f->value.at + f->value.n;
    int is_plain = f->value.at == f->name.at + f->name.n + 2 && text[f->value.at - 1] == ' ' &&
                   end + 2 <= buf_size(&m->text) && text[end] == '\r';
    return is_plain ? end + 2 - f->name.at : 0;
}

/* Nearly all of a head stays as it is: lines that follow each other are copied together.
 * is_told_anew: fields that tell who asks are left out; tell.c writes them. is_typed_anew: so is Content-Type. */
static int append_fields(struct buf *out, const struct message *m, const char *const *dropped, int is_told_anew, int is_typed_anew)
{
    int error = 0, has_connection = message_find(m, "connection", 0) >= 0;
    struct span run = {0, 0};
    for (size_t i = 0; i < m->fields_n && !error; i++) {
        const struct field *f = &m->fields[i];
        if ((is_told_anew && sender_is_field(m, f->name)) || (is_typed_anew && message_is(m, f->name, "content-type")))
            continue;
        if (is_hop_by_hop(m, f->name) || is_one_of(m, f->name, dropped) || is_named(m, f->name, has_connection))
            continue;
        uint32_t plain_n = plain_line_bytes(m, f);
        if (plain_n > 0 && f->name.at == run.at + run.n) {
            run.n += plain_n;
            continue;
        }
        error = buf_append(out, message_at(m, run), run.n);
        run = (struct span){f->name.at, plain_n};
        if (!error && plain_n == 0)
            error = append_field(out, m, f);
    }
    return error ? error : buf_append(out, message_at(m, run), run.n);
}

static int append_line(struct buf *out, const char *name, const char *value)
{
    int error = buf_text(out, name);
    error = error ? error : buf_text(out, value);
    return error ? error : buf_append(out, "\r\n", 2);
}

enum { DROPPED_MAX = 32 };

static size_t add_names(const char **names, size_t n, const char *const *more)
{
    while (*more && n + 1 < DROPPED_MAX)
        names[n++] = *more++;
    return n;
}

/* They are made up for a member alone: room. */
static const char *const *dropped_of_request(const struct forward_request *f, const char *room[DROPPED_MAX])
{
    enum { KEYS_N = 3, ORIGIN_N = 1 };
    static const char *const names[] = {"authorization", "x-api-key", "api-key", /* where keys are ours */
                                        "origin",                                /* where CORS is */
                                        "host", "content-length", "expect", "accept-encoding", "x-request-id", NULL};
    int are_keys_ours = f->tell->are_keys_ours || f->authorization;
    const char *const *dropped = are_keys_ours ? names : names + KEYS_N + (f->is_origin_dropped ? 0 : ORIGIN_N);
    if (!f->is_member)
        return dropped;
    size_t n = add_names(room, 0, dropped);
    room[n] = "x-sidecar-backend";
    room[n + 1] = NULL;
    return room;
}

int forward_request_head(struct buf *out, const struct forward_request *f)
{
    const char *room_of_names[DROPPED_MAX];
    const char *const *dropped = dropped_of_request(f, room_of_names);
    enum { MORE_BYTES = 512 }; /* what we add, mostly: memory is asked for once */
    const struct message *m = f->request;
    char *room;
    int error = buf_reserve(out, buf_size(&m->text) + MORE_BYTES, &room);
    error = error ? error : buf_append(out, message_at(m, m->method_name), m->method_name.n);
    error = error ? error : buf_append(out, " ", 1);
    error = error || !f->path ? error : buf_text(out, f->path);
    if (!error)
        error = f->target ? buf_text(out, f->target) : buf_append(out, message_at(m, m->target), m->target.n);
    error = error ? error : buf_text(out, " HTTP/1.1\r\n");
    error = error ? error : append_line(out, "Host: ", f->host);
    error = error ? error : append_line(out, "X-Request-Id: ", f->request_id);
    error = error || !f->authorization ? error : append_line(out, "Authorization: ", f->authorization);
    error = error ? error : append_fields(out, m, dropped, f->sender->has_fields, f->target != NULL);
    if (!error && f->target) /* the body is ours, too */
        error = append_line(out, "Content-Type: ", "application/json");
    error = error ? error : tell_backend(f->tell, out, m, f->sender);
    if (error)
        return error;
    if (f->body_bytes < 0) {
        error = buf_text(out, "Transfer-Encoding: chunked\r\n");
    } else if (f->body_bytes > 0 || (m->method & (METHOD_POST | METHOD_PUT | METHOD_PATCH)) || m->length_bytes == 0) {
        error = buf_text(out, "Content-Length: ");
        error = error ? error : buf_number(out, (uint64_t)f->body_bytes);
        error = error ? error : buf_append(out, "\r\n", 2);
    }
    return error ? error : buf_append(out, "\r\n", 2);
}

/* The words behind the status. RFC 9112 section 4 */
static int append_status(struct buf *out, const struct message *m)
{
    enum { REASON_AT = 13 }; /* behind `HTTP/1.1 200 ` */
    const char *line = buf_data(&m->text);
    const char *end = memchr(line, '\r', buf_size(&m->text));
    size_t line_n = end ? (size_t)(end - line) : 0;
    const char status[] = {(char)('0' + m->status / 100), (char)('0' + m->status / 10 % 10), (char)('0' + m->status % 10), ' '};
    int error = buf_text(out, "HTTP/1.1 ");
    error = error ? error : buf_append(out, status, sizeof status);
    if (!error && line_n > REASON_AT)
        error = buf_append(out, line + REASON_AT, line_n - REASON_AT);
    return error ? error : buf_append(out, "\r\n", 2);
}

int forward_answer_head(struct buf *out, const struct forward_answer *f)
{
    static const char *const always[] = {"content-length", "x-request-id", NULL};
    static const char *const cors[] = {"access-control-allow-origin", "access-control-allow-credentials", NULL};
    static const char *const hosted[] = {"access-control-expose-headers", "set-cookie", "alt-svc", "strict-transport-security",
                                         "openai-organization", "openai-project", "anthropic-organization-id", NULL};
    static const char *const limits[] = {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
                                         "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", NULL};
    static const char *const member[] = {"x-sidecar-backend", "x-sidecar-queue-place", "x-sidecar-estimate-ms", "x-sidecar-priority",
                                         "x-sidecar-wait-ms", "x-sidecar-load-ms", "x-sidecar-queue-ms", NULL};
    const char *names[DROPPED_MAX];
    size_t n = add_names(names, 0, always);
    n = f->is_member ? add_names(names, n, member) : n;
    n = f->is_cors_dropped || f->is_hosted ? add_names(names, n, cors) : n;
    n = f->is_hosted ? add_names(names, n, hosted) : n;
    n = f->is_limited ? add_names(names, n, limits) : n;
    names[n] = NULL;
    const struct message *m = f->answer;
    int error = append_status(out, m);
    error = error ? error : append_fields(out, m, names, 0, 0);
    if (!error && message_find(m, "date", 0) < 0) /* who passes an answer on says when it came. RFC 9110 section 6.6.1 */
        error = date_append(out);
    error = error ? error : tell_via(f->tell, out, m);
    error = error ? error : append_line(out, "X-Request-Id: ", f->request_id);
    error = error ? error : buf_append(out, f->extra, f->extra_n);
    if (!error && f->is_stream && message_find(m, "x-accel-buffering", 0) < 0)
        error = buf_text(out, "X-Accel-Buffering: no\r\n");
    if (!error && f->is_stream && message_find(m, "cache-control", 0) < 0)
        error = buf_text(out, "Cache-Control: no-transform\r\n");
    if (!error && f->is_stream && f->encoding && message_find(m, "content-encoding", 0) < 0)
        error = buf_text(out, f->encoding);
    return error;
}

/* Whether Content-Type is this, parameters aside. RFC 9110 section 8.3 */
static int is_type(const struct message *answer, const char *type)
{
    int place = message_find(answer, "content-type", 0);
    if (place < 0)
        return 0;
    struct span value = answer->fields[place].value;
    const char *text = message_at(answer, value);
    const char *end = memchr(text, ';', value.n);
    size_t n = end ? (size_t)(end - text) : value.n;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    return text_is(text, n, type);
}

int forward_is_encoded(const struct message *answer)
{
    int place = message_find(answer, "content-encoding", 0);
    return place >= 0 && !message_is(answer, answer->fields[place].value, "identity") && !message_is(answer, answer->fields[place].value, "none");
}

enum forward_stream forward_stream_kind(const struct message *answer)
{
    if (forward_is_encoded(answer))
        return STREAM_NONE;
    if (is_type(answer, "application/x-ndjson"))
        return STREAM_NDJSON;
    return is_type(answer, "text/event-stream") ? STREAM_SSE : STREAM_NONE;
}

int forward_is_html(const struct message *answer)
{
    return is_type(answer, "text/html");
}
