/*
 * See gguf.h. The head is a list of keys with typed values; those of the vocabulary are arrays of a hundred thousand texts, which are stepped over text
 * by text, as nothing tells their length.
 */
#include "preload/hub/gguf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 64 * 1024, KEYS_MAX = 10000, ITEMS_MAX = 10 * 1000 * 1000, KEY_BYTES = 128 };
enum type { UINT8, INT8, UINT16, INT16, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64, INT64, FLOAT64, TYPES_N };

static const unsigned char sizes[TYPES_N] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct reader {
    gguf_read_fn *fn;
    void *context;
    uint64_t at;          /* of what is read next */
    uint64_t piece_at;    /* of the piece that is held */
    size_t piece_n;
    unsigned char piece[PIECE_BYTES];
};

static int take(struct reader *r, void *out, size_t n)
{
    unsigned char *to = out;
    while (n > 0) {
        if (r->at < r->piece_at || r->at >= r->piece_at + r->piece_n) {
            ssize_t got = r->fn(r->context, r->piece, sizeof r->piece, r->at);
            if (got <= 0)
                return -EINVAL;
            r->piece_at = r->at;
            r->piece_n = (size_t)got;
        }
        size_t from = (size_t)(r->at - r->piece_at), part_n = r->piece_n - from < n ? r->piece_n - from : n;
        if (to) {
            memcpy(to, r->piece + from, part_n);
            to += part_n;
        }
        r->at += part_n;
        n -= part_n;
    }
    return 0;
}

/* Little-endian. */
static int take_number(struct reader *r, size_t bytes_n, uint64_t *out)
{
    unsigned char bytes[8];
    *out = 0;
    if (take(r, bytes, bytes_n) < 0)
        return -EINVAL;
    for (size_t i = bytes_n; i-- > 0;)
        *out = *out << 8 | bytes[i];
    return 0;
}

/* A text: cut where it does not fit; out may be NULL. */
static int take_text(struct reader *r, char *out, size_t out_n)
{
    uint64_t n;
    if (take_number(r, 8, &n) < 0 || n > UINT64_MAX - r->at)
        return -EINVAL;
    uint64_t end = r->at + n;
    size_t kept_n = out_n == 0 ? 0 : n < out_n ? (size_t)n : out_n - 1;
    if (kept_n > 0 && take(r, out, kept_n) < 0)
        return -EINVAL;
    if (out_n > 0)
        out[kept_n] = '\0';
    r->at = end; /* behind the file's end the next take finds nothing */
    return 0;
}

static int skip(struct reader *r, uint64_t type)
{
    uint64_t n;
    if (type == STRING)
        return take_text(r, NULL, 0);
    if (type != ARRAY)
        return type < TYPES_N ? take(r, NULL, sizes[type]) : -EINVAL;
    if (take_number(r, 4, &type) < 0 || take_number(r, 8, &n) < 0 || type >= TYPES_N || type == ARRAY || n > ITEMS_MAX)
        return -EINVAL;
    if (type != STRING) {
        r->at += n * sizes[type];
        return 0;
    }
    for (uint64_t i = 0; i < n; i++)
        if (take_text(r, NULL, 0) < 0)
            return -EINVAL;
    return 0;
}

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), end_n = strlen(end);
    return n >= end_n && strcmp(text + n - end_n, end) == 0;
}

static int take_pair(struct reader *r, struct gguf *out)
{
    char key[KEY_BYTES];
    uint64_t type, number;
    if (take_text(r, key, sizeof key) < 0 || take_number(r, 4, &type) < 0)
        return -EINVAL;
    if (type == STRING && strcmp(key, "general.architecture") == 0)
        return take_text(r, out->architecture, sizeof out->architecture);
    if (type == STRING && strcmp(key, "general.name") == 0)
        return take_text(r, out->name, sizeof out->name);
    if (type == STRING && strcmp(key, "tokenizer.chat_template") == 0)
        out->has_chat_template = 1;
    if ((type == UINT32 || type == UINT64) && ends_with(key, ".context_length")) {
        if (take_number(r, sizes[type], &number) < 0)
            return -EINVAL;
        out->context_n = number > 0 && number < INT32_MAX ? (int64_t)number : -1;
        return 0;
    }
    return skip(r, type);
}

int gguf_read(struct gguf *out, gguf_read_fn *fn, void *context)
{
    struct reader r;
    char magic[4];
    uint64_t version, tensors_n, pairs_n;
    r.fn = fn;
    r.context = context;
    r.at = r.piece_at = r.piece_n = 0;
    *out = (struct gguf){.context_n = -1};
    if (take(&r, magic, sizeof magic) < 0 || memcmp(magic, "GGUF", sizeof magic) != 0)
        return -EINVAL;
    if (take_number(&r, 4, &version) < 0 || version < 2 || version > 3 || take_number(&r, 8, &tensors_n) < 0 || take_number(&r, 8, &pairs_n) < 0 || pairs_n > KEYS_MAX)
        return -EINVAL;
    for (uint64_t i = 0; i < pairs_n; i++)
        if (take_pair(&r, out) < 0)
            return -EINVAL;
    return 0;
}
