/*
 * base64: bytes as letters (RFC 4648 section 4) and back, in pieces of any size, without memory of its own.
 *
 * Read is what Go's encoding/json reads, and with it Ollama: the alphabet with + and /, padding to a multiple of four letters, and
 * line ends anywhere, which do not count. Bits behind the last byte need not be zero.
 */
#ifndef PROXY_BASE64_H
#define PROXY_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* All zero at first. */
struct base64_encoder {
    unsigned char held[2];
    unsigned held_n;
};

/* How many letters bytes_n more bytes become at the most; and how many bytes as many letters become. */
#define BASE64_LETTERS(bytes_n) (((bytes_n) + 2) / 3 * 4 + 4)
#define BASE64_BYTES(letters_n) ((letters_n) / 4 * 3 + 3)

/* Writes the letters of these bytes, as far as they are certain: how many. out: BASE64_LETTERS(bytes_n). */
size_t base64_encode(struct base64_encoder *e, const void *bytes, size_t bytes_n, char *out);
/* … and the rest with its padding: 0 or 4. The encoder is as new. */
size_t base64_encode_end(struct base64_encoder *e, char out[4]);

enum base64_error {
    BASE64_FINE,
    BASE64_LETTER,     /* one that base64 does not have */
    BASE64_URL_LETTER, /* one of base64url (RFC 4648 section 5) */
    BASE64_PADDING,    /* an = where none may be, or something behind the last one */
    BASE64_CUT,        /* at the end: letters are missing */
};

/* All zero at first. */
struct base64_decoder {
    uint32_t bits;       /* of the letters of a four that is not whole yet */
    unsigned letters_n;  /* so many */
    unsigned pads_n;     /* = that have come */
    uint64_t read_n;     /* characters so far, line ends too: after an error, the place of the wrong one from 0 on */
    enum base64_error error;
};

/* Reads text_n characters; out gets *out_n bytes: at most BASE64_BYTES(text_n). The first error stays, and nothing is read after it. */
enum base64_error base64_decode(struct base64_decoder *d, const char *text, size_t text_n, unsigned char *out, size_t *out_n);
/* No more comes. */
enum base64_error base64_decode_end(struct base64_decoder *d);

#endif
