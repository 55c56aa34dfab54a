/*
 * See deliver.h. Pieces are not gathered here: they point into the buffer that the backend's bytes were read into, and
 * go out in the same turn. Knows nothing of where an answer comes from, nor of sockets.
 */
#include "proxy/deliver.h"

#include <stddef.h>
#include <string.h>

enum { SIZE_LINE_BYTES = 2 * sizeof(size_t) + 2 };

static const char last_chunk[] = "0\r\n\r\n", line_end_and_last_chunk[] = "\r\n0\r\n\r\n";

void deliver_init(struct deliver *d, const struct deliver_sink *sink, unsigned minor, int is_head_request)
{
    memset(d, 0, offsetof(struct deliver, lines)); /* the rest of them is never read */
    d->lines[0] = '\0';
    d->sink = sink;
    d->minor = minor;
    d->is_head_request = is_head_request;
    buf_init(&d->extra, DELIVER_HEAD_BYTES);
    buf_init(&d->head, DELIVER_HEAD_BYTES);
}

void deliver_fini(struct deliver *d)
{
    buf_fini(&d->extra);
    buf_fini(&d->head);
}

/* Nothing is framed: who takes it knows its end by other means. */
static void tell_head(struct deliver *d, int is_bodiless)
{
    d->framing = is_bodiless ? DELIVER_NOTHING : DELIVER_CLOSE;
    d->is_begun = 1;
    buf_release(&d->head);
    d->sink->head(d->sink->context, d);
}

int deliver_begin(struct deliver *d, int is_bodiless, int64_t length_bytes)
{
    int error = 0;
    if (d->sink->head) {
        tell_head(d, is_bodiless);
        return 0;
    }
    if (d->is_head_request || is_bodiless)
        d->framing = DELIVER_NOTHING;
    else if (length_bytes >= 0)
        d->framing = DELIVER_LENGTH;
    else
        d->framing = d->minor > 0 ? DELIVER_CHUNKED : DELIVER_CLOSE;
    d->is_begun = 1;
    d->is_kept = d->framing != DELIVER_CLOSE && d->sink->can_keep(d->sink->context);
    if (length_bytes >= 0 && (d->framing == DELIVER_LENGTH || d->is_head_request)) {
        error = buf_text(&d->head, "Content-Length: ");
        error = error ? error : buf_number(&d->head, (uint64_t)length_bytes);
        error = error ? error : buf_append(&d->head, "\r\n", 2);
    }
    if (!error && d->framing == DELIVER_CHUNKED)
        error = buf_text(&d->head, "Transfer-Encoding: chunked\r\n");
    if (!error && !d->is_kept)
        error = buf_text(&d->head, "Connection: close\r\n");
    else if (!error && d->minor == 0)
        error = buf_text(&d->head, "Connection: keep-alive\r\n");
    return error ? error : buf_append(&d->head, "\r\n", 2);
}

void deliver_body(struct deliver *d, const char *bytes, size_t bytes_n)
{
    if (bytes_n == 0 || d->framing == DELIVER_NOTHING)
        return;
    if (d->parts_n == DELIVER_PARTS)
        deliver_flush(d);
    d->sink->parts[d->parts_n++] = (struct iovec){(void *)(uintptr_t)bytes, bytes_n};
    d->body_n += bytes_n;
    d->body_bytes += bytes_n;
    d->last[0] = bytes_n > 1 ? bytes[bytes_n - 2] : d->last[1];
    d->last[1] = bytes[bytes_n - 1];
}

static struct iovec part(const void *bytes, size_t bytes_n)
{
    return (struct iovec){(void *)(uintptr_t)bytes, bytes_n};
}

/* The line before a chunk, put at the end of `room`: once for each token, where snprintf would be a third of our own work. */
static struct iovec size_line(char room[SIZE_LINE_BYTES], size_t chunk_n)
{
    size_t at = SIZE_LINE_BYTES - 2;
    room[at] = '\r';
    room[at + 1] = '\n';
    do
        room[--at] = "0123456789abcdef"[chunk_n & 15];
    while (chunk_n >>= 4);
    return part(room + at, SIZE_LINE_BYTES - at);
}

static void transmit(struct deliver *d, int is_end)
{
    struct iovec out[DELIVER_PARTS + 3];
    char size[SIZE_LINE_BYTES];
    int out_n = 0, is_chunk = d->framing == DELIVER_CHUNKED && d->body_n > 0;
    if (buf_size(&d->head) > 0)
        out[out_n++] = part(buf_data(&d->head), buf_size(&d->head));
    if (is_chunk)
        out[out_n++] = size_line(size, d->body_n);
    memcpy(out + out_n, d->sink->parts, (size_t)d->parts_n * sizeof *out);
    out_n += d->parts_n;
    if (is_chunk && is_end)
        out[out_n++] = part(line_end_and_last_chunk, sizeof line_end_and_last_chunk - 1);
    else if (is_chunk)
        out[out_n++] = part("\r\n", 2);
    else if (is_end && d->framing == DELIVER_CHUNKED)
        out[out_n++] = part(last_chunk, sizeof last_chunk - 1);
    if (out_n > 0)
        d->sink->write(d->sink->context, out, out_n);
    buf_release(&d->head);
    d->parts_n = 0;
    d->body_n = 0;
}

void deliver_flush(struct deliver *d)
{
    transmit(d, 0);
}

void deliver_end(struct deliver *d)
{
    d->is_ended = 1;
    transmit(d, 1);
}

void deliver_break(struct deliver *d)
{
    d->is_ended = 1;
    d->is_kept = 0;
    transmit(d, 0);
}
