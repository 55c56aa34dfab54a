/* See port.h. The kernel chooses: bind(2) with port 0, ip(7). */
#include "supervisor/instances/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { TRIES = 16 };

/* The port, or -errno. */
static int any_free(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage name;
    socklen_t name_n = sizeof name;
    int fd = sys_socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    int error = sys_bind(fd, (const struct sockaddr *)&address, sizeof address);
    if (!error)
        error = sys_socket_name(fd, &name, &name_n);
    sys_close(fd);
    if (error < 0)
        return error;
    memcpy(&address, &name, sizeof address);
    return ntohs(address.sin_port);
}

int port_choose(int (*is_spoken_for)(void *context, uint16_t port), void *context)
{
    int port = -EADDRINUSE;
    for (int i = 0; i < TRIES; i++) {
        port = any_free();
        if (port < 0 || !is_spoken_for(context, (uint16_t)port))
            return port;
    }
    return -EADDRINUSE;
}

/* errno's words, in Python's and libuv's spelling, too; and llama-server's own. */
int port_is_taken_said(const char *words)
{
    static const char *const signs[] = {"address already in use", "eaddrinuse", "errno 98]", "couldn't bind", "port is already in use"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strcasestr(words, signs[i]))
            return 1;
    return 0;
}
