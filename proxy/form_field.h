/*
 * form_field: a form's fields become the members of a JSON object while they arrive, as POST /generate takes it:
 * `{"images":["…"],"prompt":"…"}`.
 *
 * What each field is, is one table. A text becomes a string; a number, a list or an object is checked, and stands as it was sent;
 * an image becomes base64, and is looked at on its way. There is no second copy of anything.
 */
#ifndef PROXY_FORM_FIELD_H
#define PROXY_FORM_FIELD_H

#include "common/buf.h"
#include "proxy/base64.h"
#include "proxy/form_head.h"
#include "proxy/image.h"
#include "proxy/mistakes.h"

enum { FORM_WHY_BYTES = 1024, FORM_SNIFF_BYTES = 12 };

/* An image's part: bytes, or their base64 (by its content, where nothing says that it is a file). */
enum form_image { FORM_IMAGE_UNKNOWN, FORM_IMAGE_BYTES, FORM_IMAGE_LETTERS };

struct form_kind;

struct form_fields {
    struct buf *out;             /* borrowed; the object so far */
    struct mistakes mistakes;    /* into why */
    char why[FORM_WHY_BYTES];
    uint64_t image_bytes_max;
    unsigned seen;               /* bits, by the place of a field's name in the table */
    /* of the field that is being read: */
    const struct form_kind *kind; /* NULL: its bytes are not wanted */
    const char *name;
    int is_begun;                /* its member is in out */
    size_t member_at, value_at;  /* where, in out */
    int is_unnamed;              /* a file of no name: without a byte it is none */
    char carry[FORM_SNIFF_BYTES]; /* the beginning of a character; of what may be an image's bytes or text, its first ones */
    size_t carry_n;
    uint64_t bytes_n;            /* so far */
    enum form_image image_as;
    struct image image;
    struct base64_encoder base64;
};

/* out: empty. image_bytes_max: of one image. */
void form_fields_begin(struct form_fields *f, struct buf *out, uint64_t image_bytes_max);
/* A field begins. What is wrong with it is noted, and its bytes are left out. number: of the part, from 1 on. */
void form_field_begin(struct form_fields *f, const struct form_part *part, unsigned number);
/* Its bytes, and its end. 0; or, where nothing further is to be read, the HTTP status: 413 for an image that is too large, 415 for
 * something else, and mistakes says so; or -ENOMEM, -EFBIG: the buffer's. */
int form_field_feed(struct form_fields *f, const char *bytes, size_t bytes_n);
int form_field_end(struct form_fields *f);
/* The closing brace. 0 or -errno. */
int form_fields_end(struct form_fields *f);

/* The table, for tests and documents: the name at this place; NULL behind the last one. */
const char *form_field_name(size_t place);

#endif
