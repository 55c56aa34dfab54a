/*
 * See reply.h. The shapes of errors are those that the clients of each API know: Ollama's {"error": text}
 * (docs/api.md), OpenAI's and Anthropic's error objects; the model server's own: docs/model-server.md.
 */
#include "proxy/reply.h"

#include "proxy/date.h"
#include "proxy/key_models.h"
#include "proxy/mistakes.h"

#include <string.h>

enum { BODY_LIMIT_BYTES = 1 << 20 };

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"}, /* RFC 4918 */
        {508, "Loop Detected"}, /* RFC 5842 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].reason;
    return "";
}

static int append_head(struct deliver *d, int status, const char *type, const char *lines)
{
    struct buf *head = &d->head;
    d->status = status;
    d->type = type;
    int error = buf_printf(head, "HTTP/1.1 %03d %s\r\n", status, reason_of(status));
    error = error ? error : date_append(head);
    if (!error && type)
        error = buf_printf(head, "Content-Type: %s\r\n", type);
    if (!error && *d->request_id)
        error = buf_printf(head, "X-Request-Id: %s\r\n", d->request_id);
    error = error ? error : buf_append(head, buf_data(&d->extra), buf_size(&d->extra));
    error = error || !d->vary ? error : buf_text(head, d->vary);
    error = error || !*d->lines ? error : buf_text(head, d->lines);
    return error || !lines ? error : buf_text(head, lines);
}

static void give_up(struct deliver *d)
{
    buf_release(&d->head);
    deliver_break(d);
}

static void send_bytes(struct deliver *d, int status, const char *type, const char *bytes, size_t bytes_n, const char *lines)
{
    int error = append_head(d, status, type && *type ? type : NULL, lines);
    error = error ? error : deliver_begin(d, 0, (int64_t)bytes_n);
    if (error) {
        give_up(d);
        return;
    }
    deliver_body(d, bytes, bytes_n);
    deliver_end(d);
}

/* A list of models is shown as far as its key may see it; one that can't be read is not shown. */
static void send_shown(struct deliver *d, const char *type, const char *bytes, size_t bytes_n, const char *lines)
{
    struct buf shown;
    buf_init(&shown, 0);
    if (key_models_show(d->shown, bytes, bytes_n, &shown) < 0)
        give_up(d);
    else
        send_bytes(d, 200, type, buf_data(&shown), buf_size(&shown), lines);
    buf_fini(&shown);
}

void reply_bytes(struct deliver *d, int status, const char *type, const char *bytes, size_t bytes_n, const char *lines)
{
    if (d->shown && status == 200)
        send_shown(d, type, bytes, bytes_n, lines);
    else
        send_bytes(d, status, type, bytes, bytes_n, lines);
}

void reply_json(struct deliver *d, int status, const char *json, size_t json_n, const char *lines)
{
    reply_bytes(d, status, "application/json", json, json_n, lines);
}

int reply_begin(struct deliver *d, const char *type)
{
    int error = append_head(d, 200, type, "X-Accel-Buffering: no\r\nCache-Control: no-transform\r\n");
    error = error || !d->encoding ? error : buf_text(&d->head, d->encoding);
    error = error ? error : deliver_begin(d, 0, -1);
    if (error)
        give_up(d);
    return error;
}

void reply_empty(struct deliver *d, int status, const char *lines)
{
    int error = append_head(d, status, NULL, lines);
    error = error ? error : deliver_begin(d, 1, -1);
    if (error) {
        give_up(d);
        return;
    }
    deliver_end(d);
}

static const char *openai_type(int status)
{
    if (status == 401)
        return "authentication_error";
    if (status == 403)
        return "permission_error";
    if (status == 404)
        return "not_found_error";
    if (status == 429)
        return "rate_limit_error";
    return status < 500 ? "invalid_request_error" : "api_error";
}

static const char *anthropic_type(int status)
{
    if (status == 413)
        return "request_too_large";
    if (status == 503)
        return "overloaded_error";
    return status == 504 ? "timeout_error" : openai_type(status);
}

/* What an error is about: the place of the first mistake in a body that is refused, as the text begins with it. */
static int append_param(struct buf *out, int status, const char *code, const char *text)
{
    size_t place_n = status == 400 && code ? mistakes_place(text) : 0;
    if (code && strcmp(code, "model_not_found") == 0)
        return buf_text(out, "\"model\"");
    return place_n > 0 ? buf_json_string(out, text, place_n) : buf_text(out, "null");
}

/* What stands between the braces of an error of OpenAI's. */
static int append_members(struct buf *out, const char *type, int status, const char *code, const char *text)
{
    int error = buf_text(out, "\"message\":");
    error = error ? error : buf_json_string(out, text, strlen(text));
    error = error ? error : buf_printf(out, ",\"type\":\"%s\",\"param\":", type);
    error = error ? error : append_param(out, status, code, text);
    error = error ? error : buf_text(out, ",\"code\":");
    return error ? error : code ? buf_printf(out, "\"%s\"", code) : buf_text(out, "null");
}

static int append_openai(struct buf *out, int status, const char *code, const char *text)
{
    int error = buf_text(out, "\"error\":{");
    error = error ? error : append_members(out, openai_type(status), status, code, text);
    return error ? error : buf_text(out, "}");
}

/* The event `error` of /v1/responses has an error's members itself. OpenAI's clients know errors in streams by a member of that name, so
 * it has that as well. https://platform.openai.com/docs/api-reference/responses-streaming/error */
static int append_responses(struct buf *out, int status, const char *code, const char *text)
{
    int error = buf_text(out, "{\"sequence_number\":0,");
    error = error ? error : append_members(out, "error", status, code, text);
    error = error ? error : buf_text(out, ",");
    error = error ? error : append_openai(out, status, code, text);
    return error ? error : buf_text(out, "}");
}

static int append_serve(struct buf *out, const char *code, const char *text)
{
    int error = buf_text(out, "{\"error\":");
    error = error ? error : buf_json_string(out, text, strlen(text));
    error = error ? error : buf_text(out, ",\"detail\":");
    error = error ? error : buf_json_string(out, text, strlen(text));
    return error || !code ? error : buf_printf(out, ",\"code\":\"%s\"", code);
}

static int append_error(struct buf *out, enum route_dialect dialect, int status, const char *code, const char *text)
{
    int error = 0;
    switch (dialect) {
    case DIALECT_OLLAMA:
        error = buf_text(out, "{\"error\":");
        error = error ? error : buf_json_string(out, text, strlen(text));
        break;
    case DIALECT_SERVE:
        error = append_serve(out, code, text);
        break;
    case DIALECT_OPENAI:
    case DIALECT_RESPONSES:
        error = buf_text(out, "{");
        error = error ? error : append_openai(out, status, code, text);
        break;
    case DIALECT_ANTHROPIC:
        error = buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", anthropic_type(status));
        error = error ? error : buf_json_string(out, text, strlen(text));
        error = error ? error : buf_text(out, "}");
        break;
    }
    return error ? error : buf_text(out, "}");
}

void reply_error(struct deliver *d, enum route_dialect dialect, int status, const char *code, const char *text,
                 const char *lines)
{
    struct buf body;
    buf_init(&body, BODY_LIMIT_BYTES);
    if (append_error(&body, dialect, status, code, text) < 0)
        give_up(d);
    else
        reply_json(d, status, buf_data(&body), buf_size(&body), lines);
    buf_fini(&body);
}

/* The dialect shows in the target, be it read or still in the raw first line. */
static enum route_dialect dialect_of(const struct message *m)
{
    if (m->target.n > 0)
        return route_dialect(message_at(m, m->target), m->target.n);
    const char *text = buf_data(&m->text);
    size_t text_n = buf_size(&m->text);
    const char *space = memchr(text, ' ', text_n);
    return space ? route_dialect(space + 1, text_n - (size_t)(space + 1 - text)) : DIALECT_OLLAMA;
}

void reply_refusal(const struct deliver_sink *sink, const struct message *m, int status, const char *code,
                   const char *text)
{
    static const char allow[] = "Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n"; /* of CONNECT. RFC 9110 section 15.5.6 */
    struct deliver d;
    deliver_init(&d, sink, m->target.n ? m->minor : 1, m->method == METHOD_HEAD);
    reply_error(&d, dialect_of(m), status, code, text, status == 405 ? allow : NULL);
    deliver_fini(&d);
}

int reply_append_tail(struct buf *out, const struct deliver *d, int is_event, int is_at_line, enum route_dialect dialect, int status,
                      const char *code, const char *text)
{
    int error = 0;
    if (!is_event) {
        error = is_at_line ? 0 : buf_text(out, "\n");
        error = error ? error : append_error(out, dialect, status, code, text);
        return error ? error : buf_text(out, "\n");
    }
    if (!is_at_line)
        error = buf_text(out, d->last[1] == '\n' ? "\n" : "\n\n");
    if (!error && (dialect == DIALECT_ANTHROPIC || dialect == DIALECT_RESPONSES))
        error = buf_text(out, "event: error\n");
    error = error ? error : buf_text(out, "data: ");
    error = error ? error : (dialect == DIALECT_RESPONSES ? append_responses(out, status, code, text) : append_error(out, dialect, status, code, text));
    return error ? error : buf_text(out, "\n\n");
}
