/*
 * image_text: an image that stands in a JSON text as base64, as Ollama wants it, or as a data URI (RFC 2397), as browsers make it.
 * It is read where it stands, in one pass, and nothing of it is kept.
 */
#ifndef PROXY_IMAGE_TEXT_H
#define PROXY_IMAGE_TEXT_H

#include "common/json_walk.h"
#include "proxy/image.h"

struct image_text {
    struct json_text bare; /* the base64 alone, a place in the string's content. Escapes (\/, \n, \u002b) are as they stand there: between
                            * quotes it is the same text again. Line ends may be in it, as Ollama does not count them */
    uint64_t bytes_n;      /* decoded */
    enum image_kind kind;
};

/* string: what stands for an image, of any kind of JSON. 0; or the HTTP status for whoever sent it: 400 (no string, no base64, empty, a header that
 * can't be read), 413 (more than bytes_max decoded bytes, or too many pixels), 415 (none of PNG, JPEG, WebP, GIF). why: words that
 * follow the field's name and a colon; IMAGE_WHY_BYTES will do. */
int image_text_read(struct image_text *t, const struct json_value *string, uint64_t bytes_max, char *why, size_t why_n);

#endif
