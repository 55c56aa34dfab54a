/* Messages of either side, several on a connection: the first byte says which side, and how long the pieces are, the second where
 * the input is cut. Neither changes anything: the same steps, heads and bodies, the same verdict. A chunk that is cut
 * goes another way than one that is whole. */
#include "proxy/http1.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS_MAX = 64, LIMIT_BYTES = 2048 }; /* small: the limits are met too */

struct run {
    struct message message;
    struct http1 parser;
    unsigned long head_hash, body_hash;
    enum http1_step steps[STEPS_MAX]; /* without HTTP1_MORE */
    int steps_n;
};

static unsigned long add(unsigned long hash, const void *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n; i++)
        hash = hash * 31 + ((const unsigned char *)bytes)[i];
    return hash;
}

static int on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct run *r = context;
    r->body_hash = add(r->body_hash, bytes, bytes_n);
    return 0;
}

static unsigned long add_span(unsigned long hash, const struct message *m, struct span s)
{
    if (s.at > buf_size(&m->text) || s.n > buf_size(&m->text) - s.at)
        abort();
    return add(hash * 31 + 7, message_at(m, s), s.n);
}

/* What the rest of the proxy relies on, and all that it sees of a head. */
static void look_at_head(struct run *r, enum http1_side side)
{
    const struct message *m = &r->message;
    unsigned long hash = r->head_hash;
    for (size_t i = 0; i < m->fields_n; i++) {
        hash = add_span(add_span(hash, m, m->fields[i].name), m, m->fields[i].value);
        if (m->fields[i].name.n == 0 || memchr(message_at(m, m->fields[i].value), '\r', m->fields[i].value.n) ||
            memchr(message_at(m, m->fields[i].value), '\n', m->fields[i].value.n))
            abort();
    }
    if (m->is_chunked && m->length_bytes >= 0)
        abort();
    if (side == HTTP1_REQUEST) {
        hash = add_span(add_span(add_span(hash, m, m->method_name), m, m->path), m, m->authority);
        if (m->path.n == 0 || *message_at(m, m->path) != '/' || m->target.n > HTTP1_TARGET_BYTES || m->minor > 1 ||
            message_count(m, "host") != (m->minor || message_count(m, "host") ? 1u : 0u))
            abort();
    } else if (m->status < 200 || m->status > 599) {
        abort();
    }
    r->head_hash = add(hash, &m->minor, sizeof m->minor) + (unsigned long)m->status + (m->is_keep_alive ? 1u : 0u);
}

/* 0 where nothing more is to be had of this connection. */
static int feed(struct run *r, enum http1_side side, const char *bytes, size_t bytes_n)
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
        if (step == HTTP1_HEAD)
            look_at_head(r, side);
        if (step == HTTP1_BAD) {
            if (r->parser.refusal.status < 400 || !r->parser.refusal.why)
                abort();
            return 0;
        }
        if (http1_is_complete(&r->parser))
            http1_restart(&r->parser);
    }
    return 1;
}

/* The first piece has first_n bytes, each other one piece_n. */
static void play(struct run *r, enum http1_side side, const char *bytes, size_t bytes_n, size_t first_n, size_t piece_n)
{
    size_t at = 0, next_n = first_n;
    memset(r, 0, sizeof *r);
    message_init(&r->message, LIMIT_BYTES);
    if (http1_init(&r->parser, side, &r->message, on_body, r) < 0)
        abort();
    while (at < bytes_n) {
        size_t n = next_n < bytes_n - at ? next_n : bytes_n - at;
        if (!feed(r, side, bytes + at, n))
            break;
        at += n;
        next_n = piece_n;
    }
}

static void end(struct run *r)
{
    http1_fini(&r->parser);
    message_fini(&r->message);
}

static void compare(const struct run *a, const struct run *b)
{
    if (a->steps_n != b->steps_n || memcmp(a->steps, b->steps, sizeof a->steps[0] * (size_t)a->steps_n) != 0)
        abort();
    if (a->head_hash != b->head_hash || a->parser.refusal.status != b->parser.refusal.status)
        abort();
    int is_bad = a->steps_n > 0 && a->steps[a->steps_n - 1] == HTTP1_BAD;
    if (!is_bad && a->body_hash != b->body_hash) /* of a bad body more or less may have come */
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run whole, cut, pieces;
    if (size < 3)
        return 0;
    enum http1_side side = data[0] & 1 ? HTTP1_ANSWER : HTTP1_REQUEST;
    size_t bytes_n = size - 2, piece_n = 1 + (data[0] >> 1) % 16;
    char *bytes = malloc(bytes_n); /* of its own, so that a look beyond it is seen */
    if (!bytes)
        return 0;
    memcpy(bytes, data + 2, bytes_n);
    play(&whole, side, bytes, bytes_n, bytes_n, bytes_n);
    play(&cut, side, bytes, bytes_n, data[1] % bytes_n + 1, bytes_n);
    play(&pieces, side, bytes, bytes_n, piece_n, piece_n);
    compare(&whole, &cut);
    compare(&whole, &pieces);
    end(&whole);
    end(&cut);
    end(&pieces);
    free(bytes);
    return 0;
}
