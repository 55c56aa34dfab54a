/* See notify_socket.h. A socket for each message: they are rare, and a reader may come again under the same path. */
#include "common/notify_socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

/* 0, or -EINVAL. */
static int name_of(const char *path, struct sockaddr_un *to, socklen_t *to_n)
{
    size_t path_n = strlen(path);
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((path[0] != '/' && path[0] != '@') || path_n < 2 || path_n >= sizeof to->sun_path)
        return -EINVAL;
    memcpy(to->sun_path, path, path_n);
    if (path[0] == '@')
        to->sun_path[0] = '\0';
    *to_n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_n);
    return 0;
}

int notify_socket_send(const char *path, const char *text)
{
    struct sockaddr_un to;
    socklen_t to_n;
    int error = name_of(path, &to, &to_n);
    if (error)
        return error;
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0); /* non-blocking, as all of ours */
    if (fd < 0)
        return fd;
    ssize_t n = sys_sendto(fd, text, strlen(text), (const struct sockaddr *)&to, to_n);
    sys_close(fd);
    return n < 0 ? (int)n : 0;
}

int notify_socket_has_room(const char *path)
{
    struct sockaddr_un to;
    socklen_t to_n;
    int error = name_of(path, &to, &to_n);
    if (error)
        return error;
    int fd = sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return fd;
    error = sys_connect(fd, (const struct sockaddr *)&to, to_n);
    if (!error) { /* a connected datagram socket is writable while its peer's queue has room */
        struct pollfd out = {.fd = fd, .events = POLLOUT};
        int ready_n = sys_poll(&out, 1, 0);
        error = ready_n < 0 ? ready_n : ready_n > 0 && (out.revents & POLLOUT) ? 0 : -EAGAIN;
    }
    sys_close(fd);
    return error;
}
