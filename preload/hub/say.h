/*
 * say: the lines of a job. Who asked for it may leave: nothing ends by that, and nothing is said any more.
 */
#ifndef PRELOAD_HUB_SAY_H
#define PRELOAD_HUB_SAY_H

#include "common/buf.h"

/* A reader that takes nothing for so long has left. */
enum { SAY_WAIT_MS = 30 * 1000, SAY_TURN_MS = 250 };

struct say {
    int fd;
    int is_gone;
    int64_t said_at_ms; /* a line of progress, monotonic */
};

void say_init(struct say *s, int fd);
/* Whole lines, with their newlines; waits until the reader has taken them. */
void say_text(struct say *s, const char *lines, size_t lines_n);
/* {"status":"…"} */
void say_status(struct say *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* 1 where a line of progress may be said, at most one each SAY_TURN_MS. */
int say_is_due(const struct say *s, int64_t now_ms);
/* A file's progress as Ollama tells a layer's, where the reader takes it at once: another one follows. digest: `sha256:…`. */
void say_progress(struct say *s, const char *path, const char *digest, uint64_t total, uint64_t completed, int64_t now_ms);

#endif
