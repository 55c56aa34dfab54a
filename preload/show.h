/*
 * show: tells a person how the preload goes: a bar on a terminal, a line now and then elsewhere.
 */
#ifndef PRELOAD_SHOW_H
#define PRELOAD_SHOW_H

#include "common/pull_failure.h"
#include "common/pull_progress.h"
#include "common/sys.h"

enum {
    SHOW_BAR_MS = 100,          /* the bar is drawn at most so often */
    SHOW_LINE_MS = 15 * 1000,   /* a line is written at least so often while bytes are fetched */
    SHOW_LINE_PERCENT = 10,     /* or each time that so much more is there, */
    SHOW_LINE_MIN_MS = 500,     /* but not more often than this */
    SHOW_WAIT_FIRST_MS = 2000,  /* that Ollama is waited for is said after this time, */
    SHOW_WAIT_MS = 30 * 1000,   /* and then so often */
    SHOW_BAR_BYTES = 200,
};

struct show {
    int has_terminal; /* a bar may be drawn on stderr */
    int has_colours;
    int has_bar;      /* one stands on the screen now */
    const char *name; /* what is pulled; borrowed */
    const char *backend; /* where, as one of several: its lines say so; NULL: the only one; borrowed */
    int64_t started_at_ms, told_at_ms, drawn_at_ms, waited_at_ms;
    int told_percent;
};

/* backend: the name of one of several, or NULL. */
void show_init(struct show *s, const char *backend, int has_terminal, int has_colours);
/* Takes the bar off the screen, so that a line may be written. */
void show_clear(struct show *s);

/* What happened to a model, each as a bar or a log line: it is there already; a try begins; bytes came (told now and then);
 * it is there now; it failed and is tried again after a pause; it failed for good; Ollama is waited for. */
void show_there(struct show *s, const char *name);
void show_started(struct show *s, const char *name, unsigned try_n, int64_t now_ms);
void show_progress(struct show *s, const struct progress *p, int64_t now_ms);
void show_done(struct show *s, const struct progress *p, int64_t now_ms);
void show_retry(struct show *s, const char *name, enum failure kind, const char *reason, int64_t pause_ms);
void show_failed(struct show *s, const char *name, enum failure kind, const char *reason);
void show_waiting(struct show *s, const char *backend, const char *why, int64_t since_ms, int64_t now_ms);
/* How it all ended. */
void show_end(struct show *s, size_t ready_n, size_t failed_n, size_t left_n);

/* The bar of this moment without colours or line end. Returns its length. */
size_t show_bar(char out[SHOW_BAR_BYTES], const char *name, const struct progress *p, int64_t now_ms);

#endif
