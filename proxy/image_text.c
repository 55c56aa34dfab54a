/* See image_text.h. Pieces of a few kilobytes are decoded on the stack and given to image.c. */
#include "proxy/image_text.h"

#include "proxy/base64.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { PIECE_BYTES = 4096, PREFIX_BYTES = 128 };

struct reader {
    struct base64_decoder base64;
    struct image image;
};

static int tell(char *why, size_t why_n, int status, const char *text)
{
    snprintf(why, why_n, "%s", text);
    return status;
}

/* Base64 without escapes. 0, or it is over: base64.error or image.status is set. */
static int read_plain(struct reader *r, const char *at, size_t n)
{
    unsigned char bytes[BASE64_BYTES(PIECE_BYTES)];
    size_t bytes_n;
    while (n > 0) {
        size_t piece_n = n < PIECE_BYTES ? n : PIECE_BYTES;
        int is_bad = base64_decode(&r->base64, at, piece_n, bytes, &bytes_n) != BASE64_FINE;
        if (image_feed(&r->image, bytes, bytes_n) || is_bad)
            return -1;
        at += piece_n;
        n -= piece_n;
    }
    return 0;
}

/* One escape, at its backslash: what it stands for. How long it is. */
static size_t read_escape(struct reader *r, const char *at, size_t left_n, int *is_over)
{
    char decoded[8];
    size_t n = left_n > 1 && at[1] == 'u' ? 6 : 2;
    if (n > left_n)
        n = left_n;
    ssize_t decoded_n = json_decode((struct json_text){at, n}, decoded, sizeof decoded);
    if (decoded_n < 0) /* no escape: as any letter that base64 does not have */
        *is_over = read_plain(r, "\\", 1) < 0;
    else
        *is_over = read_plain(r, decoded, (size_t)decoded_n) < 0;
    return n;
}

static void read_text(struct reader *r, struct json_text text)
{
    const char *at = text.at, *end = at + text.n;
    int is_over = 0;
    while (at < end && !is_over) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape ? escape : end;
        is_over = read_plain(r, at, (size_t)(stop - at)) < 0;
        at = stop;
        if (escape && !is_over)
            at += read_escape(r, at, (size_t)(end - at), &is_over);
    }
    if (!is_over && base64_decode_end(&r->base64) == BASE64_FINE)
        image_end(&r->image);
}

static int is_prefix(struct json_text text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.n >= n && strncasecmp(text.at, prefix, n) == 0;
}

/* Whether a type is one of an image, or none is said: what is in it is looked at anyway. */
static int is_image_type(const char *type)
{
    return strncasecmp(type, "image/", 6) == 0 || *type == ';' || strncasecmp(type, "application/octet-stream;", 25) == 0;
}

/* `data:image/png;name=a.png;base64,`: 0, and *text begins behind its comma. */
static int take_data_uri(struct json_text *text, char *why, size_t why_n)
{
    static const char mark[] = ";base64";
    char prefix[PREFIX_BYTES];
    const char *comma = memchr(text->at, ',', text->n);
    struct json_text head = {text->at, comma ? (size_t)(comma - text->at) : 0};
    ssize_t n = json_decode(head, prefix, sizeof prefix);
    if (!comma || n < 0)
        return tell(why, why_n, 400, "begins as a data URI, and has none, or too long a head: data:image/png;base64,… is wanted");
    if (!is_image_type(prefix + 5))
        return tell(why, why_n, 415, "is a data URI of another type than image/…");
    if ((size_t)n < sizeof mark - 1 || strcasecmp(prefix + n - (sizeof mark - 1), mark) != 0)
        return tell(why, why_n, 400, "is a data URI without ;base64: data:image/png;base64,… is wanted");
    text->n -= head.n + 1;
    text->at = comma + 1;
    return 0;
}

static int tell_base64(const struct base64_decoder *d, char *why, size_t why_n)
{
    switch (d->error) {
    case BASE64_URL_LETTER:
        return tell(why, why_n, 400, "is base64url; + and / are wanted in place of - and _");
    case BASE64_PADDING:
        return tell(why, why_n, 400, "is no base64: something stands behind its end, or = where letters are missing");
    case BASE64_CUT:
        return tell(why, why_n, 400, "is no base64: it is cut short, or its padding (=) is missing");
    case BASE64_LETTER:
    case BASE64_FINE:
        break;
    }
    snprintf(why, why_n, "is no base64: its character %llu is none of it", (unsigned long long)d->read_n + 1);
    return 400;
}

int image_text_read(struct image_text *t, const struct json_value *string, uint64_t bytes_max, char *why, size_t why_n)
{
    struct reader r = {.base64 = {.bits = 0}};
    *t = (struct image_text){.kind = IMAGE_NONE};
    *why = '\0';
    if (string->kind != JSON_STRING)
        return tell(why, why_n, 400, "must be base64 of an image, in a string");
    t->bare = (struct json_text){string->at + 1, string->n - 2};
    if (is_prefix(t->bare, "http:") || is_prefix(t->bare, "https:"))
        return tell(why, why_n, 400, "is an address, and those are not read; send the image itself, as base64");
    int status = is_prefix(t->bare, "data:") ? take_data_uri(&t->bare, why, why_n) : 0;
    if (status)
        return status;
    image_init(&r.image, bytes_max);
    read_text(&r, t->bare);
    if (r.image.status)
        image_why(&r.image, why, why_n);
    else if (r.base64.error)
        return tell_base64(&r.base64, why, why_n);
    t->bytes_n = r.image.bytes_n;
    t->kind = r.image.kind;
    return r.image.status;
}
