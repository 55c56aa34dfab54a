/*
 * See strict.h. A chunked body, byte by byte where it matters: sizes of hexadecimal digits only, line ends of two bytes,
 * and extensions and trailers that end.
 */
#include "proxy/strict.h"

#include "common/parse.h"

enum { EXTRA_LIMIT_BYTES = 8192, SIZE_DIGITS_MAX = 16 };

static enum strict_verdict bad(struct strict_refusal *refusal, const char *why)
{
    *refusal = (struct strict_refusal){400, why};
    return STRICT_BAD;
}

/* One byte of a chunk's size line. */
static enum strict_verdict chunk_line_byte(struct strict_chunks *s, unsigned char c, struct strict_refusal *refusal)
{
    if (s->state == STRICT_CHUNK_SIZE_LF) {
        if (c != '\n')
            return bad(refusal, "a carriage return without a line feed in a chunk's size");
        s->state = s->left_bytes ? STRICT_CHUNK_DATA : STRICT_CHUNK_TRAILER;
        return STRICT_MORE;
    }
    if (c == '\r' && s->digits_n > 0) {
        s->state = STRICT_CHUNK_SIZE_LF;
        return STRICT_MORE;
    }
    if (s->state == STRICT_CHUNK_EXTENSION) {
        if ((c < 0x20 && c != '\t') || c >= 0x7f || ++s->extra_bytes > EXTRA_LIMIT_BYTES)
            return bad(refusal, "a bad or endless chunk extension");
        return STRICT_MORE;
    }
    if (c == ';' && s->digits_n > 0) {
        s->state = STRICT_CHUNK_EXTENSION;
        return STRICT_MORE;
    }
    int digit = parse_hex_digit((char)c);
    if (digit < 0 || ++s->digits_n > SIZE_DIGITS_MAX || s->left_bytes >> 58)
        return bad(refusal, "a chunk's size is no hexadecimal number");
    s->left_bytes = s->left_bytes * 16 + (uint64_t)digit;
    return STRICT_MORE;
}

/* Whether what has come of the trailers is lines of NAME: VALUE, as in a head. */
static int are_fields(struct strict_chunks *s, const char *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        int is_name_over = c == ':' && s->name_n > 0;
        if (c == '\n')
            s->name_n = 0, s->is_in_value = 0;
        else if (is_name_over)
            s->is_in_value = 1;
        else if (!s->is_in_value && strict_is_token_char(bytes[i]))
            s->name_n++;
        else if (!s->is_in_value && !(c == '\r' && s->name_n == 0))
            return 0;
    }
    return 1;
}

static enum strict_verdict chunk_trailer(struct strict_chunks *s, const char *bytes, size_t bytes_n, size_t *used_n,
                                         struct strict_refusal *refusal)
{
    enum strict_verdict verdict = strict_head_scan(&s->trailer, bytes, bytes_n, used_n, refusal);
    s->extra_bytes += *used_n;
    if (s->extra_bytes > EXTRA_LIMIT_BYTES)
        return bad(refusal, "too many trailers");
    if (verdict != STRICT_BAD && !are_fields(s, bytes, *used_n))
        return bad(refusal, "a trailer is not NAME: VALUE");
    return verdict;
}

enum strict_verdict strict_chunks_scan(struct strict_chunks *s, const char *bytes, size_t bytes_n, size_t *used_n,
                                       struct strict_refusal *refusal)
{
    size_t i = 0;
    enum strict_verdict verdict = STRICT_MORE;
    while (i < bytes_n && verdict == STRICT_MORE) {
        unsigned char c = (unsigned char)bytes[i];
        size_t step_n = 1;
        switch (s->state) {
        case STRICT_CHUNK_SIZE:
        case STRICT_CHUNK_EXTENSION:
        case STRICT_CHUNK_SIZE_LF:
            verdict = chunk_line_byte(s, c, refusal);
            break;
        case STRICT_CHUNK_DATA:
            step_n = s->left_bytes < bytes_n - i ? (size_t)s->left_bytes : bytes_n - i;
            s->left_bytes -= step_n;
            if (s->left_bytes == 0)
                s->state = STRICT_CHUNK_CR;
            break;
        case STRICT_CHUNK_CR:
            verdict = c == '\r' ? STRICT_MORE : bad(refusal, "a chunk is longer than its size");
            s->state = STRICT_CHUNK_LF;
            break;
        case STRICT_CHUNK_LF:
            verdict = c == '\n' ? STRICT_MORE : bad(refusal, "a chunk is longer than its size");
            s->state = STRICT_CHUNK_SIZE;
            s->digits_n = 0;
            break;
        case STRICT_CHUNK_TRAILER:
            verdict = chunk_trailer(s, bytes + i, bytes_n - i, &step_n, refusal);
            break;
        }
        i += step_n;
    }
    *used_n = i;
    return verdict;
}
