/* A backend's answer, in pieces, with heartbeats between them. The first byte: bits 0 and 1 what was asked for, bit 2 a stream, bit 3
 * translated, bits 4 and 5 the status, bit 6 empty tokens instead of comments. In the rest 0xff ends a piece, 0xfe is a heartbeat. What is sent is
 * framed well; it ends with the final chunk only where all is well; what passes through arrives whole, with heartbeats where a line ends. */
#include "proxy/answer.h"
#include "proxy/lacks.h"
#include "tests/fuzz/sink.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static struct buf sent;
static struct iovec parts[DELIVER_PARTS];

/* Takes the head and the framing off; whether it had an end. */
static int read_body(const struct deliver *d, struct buf *body)
{
    const char *at = buf_data(&sent), *end = at + buf_size(&sent);
    const char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
    if (!blank)
        abort();
    at = blank + 4;
    if (d->framing != DELIVER_CHUNKED)
        return buf_append(body, at, (size_t)(end - at)) < 0 || 1;
    while (at < end) {
        char *behind;
        unsigned long n = strtoul(at, &behind, 16);
        if (memcmp(behind, "\r\n", 2) != 0)
            abort();
        at = behind + 2;
        if ((size_t)(end - at) < n + 2 || memcmp(at + n, "\r\n", 2) != 0)
            abort();
        if (buf_append(body, at, n) < 0)
            abort();
        at += n + 2;
        if (n == 0 && at != end)
            abort();
        if (n == 0)
            return 1;
    }
    return 0;
}

/* What passed is what came, and what is more are spaces at the start of a line. */
static void is_passed(const struct buf *body, const char *came, size_t came_n)
{
    const char *at = buf_data(body), *end = at + buf_size(body);
    for (size_t i = 0; at < end; at++) {
        if (i < came_n && *at == came[i])
            i++;
        else if (*at != ' ')
            abort();
        if (at + 1 == end && i < came_n)
            abort();
    }
}

static int play(struct answer *a, const char *at, size_t n, struct buf *came)
{
    for (const char *end = at + n; at < end && !a->fault;) {
        size_t piece_n = 0;
        while (at + piece_n < end && (unsigned char)at[piece_n] < 0xfe)
            piece_n++;
        answer_body(a, at, piece_n);
        if (buf_append(came, at, piece_n) < 0)
            abort();
        answer_flush(a, 2);
        if (at + piece_n < end && (unsigned char)at[piece_n] == 0xfe)
            answer_beat(a);
        at += piece_n + (at + piece_n < end);
    }
    return answer_end(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 200, 404, 500};
    static const struct route routes[] = {
        {.shape = SHAPE_JSON}, {.shape = SHAPE_LINES, .api = API_CHAT}, {.shape = SHAPE_EVENTS, .dialect = DIALECT_OPENAI, .api = API_OPENAI_CHAT},
        {.shape = SHAPE_EVENTS, .dialect = DIALECT_ANTHROPIC, .methods = METHOD_POST}};
    if (size < 1)
        return 0;
    int how = data[0], is_stream = !!(how & 4), is_comment = !(how & 64);
    const struct deliver_sink sink = sink_into(&sent, parts);
    struct deliver deliver;
    struct answer a;
    struct message head;
    struct buf body, came;
    struct tell tell;
    struct forward_answer f = {.answer = &head, .request_id = "i", .tell = &tell};
    char text[ANSWER_TEXT_BYTES];
    tell_init(&tell, 1, 1);
    memset(&a, 0, sizeof a);
    buf_init(&sent, 0);
    buf_init(&body, 0);
    buf_init(&came, 0);
    deliver_init(&deliver, &sink, 1, 0);
    message_init(&head, 4096);
    head.status = statuses[how >> 4 & 3];
    head.length_bytes = -1;
    answer_init(&a, &deliver);
    answer_expect(&a, &routes[how & 3], is_stream, "m", is_comment ? CONF_HEARTBEAT_COMMENT : CONF_HEARTBEAT_CHUNK);
    a.translation.ops = how & 8 ? translate_ops_of(API_OPENAI_CHAT, BACKEND_API_OLLAMA) : NULL;
    a.translation.is_stream = is_stream;
    a.translation.model = "m";
    if (size > 1 && data[1] == 0xfe)
        answer_beat(&a);
    int is_promised = deliver.is_begun;
    answer_head(&a, &f, 1);
    int is_passing = a.state == ANSWER_PASS;
    int error = play(&a, (const char *)data + 1, size - 1, &came);
    if (error && error != -EREMOTEIO && error != -EBADMSG && error != -ENODATA)
        abort();
    if (error == -EREMOTEIO) {
        (void)lacks_path(a.status, buf_data(&a.in), buf_size(&a.in));
        answer_error(&a, text);
        if (!memchr(text, '\0', sizeof text) || !*text)
            abort();
    }
    if (error && deliver.is_begun)
        answer_break(&a, 500, NULL, error == -EREMOTEIO ? text : "fault");
    if (deliver.is_begun && read_body(&deliver, &body) != !error)
        abort();
    if (!error && is_passing && is_comment && (is_promised ? (how & 3) < 2 || !is_stream : 1))
        is_passed(&body, buf_data(&came), buf_size(&came));
    answer_fini(&a);
    deliver_fini(&deliver);
    message_fini(&head);
    buf_fini(&sent);
    buf_fini(&body);
    buf_fini(&came);
    return 0;
}
