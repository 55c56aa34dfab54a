/* See buf.h. Growth doubles; the data is moved to the front before memory is asked for. */
#include "common/buf.h"

#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf){.limit_bytes = limit_bytes};
}

void buf_fini(struct buf *b)
{
    buf_release(b);
}

size_t buf_left(const struct buf *b)
{
    if (b->limit_bytes == 0)
        return SIZE_MAX;
    size_t size_n = buf_size(b);
    return size_n < b->limit_bytes ? b->limit_bytes - size_n : 0;
}

/* Room whatever the limit says: printf's NUL is not data. */
static int make_room(struct buf *b, size_t want_n)
{
    if (b->head_n > 0 && b->room_n - b->tail_n < want_n) {
        memmove(b->bytes, b->bytes + b->head_n, buf_size(b));
        b->tail_n -= b->head_n;
        b->head_n = 0;
    }
    if (b->room_n - b->tail_n < want_n) {
        size_t room_n = b->room_n ? b->room_n : 256;
        while (room_n - b->tail_n < want_n) {
            if (room_n > SIZE_MAX / 2)
                return -ENOMEM;
            room_n *= 2;
        }
        char *bytes = realloc(b->bytes, room_n);
        if (!bytes)
            return -ENOMEM;
        b->bytes = bytes;
        b->room_n = room_n;
    }
    return 0;
}

int buf_reserve(struct buf *b, size_t want_n, char **at)
{
    if (want_n > buf_left(b))
        return -EFBIG;
    int error = make_room(b, want_n);
    if (!error)
        *at = b->bytes + b->tail_n;
    return error;
}

void buf_commit(struct buf *b, size_t written_n)
{
    b->tail_n += written_n;
}

int buf_append(struct buf *b, const void *bytes, size_t bytes_n)
{
    char *at;
    if (bytes_n == 0)
        return 0;
    if (bytes_n <= b->room_n - b->tail_n && (b->limit_bytes == 0 || buf_size(b) + bytes_n <= b->limit_bytes)) { /* mostly */
        memcpy(b->bytes + b->tail_n, bytes, bytes_n);
        b->tail_n += bytes_n;
        return 0;
    }
    int error = buf_reserve(b, bytes_n, &at);
    if (error)
        return error;
    memcpy(at, bytes, bytes_n);
    buf_commit(b, bytes_n);
    return 0;
}

int buf_number(struct buf *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    return buf_append(b, digits + at, sizeof digits - at);
}

PRINTF_LIKE(2, 0) static int print_into_room(struct buf *b, const char *format, va_list args)
{
    int n = vsnprintf(b->bytes + b->tail_n, b->room_n - b->tail_n, format, args);
    return n < 0 ? -EINVAL : (size_t)n > buf_left(b) ? -EFBIG : n;
}

/* Mostly there is room already: then it is formatted once. */
int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int error = b->bytes ? 0 : make_room(b, 1);
    if (error)
        return error;
    va_start(args, format);
    int n = print_into_room(b, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n >= b->room_n - b->tail_n) {
        error = make_room(b, (size_t)n + 1);
        if (error)
            return error;
        va_start(args, format);
        n = print_into_room(b, format, args);
        va_end(args);
    }
    if (n < 0)
        return n;
    buf_commit(b, (size_t)n);
    return 0;
}

void buf_consume(struct buf *b, size_t bytes_n)
{
    b->head_n += bytes_n;
    if (b->head_n >= b->tail_n)
        b->head_n = b->tail_n = 0;
}

void buf_release(struct buf *b)
{
    free(b->bytes);
    buf_init(b, b->limit_bytes);
}

void buf_neutralise(char *text)
{
    char *out = text;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) { /* U+0080 to U+009F */
            *out++ = '?';
            c++;
        } else if (*c < 0x20 || *c == 0x7f) {
            *out++ = *c == '\t' ? ' ' : '?';
        } else {
            *out++ = (char)*c;
        }
    }
    *out = '\0';
}

/* What may not stand raw in a string, and the line ends U+0085, U+2028 and U+2029, at which some line readers stop. */
static int is_json_escaped(uint32_t point)
{
    return point < 0x20 || point == '"' || point == '\\' || point == 0x7f || point == 0x85 || point == 0x2028 ||
           point == 0x2029;
}

static int json_escape(struct buf *b, uint32_t point)
{
    switch (point) {
    case '"':
        return buf_text(b, "\\\"");
    case '\\':
        return buf_text(b, "\\\\");
    case '\n':
        return buf_text(b, "\\n");
    case '\r':
        return buf_text(b, "\\r");
    case '\t':
        return buf_text(b, "\\t");
    default:
        return buf_printf(b, "\\u%04x", (unsigned)point);
    }
}

int buf_json_text(struct buf *b, const char *bytes, size_t bytes_n)
{
    enum { REPLACEMENT = 0xfffd };
    size_t from = 0; /* what can stand as it is begins here */
    int error = 0;
    for (size_t i = 0; i < bytes_n && !error;) {
        uint32_t point = REPLACEMENT;
        size_t n = utf8_decode(bytes + i, bytes_n - i, &point);
        if (n == 0 || is_json_escaped(point)) {
            error = buf_append(b, bytes + from, i - from);
            error = error ? error : json_escape(b, point);
            from = i + (n ? n : 1);
        }
        i += n ? n : 1;
    }
    return error ? error : buf_append(b, bytes + from, bytes_n - from);
}

int buf_json_string(struct buf *b, const char *bytes, size_t bytes_n)
{
    int error = buf_text(b, "\"");
    error = error ? error : buf_json_text(b, bytes, bytes_n);
    return error ? error : buf_text(b, "\"");
}
