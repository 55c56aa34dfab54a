/*
 * What a person sees of a pull. On a terminal one line is drawn again and again and everything else is written above
 * it; in a log there is a line for each event, and for progress one every tenth or every 15 s, whichever comes
 * first. The closed list of events: model_there, pull_started, pull_progress, pull_done, pull_retry, pull_failed,
 * preload_waiting, preload_done.
 *
 * Invariant: nothing here blocks. A terminal that does not take the bar misses it.
 */
#include "preload/show.h"

#include "common/log.h"
#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 16, NAME_WIDTH = 24 }; /* together with the figures no more than 79 columns */

void show_init(struct show *s, const char *backend, int has_terminal, int has_colours)
{
    *s = (struct show){.backend = backend, .has_terminal = has_terminal, .has_colours = has_terminal && has_colours};
}

/* What ends a line that is about one of several. */
#define OF_BACKEND "%s%s"
#define BACKEND_OF(s) (s)->backend ? " backend=" : "", (s)->backend ? (s)->backend : ""

/* 1 where all of it went out. */
static int draw(const char *text, size_t text_n)
{
    struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};
    return sys_poll(&terminal, 1, 0) > 0 && (terminal.revents & POLLOUT) &&
           sys_write(STDERR_FILENO, text, text_n) == (ssize_t)text_n;
}

void show_clear(struct show *s)
{
    static const char wipe[] = "\r\033[K";
    if (s->has_bar && draw(wipe, sizeof wipe - 1))
        s->has_bar = 0;
}

void show_there(struct show *s, const char *name)
{
    show_clear(s);
    log_event(s->has_terminal ? LOG_INFO : LOG_DEBUG, "model_there", "model=%s" OF_BACKEND, name, BACKEND_OF(s));
}

void show_started(struct show *s, const char *name, unsigned try_n, int64_t now_ms)
{
    s->name = name;
    s->started_at_ms = s->told_at_ms = now_ms;
    s->drawn_at_ms = now_ms - SHOW_BAR_MS;
    s->told_percent = 0;
    show_clear(s);
    log_event(s->has_terminal ? LOG_DEBUG : LOG_INFO, "pull_started", "model=%s try=%u" OF_BACKEND, name, try_n, BACKEND_OF(s));
}

/* The figures as people read them. */
struct figures {
    char have[TEXT_NUMBER_BYTES], all[TEXT_NUMBER_BYTES], rate[TEXT_NUMBER_BYTES + 2], left[TEXT_NUMBER_BYTES];
};

static void write_figures(struct figures *f, const struct progress *p, int64_t now_ms)
{
    char rate[TEXT_NUMBER_BYTES];
    uint64_t bytes_per_s = progress_rate(p, now_ms);
    text_bytes(f->have, p->completed);
    text_bytes(f->all, p->total);
    text_bytes(rate, bytes_per_s);
    snprintf(f->rate, sizeof f->rate, "%s%s", bytes_per_s ? rate : "-", bytes_per_s ? "/s" : "");
    text_duration(f->left, progress_left_ms(p, now_ms));
}

static const char *stage_word(const struct progress *p)
{
    switch (p->stage) {
    case PROGRESS_MANIFEST:
        return "asking the registry";
    case PROGRESS_LAYER:
        return "";
    case PROGRESS_VERIFY:
        return "verifying";
    case PROGRESS_WRITE:
        return "writing";
    case PROGRESS_SUCCESS:
        return "done";
    }
    return "";
}

size_t show_bar(char out[SHOW_BAR_BYTES], const char *name, const struct progress *p, int64_t now_ms)
{
    char fill[BAR_WIDTH + 1], short_name[NAME_WIDTH + 1];
    struct figures f;
    int percent = progress_percent(p), n;
    text_clean(short_name, sizeof short_name, name, strlen(name));
    if (percent < 0)
        return (n = snprintf(out, SHOW_BAR_BYTES, "%s  %s", short_name, stage_word(p))) < 0 ? 0 : (size_t)n;
    size_t filled_n = (size_t)percent * BAR_WIDTH / 100;
    memset(fill, '.', BAR_WIDTH);
    memset(fill, '#', filled_n);
    fill[BAR_WIDTH] = '\0';
    write_figures(&f, p, now_ms);
    if (p->stage > PROGRESS_LAYER)
        n = snprintf(out, SHOW_BAR_BYTES, "%s %3d%% [%s] %s  %s", short_name, percent, fill, f.all, stage_word(p));
    else
        n = snprintf(out, SHOW_BAR_BYTES, "%s %3d%% [%s] %s/%s %s %s", short_name, percent, fill, f.have, f.all,
                     f.rate, f.left);
    return n < 0 ? 0 : n < SHOW_BAR_BYTES ? (size_t)n : SHOW_BAR_BYTES - 1;
}

static void draw_bar(struct show *s, const struct progress *p, int64_t now_ms)
{
    char bar[SHOW_BAR_BYTES], line[SHOW_BAR_BYTES + 32];
    if (now_ms - s->drawn_at_ms < SHOW_BAR_MS)
        return;
    s->drawn_at_ms = now_ms;
    show_bar(bar, s->name, p, now_ms);
    int n = snprintf(line, sizeof line, "\r%s%s%s\033[K", s->has_colours ? "\033[36m" : "", bar,
                     s->has_colours ? "\033[0m" : "");
    if (n > 0 && draw(line, (size_t)n))
        s->has_bar = 1;
}

void show_progress(struct show *s, const struct progress *p, int64_t now_ms)
{
    struct figures f;
    if (s->has_terminal) {
        draw_bar(s, p, now_ms);
        return;
    }
    int percent = progress_percent(p);
    int is_step = percent >= s->told_percent + SHOW_LINE_PERCENT && percent < 100;
    if (now_ms - s->told_at_ms < (is_step ? SHOW_LINE_MIN_MS : SHOW_LINE_MS))
        return;
    s->told_at_ms = now_ms;
    s->told_percent = percent < 0 ? 0 : percent - percent % SHOW_LINE_PERCENT;
    write_figures(&f, p, now_ms);
    if (percent < 0 || p->stage > PROGRESS_LAYER)
        log_event(LOG_INFO, "pull_progress", "model=%s doing=\"%s\"" OF_BACKEND, s->name, stage_word(p), BACKEND_OF(s));
    else
        log_event(LOG_INFO, "pull_progress", "model=%s percent=%d completed=\"%s\" total=\"%s\" rate=\"%s\" left=%s" OF_BACKEND,
                  s->name, percent, f.have, f.all, f.rate, f.left, BACKEND_OF(s));
}

void show_done(struct show *s, const struct progress *p, int64_t now_ms)
{
    char all[TEXT_NUMBER_BYTES], took[TEXT_NUMBER_BYTES];
    show_clear(s);
    text_bytes(all, p->total);
    text_duration(took, now_ms - s->started_at_ms);
    log_event(LOG_INFO, "pull_done", "model=%s size=\"%s\" took=%s" OF_BACKEND, s->name, all, took, BACKEND_OF(s));
}

void show_retry(struct show *s, const char *name, enum failure kind, const char *reason, int64_t pause_ms)
{
    show_clear(s);
    log_event(LOG_WARNING, "pull_retry", "model=%s cause=%s in_ms=%" PRId64 " reason=\"%s\"" OF_BACKEND, name,
              failure_word(kind), pause_ms, reason, BACKEND_OF(s));
}

void show_failed(struct show *s, const char *name, enum failure kind, const char *reason)
{
    show_clear(s);
    log_event(LOG_ERROR, "pull_failed", "model=%s cause=%s reason=\"%s\"" OF_BACKEND, name, failure_word(kind), reason, BACKEND_OF(s));
}

void show_waiting(struct show *s, const char *backend, const char *why, int64_t since_ms, int64_t now_ms)
{
    if (now_ms - since_ms < SHOW_WAIT_FIRST_MS || (s->waited_at_ms > 0 && now_ms - s->waited_at_ms < SHOW_WAIT_MS))
        return;
    s->waited_at_ms = now_ms;
    show_clear(s);
    log_event(LOG_INFO, "preload_waiting", "backend=%s why=\"%s\"", backend, why);
}

void show_end(struct show *s, size_t ready_n, size_t failed_n, size_t left_n)
{
    show_clear(s);
    log_event(failed_n > 0 ? LOG_WARNING : LOG_INFO, "preload_done", "ready=%zu failed=%zu left=%zu" OF_BACKEND, ready_n,
              failed_n, left_n, BACKEND_OF(s));
}
