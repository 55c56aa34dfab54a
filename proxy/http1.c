/*
 * See http1.h. The only room that knows llhttp.
 *
 * A head is collected whole, checked (a request's first line before the rest), and handed to llhttp in one piece, so that
 * names and values are places in one arena. Bodies are walked by our own framing, and llhttp gets exactly the bytes that
 * belong to the message: it never sees the next one, and never has to be paused. Interim answers (1xx) are skipped here.
 * RFC 9110 15.2
 */
#include "proxy/http1.h"

#include "proxy/chunk_whole.h"

#include <errno.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTERIM_MAX = 10000, LEADING_BLANK_BYTES = 4, REQUEST_LINE_BYTES = HTTP1_TARGET_BYTES + 64 };

static const char target_too_long[] = "the target is longer than 8 KB, which is a fixed limit";

struct http1_parser {
    llhttp_t llhttp;
    struct span name, value;
    int is_value; /* the last callback was a value */
    int is_head_over;
    int error;
};

static struct http1 *owner(llhttp_t *llhttp)
{
    return llhttp->data;
}

/* Without the white space that llhttp leaves at the end. */
static struct span trimmed(const struct message *m, struct span s)
{
    const char *text = message_at(m, s);
    while (s.n > 0 && (text[s.n - 1] == ' ' || text[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static int add_field(struct http1 *p)
{
    struct http1_parser *parser = p->parser;
    size_t limit_n = p->side == HTTP1_REQUEST ? HTTP1_REQUEST_FIELDS : HTTP1_ANSWER_FIELDS;
    if (parser->name.n == 0)
        return 0;
    if (p->message->fields_n == limit_n) {
        p->refusal = (struct strict_refusal){431, limit_n == 100 ? "more than 100 header fields" : "too many header fields"};
        return -1;
    }
    parser->error = message_add(p->message, parser->name, trimmed(p->message, parser->value));
    parser->name = parser->value = (struct span){0, 0};
    parser->is_value = 0;
    return parser->error ? -1 : 0;
}

/* Pieces of one name or value lie side by side in the arena. */
static void extend(struct http1 *p, struct span *s, const char *at, size_t n)
{
    if (s->n == 0)
        s->at = (uint32_t)(at - buf_data(&p->message->text));
    s->n = (uint32_t)((size_t)(at - buf_data(&p->message->text)) + n - s->at);
}

static int on_name(llhttp_t *llhttp, const char *at, size_t n)
{
    struct http1 *p = owner(llhttp);
    if (p->parser->is_head_over) /* trailers are dropped. RFC 9110 section 6.5 */
        return 0;
    if (p->parser->is_value && add_field(p) < 0)
        return -1;
    extend(p, &p->parser->name, at, n);
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t n)
{
    struct http1 *p = owner(llhttp);
    if (p->parser->is_head_over)
        return 0;
    p->parser->is_value = 1;
    extend(p, &p->parser->value, at, n);
    return 0;
}

static int on_value_complete(llhttp_t *llhttp)
{
    struct http1 *p = owner(llhttp);
    if (p->parser->is_head_over)
        return 0;
    if (p->parser->value.n == 0) /* an empty value: somewhere in the arena */
        p->parser->value.at = p->parser->name.at + p->parser->name.n;
    return add_field(p);
}

/* RFC 9112 section 6.3, rule 1. */
static int is_bodiless_status(int status)
{
    return status < 200 || status == 204 || status == 304;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http1 *p = owner(llhttp);
    p->parser->is_head_over = 1;
    llhttp->upgrade = 0; /* ignored, as RFC 9110 section 7.8 allows */
    if (p->side == HTTP1_ANSWER && is_bodiless_status(llhttp->status_code))
        return 1; /* llhttp would wait for what Content-Length says */
    return p->is_bodiless ? 1 : 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t n)
{
    struct http1 *p = owner(llhttp);
    p->body_error = p->body ? p->body(p->context, at, n) : 0;
    return p->body_error ? -1 : 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    owner(llhttp)->is_message_over = 1;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

int http1_init(struct http1 *p, enum http1_side side, struct message *message, http1_body_fn *body, void *context)
{
    *p = (struct http1){.side = side, .message = message, .body = body, .context = context};
    p->parser = malloc(sizeof *p->parser); /* restarting sets all of it */
    if (!p->parser)
        return -ENOMEM;
    http1_restart(p);
    return 0;
}

void http1_fini(struct http1 *p)
{
    free(p->parser);
    p->parser = NULL;
}

static void restart_parser(struct http1 *p)
{
    *p->parser = (struct http1_parser){.error = 0};
    llhttp_init(&p->parser->llhttp, p->side == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    p->parser->llhttp.data = p;
    p->scan = (struct strict_head){.is_obs_text_allowed = p->side == HTTP1_ANSWER};
    p->place = HTTP1_AT_HEAD;
    message_reset(p->message);
}

void http1_restart(struct http1 *p)
{
    p->chunks = (struct strict_chunks){.state = STRICT_CHUNK_SIZE};
    p->left_bytes = 0;
    p->interim_n = p->blank_n = 0;
    p->is_bodiless = p->is_touched = p->is_message_over = p->body_error = 0;
    p->refusal = (struct strict_refusal){0, NULL};
    restart_parser(p);
}

static enum http1_step refuse(struct http1 *p, int status, const char *why)
{
    p->place = HTTP1_AT_BAD;
    if (!p->refusal.why)
        p->refusal = (struct strict_refusal){status, why};
    return HTTP1_BAD;
}

/* Hands llhttp what is part of this message; 0, or -EPROTO with the refusal set. */
static int run_llhttp(struct http1 *p, const char *bytes, size_t bytes_n)
{
    llhttp_errno_t error = llhttp_execute(&p->parser->llhttp, bytes, bytes_n);
    if (error == HPE_OK)
        return 0;
    if (p->parser->error) {
        (void)refuse(p, 500, "out of memory");
        return -EPROTO;
    }
    if (!p->refusal.why) {
        const char *reason = llhttp_get_error_reason(&p->parser->llhttp);
        if (error == HPE_INVALID_METHOD) /* RFC 9110 section 9.1 */
            reason = "the method is not one that is known here";
        snprintf(p->why, sizeof p->why, "%.100s (%s)", reason && *reason ? reason : "not HTTP", llhttp_errno_name(error));
        (void)refuse(p, error == HPE_INVALID_METHOD ? 501 : 400, p->why);
    }
    p->place = HTTP1_AT_BAD;
    return -EPROTO;
}

static int has_no_body(const struct http1 *p)
{
    const struct message *m = p->message;
    if (p->side == HTTP1_REQUEST)
        return !m->is_chunked && m->length_bytes <= 0;
    return p->is_bodiless || is_bodiless_status(m->status) || (m->length_bytes == 0 && !m->is_chunked);
}

/* RFC 9112 section 6.3: what follows the head. */
static void place_body(struct http1 *p)
{
    const struct message *m = p->message;
    if (has_no_body(p)) {
        p->place = HTTP1_AT_END;
    } else if (m->is_chunked) {
        p->place = HTTP1_AT_CHUNKS;
    } else if (m->length_bytes > 0) {
        p->left_bytes = (uint64_t)m->length_bytes;
        p->place = HTTP1_AT_LENGTH;
    } else {
        p->place = HTTP1_AT_EOF;
    }
}

static int read_head(struct http1 *p)
{
    struct message *m = p->message;
    int is_request = p->side == HTTP1_REQUEST;
    int error = is_request ? 0 : strict_status_line(m, &p->refusal);
    if (is_request && m->method_name.n == 0) /* an empty line, and end_first_line() was never called */
        return -EPROTO;
    if (!error)
        error = strict_field_lines(m, &p->refusal);
    if (!error)
        error = run_llhttp(p, buf_data(&m->text), buf_size(&m->text));
    if (error)
        return error;
    if (!p->parser->is_head_over)
        return -EPROTO;
    if (m->minor != p->parser->llhttp.http_minor || (!is_request && m->status != p->parser->llhttp.status_code))
        return -EPROTO;
    return is_request ? strict_request_fields(m, &p->refusal) : strict_answer_fields(m, &p->refusal);
}

static enum http1_step end_head(struct http1 *p)
{
    if (read_head(p) < 0)
        return refuse(p, 400, "not HTTP/1.1");
    if (p->side == HTTP1_ANSWER && p->message->status < 200) {
        if (++p->interim_n > INTERIM_MAX)
            return refuse(p, 400, "endless interim answers");
        p->is_message_over = 0;
        restart_parser(p);
        return HTTP1_MORE;
    }
    place_body(p);
    if (p->is_message_over != (p->place == HTTP1_AT_END))
        return refuse(p, 400, "a message whose length can be read in two ways");
    return HTTP1_HEAD;
}

/* Empty lines before a request line are skipped. RFC 9112 section 2.2 */
static size_t skip_blank(struct http1 *p, const char *bytes, size_t bytes_n)
{
    size_t n = 0;
    if (p->side != HTTP1_REQUEST || buf_size(&p->message->text) > 0)
        return 0;
    while (n < bytes_n && p->blank_n < LEADING_BLANK_BYTES && bytes[n] == (p->blank_n % 2 ? '\n' : '\r')) {
        p->blank_n++;
        n++;
    }
    return n;
}

size_t http1_skip_empty_lines(struct http1 *p, const char *bytes, size_t bytes_n)
{
    size_t n = skip_blank(p, bytes, bytes_n);
    if (p->blank_n % 2) { /* half of one, which is fed */
        p->blank_n--;
        n--;
    }
    return n;
}

static enum http1_step refuse_long_head(struct http1 *p, int is_first_line)
{
    if (p->side == HTTP1_ANSWER)
        return refuse(p, 431, "its header is too long");
    if (is_first_line)
        return refuse(p, 414, "the request line alone is longer than [proxy] max_headers");
    return refuse(p, 431, "the header is longer than [proxy] max_headers");
}

/* How much of a head is looked at in one go: a request's first line for itself, and no more than the first byte that is beyond
 * a limit, so that a head is refused for the same reason however it is cut. */
static size_t scan_n(const struct http1 *p, const char *bytes, size_t bytes_n)
{
    size_t left_n = buf_left(&p->message->text);
    if (p->side == HTTP1_REQUEST && p->scan.lines_n == 0) {
        size_t line_left_n = REQUEST_LINE_BYTES - p->scan.line_n;
        const char *end = memchr(bytes, '\n', bytes_n);
        bytes_n = end ? (size_t)(end - bytes) + 1 : bytes_n;
        left_n = line_left_n < left_n ? line_left_n : left_n;
    }
    return bytes_n > left_n ? left_n + 1 : bytes_n;
}

/* Judged before the rest has come: who speaks another protocol waits for an answer now. */
static enum http1_step end_first_line(struct http1 *p)
{
    if (strict_request_line(p->message, &p->refusal) < 0)
        return refuse(p, 400, "not HTTP/1.1");
    return p->message->target.n > HTTP1_TARGET_BYTES ? refuse(p, 414, target_too_long) : HTTP1_MORE;
}

static enum http1_step feed_head(struct http1 *p, const char *bytes, size_t bytes_n, size_t *used_n)
{
    *used_n = skip_blank(p, bytes, bytes_n);
    if (p->blank_n % 2 && *used_n < bytes_n)
        return refuse(p, 400, "a carriage return without a line feed");
    bytes += *used_n;
    bytes_n -= *used_n;
    size_t head_n;
    enum strict_verdict verdict = strict_head_scan(&p->scan, bytes, scan_n(p, bytes, bytes_n), &head_n, &p->refusal);
    *used_n += head_n;
    if (verdict == STRICT_BAD)
        return refuse(p, 400, "not HTTP");
    int error = buf_append(&p->message->text, bytes, head_n);
    int is_first_line = p->scan.lines_n == 0 && verdict == STRICT_MORE;
    if (p->side == HTTP1_REQUEST && is_first_line && p->scan.line_n > REQUEST_LINE_BYTES)
        return refuse(p, 414, target_too_long);
    if (error == -EFBIG)
        return refuse_long_head(p, is_first_line);
    if (error)
        return refuse(p, 500, "out of memory");
    if (verdict == STRICT_END)
        return end_head(p);
    int is_first_line_over = p->scan.lines_n == 1 && p->scan.line_n == 0 && !p->scan.has_cr;
    return p->side == HTTP1_REQUEST && is_first_line_over && head_n > 0 ? end_first_line(p) : HTTP1_MORE;
}

/* A body's bytes go through llhttp; at its end both must say so. */
static enum http1_step feed_body(struct http1 *p, const char *bytes, size_t bytes_n, int is_end)
{
    if (run_llhttp(p, bytes, bytes_n) < 0)
        return HTTP1_BAD;
    if (p->is_message_over != is_end)
        return refuse(p, 400, "a body whose length can be read in two ways");
    if (!is_end)
        return HTTP1_MORE;
    p->place = HTTP1_AT_END;
    return HTTP1_END;
}

/* A backend writes a chunk for each token, and a read brings it whole: both parsers stand before a chunk's size then, and would
 * do so again behind it. Neither has to see it, and its state need not be in the cache. Returns the bytes of such chunks. */
static size_t take_whole_chunks(struct http1 *p, const char *bytes, size_t bytes_n)
{
    size_t used_n = 0;
    struct span data;
    if (p->chunks.state != STRICT_CHUNK_SIZE || p->chunks.digits_n > 0)
        return 0;
    for (size_t n; !p->body_error && (n = chunk_whole(bytes + used_n, bytes_n - used_n, &data)) > 0; used_n += n)
        p->body_error = p->body ? p->body(p->context, bytes + used_n + data.at, data.n) : 0;
    return used_n;
}

static enum http1_step feed_chunks(struct http1 *p, const char *bytes, size_t bytes_n, size_t *used_n)
{
    *used_n = take_whole_chunks(p, bytes, bytes_n);
    if (p->body_error)
        return refuse(p, 400, "a body that is not taken");
    if (*used_n > 0)
        return HTTP1_MORE;
    enum strict_verdict verdict = strict_chunks_scan(&p->chunks, bytes, bytes_n, used_n, &p->refusal);
    if (verdict == STRICT_BAD)
        return refuse(p, 400, "a bad chunk");
    return feed_body(p, bytes, *used_n, verdict == STRICT_END);
}

enum http1_step http1_feed(struct http1 *p, const char *bytes, size_t bytes_n, size_t *used_n)
{
    enum http1_step step = HTTP1_MORE;
    *used_n = 0;
    if (bytes_n > 0)
        p->is_touched = 1;
    while (step == HTTP1_MORE && *used_n < bytes_n) {
        const char *at = bytes + *used_n;
        size_t left_n = bytes_n - *used_n, step_n = 0;
        switch (p->place) {
        case HTTP1_AT_HEAD:
            step = feed_head(p, at, left_n, &step_n);
            break;
        case HTTP1_AT_LENGTH:
            step_n = p->left_bytes < left_n ? (size_t)p->left_bytes : left_n;
            p->left_bytes -= step_n;
            step = feed_body(p, at, step_n, p->left_bytes == 0);
            break;
        case HTTP1_AT_CHUNKS:
            step = feed_chunks(p, at, left_n, &step_n);
            break;
        case HTTP1_AT_EOF:
            step_n = left_n;
            step = feed_body(p, at, step_n, 0);
            break;
        case HTTP1_AT_END:
            return HTTP1_END;
        case HTTP1_AT_BAD:
            return HTTP1_BAD;
        }
        *used_n += step_n;
    }
    return step;
}

enum http1_step http1_finish(struct http1 *p)
{
    if (p->place == HTTP1_AT_END)
        return HTTP1_END;
    if (p->place == HTTP1_AT_HEAD && !p->is_touched)
        return HTTP1_MORE;
    if (p->place == HTTP1_AT_EOF) {
        p->place = HTTP1_AT_END;
        p->message->is_keep_alive = 0;
        return HTTP1_END;
    }
    return refuse(p, 400, "the connection ended in the middle of the message");
}
