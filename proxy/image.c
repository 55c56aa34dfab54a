/*
 * See image.h. PNG, GIF and WebP say all within their first 30 bytes; a JPEG's frame header may stand behind segments of any
 * length (a thumbnail, a profile), which are stepped over.
 */
#include "proxy/image.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SIGNATURE_BYTES = 12 };

/* Within a JPEG: what the next byte is. */
enum { JPEG_BETWEEN, JPEG_MARKER, JPEG_LENGTH_HIGH, JPEG_LENGTH_LOW, JPEG_SEGMENT, JPEG_FRAME };

void image_init(struct image *im, uint64_t bytes_max)
{
    *im = (struct image){.bytes_max = bytes_max};
}

static int starts(const struct image *im, size_t at, const char *bytes, size_t n)
{
    return im->head_n >= at + n && memcmp(im->head + at, bytes, n) == 0;
}

static enum image_kind kind_of(const struct image *im)
{
    if (starts(im, 0, "\x89PNG\r\n\x1a\n", 8))
        return IMAGE_PNG;
    if (starts(im, 0, "\xff\xd8\xff", 3))
        return IMAGE_JPEG;
    if (starts(im, 0, "RIFF", 4) && starts(im, 8, "WEBP", 4))
        return IMAGE_WEBP;
    if (starts(im, 0, "GIF87a", 6) || starts(im, 0, "GIF89a", 6))
        return IMAGE_GIF;
    return IMAGE_NONE;
}

/* What people send in an image's place. */
static const char *other_file(const struct image *im)
{
    static const struct {
        size_t at;
        const char *bytes;
        size_t n;
        const char *name;
    } others[] = {
        {4, "ftyphei", 7, "HEIC"},    {4, "ftyphev", 7, "HEIC"},        {4, "ftypmif1", 8, "HEIC"}, {4, "ftypmsf1", 8, "HEIC"},
        {4, "ftypavi", 7, "AVIF"},    {4, "ftyp", 4, "a video (MP4)"},  {0, "BM", 2, "BMP"},        {0, "%PDF-", 5, "PDF"},
        {0, "II*\0", 4, "TIFF"},      {0, "MM\0*", 4, "TIFF"},          {0, "\0\0\1\0", 4, "an icon (ICO)"},
        {0, "\xff\x0a", 2, "JPEG XL"}, {4, "JXL ", 4, "JPEG XL"},       {4, "jP  ", 4, "JPEG 2000"},
        {0, "PK\3\4", 4, "a ZIP archive"}, {0, "\x1f\x8b", 2, "gzip"},  {0, "RIFF", 4, "a sound or a video (RIFF)"},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (starts(im, others[i].at, others[i].bytes, others[i].n))
            return others[i].name;
    return NULL;
}

/* What is text, if it is one. */
static const char *other_text(const struct image *im)
{
    char text[IMAGE_HEAD_BYTES + 1];
    size_t at = starts(im, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
    for (size_t i = at; i < im->head_n; i++)
        if ((im->head[i] < 0x20 && !strchr("\t\n\f\r", im->head[i])) || im->head[i] == 0x7f || !im->head[i])
            return NULL;
    memcpy(text, im->head + at, im->head_n - at);
    text[im->head_n - at] = '\0';
    const char *start = text + strspn(text, " \t\r\n");
    if (strcasestr(start, "<svg"))
        return "SVG";
    if (strncasecmp(start, "<html", 5) == 0 || strncasecmp(start, "<!doctype html", 14) == 0)
        return "HTML";
    if (strncasecmp(start, "<?xml", 5) == 0 || strncmp(start, "<!", 2) == 0)
        return "XML (SVG?)";
    return "text";
}

static uint32_t big(const unsigned char *at, size_t n)
{
    uint32_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static uint32_t little(const unsigned char *at, size_t n)
{
    uint32_t value = 0;
    while (n-- > 0)
        value = value << 8 | at[n];
    return value;
}

static int refuse(struct image *im, int status)
{
    im->status = status;
    return status;
}

static int measure(struct image *im, uint32_t width, uint32_t height)
{
    im->width = width;
    im->height = height;
    im->is_measured = 1;
    return (uint64_t)width * height == 0 || (uint64_t)width * height > IMAGE_PIXELS_MAX ? refuse(im, 413) : 0;
}

static int measure_webp(struct image *im)
{
    const unsigned char *h = im->head;
    if (starts(im, 12, "VP8 ", 4))
        return starts(im, 23, "\x9d\x01\x2a", 3) ? measure(im, little(h + 26, 2) & 0x3fff, little(h + 28, 2) & 0x3fff) : refuse(im, 400);
    if (starts(im, 12, "VP8L", 4)) {
        uint32_t bits = little(h + 21, 4);
        return h[20] == 0x2f ? measure(im, (bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1) : refuse(im, 400);
    }
    if (starts(im, 12, "VP8X", 4))
        return measure(im, little(h + 24, 3) + 1, little(h + 27, 3) + 1);
    return refuse(im, 400);
}

/* PNG, GIF and WebP, as soon as so much of them is there. */
static int measure_head(struct image *im)
{
    const unsigned char *h = im->head;
    switch (im->kind) {
    case IMAGE_PNG:
        if (im->head_n < 24)
            return 0;
        return starts(im, 8, "\0\0\0\x0dIHDR", 8) ? measure(im, big(h + 16, 4), big(h + 20, 4)) : refuse(im, 400);
    case IMAGE_GIF:
        return im->head_n < 10 ? 0 : measure(im, little(h + 6, 2), little(h + 8, 2));
    case IMAGE_WEBP:
        return im->head_n < 30 ? 0 : measure_webp(im);
    case IMAGE_JPEG:
    case IMAGE_NONE:
        break;
    }
    return 0;
}

/* The frame header's marker, by which picture it is compressed: C4, C8 and CC are other things. */
static int is_frame(unsigned marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* A marker's code: 0, or 400 where the picture begins, or ends, before anybody has said how large it is. */
static int jpeg_marker(struct image *im, unsigned char code)
{
    im->jpeg.marker = code;
    if (code == 0xff) /* fill */
        return 0;
    if (code == 0xd9 || code == 0xda)
        return refuse(im, 400);
    im->jpeg.place = code <= 0x01 || (code >= 0xd0 && code <= 0xd8) ? JPEG_BETWEEN : JPEG_LENGTH_HIGH;
    return 0;
}

static int jpeg_segment(struct image *im)
{
    if (im->jpeg.left_n < 2 || (is_frame(im->jpeg.marker) && im->jpeg.left_n < 8))
        return refuse(im, 400);
    im->jpeg.left_n -= 2;
    im->jpeg.place = is_frame(im->jpeg.marker) ? JPEG_FRAME : im->jpeg.left_n ? JPEG_SEGMENT : JPEG_BETWEEN;
    im->head_n = 0; /* the signature is known, its room is free for the frame header */
    return 0;
}

static int jpeg_byte(struct image *im, unsigned char byte)
{
    switch (im->jpeg.place) {
    case JPEG_BETWEEN: /* other bytes there are nobody's, and common decoders step over them */
        im->jpeg.place = byte == 0xff ? JPEG_MARKER : JPEG_BETWEEN;
        return 0;
    case JPEG_MARKER:
        return jpeg_marker(im, byte);
    case JPEG_LENGTH_HIGH:
        im->jpeg.left_n = (uint32_t)byte << 8;
        im->jpeg.place = JPEG_LENGTH_LOW;
        return 0;
    case JPEG_LENGTH_LOW:
        im->jpeg.left_n |= byte;
        return jpeg_segment(im);
    default: /* a frame header: sample precision, lines, samples of a line */
        im->head[im->head_n++] = byte;
        return im->head_n < 5 ? 0 : measure(im, big(im->head + 3, 2), big(im->head + 1, 2));
    }
}

static int feed_jpeg(struct image *im, const unsigned char *at, size_t n)
{
    const unsigned char *end = at + n;
    while (at < end && !im->is_measured) {
        if (im->jpeg.place == JPEG_SEGMENT) {
            size_t step_n = (size_t)(end - at) < im->jpeg.left_n ? (size_t)(end - at) : im->jpeg.left_n;
            at += step_n;
            im->jpeg.left_n -= (uint32_t)step_n;
            im->jpeg.place = im->jpeg.left_n ? JPEG_SEGMENT : JPEG_BETWEEN;
        } else if (jpeg_byte(im, *at++)) {
            return im->status;
        }
    }
    return 0;
}

/* The head is as long as it gets, or as is needed. */
static int recognise(struct image *im)
{
    unsigned char head[IMAGE_HEAD_BYTES];
    size_t head_n = im->head_n;
    im->kind = kind_of(im);
    if (im->kind == IMAGE_NONE) {
        im->other = other_file(im);
        if (!im->other)
            im->other = other_text(im);
        return refuse(im, 415);
    }
    if (im->kind != IMAGE_JPEG)
        return measure_head(im);
    memcpy(head, im->head, head_n);
    return feed_jpeg(im, head, head_n);
}

/* Whether recognise() will say no more for another byte: text is told apart by its first words. */
static int is_head_enough(const struct image *im)
{
    return im->head_n == IMAGE_HEAD_BYTES || (im->head_n >= SIGNATURE_BYTES && (kind_of(im) != IMAGE_NONE || other_file(im)));
}

/* Fills the head: how many bytes it took. */
static size_t take_head(struct image *im, const unsigned char *at, size_t n)
{
    size_t used_n = 0;
    while (used_n < n && !is_head_enough(im))
        im->head[im->head_n++] = at[used_n++];
    return used_n;
}

/* PNG, GIF and WebP: the rest of the bytes that say how large it is. */
static int feed_head(struct image *im, const unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n && im->head_n < IMAGE_HEAD_BYTES && !im->is_measured && !im->status; i++) {
        im->head[im->head_n++] = at[i];
        measure_head(im);
    }
    return im->status;
}

int image_refuse_length(struct image *im)
{
    im->is_too_long = 1;
    return refuse(im, 413);
}

/* Bytes that are not too many. */
static void look_at(struct image *im, const unsigned char *at, size_t n)
{
    if (im->kind == IMAGE_NONE) {
        size_t used_n = take_head(im, at, n);
        at += used_n;
        n -= used_n;
        if (is_head_enough(im))
            recognise(im);
    }
    if (!im->status && im->kind != IMAGE_NONE && !im->is_measured)
        im->kind == IMAGE_JPEG ? feed_jpeg(im, at, n) : feed_head(im, at, n);
}

int image_feed(struct image *im, const void *bytes, size_t bytes_n)
{
    if (im->status)
        return im->status;
    uint64_t left_n = im->bytes_max - im->bytes_n;
    look_at(im, bytes, bytes_n < left_n ? bytes_n : (size_t)left_n); /* so that pieces of any size are judged alike */
    im->bytes_n += bytes_n;
    return !im->status && im->bytes_n > im->bytes_max ? image_refuse_length(im) : im->status;
}

int image_end(struct image *im)
{
    if (im->status)
        return im->status;
    if (im->bytes_n == 0)
        return refuse(im, 400);
    if (im->kind == IMAGE_NONE && recognise(im))
        return im->status;
    return im->is_measured ? 0 : refuse(im, 400);
}

static const char *kind_name(enum image_kind kind)
{
    static const char *const names[] = {"image", "PNG", "JPEG", "WebP", "GIF"};
    return names[kind];
}

void image_why(const struct image *im, char *why, size_t why_n)
{
    const char *name = kind_name(im->kind);
    if (im->status == 415)
        snprintf(why, why_n, "is %s, and must be PNG, JPEG, WebP or GIF", im->other ? im->other : "no image that is known here");
    else if (im->is_too_long)
        snprintf(why, why_n, "has more than the %llu bytes that [proxy] upload_limit takes of one image", (unsigned long long)im->bytes_max);
    else if (im->status == 413)
        snprintf(why, why_n, "is a %s that claims to have %lu x %lu pixels; more than %d, or none, are not taken", name, (unsigned long)im->width,
                 (unsigned long)im->height, IMAGE_PIXELS_MAX);
    else if (im->bytes_n == 0)
        snprintf(why, why_n, "is empty");
    else if (im->status)
        snprintf(why, why_n, "begins as a %s, but its header is cut short or broken", name);
    else
        *why = '\0';
}
