/* See control.h. A client says one line, gets its answer and is closed; one that dawdles is closed after some seconds. */
#include "supervisor/control.h"

#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { CLIENT_LIMIT_MS = 10000, REPLY_LIMIT_BYTES = 1 << 20, BACKLOG = 16, REST_MS = 200 };

static void close_client(struct control_client *c)
{
    if (c->fd < 0)
        return;
    loop_remove(c->control->loop, c->fd);
    loop_disarm(c->control->loop, &c->timer);
    sys_close(c->fd);
    c->fd = -1;
    buf_release(&c->reply);
}

static void client_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    close_client(context);
}

static void write_reply(struct control_client *c)
{
    ssize_t n = sys_send(c->fd, buf_data(&c->reply), buf_size(&c->reply), 0);
    if (n > 0)
        buf_consume(&c->reply, (size_t)n);
    if ((n < 0 && n != -EAGAIN) || buf_size(&c->reply) == 0)
        close_client(c);
    else
        loop_set_events(c->control->loop, c->fd, POLLOUT);
}

static void answer(struct control_client *c)
{
    int error = c->control->command(c->control->context, c->line, &c->reply);
    if (!error)
        error = buf_text(&c->reply, "\n");
    if (error)
        close_client(c);
    else
        write_reply(c);
}

static void read_line(struct control_client *c)
{
    ssize_t n = sys_recv(c->fd, c->line + c->line_n, sizeof c->line - 1 - c->line_n, 0);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        close_client(c);
        return;
    }
    c->line_n += (size_t)n;
    c->line[c->line_n] = '\0';
    char *end = strchr(c->line, '\n');
    if (end) {
        *end = '\0';
        if (end > c->line && end[-1] == '\r')
            end[-1] = '\0';
        loop_set_events(c->control->loop, c->fd, 0);
        answer(c);
    } else if (c->line_n == sizeof c->line - 1) {
        close_client(c);
    }
}

static void client_ready(void *context, short revents)
{
    struct control_client *c = context;
    if (revents & POLLOUT)
        write_reply(c);
    else if (revents & POLLIN)
        read_line(c);
    else
        close_client(c);
}

static struct control_client *free_client(struct control *c)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (c->clients[i].fd < 0)
            return &c->clients[i];
    return NULL;
}

static void rest_is_over(void *context, int64_t now_ms)
{
    struct control *c = context;
    (void)now_ms;
    loop_set_events(c->loop, c->fd, POLLIN);
}

static void control_ready(void *context, short revents)
{
    struct control *c = context;
    struct sockaddr_storage peer;
    socklen_t peer_n;
    (void)revents;
    int fd = sys_accept(c->fd, &peer, &peer_n);
    if (fd == -EAGAIN)
        return;
    if (fd < 0) { /* who waits there would wake us again and again */
        loop_set_events(c->loop, c->fd, 0);
        loop_arm(c->loop, &c->rest, loop_now_ms(c->loop) + REST_MS);
        return;
    }
    struct control_client *client = free_client(c);
    if (!client || loop_add(c->loop, fd, POLLIN, client_ready, client) < 0) {
        sys_close(fd);
        return;
    }
    client->fd = fd;
    client->line_n = 0;
    loop_arm(c->loop, &client->timer, loop_now_ms(c->loop) + CLIENT_LIMIT_MS);
}

/* The folder above the socket, and those above that; 0, or why one of them can't be made. */
static int make_folders(const char *path)
{
    char folder[CONTROL_PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int error = sys_mkdir(folder, 0755);
        if (error)
            return error;
        *slash = '/';
    }
    return 0;
}

/* A socket that nobody answers on is left over from a crash. */
static int remove_stale(const struct sockaddr_un *name)
{
    int is_socket = sys_is_socket(name->sun_path);
    if (is_socket <= 0)
        return is_socket == 0 ? -EEXIST : is_socket == -ENOENT ? 0 : is_socket; /* somebody's file: not ours to remove */
    int fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    int error = sys_connect(fd, (const struct sockaddr *)name, sizeof *name);
    sys_close(fd);
    if (error == 0 || error == -EAGAIN)
        return -EADDRINUSE;
    return error == -ECONNREFUSED ? sys_unlink(name->sun_path) : error == -ENOENT ? 0 : error;
}

int control_init(struct control *c, struct loop *loop, const char *path,
                 int (*command)(void *, const char *, struct buf *), void *context)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memset(c, 0, sizeof *c);
    c->loop = loop;
    c->command = command;
    c->context = context;
    c->fd = -1;
    timer_init(&c->rest, rest_is_over, c);
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        c->clients[i] = (struct control_client){.control = c, .fd = -1};
        buf_init(&c->clients[i].reply, REPLY_LIMIT_BYTES);
        timer_init(&c->clients[i].timer, client_timer, &c->clients[i]);
    }
    if (strlen(path) >= sizeof name.sun_path)
        return -ENAMETOOLONG;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int folder_error = make_folders(path);
    int error = remove_stale(&name);
    if (error)
        return error;
    c->fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    int mask = sys_umask(0177); /* 0600 from the first moment on */
    error = c->fd < 0 ? c->fd : sys_bind(c->fd, (struct sockaddr *)&name, sizeof name);
    sys_umask(mask);
    if (error == -ENOENT && folder_error)
        error = folder_error; /* there is no such folder because it could not be made: that is what helps */
    if (error >= 0) {
        snprintf(c->path, sizeof c->path, "%s", path); /* ours from here on: fini removes it */
        error = sys_listen(c->fd, BACKLOG);
    }
    if (error >= 0)
        error = loop_add(loop, c->fd, POLLIN, control_ready, c);
    if (error < 0)
        control_fini(c);
    return error < 0 ? error : 0;
}

void control_fini(struct control *c)
{
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        if (c->clients[i].control)
            close_client(&c->clients[i]);
    if (c->fd >= 0) {
        loop_disarm(c->loop, &c->rest);
        loop_remove(c->loop, c->fd);
        sys_close(c->fd);
    }
    if (c->path[0])
        sys_unlink(c->path);
    c->path[0] = '\0';
    c->fd = -1;
}
