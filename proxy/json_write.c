/* See json_write.h. */
#include "proxy/json_write.h"

#include "common/utf8.h"

#include <errno.h>

struct json_write json_write_begin(struct buf *out)
{
    return (struct json_write){.out = out, .start_n = buf_size(out)};
}

int json_write_end(struct json_write *w)
{
    if (w->error)
        buf_truncate(w->out, w->start_n);
    return w->error;
}

void json_write_bytes(struct json_write *w, const char *bytes, size_t bytes_n)
{
    if (!w->error)
        w->error = buf_append(w->out, bytes, bytes_n);
}

void json_write_text(struct json_write *w, const char *text)
{
    json_write_bytes(w, text, strlen(text));
}

void json_write_value(struct json_write *w, const struct json_value *value)
{
    if (value->at)
        json_write_bytes(w, value->at, value->n);
    else
        json_write_text(w, "null");
}

void json_write_member(struct json_write *w, const char *name, const struct json_value *value)
{
    json_write_text(w, ",\"");
    json_write_text(w, name);
    json_write_text(w, "\":");
    json_write_value(w, value);
}

static int is_raw_line_end(uint32_t point)
{
    return point < 0x20 || point == 0x85 || point == 0x2028 || point == 0x2029;
}

/* What has to be escaped begins with one of these bytes; nearly all text has none of them. */
static int may_end_line(char c)
{
    return (unsigned char)c < 0x20 || c == '\xc2' || c == '\xe2';
}

/* Outside of strings there is white space, which may be escaped no more than it may be there in an event: it goes. */
static void write_odd(struct json_write *w, const char *at, size_t n, uint32_t point, int is_inside)
{
    if (!is_raw_line_end(point))
        json_write_bytes(w, at, n);
    else if (is_inside && !w->error)
        w->error = buf_printf(w->out, "\\u%04x", (unsigned)point);
}

void json_write_safely(struct json_write *w, const struct json_value *value)
{
    const char *at = value->at, *end = at + value->n, *from = at;
    int is_inside = 0;
    while (at < end && !w->error) {
        uint32_t point = 0;
        if (*at == '"') {
            is_inside = !is_inside;
        } else if (*at == '\\' && at + 1 < end && !may_end_line(at[1])) {
            at++;
        } else if (may_end_line(*at)) {
            size_t n = utf8_decode(at, (size_t)(end - at), &point);
            json_write_bytes(w, from, (size_t)(at - from));
            write_odd(w, at, n ? n : 1, n ? point : 0xfffd, is_inside);
            from = at += n ? n : 1;
            continue;
        }
        at++;
    }
    json_write_bytes(w, from, (size_t)(at - from));
}

void json_write_string(struct json_write *w, const char *bytes, size_t bytes_n)
{
    if (!w->error)
        w->error = buf_json_string(w->out, bytes, bytes_n);
}

void json_write_quoted(struct json_write *w, const char *bytes, size_t bytes_n)
{
    if (!w->error)
        w->error = buf_json_text(w->out, bytes, bytes_n);
}

void json_write_number(struct json_write *w, uint64_t number)
{
    if (!w->error)
        w->error = buf_number(w->out, number);
}

void json_write_named_text(struct json_write *w, const char *before, const char *text)
{
    json_write_text(w, before);
    if (text)
        json_write_string(w, text, strlen(text));
    else
        json_write_text(w, "null");
}

void json_write_named_number(struct json_write *w, const char *before, int64_t number)
{
    json_write_text(w, before);
    if (number >= 0)
        json_write_number(w, (uint64_t)number);
    else
        json_write_text(w, "null");
}

void json_write_named_bool(struct json_write *w, const char *before, int is_true)
{
    json_write_text(w, before);
    json_write_text(w, is_true ? "true" : "false");
}

ssize_t json_write_decoded(struct json_write *w, struct json_text text, const char **at)
{
    char *room = NULL;
    if (!w->error)
        w->error = buf_reserve(w->out, text.n + 1, &room); /* it does not become longer, but for its NUL */
    if (w->error)
        return -1;
    ssize_t n = json_decode(text, room, text.n + 1);
    if (n > 0)
        buf_commit(w->out, (size_t)n);
    *at = room;
    return n < 0 ? -EINVAL : n;
}
