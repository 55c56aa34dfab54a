/*
 * See notify.h. The socket lives in the abstract namespace under a name that the kernel chooses (unix(7), autobind):
 * no file to make, to own or to leave behind. Whose message counts is for the listener to say, by the sender's pid.
 */
#include "supervisor/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { MESSAGES_A_TURN = 32 };

static void take(struct notify *n, pid_t pid, char *message)
{
    for (char *line = message, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *equals = strchr(line, '=');
        if (!equals)
            continue;
        *equals = '\0';
        n->said(n->context, pid, line, equals + 1);
    }
}

static void notify_ready(void *context, short revents)
{
    struct notify *n = context;
    (void)revents;
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        char message[NOTIFY_MESSAGE_BYTES];
        pid_t pid;
        ssize_t message_n = sys_recv_with_pid(n->fd, message, sizeof message - 1, &pid);
        if (message_n < 0)
            return;
        message[message_n] = '\0';
        take(n, pid, message);
    }
}

int notify_init(struct notify *n, struct loop *loop, void (*said)(void *, pid_t, const char *, const char *),
                void *context)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_storage got;
    socklen_t got_n;
    *n = (struct notify){.loop = loop, .said = said, .context = context};
    n->fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    int error = n->fd < 0 ? n->fd : sys_setsockopt_int(n->fd, SOL_SOCKET, SO_PASSCRED, 1);
    if (error >= 0)
        error = sys_bind(n->fd, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path));
    if (error >= 0)
        error = sys_socket_name(n->fd, &got, &got_n);
    if (error >= 0)
        error = loop_add(loop, n->fd, POLLIN, notify_ready, n);
    if (error < 0) {
        notify_fini(n);
        return error;
    }
    memcpy(&name, &got, sizeof name);
    size_t path_n = got_n - offsetof(struct sockaddr_un, sun_path) - 1; /* without the leading NUL */
    snprintf(n->path, sizeof n->path, "@%.*s", (int)path_n, name.sun_path + 1);
    return 0;
}

void notify_fini(struct notify *n)
{
    if (n->fd >= 0) {
        loop_remove(n->loop, n->fd);
        sys_close(n->fd);
    }
    n->fd = -1;
}
