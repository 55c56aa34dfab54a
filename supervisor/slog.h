/*
 * slog: lines of Go's log/slog as its text handler writes them: time=… level=… source=… msg="…" key=value …
 */
#ifndef SUPERVISOR_SLOG_H
#define SUPERVISOR_SLOG_H

#include <stddef.h>

enum { SLOG_VALUE_BYTES = 1024 };

/* The value of a key of the line, without quotes and cut at out_n. 1, or 0 where there is none, or one with escapes other than
 * \" and \\ (no path of Ollama's has them), or the line is broken before it. */
int slog_find(const char *line, const char *key, char *out, size_t out_n);

/* What such a line tells people: its message, and behind a colon its error. Any other line is told as it is. */
void slog_words(const char *line, char *out, size_t out_n);

#endif
