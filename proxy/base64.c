/* See base64.h. Four letters at a time, by a table: images of megabytes are read between two turns of the loop. */
#include "proxy/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* One more than a letter's value; 0: it is none. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11,
    ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,
    ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33,
    ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44,
    ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55,
    ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static char *put_four(char *out, unsigned a, unsigned b, unsigned c)
{
    uint32_t bits = a << 16 | b << 8 | c;
    out[0] = letters[bits >> 18];
    out[1] = letters[bits >> 12 & 63];
    out[2] = letters[bits >> 6 & 63];
    out[3] = letters[bits & 63];
    return out + 4;
}

size_t base64_encode(struct base64_encoder *e, const void *bytes, size_t bytes_n, char *out)
{
    const unsigned char *at = bytes, *end = at + bytes_n;
    char *start = out;
    while (e->held_n > 0 && at < end) {
        if (e->held_n == 2) {
            out = put_four(out, e->held[0], e->held[1], *at++);
            e->held_n = 0;
        } else {
            e->held[e->held_n++] = *at++;
        }
    }
    for (; end - at >= 3; at += 3)
        out = put_four(out, at[0], at[1], at[2]);
    while (at < end)
        e->held[e->held_n++] = *at++;
    return (size_t)(out - start);
}

size_t base64_encode_end(struct base64_encoder *e, char out[4])
{
    if (e->held_n == 0)
        return 0;
    put_four(out, e->held[0], e->held_n > 1 ? e->held[1] : 0, 0);
    out[3] = '=';
    if (e->held_n == 1)
        out[2] = '=';
    e->held_n = 0;
    return 4;
}

static unsigned char *take_letter(struct base64_decoder *d, unsigned value, unsigned char *out)
{
    d->bits = d->bits << 6 | value;
    if (++d->letters_n < 4)
        return out;
    *out++ = (unsigned char)(d->bits >> 16);
    *out++ = (unsigned char)(d->bits >> 8);
    *out++ = (unsigned char)d->bits;
    d->bits = d->letters_n = 0;
    return out;
}

/* The first = tells that what is there is all. */
static unsigned char *take_padding(struct base64_decoder *d, unsigned char *out)
{
    if (d->letters_n < 2 || d->letters_n + d->pads_n == 4) {
        d->error = BASE64_PADDING;
        return out;
    }
    if (d->pads_n++ > 0)
        return out;
    if (d->letters_n == 2) {
        *out++ = (unsigned char)(d->bits >> 4);
    } else {
        *out++ = (unsigned char)(d->bits >> 10);
        *out++ = (unsigned char)(d->bits >> 2);
    }
    return out;
}

static unsigned char *take_one(struct base64_decoder *d, char c, unsigned char *out)
{
    unsigned value = values[(unsigned char)c];
    if (c == '\r' || c == '\n')
        return out;
    if (c == '=')
        return take_padding(d, out);
    if (value && d->pads_n == 0)
        return take_letter(d, value - 1, out);
    d->error = d->pads_n > 0 ? BASE64_PADDING : c == '-' || c == '_' ? BASE64_URL_LETTER : BASE64_LETTER;
    return out;
}

enum base64_error base64_decode(struct base64_decoder *d, const char *text, size_t text_n, unsigned char *out, size_t *out_n)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + text_n;
    unsigned char *start = out;
    while (at < end && !d->error) {
        while (d->letters_n == 0 && end - at >= 4) {
            uint32_t a = values[at[0]] - 1u, b = values[at[1]] - 1u, c = values[at[2]] - 1u, e = values[at[3]] - 1u;
            if ((a | b | c | e) > 63)
                break;
            uint32_t bits = a << 18 | b << 12 | c << 6 | e;
            *out++ = (unsigned char)(bits >> 16);
            *out++ = (unsigned char)(bits >> 8);
            *out++ = (unsigned char)bits;
            at += 4;
        }
        if (at < end) {
            out = take_one(d, (char)*at, out);
            at += !d->error;
        }
    }
    d->read_n += (uint64_t)(at - (const unsigned char *)text);
    *out_n = (size_t)(out - start);
    return d->error;
}

enum base64_error base64_decode_end(struct base64_decoder *d)
{
    if (!d->error && d->letters_n > 0 && d->letters_n + d->pads_n < 4)
        d->error = BASE64_CUT;
    return d->error;
}
