/* See events.h. An event that is one line, and whole, is not copied: nearly all are. */
#include "proxy/events.h"

#include <errno.h>

void events_init(struct events *e, size_t limit_bytes)
{
    *e = (struct events){.has_data = 0};
    buf_init(&e->line, limit_bytes);
    buf_init(&e->data, limit_bytes);
}

void events_fini(struct events *e)
{
    buf_fini(&e->line);
    buf_fini(&e->data);
}

void events_forget(struct events *e)
{
    e->has_data = e->is_error = e->is_behind_cr = e->is_begun = 0;
    buf_consume(&e->line, buf_size(&e->line));
    buf_consume(&e->data, buf_size(&e->data));
}

static int dispatch(struct events *e, const char *data, size_t data_n, events_fn *fn, void *context)
{
    int is_error = e->is_error;
    e->has_data = e->is_error = 0;
    return fn(context, data, data_n, is_error);
}

/* The value of a field, behind the colon and one space. 1, or 0 where this is not the field. */
static int take_field(const char **line, size_t *n, const char *name)
{
    size_t name_n = strlen(name);
    if (*n < name_n || memcmp(*line, name, name_n) != 0 || (*n > name_n && (*line)[name_n] != ':'))
        return 0;
    size_t skipped_n = *n == name_n ? name_n : name_n + 1;
    skipped_n += skipped_n < *n && (*line)[skipped_n] == ' ';
    *line += skipped_n;
    *n -= skipped_n;
    return 1;
}

/* is_alone: behind it stands the blank line that ends its event. */
static int take_line(struct events *e, const char *line, size_t n, int is_alone, events_fn *fn, void *context)
{
    if (!e->is_begun && n >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) { /* the mark of UTF-8, which is no part of a field's name */
        line += 3;
        n -= 3;
    }
    e->is_begun = 1;
    if (n == 0) {
        if (!e->has_data) {
            e->is_error = 0;
            return 0;
        }
        int error = dispatch(e, buf_data(&e->data), buf_size(&e->data), fn, context);
        buf_consume(&e->data, buf_size(&e->data));
        return error;
    }
    if (take_field(&line, &n, "event")) {
        e->is_error = n == 5 && memcmp(line, "error", 5) == 0;
        return 0;
    }
    if (!take_field(&line, &n, "data")) {
        if (!take_field(&line, &n, "error"))
            return 0;
        e->is_error = 1;
    }
    if (is_alone && !e->has_data)
        return dispatch(e, line, n, fn, context);
    int error = e->has_data ? buf_append(&e->data, "\n", 1) : 0;
    e->has_data = 1;
    return error ? error : buf_append(&e->data, line, n);
}

/* Where this line ends; NULL: not here. */
static const char *find_end(const char *at, const char *end)
{
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    const char *cr = memchr(at, '\r', (size_t)((lf ? lf : end) - at));
    return cr ? cr : lf;
}

int events_take(struct events *e, const char *bytes, size_t bytes_n, events_fn *fn, void *context)
{
    const char *at = bytes, *end = bytes + bytes_n;
    int error = 0;
    while (at < end && !error) {
        if (e->is_behind_cr && *at == '\n')
            at++;
        e->is_behind_cr = 0;
        const char *line_end = find_end(at, end);
        if (!line_end)
            return at < end ? buf_append(&e->line, at, (size_t)(end - at)) : 0;
        e->is_behind_cr = *line_end == '\r';
        if (buf_size(&e->line) == 0) {
            error = take_line(e, at, (size_t)(line_end - at), line_end + 1 < end && line_end[0] == '\n' && line_end[1] == '\n', fn, context);
        } else {
            error = buf_append(&e->line, at, (size_t)(line_end - at));
            error = error ? error : take_line(e, buf_data(&e->line), buf_size(&e->line), 0, fn, context);
            buf_consume(&e->line, buf_size(&e->line));
        }
        at = line_end + 1;
    }
    return error;
}

int events_end(struct events *e, events_fn *fn, void *context)
{
    int error = buf_size(&e->line) > 0 ? take_line(e, buf_data(&e->line), buf_size(&e->line), 0, fn, context) : 0;
    buf_consume(&e->line, buf_size(&e->line));
    return error ? error : take_line(e, "", 0, 0, fn, context);
}
