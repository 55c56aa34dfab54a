/* See log.h. The only global state of the program: who we are, and what is worth a line. */
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *log_module = "sidecar";
static enum log_level log_lowest = LOG_INFO;
static enum log_format log_shape = LOG_TEXT;
static unsigned long log_dropped_n;
static int log_fd = STDERR_FILENO;
static int log_is_cut; /* the last line did not get out whole: its end is still to come */

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_init(const char *module, enum log_level level, enum log_format format)
{
    log_module = module;
    log_lowest = level;
    log_shape = format;
}

/* A terminal takes as much as it has room for, and write(2) would wait for the rest; a pipe that is writable takes a line
 * whole, unless another process that writes to it was quicker. Opened once more it has flags of its own (open(2)): those of
 * stderr are shared with whoever started us. Where that is not allowed, as the pipe is another user's, we look first. */
void log_open_stream(void)
{
    struct sys_file file;
    if (!sys_isatty(STDERR_FILENO) && (sys_file(STDERR_FILENO, &file) < 0 || !file.is_pipe))
        return;
    int fd = sys_open("/proc/self/fd/2", O_WRONLY | O_NOCTTY | O_NONBLOCK, 0);
    if (fd >= 0)
        log_fd = fd;
}

int log_is_on(enum log_level level)
{
    return level >= log_lowest;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

/* stderr may be a pipe that nobody reads, and its flags are not ours to change: ask before writing. */
static int write_line(const char *line, size_t line_n)
{
    struct pollfd out = {.fd = log_fd, .events = POLLOUT};
    if (sys_poll(&out, 1, 0) <= 0 || !(out.revents & POLLOUT))
        return -EAGAIN;
    if (log_is_cut && sys_write(log_fd, "\n", 1) != 1)
        return -EAGAIN;
    log_is_cut = 0;
    ssize_t n = sys_write(log_fd, line, line_n);
    log_is_cut = n > 0 && (size_t)n < line_n;
    return n < 0 ? (int)n : log_is_cut ? -EAGAIN : 0;
}

enum { TIME_BYTES = 40 };

static size_t timestamp(char out[TIME_BYTES])
{
    int64_t now_ms = sys_realtime_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, TIME_BYTES - n, ".%03dZ", (int)(now_ms % 1000));
}

static void write_text(const char *module, enum log_level level, const char *event, const char *message)
{
    char line[LOG_LINE_BYTES];
    size_t n = timestamp(line);
    int more = snprintf(line + n, sizeof line - n - 1, " %s %s %s%s%s", level_names[level], module,
                        event, *message ? " " : "", message);
    n += more < 0 ? 0 : (size_t)more;
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    if (write_line(line, n) < 0)
        log_dropped_n++;
}

static int begin_json(struct buf *line, const char *module, enum log_level level, const char *event)
{
    char stamp[TIME_BYTES];
    timestamp(stamp);
    int error = buf_printf(line, "{\"ts\":\"%s\",\"level\":\"%s\",\"module\":", stamp, level_names[level]);
    error = error ? error : buf_json_string(line, module, strlen(module));
    return error ? error : buf_printf(line, ",\"event\":\"%s\"", event);
}

static int format_json(struct buf *line, const char *module, enum log_level level, const char *event,
                       const char *message, size_t message_n)
{
    int error = begin_json(line, module, level, event);
    error = error ? error : buf_text(line, ",\"message\":");
    error = error ? error : buf_json_string(line, message, message_n);
    return error ? error : buf_text(line, "}\n");
}

/* Escapes make a message longer: it is cut until its line fits. */
static void write_json(const char *module, enum log_level level, const char *event, const char *message)
{
    struct buf line;
    buf_init(&line, LOG_JSON_BYTES);
    size_t message_n = strlen(message);
    int error = format_json(&line, module, level, event, message, message_n);
    while (error == -EFBIG && message_n > 0) {
        message_n -= message_n / 4 + 1;
        buf_consume(&line, buf_size(&line));
        error = format_json(&line, module, level, event, message, message_n);
    }
    if (error || write_line(buf_data(&line), buf_size(&line)) < 0)
        log_dropped_n++;
    buf_fini(&line);
}

static void emit(const char *module, enum log_level level, const char *event, const char *message)
{
    if (log_shape == LOG_JSON)
        write_json(module, level, event, message);
    else
        write_text(module, level, event, message);
}

static void tell_dropped(void)
{
    char note[64];
    unsigned long dropped_n = log_dropped_n;
    if (dropped_n == 0)
        return;
    snprintf(note, sizeof note, "lines=%lu", dropped_n);
    log_dropped_n = 0;
    emit(log_module, LOG_WARNING, "log_dropped", note);
    if (log_dropped_n > 0)
        log_dropped_n = dropped_n; /* the note did not get out either */
}

static void emit_formatted(const char *module, enum log_level level, const char *event, const char *format, va_list args)
    PRINTF_LIKE(4, 0);
static void emit_formatted(const char *module, enum log_level level, const char *event,
                           const char *format, va_list args)
{
    char message[LOG_LINE_BYTES - 128];
    vsnprintf(message, sizeof message, format, args);
    buf_neutralise(message);
    tell_dropped();
    emit(module, level, event, message);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    va_list args;
    va_start(args, format);
    emit_formatted(log_module, level, event, format, args);
    va_end(args);
}

void log_event_for(const char *module, enum log_level level, const char *event, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    va_list args;
    va_start(args, format);
    emit_formatted(module, level, event, format, args);
    va_end(args);
}

int log_begin_line(struct buf *line, enum log_level level, const char *event, enum log_format format)
{
    char stamp[TIME_BYTES];
    if (format == LOG_JSON)
        return begin_json(line, log_module, level, event);
    timestamp(stamp);
    return buf_printf(line, "%s %s %s %s", stamp, level_names[level], log_module, event);
}

void log_whole_line(const char *line, size_t line_n)
{
    tell_dropped();
    if (!line || write_line(line, line_n) < 0)
        log_dropped_n++;
}
