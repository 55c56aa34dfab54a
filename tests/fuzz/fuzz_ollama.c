/* Requests of Ollama's clients, and answers of a backend that speaks OpenAI's API, translated. The first byte: bits 0 and 1 the API, bit 2
 * whether it is an answer, bit 3 a stream of events, bit 4 a model without a chat template, bit 5 a small limit, bit 6 POST /chat, bit 7 OpenAI's chats
 * for a model without a chat template, whose answers are events. What comes out is JSON, lines of it without a line end inside; a
 * refusal says why and leaves nothing behind; a second time, and a stream in other pieces, gives the same. */
#include "common/json_walk.h"
#include "proxy/events.h"
#include "proxy/serve/serve_chat.h"
#include "proxy/serve/serve_text.h"
#include "proxy/translate.h"
#include "tests/fuzz/object.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const enum route_api apis[] = {API_CHAT, API_GENERATE, API_EMBED, API_EMBED_ONE};

/* Each an object, and a line's end nowhere else. */
static void are_lines(const char *at, size_t n)
{
    const char *end = at + n;
    must_end_no_line(at, n, "\n");
    while (at < end) {
        const char *behind = memchr(at, '\n', (size_t)(end - at));
        must_be_object(at, (size_t)((behind ? behind : end) - at));
        at = behind ? behind + 1 : end;
    }
}

/* Each event an object, but the last. */
static void are_events(const char *at, size_t n)
{
    static const char before[] = "data: ", done[] = "[DONE]\n\n";
    for (const char *end = at + n, *behind; at < end; at = behind) {
        behind = memmem(at, (size_t)(end - at), "\n\n", 2);
        if (!behind || memcmp(at, before, sizeof before - 1) != 0)
            abort();
        at += sizeof before - 1;
        behind += 2;
        if (strncmp(at, done, sizeof done - 1) != 0)
            must_be_object(at, (size_t)(behind - 2 - at));
        else if (behind != end)
            abort();
    }
}

static void is_told(uint8_t how, int is_stream, const struct buf *out)
{
    (is_stream && (how & 128) ? are_events : are_lines)(buf_data(out), buf_size(out));
}

static struct translation begin(uint8_t how)
{
    struct translation t = {.model = "m", .created_s = 1, .began_ms = 1, .now_ms = 2345, .load_ms = 7, .id = "i"};
    t.ops = how & 128 ? &serve_text_ops : how & 64 ? &serve_chat_ops : translate_ops_of(apis[how & 3], BACKEND_API_OPENAI);
    t.lacks = how & 16 ? TRANSLATE_TEMPLATE : 0;
    t.is_stream = (how & 8) && t.ops->end;
    return t;
}

static int one(uint8_t how, const char *json, size_t n, struct buf *out)
{
    struct translation t = begin(how);
    char why[TRANSLATE_WHY_BYTES] = "";
    int is_answer = how & 4;
    buf_init(out, how & 32 ? 200 : 0);
    if (buf_text(out, "before") < 0)
        abort();
    int error = is_answer ? t.ops->object(&t, json, n, out) : t.ops->request(&t, json, n, out, why);
    if (t.ops->fini)
        t.ops->fini(&t);
    if (memcmp(buf_data(out), "before", 6) != 0 || (error < 0 && buf_size(out) != 6))
        abort();
    if (error && error != -EINVAL && error != -EFBIG && (is_answer || error != 1))
        abort();
    if (!is_answer && (error == -EINVAL) != (why[0] != '\0'))
        abort();
    if (!memchr(why, '\0', sizeof why))
        abort();
    buf_consume(out, 6);
    if (error >= 0 && is_answer)
        is_told(how, t.is_stream, out);
    else if (error >= 0)
        must_be_object(buf_data(out), buf_size(out));
    return error;
}

struct stream {
    struct translation t;
    struct buf out;
    int error;
};

static int on_event(void *context, const char *data, size_t data_n, int is_error)
{
    struct stream *s = context;
    s->error = is_error ? -EREMOTEIO : s->t.ops->object(&s->t, data, data_n, &s->out);
    return s->error || s->t.has_ended;
}

/* All of it in pieces of this size. */
static void run(uint8_t how, const char *text, size_t n, size_t piece_n, struct stream *s)
{
    struct events e;
    int ended = 0;
    *s = (struct stream){.t = begin(how)};
    s->t.is_stream = s->t.ops->end != NULL;
    buf_init(&s->out, 0);
    events_init(&e, how & 32 ? 200 : 0);
    for (size_t at = 0; at < n && !ended; at += piece_n) {
        size_t of_n = n - at < piece_n ? n - at : piece_n;
        char *piece = malloc(of_n);
        memcpy(piece, text + at, of_n);
        ended = events_take(&e, piece, of_n, on_event, s);
        free(piece);
    }
    ended = ended ? ended : events_end(&e, on_event, s);
    if (!ended && s->t.ops->end)
        s->error = s->t.ops->end(&s->t, &s->out);
    if (ended < 0 && !s->error)
        s->error = ended;
    events_fini(&e);
    if (s->t.ops->fini)
        s->t.ops->fini(&s->t);
    is_told(how, 1, &s->out);
}

static void stream(uint8_t how, const char *text, size_t n)
{
    static const size_t pieces[] = {1, 2, 7, 64};
    struct stream whole, other;
    run(how, text, n, n ? n : 1, &whole);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        run(how, text, n, pieces[i], &other);
        int is_too_long = whole.error == -EFBIG || other.error == -EFBIG; /* a limit of a line that is not kept is none */
        if (!is_too_long && (other.error != whole.error || other.t.has_ended != whole.t.has_ended || buf_size(&other.out) != buf_size(&whole.out) ||
                             memcmp(buf_data(&other.out), buf_data(&whole.out), buf_size(&whole.out)) != 0))
            abort();
        buf_fini(&other.out);
    }
    buf_fini(&whole.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first, second;
    if (size < 1)
        return 0;
    char *exact = malloc(size);
    memcpy(exact, data + 1, size - 1);
    if ((data[0] & 12) == 12) {
        stream(data[0], exact, size - 1);
        free(exact);
        return 0;
    }
    int error = one(data[0], exact, size - 1, &first);
    if (one(data[0], exact, size - 1, &second) != error || buf_size(&first) != buf_size(&second) ||
        memcmp(buf_data(&first), buf_data(&second), buf_size(&first)) != 0)
        abort();
    buf_fini(&first);
    buf_fini(&second);
    free(exact);
    return 0;
}
