/*
 * See form.h. A boundary begins with CR LF, and has neither of them further on: what did not become one in the end was content
 * up to the byte that differs, and that may begin another one. So nothing is read twice.
 */
#include "proxy/form.h"

#include <errno.h>
#include <stddef.h>

static int fail(struct form *f, int status, const char *text)
{
    mistakes_add(&f->fields.mistakes, "%s", text);
    f->status = status;
    return status;
}

/* RFC 2046 section 5.1.1: bchars, of which a space is not the last. */
static int is_boundary(const char *text, size_t n)
{
    static const char others[] = "'()+_,-./:=? ";
    for (size_t i = 0; i < n; i++)
        if (!(text[i] >= '0' && text[i] <= '9') && !((text[i] | 0x20) >= 'a' && (text[i] | 0x20) <= 'z') && (!text[i] || !strchr(others, text[i])))
            return 0;
    return n > 0 && text[n - 1] != ' ';
}

int form_begin(struct form *f, const char *content_type, size_t content_type_n, uint64_t image_bytes_max, struct buf *out)
{
    memset(f, 0, offsetof(struct form, head)); /* its head is written before it is read */
    form_fields_begin(&f->fields, out, image_bytes_max);
    memcpy(f->boundary, "\r\n--", 4);
    ssize_t n = form_param(content_type, content_type_n, "boundary", f->boundary + 4, FORM_BOUNDARY_BYTES + 1);
    if (n == -ENOENT)
        return fail(f, 400, "Content-Type: multipart/form-data without a boundary; leave this header to your client, which knows it");
    if (n == -EINVAL)
        return fail(f, 400, "Content-Type: its parameters can't be read; multipart/form-data; boundary=… is wanted");
    if (n < 0 || !is_boundary(f->boundary + 4, (size_t)n))
        return fail(f, 400, "Content-Type: its boundary must have 1 to 70 characters, letters, digits and '()+_,-./:=? only");
    f->boundary_n = 4 + (size_t)n;
    f->matched_n = f->unsent_n = 2; /* the body's beginning is that of a line */
    return 0;
}

static int keep(struct form *f, int error)
{
    if (error)
        f->status = error;
    return error;
}

static int content(struct form *f, const char *bytes, size_t n)
{
    return n == 0 || f->place != FORM_CONTENT ? 0 : keep(f, form_field_feed(&f->fields, bytes, n));
}

/* What looked like a boundary's beginning was none. */
static int take_back(struct form *f)
{
    size_t from = f->unsent_n, n = f->matched_n;
    f->matched_n = f->unsent_n = 0;
    return content(f, f->boundary + from, n - from);
}

/* Content, up to a boundary or the end. Where it stopped; or NULL. */
static const char *feed_content(struct form *f, const char *at, const char *end)
{
    while (at < end) {
        if (f->matched_n == 0) {
            const char *line_end = memchr(at, '\r', (size_t)(end - at));
            if (content(f, at, (size_t)((line_end ? line_end : end) - at)))
                return NULL;
            at = line_end ? line_end : end;
        }
        while (at < end && f->matched_n < f->boundary_n && *at == f->boundary[f->matched_n]) {
            at++;
            f->matched_n++;
        }
        if (f->matched_n == f->boundary_n) {
            f->is_part_over = f->place == FORM_CONTENT;
            f->place = FORM_BEHIND_BOUNDARY;
            f->behind_n = 0;
            return at;
        }
        if (at < end && take_back(f))
            return NULL;
    }
    return at;
}

/* Behind the boundary stood something else than the end of its line: it was content. */
static int was_content(struct form *f)
{
    f->place = f->is_part_over ? FORM_CONTENT : FORM_PREAMBLE;
    return take_back(f) ? f->status : content(f, f->behind, f->behind_n);
}

static int end_part(struct form *f)
{
    return f->is_part_over ? keep(f, form_field_end(&f->fields)) : 0;
}

static int begin_head(struct form *f)
{
    if (end_part(f))
        return f->status;
    if (f->parts_n++ == FORM_PARTS_MAX)
        return fail(f, 400, "the form has more than 100 parts");
    f->place = FORM_HEAD;
    f->head_n = f->line_at = 0;
    return 0;
}

/* `--`: the last one; white space and CR LF: another part follows. */
static const char *feed_behind(struct form *f, const char *at)
{
    char last = f->behind_n ? f->behind[f->behind_n - 1] : ' ', c = *at;
    if (last == '-' && c == '-') {
        f->place = FORM_EPILOGUE;
        return end_part(f) ? NULL : at + 1;
    }
    if (last == '\r' && c == '\n')
        return begin_head(f) ? NULL : at + 1;
    if (last != '-' && last != '\r' && c == '\n') {
        fail(f, 400, "the form's lines end in LF; they must end in CR LF");
        return NULL;
    }
    int is_padding = last != '-' && last != '\r' && (c == ' ' || c == '\t' || c == '\r' || (c == '-' && f->behind_n == 0));
    if (!is_padding || f->behind_n == sizeof f->behind)
        return was_content(f) ? NULL : at;
    f->behind[f->behind_n++] = c;
    return at + 1;
}

/* The fields of a part are there; a mistake in them leaves the part out, so that those of others are found, too. */
static void begin_part(struct form *f)
{
    char why[FORM_HEAD_WHY_BYTES];
    struct form_part part;
    f->place = FORM_CONTENT;
    f->matched_n = f->unsent_n = 2; /* a part may be empty */
    if (form_head_read(&part, f->head, f->line_at, why, sizeof why) == 0) {
        form_field_begin(&f->fields, &part, f->parts_n);
        return;
    }
    f->fields.kind = NULL;
    mistakes_add(&f->fields.mistakes, "part %u: %s", f->parts_n, why);
}

static const char *feed_head(struct form *f, const char *at, const char *end)
{
    while (at < end) {
        if (f->head_n == sizeof f->head) {
            fail(f, 400, "a part's header has more than 8192 bytes");
            return NULL;
        }
        char c = f->head[f->head_n++] = *at++;
        if (c != '\n')
            continue;
        if (f->head_n < 2 || f->head[f->head_n - 2] != '\r') {
            fail(f, 400, "the form's lines end in LF; they must end in CR LF");
            return NULL;
        }
        if (f->head_n - f->line_at == 2) {
            begin_part(f);
            return at;
        }
        f->line_at = f->head_n;
    }
    return at;
}

int form_feed(struct form *f, const char *bytes, size_t bytes_n)
{
    const char *at = bytes, *end = bytes + bytes_n;
    while (at && at < end && !f->status) {
        switch (f->place) {
        case FORM_PREAMBLE:
        case FORM_CONTENT:
            at = feed_content(f, at, end);
            break;
        case FORM_BEHIND_BOUNDARY:
            at = feed_behind(f, at);
            break;
        case FORM_HEAD:
            at = feed_head(f, at, end);
            break;
        case FORM_EPILOGUE:
            return 0;
        }
    }
    return f->status;
}

int form_end(struct form *f)
{
    if (f->status)
        return f->status;
    if (f->place == FORM_PREAMBLE)
        return fail(f, 400, "no line of the body is the boundary that Content-Type names");
    if (f->place != FORM_EPILOGUE)
        return fail(f, 400, "the form is cut short: its last boundary, with -- behind it, is missing");
    if (f->fields.mistakes.found_n > 0)
        return f->status = 400;
    return keep(f, form_fields_end(&f->fields));
}

const char *form_why(struct form *f)
{
    mistakes_end(&f->fields.mistakes);
    return f->fields.why;
}
