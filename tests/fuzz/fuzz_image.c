/* An image in pieces, of which the first byte gives the size, is what it is in one piece; as base64 in a JSON string, with line ends and escapes
 * by the second byte, it is the same again, and decoded it is the same bytes. What is no base64 is refused alike in any pieces. */
#include "proxy/base64.h"
#include "proxy/image_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 6000, PIECE_MAX = 300 };

static char *exact_copy(const void *bytes, size_t n)
{
    char *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    return copy;
}

static struct image judge(const unsigned char *bytes, size_t n, size_t piece)
{
    struct image im;
    image_init(&im, BYTES_MAX);
    for (size_t at = 0; at < n; at += piece) {
        size_t piece_n = n - at < piece ? n - at : piece;
        char *copy = exact_copy(bytes + at, piece_n);
        image_feed(&im, copy, piece_n);
        free(copy);
    }
    image_end(&im);
    return im;
}

static void check_sense(const struct image *im)
{
    char why[IMAGE_WHY_BYTES];
    image_why(im, why, sizeof why);
    if ((im->status == 0) != (*why == '\0') || (im->status != 0 && im->status != 400 && im->status != 413 && im->status != 415))
        abort();
    if (im->status == 0 && (im->kind == IMAGE_NONE || im->bytes_n == 0 || im->bytes_n > BYTES_MAX || !im->width || !im->height ||
                            (uint64_t)im->width * im->height > IMAGE_PIXELS_MAX))
        abort();
    if (im->status == 415 && im->kind != IMAGE_NONE)
        abort();
}

static size_t encode(const unsigned char *bytes, size_t n, size_t piece, char *out)
{
    struct base64_encoder e = {.held_n = 0};
    size_t used_n = 0;
    for (size_t at = 0; at < n; at += piece)
        used_n += base64_encode(&e, bytes + at, n - at < piece ? n - at : piece, out + used_n);
    return used_n + base64_encode_end(&e, out + used_n);
}

static void check_decoded(const unsigned char *bytes, size_t n, const char *text, size_t text_n, size_t piece)
{
    struct base64_decoder d = {.bits = 0};
    unsigned char *out = malloc(BASE64_BYTES(text_n) + 3);
    size_t used_n = 0, out_n;
    for (size_t at = 0; at < text_n; at += piece) {
        if (base64_decode(&d, text + at, text_n - at < piece ? text_n - at : piece, out + used_n, &out_n))
            abort();
        used_n += out_n;
    }
    if (base64_decode_end(&d) || used_n != n || memcmp(out, bytes, n) != 0)
        abort();
    free(out);
}

/* A string's value: slashes may be escaped, lines broken. */
static size_t quote(const char *text, size_t n, unsigned how, char *out)
{
    char *at = out;
    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        if ((how & 1) && text[i] == '/')
            *at++ = '\\';
        if ((how & 2) && text[i] == '+') {
            memcpy(at, "\\u002b", 6);
            at += 6;
            continue;
        }
        *at++ = text[i];
        if ((how & 4) && i % 76 == 75) {
            memcpy(at, "\\r\\n", 4);
            at += 4;
        }
    }
    *at++ = '"';
    return (size_t)(at - out);
}

static void check_text(const unsigned char *bytes, size_t n, size_t piece, unsigned how, const struct image *im)
{
    char *text = malloc(BASE64_LETTERS(n) + 4), *json = malloc(7 * BASE64_LETTERS(n) + 40), why[IMAGE_WHY_BYTES];
    struct image_text t;
    size_t text_n = encode(bytes, n, piece, text), json_n = quote(text, text_n, how, json);
    check_decoded(bytes, n, text, text_n, piece);
    char *copy = exact_copy(json, json_n);
    int status = image_text_read(&t, &(struct json_value){JSON_STRING, copy, json_n}, BYTES_MAX, why, sizeof why);
    if (status != im->status || (status == 0 && (t.kind != im->kind || t.bytes_n != n)))
        abort();
    free(copy);
    free(json);
    free(text);
}

/* The bytes themselves as a string's content. */
static void check_foreign_text(const char *content, size_t n)
{
    char *json = malloc(n + 2), why[IMAGE_WHY_BYTES];
    struct image_text t;
    json[0] = '"';
    memcpy(json + 1, content, n);
    json[n + 1] = '"';
    int status = image_text_read(&t, &(struct json_value){JSON_STRING, json, n + 2}, BYTES_MAX, why, sizeof why);
    if ((status == 0) != (*why == '\0') || (status == 0 && (t.bare.at <= json || t.bare.at + t.bare.n != json + n + 1)))
        abort();
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = data[0] % PIECE_MAX + 1u, n = size - 2;
    unsigned how = data[1];
    char *copy = exact_copy(data + 2, n);
    const unsigned char *bytes = (const unsigned char *)copy;
    struct image whole = judge(bytes, n, n + 1), parts = judge(bytes, n, piece);
    check_sense(&whole);
    if (whole.status != parts.status || whole.kind != parts.kind || whole.width != parts.width || whole.height != parts.height)
        abort();
    check_text(bytes, n, piece, how, &whole);
    check_foreign_text(copy, n);
    free(copy);
    return 0;
}
