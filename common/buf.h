/*
 * buf: a growing queue of bytes with a hard limit. Bytes enter at the tail and leave at the head.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/sys.h"

#include <string.h>

struct buf {
    char *bytes;        /* owned; NULL while empty and never used */
    size_t head_n;      /* consumed bytes in front */
    size_t tail_n;      /* end of the data */
    size_t room_n;      /* allocated */
    size_t limit_bytes; /* data never grows beyond; 0: no limit */
};

void buf_init(struct buf *b, size_t limit_bytes);
void buf_fini(struct buf *b);

/* The data: buf_size() bytes at buf_data(). */
static inline const char *buf_data(const struct buf *b)
{
    return b->bytes ? b->bytes + b->head_n : "";
}

/* How many bytes the data has. */
static inline size_t buf_size(const struct buf *b)
{
    return b->tail_n - b->head_n;
}

/* How many bytes may still be added; SIZE_MAX where there is no limit. */
size_t buf_left(const struct buf *b);

/* Appends. 0, -EFBIG beyond the limit, -ENOMEM; on error the buffer is as it was. */
int buf_append(struct buf *b, const void *bytes, size_t bytes_n) WARN_UNUSED;
static inline WARN_UNUSED int buf_text(struct buf *b, const char *text)
{
    return buf_append(b, text, strlen(text));
}
/* In decimal, at a tenth of what printf takes. */
int buf_number(struct buf *b, uint64_t number) WARN_UNUSED;
int buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3) WARN_UNUSED;

/* A JSON string literal (RFC 8259 section 7) with its quotes. Bytes that are no UTF-8 become U+FFFD; U+0085,
 * U+2028 and U+2029 are escaped, as some clients end a line there. */
int buf_json_string(struct buf *b, const char *bytes, size_t bytes_n) WARN_UNUSED;
/* The same without quotes: a piece of one. It must end with a whole character. On error a part of it may be there. */
int buf_json_text(struct buf *b, const char *bytes, size_t bytes_n) WARN_UNUSED;

/* In place: control characters, those of Latin-1's upper half in UTF-8 too, become '?', a tab a space: what comes
 * from outside must not move a terminal's cursor. */
void buf_neutralise(char *text);

/* Room for direct writing: at least want_n bytes at *at, then buf_commit() what was written. */
int buf_reserve(struct buf *b, size_t want_n, char **at) WARN_UNUSED;
void buf_commit(struct buf *b, size_t written_n);

/* Keeps the first bytes_n, no more than there are. */
static inline void buf_truncate(struct buf *b, size_t bytes_n)
{
    b->tail_n = b->head_n + bytes_n;
}

/* Drops from the head. */
void buf_consume(struct buf *b, size_t bytes_n);
/* Empties, and gives the memory back. */
void buf_release(struct buf *b);

#endif
