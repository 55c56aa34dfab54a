/* See machine.h. What is read of an answer is bounded by its buffer, and the whole by one time limit, however slowly bytes come. */
#include "supervisor/machine.h"

#include "supervisor/clean.h"
#include "supervisor/http_answer.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static void on_timer(void *context, int64_t now_ms);

void machine_init(struct machine *m, struct loop *loop, void (*told)(void *context, const char *why), void *context)
{
    m->loop = loop;
    m->told = told;
    m->context = context;
    m->fd = -1;
    timer_init(&m->timer, on_timer, m);
}

void machine_leave(struct machine *m)
{
    if (m->fd < 0)
        return;
    loop_disarm(m->loop, &m->timer);
    loop_remove(m->loop, m->fd);
    sys_close(m->fd);
    m->fd = -1;
}

static void end(struct machine *m, const char *why)
{
    machine_leave(m);
    m->told(m->context, why);
}

/* What people may want to know of an answer that is no yes: its first line, and its body as far as there is room. */
static void refuse(struct machine *m)
{
    char why[MACHINE_WHY_BYTES], body[160] = "";
    const char *begin = http_answer_body(m->answer);
    size_t line_n = strcspn(m->answer, "\r\n");
    if (m->answer_n == 0) {
        end(m, "it closed the connection without an answer");
        return;
    }
    if (begin) {
        snprintf(body, sizeof body, "%s", begin);
        clean_line(body, strlen(body), 1);
    }
    snprintf(why, sizeof why, "it answers \"%.*s\"%s%s", line_n > 60 ? 60 : (int)line_n, m->answer, *body ? ": " : "", body);
    clean_line(why, strlen(why), 1);
    for (char *c = why; *c; c++)
        if (*c == '"')
            *c = '\'';
    end(m, why);
}

static void read_answer(struct machine *m)
{
    ssize_t n = sys_recv(m->fd, m->answer + m->answer_n, sizeof m->answer - 1 - m->answer_n, 0);
    if (n == -EAGAIN)
        return;
    if (n > 0)
        m->answer_n += (size_t)n;
    m->answer[m->answer_n] = '\0';
    int status = http_answer_status(m->answer), is_end = n <= 0 || m->answer_n == sizeof m->answer - 1;
    const char *body = http_answer_body(m->answer);
    if (status >= 200 && status < 300)
        end(m, "");
    else if (status < 0 || is_end || (body && http_answer_is_complete(m->answer, body, 0)))
        refuse(m);
}

static void ask(struct machine *m)
{
    int error = sys_socket_error(m->fd);
    ssize_t n = error ? error : sys_send(m->fd, m->question, m->question_n, 0);
    if (n == (ssize_t)m->question_n) {
        m->has_asked = 1;
        loop_set_events(m->loop, m->fd, POLLIN);
    } else { /* a socket that has just been connected has room for a few hundred bytes */
        end(m, n < 0 ? strerror((int)-n) : "it took no question");
    }
}

static void on_ready(void *context, short revents)
{
    struct machine *m = context;
    (void)revents;
    if (m->has_asked)
        read_answer(m);
    else
        ask(m);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct machine *m = context;
    char why[64];
    (void)now_ms;
    snprintf(why, sizeof why, "it gave no whole answer within %lld ms", (long long)m->limit_ms);
    end(m, why);
}

static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path)
        return -ENAMETOOLONG;
    memcpy(to.sun_path, path, strlen(path));
    int fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    int error = sys_connect(fd, (const struct sockaddr *)&to, (socklen_t)sizeof to);
    if (error && error != -EINPROGRESS) {
        sys_close(fd);
        return error;
    }
    return fd;
}

int machine_ask(struct machine *m, const char *socket, const char *app, const char *id, int64_t limit_ms)
{
    machine_leave(m);
    int n = snprintf(m->question, sizeof m->question,
                     "POST /v1/apps/%s/machines/%s/suspend HTTP/1.1\r\nHost: flaps\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", app, id);
    if (n < 0 || n >= (int)sizeof m->question)
        return -ENAMETOOLONG;
    m->question_n = (size_t)n;
    m->answer_n = 0;
    m->answer[0] = '\0';
    m->has_asked = 0;
    m->limit_ms = limit_ms;
    int fd = connect_to(socket);
    if (fd < 0)
        return fd;
    int error = loop_add(m->loop, fd, POLLOUT, on_ready, m);
    if (error) {
        sys_close(fd);
        return error;
    }
    m->fd = fd;
    loop_arm(m->loop, &m->timer, loop_now_ms(m->loop) + limit_ms);
    return 0;
}
