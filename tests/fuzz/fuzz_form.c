/* A form, cut into pieces by its first bytes, becomes what it becomes in one piece: the same object, or the same mistakes. The object is JSON, of
 * known members, each once; its strings are whole, and its image is one. The line behind the cuts is Content-Type. */
#include "common/json_read.h"
#include "common/utf8.h"
#include "proxy/form.h"
#include "proxy/image_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CUTS = 4, IMAGE_MAX = 2000, OBJECT_MAX = 20000 };

struct result {
    int status;
    struct buf out;
    char why[FORM_WHY_BYTES];
};

static void run(struct result *r, const char *type, size_t type_n, const char *body, size_t n, const uint8_t *cuts)
{
    struct form *form = malloc(sizeof *form);
    buf_init(&r->out, OBJECT_MAX);
    r->status = form_begin(form, type, type_n, IMAGE_MAX, &r->out);
    for (size_t at = 0, i = 0; at < n && !r->status; i++) {
        size_t piece = cuts ? cuts[i % CUTS] + 1u : n;
        piece = piece < n - at ? piece : n - at;
        char *copy = malloc(piece);
        memcpy(copy, body + at, piece);
        r->status = form_feed(form, copy, piece);
        free(copy);
        at += piece;
    }
    if (!r->status)
        r->status = form_end(form);
    else if (form_end(form) != r->status)
        abort();
    memcpy(r->why, form_why(form), sizeof r->why);
    if (r->status != 0 && r->status != 400 && r->status != 413 && r->status != 415 && r->status != -EFBIG)
        abort();
    if (r->status > 0 && r->why[0] == '\0')
        abort();
    free(form);
}

static void check_image(const struct json_value *images)
{
    struct json_items items;
    struct json_value image;
    struct image_text text;
    char why[IMAGE_WHY_BYTES];
    json_items_init(&items, images);
    if (!json_items_next(&items, &image) || image_text_read(&text, &image, IMAGE_MAX, why, sizeof why) != 0 || json_items_next(&items, &image))
        abort();
}

static void check_text(const struct json_value *string)
{
    char *decoded = malloc(string->n + 1);
    ssize_t n = json_decode(json_read_text(string), decoded, string->n + 1);
    uint32_t point;
    if (n < 0)
        abort();
    for (size_t i = 0, step; i < (size_t)n; i += step)
        if ((step = utf8_decode(decoded + i, (size_t)n - i, &point)) == 0)
            abort();
    free(decoded);
}

static size_t known_place(struct json_text name)
{
    for (size_t i = 0; form_field_name(i); i++)
        if (strlen(form_field_name(i)) == name.n && memcmp(form_field_name(i), name.at, name.n) == 0)
            return i;
    abort();
}

static void check_object(const struct buf *out)
{
    static const char *const texts[] = {"prompt", "model", "preset", "system", "suffix", "template"};
    struct json_walk w = {buf_data(out), buf_data(out) + buf_size(out)};
    struct json_member m = {.is_last = 0};
    unsigned seen = 0;
    if (!json_take(&w, '{'))
        abort();
    int got = 1;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got != 1)
            break;
        unsigned bit = 1u << known_place(m.name);
        if (seen & bit)
            abort();
        seen |= bit;
        if (m.name.n == 6 && memcmp(m.name.at, "images", 6) == 0)
            check_image(&m.value);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            if (strlen(texts[i]) == m.name.n && memcmp(texts[i], m.name.at, m.name.n) == 0) {
                if (m.value.kind != JSON_STRING)
                    abort();
                check_text(&m.value);
            }
    }
    if (got < 0 || w.at != w.end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CUTS)
        return 0;
    const char *type = (const char *)data + CUTS, *end = (const char *)data + size;
    const char *line = memchr(type, '\n', (size_t)(end - type));
    if (!line)
        return 0;
    struct result whole, pieces;
    size_t type_n = (size_t)(line - type), n = (size_t)(end - line - 1);
    char *type_copy = malloc(type_n + 1);
    memcpy(type_copy, type, type_n);
    run(&whole, type_copy, type_n, line + 1, n, NULL);
    run(&pieces, type_copy, type_n, line + 1, n, data);
    if (whole.status != pieces.status || strcmp(whole.why, pieces.why) != 0)
        abort();
    if (whole.status == 0) {
        if (buf_size(&whole.out) != buf_size(&pieces.out) || memcmp(buf_data(&whole.out), buf_data(&pieces.out), buf_size(&whole.out)) != 0)
            abort();
        check_object(&whole.out);
    }
    buf_fini(&whole.out);
    buf_fini(&pieces.out);
    free(type_copy);
    return 0;
}
