/* A head on its way through: what one side sent is parsed, written for the other side, and parsed again. It is one message of
 * the same length, and nothing of it belongs to the hop before. The first byte says which side. */
#include "proxy/admit.h"
#include "proxy/forward.h"
#include "proxy/http1.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 16384, ADDED_FIELDS = 10 }; /* what we add may be one field too many for another parser of ours */

static int on_body(void *context, const char *bytes, size_t bytes_n)
{
    (void)context;
    (void)bytes;
    (void)bytes_n;
    return 0;
}

/* 1 where the bytes begin with a whole head of at most limit_bytes. *used_n: how long it is. */
static int parse(struct message *m, enum http1_side side, size_t limit_bytes, const char *bytes, size_t bytes_n, size_t *used_n)
{
    struct http1 parser;
    message_init(m, limit_bytes);
    if (http1_init(&parser, side, m, on_body, NULL) < 0)
        abort();
    enum http1_step step = http1_feed(&parser, bytes, bytes_n, used_n);
    http1_fini(&parser);
    return step == HTTP1_HEAD;
}

static void must_be_absent(const struct message *m, const char *const *names)
{
    for (; *names; names++)
        if (message_find(m, *names, 0) >= 0)
            abort();
}

static void check_id(const struct message *m, char id[ADMIT_ID_BYTES])
{
    admit_id(m, 77, id);
    size_t n = strnlen(id, ADMIT_ID_BYTES);
    if (n == 0 || n == ADMIT_ID_BYTES || strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != n)
        abort();
}

/* Somebody far away who is believed, or not. */
static struct sender sender_of(const struct message *m, int is_trusted)
{
    static struct peer peer;
    static struct networks trusted;
    char why[PARSE_WHY_BYTES];
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)}; /* 192.0.2.1 */
    struct sockaddr_storage at = {0};
    struct sender s;
    if (trusted.items_n == 0 && networks_add(&trusted, "192.0.2.0/24", why) < 0)
        abort();
    static const struct networks nobody;
    memcpy(&at, &from, sizeof from);
    peer_init(&peer, &at, is_trusted ? &trusted : &nobody);
    sender_read(&s, m, &peer, is_trusted ? &trusted : &nobody);
    return s;
}

static void pass_request(const struct message *m, int is_trusted)
{
    static const char *const gone[] = {"connection", "keep-alive", "te", "upgrade", "trailer", "expect", "accept-encoding", "proxy-connection",
                                       "proxy-authorization", "http2-settings", NULL};
    struct message again;
    struct buf out;
    size_t used_n;
    char id[ADMIT_ID_BYTES];
    struct sender sender = sender_of(m, is_trusted);
    struct tell tell;
    tell_init(&tell, 1, 1);
    check_id(m, id);
    buf_init(&out, 0);
    struct forward_request f = {.request = m, .host = "backend:1", .request_id = id, .is_origin_dropped = 1, .tell = &tell, .sender = &sender};
    f.body_bytes = m->is_chunked ? -1 : m->length_bytes < 0 ? 0 : m->length_bytes;
    if (forward_request_head(&out, &f) < 0)
        abort();
    if (!parse(&again, HTTP1_REQUEST, 8 * LIMIT_BYTES, buf_data(&out), buf_size(&out), &used_n) || used_n != buf_size(&out))
        abort(); /* else a second request stands behind it */
    if (message_count(&again, "host") != 1 || message_count(&again, "content-length") > 1 || again.is_chunked != m->is_chunked ||
        message_count(&again, "x-request-id") != 1 || message_find(&again, "origin", 0) >= 0)
        abort();
    if (!tell_is_circle(&tell, &again))
        abort(); /* it would not be known again */
    if (!m->is_chunked && (again.length_bytes < 0 ? 0 : again.length_bytes) != f.body_bytes)
        abort();
    if (again.target.n != m->target.n || memcmp(message_at(&again, again.target), message_at(m, m->target), m->target.n) != 0)
        abort();
    must_be_absent(&again, gone);
    message_fini(&again);
    buf_fini(&out);
}

static void pass_answer(const struct message *m)
{
    static const char *const gone[] = {"connection", "keep-alive", "upgrade", "trailer", "content-length", "transfer-encoding", "proxy-connection", NULL};
    struct message again;
    struct buf out;
    size_t used_n;
    buf_init(&out, 0);
    struct tell tell;
    tell_init(&tell, 1, 1);
    struct forward_answer f = {.answer = m, .request_id = "id", .tell = &tell, .extra = "", .is_cors_dropped = 1, .is_stream = m->length_bytes < 0};
    if (m->status < 200)
        return;
    if (forward_answer_head(&out, &f) < 0 || buf_text(&out, "\r\n") < 0)
        abort();
    if (!parse(&again, HTTP1_ANSWER, 8 * LIMIT_BYTES, buf_data(&out), buf_size(&out), &used_n) || used_n != buf_size(&out) || again.status != m->status)
        abort();
    must_be_absent(&again, gone);
    if (message_find(&again, "access-control-allow-origin", 0) >= 0 || message_count(&again, "x-request-id") != 1)
        abort();
    if (forward_is_html(m) && forward_stream_kind(m) != STREAM_NONE)
        abort();
    message_fini(&again);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    size_t used_n = 0;
    if (size < 2)
        return 0;
    enum http1_side side = data[0] & 1 ? HTTP1_ANSWER : HTTP1_REQUEST;
    size_t fields_n = (side == HTTP1_REQUEST ? HTTP1_REQUEST_FIELDS : HTTP1_ANSWER_FIELDS) - ADDED_FIELDS;
    if (parse(&m, side, LIMIT_BYTES, (const char *)data + 1, size - 1, &used_n) && m.fields_n <= fields_n) {
        if (side == HTTP1_REQUEST)
            pass_request(&m, data[0] & 2);
        else
            pass_answer(&m);
    }
    message_fini(&m);
    return 0;
}
