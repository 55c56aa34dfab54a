/*
 * The control protocol: connect to a UNIX socket, send one line, read JSON lines until EOF. Each answer is an object
 * with "ok"; where that is false, "error" says why in a sentence, and after a reload "mistakes" lists what was found.
 *
 * Invariant: no step waits longer than ASK_SILENCE_MS for the other side.
 */
#include "ctl/ask.h"

#include "ctl/plain.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { READ_BYTES = 16 * 1024, RETRY_MS = 20 };

/* 0 when fd is ready for events, -ETIMEDOUT. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left_ms = deadline_ms - sys_monotonic_ms();
        int n = left_ms > 0 ? sys_poll(&p, 1, (int)left_ms) : 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (n != -EINTR)
            return n < 0 ? n : 0;
    }
}

static int connect_to(const char *path, int *fd)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t path_n = strlen(path);
    if (path_n == 0 || path_n >= sizeof to.sun_path)
        return -ENAMETOOLONG;
    memcpy(to.sun_path, path, path_n + 1);
    *fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    if (*fd < 0)
        return *fd;
    int64_t deadline_ms = sys_monotonic_ms() + ASK_SILENCE_MS;
    for (;;) {
        int error = sys_connect(*fd, (const struct sockaddr *)&to, sizeof to);
        if (error != -EAGAIN) /* unix(7): the backlog is full, and poll(2) can't tell when it is not */
            return error;
        if (sys_monotonic_ms() >= deadline_ms)
            return -ETIMEDOUT;
        error = sys_poll(NULL, 0, RETRY_MS);
        if (error < 0 && error != -EINTR)
            return error;
    }
}

static int send_all(int fd, const char *bytes, size_t bytes_n)
{
    int64_t deadline_ms = sys_monotonic_ms() + ASK_SILENCE_MS;
    while (bytes_n > 0) {
        ssize_t n = sys_send(fd, bytes, bytes_n, 0);
        int error = n == -EAGAIN ? wait_for(fd, POLLOUT, deadline_ms) : n < 0 ? (int)n : 0;
        if (error)
            return error;
        bytes += n < 0 ? 0 : n;
        bytes_n -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

static int receive_all(int fd, struct buf *reply)
{
    char bytes[READ_BYTES];
    for (;;) {
        int error = wait_for(fd, POLLIN, sys_monotonic_ms() + ASK_SILENCE_MS);
        if (error)
            return error;
        ssize_t n = sys_recv(fd, bytes, sizeof bytes, 0);
        if (n == -EAGAIN)
            continue;
        if (n <= 0)
            return n < 0 && !(n == -ECONNRESET && buf_size(reply) > 0) ? (int)n : 0;
        error = buf_append(reply, bytes, (size_t)n);
        if (error)
            return error;
    }
}

int ask_open(const char *socket_path, const char *line, int *fd)
{
    struct buf request;
    *fd = -1;
    buf_init(&request, 0);
    int error = buf_printf(&request, "%s\n", line);
    error = error ? error : connect_to(socket_path, fd);
    error = error ? error : send_all(*fd, buf_data(&request), buf_size(&request));
    buf_fini(&request);
    if (error) {
        sys_close(*fd);
        *fd = -1;
    }
    return error;
}

int ask_raw(const char *socket_path, const char *line, struct buf *reply)
{
    int fd;
    int error = ask_open(socket_path, line, &fd);
    error = error ? error : receive_all(fd, reply);
    if (!error && buf_size(reply) == 0)
        error = -EPROTO;
    sys_close(fd);
    return error;
}

cJSON *ask_parse(const struct buf *reply)
{
    const char *at = buf_data(reply), *end = at + buf_size(reply);
    cJSON *last = NULL;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t line_n = (size_t)((line_end ? line_end : end) - at);
        cJSON *object = line_n > 0 ? cJSON_ParseWithLength(at, line_n) : NULL;
        if (cJSON_IsObject(object)) {
            cJSON_Delete(last);
            last = object;
        } else {
            cJSON_Delete(object);
        }
        at += line_n + 1;
    }
    return last;
}

const char *ask_text(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

int64_t ask_number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > 9e15)
        return -1;
    return (int64_t)item->valuedouble;
}

void ask_explain(const char *path, int error)
{
    const char *advice;
    if (error == -ENOENT || error == -ECONNREFUSED)
        advice = "is ollama-supervisor running? Start it, or say by -s SOCKET or -c FILE where it listens";
    else if (error == -EACCES || error == -EPERM)
        advice = "ask as the user that runs ollama-supervisor, or as root";
    else if (error == -ETIMEDOUT)
        advice = "ollama-supervisor took the connection and did not answer within 5 s: see its log";
    else if (error == -EPROTO)
        advice = "the connection was closed without an answer: see ollama-supervisor's log";
    else if (error == -ENAMETOOLONG)
        advice = "a socket's path has 1 to 107 bytes";
    else
        advice = "see ollama-supervisor's log";
    fprintf(stderr, "sidecarctl: nobody answers at %s (%s); %s\n", path, strerror(-error), advice);
}

static void print_raw(const struct buf *reply)
{
    fwrite(buf_data(reply), 1, buf_size(reply), stdout);
    if (buf_data(reply)[buf_size(reply) - 1] != '\n')
        putchar('\n');
}

static void print_line(const char *prefix, const char *text)
{
    struct buf line;
    buf_init(&line, 0);
    if (plain_text(&line, text) == 0)
        fprintf(stderr, "%s%.*s\n", prefix, (int)buf_size(&line), buf_data(&line));
    buf_fini(&line);
}

/* "mistakes" is a list of lines, or one text of several. */
static void print_mistakes(const cJSON *mistakes)
{
    struct buf text;
    const cJSON *item;
    cJSON_ArrayForEach(item, mistakes)
    {
        if (cJSON_IsString(item))
            print_line("", item->valuestring);
    }
    if (!cJSON_IsString(mistakes))
        return;
    buf_init(&text, 0);
    if (plain_clean(&text, mistakes->valuestring, strlen(mistakes->valuestring), 1) == 0)
        fprintf(stderr, "%.*s", (int)buf_size(&text), buf_data(&text));
    buf_fini(&text);
}

void ask_print_refusal(const cJSON *answer)
{
    const char *error = ask_text(answer, "error");
    print_mistakes(cJSON_GetObjectItemCaseSensitive(answer, "mistakes"));
    print_line("sidecarctl: ", *error ? error : "refused, and no reason given");
}

int ask_run(const struct ctl *ctl, const char *line, int is_json_printed, cJSON **answer)
{
    struct buf reply;
    int code = CTL_OK;
    *answer = NULL;
    buf_init(&reply, ASK_REPLY_LIMIT_BYTES);
    int error = ask_raw(ctl->socket_path, line, &reply);
    if (!error)
        *answer = ask_parse(&reply);
    int is_ok = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(*answer, "ok"));
    if (error) {
        ask_explain(ctl->socket_path, error);
        code = CTL_NOBODY;
    } else if (!*answer) {
        fprintf(stderr, "sidecarctl: what answers at %s is not ollama-supervisor\n", ctl->socket_path);
        code = CTL_NOBODY;
    } else {
        code = is_ok ? CTL_OK : CTL_REFUSED;
        if (ctl->is_json && (is_json_printed || !is_ok))
            print_raw(&reply);
        else if (!is_ok)
            ask_print_refusal(*answer);
    }
    buf_fini(&reply);
    if (code != CTL_OK) {
        cJSON_Delete(*answer);
        *answer = NULL;
    }
    return code;
}
