/* Requests of /v1 and answers of Ollama, translated. The first byte: bits 0 and 1 the API, bit 2 whether it is an answer, bit 3 a
 * stream, bit 4 the counts or base64, bit 5 a small limit, bit 6 a model without tools that does not think, bit 7 one that does not see. What comes out is JSON, or events of it without a line end inside; a
 * refusal says why and leaves nothing behind; a second time gives the same. */
#include "common/json_walk.h"
#include "proxy/repair.h"
#include "proxy/translate.h"
#include "tests/fuzz/object.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GROWTH = 64, GROWTH_BYTES = 4096 }; /* a tool's name for each of its answers, however small; an event or a call for each object */

static const enum route_api apis[] = {API_OPENAI_CHAT, API_OPENAI_TEXT, API_OPENAI_EMBED, API_OPENAI_CHAT};

static void are_events(const char *at, size_t n)
{
    const char *end = at + n;
    while (at < end) {
        const char *behind = memmem(at, (size_t)(end - at), "\n\n", 2);
        if (!behind || behind - at < 6 || memcmp(at, "data: ", 6) != 0)
            abort();
        at += 6;
        size_t event_n = (size_t)(behind - at);
        must_end_no_line(at, event_n, "");
        if (event_n != 6 || memcmp(at, "[DONE]", 6) != 0)
            must_be_object(at, event_n);
        at = behind + 2;
    }
}

static int one(uint8_t how, const char *json, size_t n, struct buf *out)
{
    struct translation t = {.ops = translate_ops_of(apis[how & 3], BACKEND_API_OLLAMA), .model = "m", .created_s = 1, .id = "i"};
    char why[TRANSLATE_WHY_BYTES] = "";
    int is_answer = how & 4;
    t.is_stream = (how & 8) && t.ops->nothing;
    t.is_usage_wanted = t.is_base64 = !!(how & 16);
    t.lacks = (how & 64 ? TRANSLATE_TOOLS | TRANSLATE_THINKING : 0) | (how & 128 ? TRANSLATE_IMAGES : 0);
    buf_init(out, how & 32 ? 200 : 0);
    if (buf_text(out, "before") < 0)
        abort();
    int error = is_answer ? t.ops->object(&t, json, n, out) : t.ops->request(&t, json, n, out, why);
    repair_free(&t.repair);
    if (memcmp(buf_data(out), "before", 6) != 0 || (error && buf_size(out) != 6))
        abort();
    if (error && error != -EINVAL && error != -EFBIG)
        abort();
    if (!is_answer && (error == -EINVAL) != (why[0] != '\0'))
        abort();
    if (!memchr(why, '\0', sizeof why))
        abort();
    buf_consume(out, 6);
    if (buf_size(out) > GROWTH * n + GROWTH_BYTES)
        abort();
    if (error)
        return error;
    if (is_answer && t.is_stream) {
        are_events(buf_data(out), buf_size(out));
    } else {
        must_be_object(buf_data(out), buf_size(out));
        if (is_answer)
            must_end_no_line(buf_data(out), buf_size(out) - 1, "");
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first, second;
    if (size < 1)
        return 0;
    char *exact = malloc(size);
    memcpy(exact, data + 1, size - 1);
    int error = one(data[0], exact, size - 1, &first);
    if (one(data[0], exact, size - 1, &second) != error || buf_size(&first) != buf_size(&second) ||
        memcmp(buf_data(&first), buf_data(&second), buf_size(&first)) != 0)
        abort();
    buf_fini(&first);
    buf_fini(&second);
    free(exact);
    return 0;
}
