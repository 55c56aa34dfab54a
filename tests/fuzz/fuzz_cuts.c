/* Answers of Ollama's, translated and passed, in pieces of other sizes: each time the same. The first byte: bits 0 and 1 the API, bit 2 a
 * stream, bit 3 translated, bit 4 with counts, bit 5 with tools,
 * so that calls in text are found; the second the size of a piece. What is translated grows within a bound, too. */
#include "proxy/answer.h"
#include "proxy/repair.h"
#include "tests/fuzz/sink.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROWTH = 64, GROWTH_BYTES = 4096 }; /* an event for each object, however small; a name and an id for each call */

static const char tools_text[] = "[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},{\"type\":\"function\",\"function\":{\"name\":\"find_order\"}}]";

struct played {
    struct buf sent;
    int error, is_begun;
};

static struct iovec parts[DELIVER_PARTS];

/* Takes the head and the sizes of chunks off. */
static void read_body(struct buf *sent, int is_chunked)
{
    struct buf body;
    const char *at = buf_data(sent), *end = at + buf_size(sent);
    const char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    buf_init(&body, 0);
    at = blank ? blank + 4 : end;
    if (!is_chunked && buf_append(&body, at, (size_t)(end - at)) < 0)
        abort();
    while (is_chunked && at < end) {
        char *behind;
        size_t n = strtoul(at, &behind, 16);
        at = behind;
        if (end - at < 4 || n > (size_t)(end - at) - 4 || buf_append(&body, at + 2, n) < 0)
            abort();
        at += n + 4;
    }
    buf_fini(sent);
    *sent = body;
}

/* All of it in pieces of this size, a turn for each. */
static void play(int how, const char *text, size_t n, size_t piece_n, struct played *p)
{
    static const enum route_api apis[] = {API_OPENAI_CHAT, API_OPENAI_TEXT, API_OPENAI_EMBED, API_OPENAI_CHAT};
    const struct route route = {.shape = how & 4 ? SHAPE_EVENTS : SHAPE_JSON, .dialect = DIALECT_OPENAI, .api = apis[how & 3]};
    const struct deliver_sink sink = sink_into(&p->sent, parts);
    struct deliver deliver;
    struct answer a;
    struct message head;
    struct tell tell;
    struct forward_answer f = {.answer = &head, .request_id = "i", .tell = &tell};
    tell_init(&tell, 1, 1);
    memset(&a, 0, sizeof a);
    buf_init(&p->sent, 0);
    deliver_init(&deliver, &sink, 1, 0);
    message_init(&head, 4096);
    head.status = 200;
    head.length_bytes = -1;
    answer_init(&a, &deliver);
    answer_expect(&a, &route, !!(how & 4), "m", CONF_HEARTBEAT_OFF);
    if (how & 8)
        a.translation.ops = translate_ops_of(route.api, BACKEND_API_OLLAMA);
    a.translation.is_stream = a.translation.ops && a.translation.ops->nothing && (how & 4);
    a.translation.is_usage_wanted = a.translation.is_base64 = !!(how & 16);
    a.translation.model = "m";
    a.translation.created_s = 1;
    snprintf(a.translation.id, sizeof a.translation.id, "chatcmpl-1");
    if ((how & 32) && a.translation.ops && a.translation.ops->fini) {
        struct json_value tools = {JSON_ARRAY, tools_text, sizeof tools_text - 1};
        a.translation.repair = repair_new(&tools);
    }
    answer_head(&a, &f, 1);
    for (size_t at = 0; at < n && !a.fault && !a.has_error; at += piece_n) {
        size_t of_n = n - at < piece_n ? n - at : piece_n;
        char *piece = malloc(of_n);
        memcpy(piece, text + at, of_n);
        answer_body(&a, piece, of_n);
        answer_flush(&a, 2);
        free(piece);
    }
    p->error = answer_end(&a);
    p->is_begun = deliver.is_begun;
    read_body(&p->sent, deliver.framing == DELIVER_CHUNKED);
    answer_fini(&a);
    deliver_fini(&deliver);
    message_fini(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct played whole, other;
    if (size < 3)
        return 0;
    const char *text = (const char *)data + 2;
    size_t pieces[] = {1, data[1] ? data[1] : 256}, n = size - 2;
    play(data[0], text, n, n, &whole);
    if (buf_size(&whole.sent) > GROWTH * n + GROWTH_BYTES)
        abort();
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        play(data[0], text, n, pieces[i], &other);
        size_t common_n = buf_size(&other.sent) < buf_size(&whole.sent) ? buf_size(&other.sent) : buf_size(&whole.sent);
        if (other.error != whole.error || memcmp(buf_data(&other.sent), buf_data(&whole.sent), common_n) != 0)
            abort();
        if (!whole.error && buf_size(&other.sent) != buf_size(&whole.sent)) /* what goes wrong in a turn may keep back what came in it */
            abort();
        buf_fini(&other.sent);
    }
    buf_fini(&whole.sent);
    return 0;
}
