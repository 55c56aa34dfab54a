/*
 * Ollama answers a pull by NDJSON: one object a line. What arrives may be cut anywhere, may be something else (HTML
 * of a gateway), may never end a line, and may leave out the last line's end. This file knows nothing of JSON.
 *
 * Invariant: no more than limit_bytes are ever kept, and fn never sees a part of a line that was too long.
 */
#include "common/lines.h"

#include <string.h>

void lines_init(struct lines *l, size_t limit_bytes, lines_fn *fn, void *context)
{
    *l = (struct lines){.limit_bytes = limit_bytes, .fn = fn, .context = context};
    buf_init(&l->kept, limit_bytes);
}

void lines_fini(struct lines *l)
{
    buf_fini(&l->kept);
}

static void emit(struct lines *l, const char *line, size_t line_n)
{
    if (line_n > 0 && line[line_n - 1] == '\r')
        line_n--;
    if (line_n > 0)
        l->fn(l->context, line, line_n);
}

/* Keeps a piece; too much of it (or no memory for it) turns the rest of the line into waste. */
static void keep(struct lines *l, const char *piece, size_t piece_n)
{
    if (l->is_dropping || piece_n == 0)
        return;
    if (buf_append(&l->kept, piece, piece_n) < 0) {
        l->is_dropping = 1;
        l->dropped_n++;
        buf_release(&l->kept);
    }
}

static void finish(struct lines *l)
{
    if (!l->is_dropping)
        emit(l, buf_data(&l->kept), buf_size(&l->kept));
    l->is_dropping = 0;
    buf_consume(&l->kept, buf_size(&l->kept));
}

void lines_feed(struct lines *l, const char *bytes, size_t bytes_n)
{
    while (bytes_n > 0) {
        const char *end = memchr(bytes, '\n', bytes_n);
        size_t piece_n = end ? (size_t)(end - bytes) : bytes_n;
        if (end && !l->is_dropping && buf_size(&l->kept) == 0 && piece_n <= l->limit_bytes) {
            emit(l, bytes, piece_n); /* whole lines need no copy */
        } else {
            keep(l, bytes, piece_n);
            if (end)
                finish(l);
        }
        bytes += piece_n + (end ? 1 : 0);
        bytes_n -= piece_n + (end ? 1 : 0);
    }
}

void lines_end(struct lines *l)
{
    finish(l);
    buf_release(&l->kept);
}

void lines_reset(struct lines *l)
{
    l->is_dropping = 0;
    l->dropped_n = 0;
    buf_release(&l->kept);
}
