/* Messages of either side, several on a connection: the first byte says which side, the second where the input is cut. A cut
 * changes nothing: the same steps, the same body, the same verdict. A chunk that is cut goes another way than one that is whole. */
#include "proxy/http1.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 64, LIMIT_BYTES = 16384 };

struct run {
    struct message message;
    struct http1 parser;
    unsigned long body_hash;
    enum http1_step steps[STEPS_MAX]; /* without HTTP1_MORE */
    int steps_n;
};

static int on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct run *r = context;
    for (size_t i = 0; i < bytes_n; i++)
        r->body_hash = r->body_hash * 31 + (unsigned char)bytes[i];
    return 0;
}

/* 0 where nothing more is to be had of this connection. */
static int feed(struct run *r, const char *bytes, size_t bytes_n)
{
    while (bytes_n > 0) {
        size_t used_n = 0;
        enum http1_step step = http1_feed(&r->parser, bytes, bytes_n, &used_n);
        if (used_n > bytes_n || (step == HTTP1_MORE && used_n != bytes_n))
            abort();
        bytes += used_n;
        bytes_n -= used_n;
        if (step == HTTP1_MORE)
            return 1;
        if (r->steps_n == STEPS_MAX)
            return 0;
        r->steps[r->steps_n++] = step;
        if (step == HTTP1_BAD) {
            if (r->parser.refusal.status == 0 && r->parser.refusal.why == NULL)
                abort();
            return 0;
        }
        if (http1_is_complete(&r->parser))
            http1_restart(&r->parser);
    }
    return 1;
}

static void play(struct run *r, enum http1_side side, const char *bytes, size_t bytes_n, size_t cut_n)
{
    memset(r, 0, sizeof *r);
    message_init(&r->message, LIMIT_BYTES);
    if (http1_init(&r->parser, side, &r->message, on_body, r) < 0)
        abort();
    if (feed(r, bytes, cut_n))
        (void)feed(r, bytes + cut_n, bytes_n - cut_n);
    http1_fini(&r->parser);
    message_fini(&r->message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run whole, cut;
    if (size < 3)
        return 0;
    enum http1_side side = data[0] & 1 ? HTTP1_ANSWER : HTTP1_REQUEST;
    const char *bytes = (const char *)data + 2;
    size_t bytes_n = size - 2;
    play(&whole, side, bytes, bytes_n, bytes_n);
    play(&cut, side, bytes, bytes_n, data[1] % bytes_n);
    if (whole.steps_n != cut.steps_n || memcmp(whole.steps, cut.steps, sizeof whole.steps[0] * (size_t)whole.steps_n) != 0)
        abort();
    int is_bad = whole.steps_n > 0 && whole.steps[whole.steps_n - 1] == HTTP1_BAD;
    if (!is_bad && whole.body_hash != cut.body_hash) /* of a bad body more or less may have come */
        abort();
    return 0;
}
