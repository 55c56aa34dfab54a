/*
 * One form for a test: fed in pieces of one size, each in memory that ends where it ends.
 */
#ifndef FORM_CASE_H
#define FORM_CASE_H

#include "proxy/form.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct form_case {
    struct form form;
    struct buf out;
    int status;
    char text[8192]; /* the object, NUL-terminated; "" where there is none */
    char why[FORM_WHY_BYTES];
};

#define FORM_TYPE "multipart/form-data; boundary=b"
/* A part's beginning, and the form's end, where the boundary is b. */
#define FIELD(name) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define FILE_FIELD(name, filename) "--b\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"" filename "\"\r\nContent-Type: image/png\r\n\r\n"
#define END "\r\n--b--\r\n"

/* A whole GIF, as bytes and as base64. */
#define GIF_BYTES "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff\x21\xf9\4\1\0\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\1\x44\0\x3b"
#define GIF_TEXT "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

enum { CASE_IMAGE_MAX = 200 };

static inline void form_case(struct form_case *c, const char *type, const char *body, size_t body_n, size_t piece)
{
    memset(c, 0, sizeof *c);
    buf_init(&c->out, 0);
    c->status = form_begin(&c->form, type, strlen(type), CASE_IMAGE_MAX, &c->out);
    for (size_t at = 0; at < body_n && !c->status; at += piece) {
        size_t n = body_n - at < piece ? body_n - at : piece;
        char *exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, body + at, n);
        c->status = form_feed(&c->form, exact, n);
        free(exact);
    }
    if (!c->status)
        c->status = form_end(&c->form);
    else
        assert_int_equal(form_end(&c->form), c->status); /* it stays */
    snprintf(c->why, sizeof c->why, "%s", form_why(&c->form));
    if (!c->status) {
        assert_true(buf_size(&c->out) < sizeof c->text);
        memcpy(c->text, buf_data(&c->out), buf_size(&c->out));
    }
    buf_fini(&c->out);
}

/* In pieces of each of some sizes: the same. wanted: the object, or what is wrong. */
static inline void form_gives(const char *type, const char *body, size_t body_n, int status, const char *wanted)
{
    for (size_t piece = 1; piece <= body_n + 1; piece += 1 + piece / 5) {
        struct form_case c;
        form_case(&c, type, body, body_n, piece);
        if (c.status != status || strcmp(status ? c.why : c.text, wanted) != 0)
            fail_msg("pieces of %zu: %d \"%s\" \"%s\", wanted: %d %s", piece, c.status, c.text, c.why, status, wanted);
    }
}

#define GIVES(body, wanted) form_gives(FORM_TYPE, body, sizeof(body) - 1, 0, wanted)
#define REFUSED(body, status, why) form_gives(FORM_TYPE, body, sizeof(body) - 1, status, why)

#endif
