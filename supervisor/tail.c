/* See tail.h. */
#include "supervisor/tail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIECE_BYTES = 16 * 1024 };

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " ");
}

const char *tail_name(const char **at, size_t *name_n)
{
    const char *name = skip_blanks(*at);
    *name_n = strcspn(name, " ");
    *at = name + *name_n;
    return *name_n ? name : NULL;
}

static int is_asked(const struct tail *t, const char *name)
{
    const char *at = t->names, *asked;
    size_t asked_n, is_any = 0;
    while ((asked = tail_name(&at, &asked_n))) {
        if (strlen(name) == asked_n && memcmp(name, asked, asked_n) == 0)
            return 1;
        is_any = 1;
    }
    return !is_any;
}

static int parse_count(const char **at, long *lines_n, char why[TAIL_WHY_BYTES])
{
    char *end;
    const char *text = skip_blanks(*at);
    long n = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    if (n < 0 || n > TAIL_MOST_N || (*end != ' ' && *end != '\0')) {
        snprintf(why, TAIL_WHY_BYTES, "-n takes a number of lines from 0 to %d", (int)TAIL_MOST_N);
        return -EINVAL;
    }
    *lines_n = n;
    *at = end;
    return 0;
}

int tail_parse(struct tail *t, const char *arguments, long *lines_n, char why[TAIL_WHY_BYTES])
{
    const char *at = skip_blanks(arguments);
    *t = (struct tail){0};
    *lines_n = TAIL_DEFAULT_N;
    for (; *at == '-'; at = skip_blanks(at)) {
        size_t n = strcspn(at, " ");
        if (n == 2 && at[1] == 'f') {
            t->is_following = 1;
            at += n;
        } else if (n == 2 && at[1] == 'n') {
            at += n;
            if (parse_count(&at, lines_n, why) < 0)
                return -EINVAL;
        } else {
            snprintf(why, TAIL_WHY_BYTES, "unknown option \"%.*s\"; there are -f and -n COUNT", n < 32 ? (int)n : 32, at);
            return -EINVAL;
        }
    }
    t->names = at;
    return 0;
}

void tail_begin(struct tail *t, const struct ring *ring, long lines_n)
{
    struct ring_record record;
    uint64_t lost_n, asked_n = 0;
    struct ring_cursor at = {ring->begin_at, ring->begin_number}, after = at;
    while (ring_next(ring, &after, &record, &lost_n))
        asked_n += (uint64_t)is_asked(t, record.name);
    uint64_t skipped_n = asked_n > (uint64_t)lines_n ? asked_n - (uint64_t)lines_n : 0;
    while (skipped_n > 0 && ring_next(ring, &at, &record, &lost_n))
        skipped_n -= (uint64_t)is_asked(t, record.name);
    t->cursor = at;
    t->until_number = ring->end_number;
    t->is_begun = 1;
}

static int write_dropped(struct tail *t, struct buf *out)
{
    int error = buf_printf(out, "{\"dropped\":%llu}\n", (unsigned long long)t->lost_n);
    t->lost_n = error ? t->lost_n : 0;
    return error;
}

static int write_record(const struct ring_record *r, struct buf *out)
{
    char stamp[40];
    struct tm tm;
    time_t seconds = (time_t)(r->at_ms / 1000);
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    int error = buf_text(out, "{\"name\":");
    error = error ? error : buf_json_string(out, r->name, strlen(r->name));
    error = error ? error : buf_printf(out, ",\"level\":\"%s\",\"at\":\"%s.%03dZ\",\"line\":", log_level_name(r->level), stamp,
                                       (int)(r->at_ms % 1000));
    error = error ? error : buf_json_string(out, r->line, r->line_n);
    return error ? error : buf_text(out, "}\n");
}

int tail_write(struct tail *t, const struct ring *ring, struct buf *out)
{
    struct ring_record record;
    uint64_t lost_n = 0;
    int error = 0;
    while (!error && buf_size(out) < PIECE_BYTES) {
        if (!t->is_following && t->cursor.number >= t->until_number)
            return TAIL_END;
        int is_there = ring_next(ring, &t->cursor, &record, &lost_n);
        t->lost_n += lost_n;
        if (t->lost_n > 0)
            error = write_dropped(t, out);
        if (!is_there)
            return error ? error : t->is_following ? TAIL_WAIT : TAIL_END;
        if (!error && is_asked(t, record.name) && (t->is_following || t->cursor.number <= t->until_number))
            error = write_record(&record, out);
    }
    return error ? error : TAIL_MORE;
}
