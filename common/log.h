/*
 * log: one line an event on stderr, as text or JSON.
 *
 *     2026-11-21T21:49:00.123Z info supervisor state program=ollama from=starting to=ready
 *
 * A line is one write(2) of at most LOG_LINE_BYTES, LOG_JSON_BYTES in JSON. A reader that is slow or gone never blocks us:
 * the line is dropped and counted, and the next one that gets out says how many.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Neither is above PIPE_BUF: a pipe that is writable takes such a line whole, without waiting. pipe(7) */
enum { LOG_LINE_BYTES = 2048, LOG_JSON_BYTES = 4096 };

/* Call once at the start. module: the program's short name; borrowed for the process's life. */
void log_init(const char *module, enum log_level level, enum log_format format);

/* stderr opened once more, where it is a terminal or a pipe: one that stands still (a lost connection, a window that is
 * frozen, a pipe that others fill between our look and our write) then never holds us up. Call once, behind log_init, where
 * waiting does harm; it costs a descriptor. */
void log_open_stream(void);

/* 1 when a line of this level is written at all. */
int log_is_on(enum log_level level);

/* The word that stands in a line for it. */
const char *log_level_name(enum log_level level);

/* event: a word of the closed list in docs/log-events.md. format makes `key=value …`; values with spaces are
 * quoted by the caller ("%s" in quotes). Control characters are neutralised. */
void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same in the name of another module, such as a child whose output is told. */
void log_event_for(const char *module, enum log_level level, const char *event, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* For a line that its caller makes, as its fields have types: appends the beginning, up to and with the event. 0 or -errno. */
int log_begin_line(struct buf *line, enum log_level level, const char *event, enum log_format format) WARN_UNUSED;
/* Writes it, its newline included: at most LOG_JSON_BYTES, and harmless on a terminal. NULL: it could not be made, which is
 * counted as lost. */
void log_whole_line(const char *line, size_t line_n);

#endif
