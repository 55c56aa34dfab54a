/* See say.h. The descriptor is a socket whose other end is the proxy, or what somebody at a terminal has; it may be non-blocking or not. */
#include "preload/hub/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void say_init(struct say *s, int fd)
{
    *s = (struct say){.fd = fd, .said_at_ms = -SAY_TURN_MS};
}

/* 1 when it can take something. */
static int is_writable(const struct say *s, int timeout_ms)
{
    struct pollfd fd = {.fd = s->fd, .events = POLLOUT};
    return sys_poll(&fd, 1, timeout_ms) > 0;
}

static ssize_t put(const struct say *s, const char *bytes, size_t bytes_n)
{
    ssize_t n = sys_send(s->fd, bytes, bytes_n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == -ENOTSOCK ? sys_write(s->fd, bytes, bytes_n) : n;
}

void say_text(struct say *s, const char *lines, size_t lines_n)
{
    while (lines_n > 0 && !s->is_gone) {
        if (!is_writable(s, SAY_WAIT_MS)) {
            s->is_gone = 1;
            return;
        }
        ssize_t n = put(s, lines, lines_n);
        if (n > 0) {
            lines += n;
            lines_n -= (size_t)n;
        } else if (n != -EAGAIN) {
            s->is_gone = 1;
        }
    }
}

static void say_buf(struct say *s, struct buf *line, int error)
{
    if (!error)
        say_text(s, buf_data(line), buf_size(line));
    buf_fini(line);
}

void say_status(struct say *s, const char *format, ...)
{
    char text[600];
    struct buf line;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf_init(&line, 0);
    int error = buf_text(&line, "{\"status\":");
    error = error ? error : buf_json_string(&line, text, strlen(text));
    error = error ? error : buf_text(&line, "}\n");
    say_buf(s, &line, error);
}

int say_is_due(const struct say *s, int64_t now_ms)
{
    return !s->is_gone && now_ms - s->said_at_ms >= SAY_TURN_MS;
}

void say_progress(struct say *s, const char *path, const char *digest, uint64_t total, uint64_t completed, int64_t now_ms)
{
    struct buf line;
    s->said_at_ms = now_ms;
    if (s->is_gone || !is_writable(s, 0))
        return;
    buf_init(&line, 0);
    int error = buf_text(&line, "{\"status\":\"pulling ");
    error = error ? error : buf_json_text(&line, path, strlen(path));
    error = error ? error : buf_printf(&line, "\",\"digest\":\"%s\",\"total\":%llu,\"completed\":%llu}\n", digest, (unsigned long long)total,
                                       (unsigned long long)completed);
    say_buf(s, &line, error);
}
