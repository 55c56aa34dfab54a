/*
 * image: what an image is, by its first bytes: PNG, JPEG, WebP or GIF, and how large it says that it is. Fed in pieces of any
 * size, and keeps nothing of them. Neither a file's name nor its Content-Type is asked for: they say what somebody thought.
 *
 * Sources: PNG (W3C, section 5.2 and 11.2.1); GIF89a, section 17 and 18; WebP (RFC 9649, section 2.4 to 2.7, and RFC 6386,
 * section 9.1); JPEG (ITU-T T.81, annex B).
 */
#ifndef PROXY_IMAGE_H
#define PROXY_IMAGE_H

#include <stddef.h>
#include <stdint.h>

/* A decoder needs some bytes for each pixel, whatever the file has: more pixels than any camera's are somebody's trick. */
enum { IMAGE_PIXELS_MAX = 100 * 1000 * 1000, IMAGE_HEAD_BYTES = 64, IMAGE_WHY_BYTES = 160 };

enum image_kind { IMAGE_NONE, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP, IMAGE_GIF };

struct image {
    enum image_kind kind;    /* NONE: not known yet, or no image */
    uint32_t width, height;  /* 0: not known yet, or what it says */
    uint64_t bytes_n, bytes_max;
    int status;              /* 0, or what image_feed() returned */
    const char *other;       /* what it is instead of an image, a literal; or NULL */
    int is_measured;         /* width and height are known */
    int is_too_long;         /* it has more bytes than are taken */
    size_t head_n;
    unsigned char head[IMAGE_HEAD_BYTES];
    struct {
        int place;           /* within a marker's segment */
        unsigned marker;
        uint32_t left_n;     /* bytes of it */
    } jpeg;
};

/* bytes_max: more are not taken. */
void image_init(struct image *im, uint64_t bytes_max);
/* More of it. 0; or the HTTP status for whoever sent it, which stays: 400 its header can't be read, 413 it has too many bytes or pixels
 * (or none), 415 it is something else. */
int image_feed(struct image *im, const void *bytes, size_t bytes_n);
/* That was all: likewise. */
int image_end(struct image *im);
/* It has more bytes than are taken, as whoever counts them otherwise knows: 413. */
int image_refuse_length(struct image *im);
/* What is wrong with it, in words that follow a field's name and a colon. why: IMAGE_WHY_BYTES will do. */
void image_why(const struct image *im, char *why, size_t why_n);

#endif
