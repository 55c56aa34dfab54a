/*
 * See listen.h. Knows sockets and /proc/net/tcp, nothing of HTTP, and asks no resolver: a name other than
 * localhost is refused. The search for a port's holder reads only what /proc shows to anybody who may see
 * it; failing to find one is never an error of its own.
 */
#include "common/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROC_NET_LIMIT_BYTES = 8 << 20, COMMAND_LIMIT_BYTES = 4096, COMMAND_SHOWN_BYTES = 80, INODES_MAX = 8 };

struct holder_search {
    uint64_t inodes[INODES_MAX];
    size_t inodes_n;
    char fd_dir[64]; /* /proc/PID/fd */
    long pid;        /* 0 until found */
};

/* Lines look like `  0: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 …`;
 * 0A is LISTEN. proc(5) */
static void collect_inodes(struct holder_search *search, const char *path, uint16_t port)
{
    char *text;
    size_t text_n;
    if (sys_read_file(path, PROC_NET_LIMIT_BYTES, &text, &text_n) < 0)
        return;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned line_port, state;
        uint64_t inode;
        if (sscanf(line, " %*u: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%*4x %2x %*s %*s %*s %*u %*u %" SCNu64,
                   &line_port, &state, &inode) != 3)
            continue;
        if (line_port == port && state == 0x0a && search->inodes_n < INODES_MAX)
            search->inodes[search->inodes_n++] = inode;
    }
    free(text);
}

static int check_fd(void *context, const char *name)
{
    struct holder_search *search = context;
    char path[sizeof search->fd_dir + 32], target[64];
    if (snprintf(path, sizeof path, "%s/%.20s", search->fd_dir, name) >= (int)sizeof path)
        return 0;
    if (sys_readlink(path, target, sizeof target) < 0)
        return 0;
    uint64_t inode;
    if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
        return 0;
    for (size_t i = 0; i < search->inodes_n; i++)
        if (search->inodes[i] == inode)
            return 1;
    return 0;
}

static int check_process(void *context, const char *name)
{
    struct holder_search *search = context;
    char *end;
    long pid = strtol(name, &end, 10);
    if (*end != '\0' || pid <= 0)
        return 0;
    snprintf(search->fd_dir, sizeof search->fd_dir, "/proc/%ld/fd", pid);
    if (sys_each_entry(search->fd_dir, check_fd, search) != 1)
        return 0;
    search->pid = pid;
    return 1;
}

/* The command line on one line, without what a terminal would obey. */
static void describe_process(long pid, char *holder, size_t holder_n)
{
    char path[64], *text = NULL;
    size_t text_n = 0;
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    if (sys_read_file(path, COMMAND_LIMIT_BYTES, &text, &text_n) < 0 || text_n == 0) {
        free(text);
        snprintf(holder, holder_n, "pid %ld", pid);
        return;
    }
    while (text_n > 0 && text[text_n - 1] == '\0')
        text_n--;
    for (size_t i = 0; i < text_n; i++)
        if (text[i] == '\0')
            text[i] = ' ';
        else if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
    snprintf(holder, holder_n, "%.*s%s (pid %ld)", text_n > COMMAND_SHOWN_BYTES ? COMMAND_SHOWN_BYTES : (int)text_n,
             text, text_n > COMMAND_SHOWN_BYTES ? "…" : "", pid);
    free(text);
}

int listen_find_holder(uint16_t port, char *holder, size_t holder_n)
{
    struct holder_search search = {0};
    collect_inodes(&search, "/proc/net/tcp", port);
    collect_inodes(&search, "/proc/net/tcp6", port);
    if (search.inodes_n == 0 || sys_each_entry("/proc", check_process, &search) != 1)
        return -ENOENT;
    describe_process(search.pid, holder, holder_n);
    return 0;
}

static int bind_at(const struct sockaddr_storage *at, socklen_t at_n, int is_shared)
{
    int fd = sys_socket(at->ss_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    int error = sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!error && is_shared)
        error = sys_setsockopt_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (!error && at->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)at;
        int is_any = IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
        error = sys_setsockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, !is_any);
    }
    if (!error)
        error = sys_bind(fd, (const struct sockaddr *)at, at_n);
    if (error < 0) {
        sys_close(fd);
        return error;
    }
    return fd;
}

static int is_any_ipv6(const struct sockaddr_storage *at)
{
    return at->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)at)->sin6_addr);
}

static int is_without_ipv6(int error)
{
    return error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL || error == -EPROTONOSUPPORT;
}

static void explain(const struct address *a, int error, char *why, size_t why_n)
{
    char where[ADDRESS_TEXT_BYTES], holder[256];
    address_text(a, where);
    if (error == -EADDRINUSE && listen_find_holder(a->port, holder, sizeof holder) == 0)
        snprintf(why, why_n, "%s is in use by %s", where, holder);
    else if (error == -EADDRINUSE)
        snprintf(why, why_n, "%s is in use by another program", where);
    else if (error == -EACCES)
        snprintf(why, why_n, "%s: not permitted; ports below 1024 need the right to bind them", where);
    else if (error == -EADDRNOTAVAIL)
        snprintf(why, why_n, "%s: this machine has no such address", where);
    else
        snprintf(why, why_n, "%s: %s", where, strerror(-error));
}

int listen_bind(const struct address *a, int is_shared, char *why, size_t why_n)
{
    struct sockaddr_storage at;
    socklen_t at_n;
    if (address_to_sockaddr(a, &at, &at_n) < 0) {
        snprintf(why, why_n, "%.255s: listen on an IP address or localhost, not on another name", a->host);
        return -EINVAL;
    }
    int fd = bind_at(&at, at_n, is_shared);
    if (fd < 0 && is_any_ipv6(&at) && is_without_ipv6(fd)) {
        struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memset(&at, 0, sizeof at);
        memcpy(&at, &in4, sizeof in4);
        fd = bind_at(&at, sizeof in4, is_shared);
    }
    if (fd < 0)
        explain(a, fd, why, why_n);
    return fd;
}

int listen_open(const struct address *a, int backlog, char *why, size_t why_n)
{
    int fd = listen_bind(a, 0, why, why_n);
    int error = fd < 0 ? 0 : sys_listen(fd, backlog);
    if (error < 0) {
        explain(a, error, why, why_n);
        sys_close(fd);
    }
    return error < 0 ? error : fd;
}
