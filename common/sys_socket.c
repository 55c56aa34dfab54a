/* The kernel's door, sockets. See sys.h and sys.c. */
#include "common/sys.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int result(int value)
{
    return value < 0 ? -errno : value;
}

static ssize_t result_n(ssize_t value)
{
    return value < 0 ? -errno : value;
}

int sys_socket(int family, int type, int protocol)
{
    return result(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int sys_socketpair(int family, int type, int fds[2])
{
    return result(socketpair(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
}

int sys_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return result(bind(fd, address, length));
}

int sys_listen(int fd, int backlog)
{
    return result(listen(fd, backlog));
}

int sys_accept(int fd, struct sockaddr_storage *peer, socklen_t *length)
{
    int client;
    *length = sizeof *peer;
    do
        client = accept4(fd, (struct sockaddr *)peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (client < 0 && errno == EINTR);
    return result(client);
}

int sys_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int r;
    do
        r = connect(fd, address, length);
    while (r < 0 && errno == EINTR);
    return result(r);
}

int sys_setsockopt_int(int fd, int level, int name, int value)
{
    return result(setsockopt(fd, level, name, &value, sizeof value));
}

int sys_socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    return -error;
}

int sys_socket_name(int fd, struct sockaddr_storage *address, socklen_t *length)
{
    *length = sizeof *address;
    return result(getsockname(fd, (struct sockaddr *)address, length));
}

int sys_shutdown_write(int fd)
{
    return result(shutdown(fd, SHUT_WR));
}

int sys_unsent_bytes(int fd)
{
    int bytes_n = 0;
    return ioctl(fd, SIOCOUTQ, &bytes_n) < 0 ? -errno : bytes_n;
}

int sys_reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    return result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now));
}

int sys_listen_no_more(int fd)
{
    /* The socket's filter sees TCP's header first: flags at byte 13. SYN without ACK begins a connection. RFC 9293 section 3.1 */
    enum { FLAGS_AT = 13, SYN = 0x02, SYN_AND_ACK = 0x12 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN_AND_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return result(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

int sys_listen_again(int fd)
{
    int unused = 0, error = result(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused));
    return error == -ENOENT ? 0 : error; /* there was none */
}

int sys_peer_name(int fd, struct sockaddr_storage *address, socklen_t *length)
{
    *length = sizeof *address;
    return result(getpeername(fd, (struct sockaddr *)address, length));
}

ssize_t sys_recv(int fd, void *bytes, size_t bytes_n, int flags)
{
    ssize_t n;
    do
        n = recv(fd, bytes, bytes_n, flags);
    while (n < 0 && errno == EINTR);
    return result_n(n);
}

ssize_t sys_send(int fd, const void *bytes, size_t bytes_n, int flags)
{
    ssize_t n;
    do
        n = send(fd, bytes, bytes_n, flags | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return result_n(n);
}

ssize_t sys_send_parts(int fd, const struct iovec *parts, int parts_n)
{
    enum { GATHER_BYTES = 1024 };
    char whole[GATHER_BYTES];
    size_t whole_n = 0;
    if (parts_n == 1)
        return sys_send(fd, parts->iov_base, parts->iov_len, 0);
    for (int i = 0; i < parts_n; i++) {
        if (parts[i].iov_len > sizeof whole - whole_n)
            return sys_writev(fd, parts, parts_n);
        memcpy(whole + whole_n, parts[i].iov_base, parts[i].iov_len);
        whole_n += parts[i].iov_len;
    }
    return sys_send(fd, whole, whole_n, 0);
}

ssize_t sys_sendto(int fd, const void *bytes, size_t bytes_n, const struct sockaddr *to,
                   socklen_t to_length)
{
    ssize_t n;
    do
        n = sendto(fd, bytes, bytes_n, MSG_NOSIGNAL, to, to_length);
    while (n < 0 && errno == EINTR);
    return result_n(n);
}

ssize_t sys_recv_with_pid(int fd, void *bytes, size_t bytes_n, pid_t *pid)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {bytes, bytes_n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    *pid = 0;
    ssize_t n;
    do
        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred who;
            memcpy(&who, CMSG_DATA(c), sizeof who);
            *pid = who.pid;
        } else if (c->cmsg_type == SCM_RIGHTS) { /* nobody may push descriptors at us */
            size_t fds_n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < fds_n; i++) {
                int stray_fd;
                memcpy(&stray_fd, CMSG_DATA(c) + i * sizeof(int), sizeof stray_fd);
                close(stray_fd);
            }
        }
    }
    return n;
}

ssize_t sys_send_with_fd(int socket_fd, const void *bytes, size_t bytes_n, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec part = {(void *)(uintptr_t)bytes, bytes_n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    ssize_t n;
    do
        n = sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int sys_send_fd(int socket_fd, int fd)
{
    ssize_t n = sys_send_with_fd(socket_fd, "", 1, fd);
    return n < 0 ? (int)n : 0;
}

ssize_t sys_recv_with_fd(int socket_fd, void *bytes, size_t bytes_n, int *fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {bytes, bytes_n};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    ssize_t n;
    *fd = -1;
    do
        n = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message); /* there is room for one: the kernel closes what is more */
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return n;
}

int sys_recv_fd(int socket_fd)
{
    char byte;
    int fd;
    ssize_t n = sys_recv_with_fd(socket_fd, &byte, 1, &fd);
    if (n <= 0)
        return n < 0 ? (int)n : -EPIPE;
    return fd < 0 ? -EPROTO : fd;
}
