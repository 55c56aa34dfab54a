/* See ring.h. A record is a head, the program's name and the line, laid around the end of the memory where it comes to it. */
#include "supervisor/ring.h"

#include <stdlib.h>
#include <string.h>

struct head {
    int64_t at_ms;
    uint16_t name_n, line_n;
    uint32_t level;
};

_Static_assert(sizeof(struct head) + RING_NAME_BYTES + RING_LINE_BYTES < RING_BYTES, "a record fits");

void ring_init(struct ring *r)
{
    *r = (struct ring){0};
}

void ring_fini(struct ring *r)
{
    free(r->bytes);
    r->bytes = NULL;
}

static void copy_in(struct ring *r, const void *bytes, size_t bytes_n)
{
    size_t at = (size_t)(r->end_at % RING_BYTES), first_n = RING_BYTES - at;
    if (first_n > bytes_n)
        first_n = bytes_n;
    memcpy(r->bytes + at, bytes, first_n);
    memcpy(r->bytes, (const char *)bytes + first_n, bytes_n - first_n);
    r->end_at += bytes_n;
}

static void copy_out(const struct ring *r, uint64_t from, void *bytes, size_t bytes_n)
{
    size_t at = (size_t)(from % RING_BYTES), first_n = RING_BYTES - at;
    if (first_n > bytes_n)
        first_n = bytes_n;
    memcpy(bytes, r->bytes + at, first_n);
    memcpy((char *)bytes + first_n, r->bytes, bytes_n - first_n);
}

static size_t record_bytes(const struct head *h)
{
    return sizeof *h + h->name_n + h->line_n;
}

static void drop_oldest(struct ring *r)
{
    struct head oldest;
    copy_out(r, r->begin_at, &oldest, sizeof oldest);
    r->begin_at += record_bytes(&oldest);
    r->begin_number++;
}

void ring_push(struct ring *r, const char *name, enum log_level level, int64_t at_ms, const char *line, size_t line_n)
{
    size_t name_n = strlen(name);
    if (!r->bytes && !(r->bytes = malloc(RING_BYTES)))
        return;
    if (name_n > RING_NAME_BYTES - 1)
        name_n = RING_NAME_BYTES - 1;
    if (line_n > RING_LINE_BYTES - 1)
        line_n = RING_LINE_BYTES - 1;
    struct head h = {.at_ms = at_ms, .name_n = (uint16_t)name_n, .line_n = (uint16_t)line_n, .level = (uint32_t)level};
    while (r->end_at - r->begin_at + record_bytes(&h) > RING_BYTES)
        drop_oldest(r);
    copy_in(r, &h, sizeof h);
    copy_in(r, name, name_n);
    copy_in(r, line, line_n);
    r->end_number++;
    if (r->grown)
        r->grown(r->context);
}

int ring_next(const struct ring *r, struct ring_cursor *c, struct ring_record *out, uint64_t *lost_n)
{
    struct head h;
    *lost_n = 0;
    if (c->number < r->begin_number) {
        *lost_n = r->begin_number - c->number;
        *c = (struct ring_cursor){r->begin_at, r->begin_number};
    }
    if (c->number >= r->end_number)
        return 0;
    copy_out(r, c->at, &h, sizeof h);
    out->at_ms = h.at_ms;
    out->level = (enum log_level)h.level;
    out->line_n = h.line_n;
    copy_out(r, c->at + sizeof h, out->name, h.name_n);
    out->name[h.name_n] = '\0';
    copy_out(r, c->at + sizeof h + h.name_n, out->line, h.line_n);
    out->line[h.line_n] = '\0';
    c->at += record_bytes(&h);
    c->number++;
    return 1;
}
