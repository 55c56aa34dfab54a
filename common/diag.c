/* See diag.h. Text is bounded: a hostile file can't make us eat memory by its mistakes. */
#include "common/diag.h"

#include "common/sys.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DIAG_LIMIT_BYTES = 1 << 20, DIAG_WORD_BYTES = 64, READER_WAIT_MS = 1000 };

void diag_init(struct diag *d)
{
    *d = (struct diag){0};
    buf_init(&d->text, DIAG_LIMIT_BYTES);
}

void diag_fini(struct diag *d)
{
    buf_fini(&d->text);
}

void diag_add(struct diag *d, enum diag_level level, const char *where, int line,
              const char *format, ...)
{
    char message[1024], place[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    buf_neutralise(message);
    if (level == DIAG_ERROR)
        d->errors_n++;
    else
        d->warnings_n++;
    snprintf(place, sizeof place, line > 0 ? "%.1000s:%d" : "%.1000s", where, line);
    buf_neutralise(place);
    int full = buf_printf(&d->text, "%s: %s: %s\n", place, level == DIAG_ERROR ? "error" : "warning", message);
    (void)full; /* a list of a megabyte is complete enough; the counters still count */
}

void diag_print(struct diag *d)
{
    const char *at = buf_data(&d->text);
    size_t left_n = buf_size(&d->text);
    while (left_n > 0) {
        struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (sys_poll(&out, 1, READER_WAIT_MS) <= 0 || !(out.revents & POLLOUT))
            break; /* a pipe that nobody reads must not keep anything from starting */
        ssize_t n = sys_write(STDERR_FILENO, at, left_n < PIPE_BUF ? left_n : PIPE_BUF);
        if (n <= 0)
            break;
        at += n;
        left_n -= (size_t)n;
    }
    buf_release(&d->text);
}

/* Levenshtein's distance, over short words only. */
static unsigned distance(const char *a, const char *b)
{
    size_t a_n = strlen(a), b_n = strlen(b);
    unsigned row[DIAG_WORD_BYTES + 1];
    if (a_n > DIAG_WORD_BYTES || b_n > DIAG_WORD_BYTES)
        return DIAG_WORD_BYTES;
    for (size_t j = 0; j <= b_n; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_n; j++) {
            unsigned above = row[j];
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b_n];
}

const char *diag_nearest(const char *typed, const char *const *words)
{
    const char *best = NULL;
    unsigned best_distance = 4; /* farther than three edits is no hint but noise */
    for (; *words; words++) {
        unsigned d = distance(typed, *words);
        if (d < best_distance && d < strlen(*words)) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}
