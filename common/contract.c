/*
 * See contract.h. Both sides of the contract: what a child adopts, and the few operations on the channel that the supervisor and its
 * children share; those on the page are in contract_rows.c.
 */
#include "common/contract.h"

#include "common/notify_socket.h"
#include "common/parse.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_LISTEN_FD = 3, LISTEN_FDS_MAX = 64 };

static const char *const state_names[] = {
    [CONTRACT_DOWN] = "down",       [CONTRACT_STARTING] = "starting", [CONTRACT_READY] = "ready",
    [CONTRACT_BACKOFF] = "backoff", [CONTRACT_STOPPING] = "stopping", [CONTRACT_DONE] = "done",
    [CONTRACT_FAILED] = "failed",
};
_Static_assert(sizeof state_names / sizeof *state_names == CONTRACT_STATE_COUNT, "a name for each state");

const char *contract_state_name(enum contract_state state)
{
    return (unsigned)state < CONTRACT_STATE_COUNT ? state_names[state] : "unknown";
}

/* A variable as a number from low to high, or -1. */
static int env_number(const char *name, int low, int high)
{
    const char *text = getenv(name);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno || *end || number < low || number > high ? -1 : (int)number;
}

/* sd_watchdog_enabled(3): meant for us where WATCHDOG_PID is us, or not set. */
static int64_t watchdog_ms(void)
{
    int64_t usec;
    char why[PARSE_WHY_BYTES];
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!text || parse_integer(text, 2000, INT64_MAX, &usec, why) < 0 ||
        (pid && env_number("WATCHDOG_PID", 1, INT_MAX) != (int)sys_getpid()))
        return 0;
    return usec / 1000;
}

static void forget_variables(void)
{
    static const char *const names[] = {CONTRACT_ENV_CHANNEL, CONTRACT_ENV_PAGE, CONTRACT_ENV_LINE, CONTRACT_ENV_KEPT,
                                        CONTRACT_ENV_LEAVING, "LISTEN_FDS",      "LISTEN_PID",      "LISTEN_FDNAMES",
                                        "NOTIFY_SOCKET",      "WATCHDOG_USEC",   "WATCHDOG_PID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
}

static int adopt_page(struct contract *c, int page_fd)
{
    size_t bytes_n = 0;
    void *at = NULL;
    int line = env_number(CONTRACT_ENV_LINE, 0, CONTRACT_LINES - 1);
    int error = sys_file_size(page_fd, &bytes_n);
    if (!error && bytes_n < sizeof(struct contract_page))
        error = -EPROTO;
    if (!error)
        error = sys_map_shared(page_fd, sizeof(struct contract_page), &at);
    if (error)
        return error;
    c->page = at;
    if (c->page->version != CONTRACT_VERSION || line < 0) {
        sys_unmap(c->page, sizeof *c->page);
        c->page = NULL;
        return -EPROTO;
    }
    c->line = &c->page->lines[line];
    atomic_store(&c->line->pid, (int32_t)sys_getpid());
    return 0;
}

/* 0, -EBADF or -ENOTSOCK; close-on-exec from here on. */
static int check_socket(int fd)
{
    struct sockaddr_storage name;
    socklen_t name_n;
    int error = sys_socket_name(fd, &name, &name_n);
    return error ? error : sys_set_cloexec(fd, 1);
}

/* sd_listen_fds(3): the descriptors are ours only where LISTEN_PID is us. */
static int adopt_listeners(struct contract *c)
{
    int listen_pid = env_number("LISTEN_PID", 1, INT_MAX);
    int fds_n = env_number("LISTEN_FDS", 0, LISTEN_FDS_MAX);
    if (fds_n <= 0 || listen_pid != (int)sys_getpid())
        return 0;
    for (int fd = FIRST_LISTEN_FD; fd < FIRST_LISTEN_FD + fds_n; fd++) {
        int error = check_socket(fd);
        if (!error)
            error = sys_set_nonblock(fd);
        if (error < 0)
            return error;
    }
    c->listen_fds_n = fds_n;
    return 0;
}

/* FIRST:COUNT, two digits each. */
static int adopt_leaving(struct contract *c)
{
    const char *text = getenv(CONTRACT_ENV_LEAVING);
    int first, fds_n, end = 0, error = 0;
    if (!text || sscanf(text, "%2d:%2d%n", &first, &fds_n, &end) != 2 || text[end] || first < FIRST_LISTEN_FD || fds_n < 0)
        return 0;
    for (int fd = first; fd < first + fds_n && error >= 0; fd++) {
        error = check_socket(fd);
        error = error ? error : sys_set_nonblock(fd);
    }
    c->leaving_fds_first = first;
    c->leaving_fds_n = error < 0 ? 0 : fds_n;
    return error;
}

static int adopt_kept(struct contract *c)
{
    int fd = env_number(CONTRACT_ENV_KEPT, FIRST_LISTEN_FD, INT_MAX - 1), error = 0;
    for (int i = 0; i < 2 && fd >= 0 && !error; i++) {
        error = check_socket(fd + i);
        if (!error)
            c->kept_fds[i] = fd + i;
    }
    return error;
}

#define CONTRACT_NONE (struct contract){.channel_fd = -1, .kept_fds = {-1, -1}}

int contract_adopt(struct contract *c)
{
    *c = CONTRACT_NONE;
    int error = adopt_listeners(c);
    error = error < 0 ? error : adopt_leaving(c);
    error = error < 0 ? error : adopt_kept(c);
    int page_fd = env_number(CONTRACT_ENV_PAGE, 3, INT_MAX);
    int channel_fd = env_number(CONTRACT_ENV_CHANNEL, 3, INT_MAX);
    const char *notify_path = getenv("NOTIFY_SOCKET");
    if (!error && notify_path) {
        c->notify_path = strdup(notify_path);
        error = c->notify_path ? 0 : -ENOMEM;
    }
    c->watchdog_ms = watchdog_ms();
    if (!error && page_fd >= 0) {
        error = adopt_page(c, page_fd);
        sys_close(page_fd);
    }
    if (!error && channel_fd >= 0) {
        error = check_socket(channel_fd);
        c->channel_fd = error ? -1 : channel_fd;
    }
    forget_variables();
    if (error < 0)
        contract_release(c);
    return error < 0 ? error : 0;
}

void contract_release(struct contract *c)
{
    if (c->page)
        sys_unmap(c->page, sizeof *c->page);
    sys_close(c->channel_fd);
    sys_close(c->kept_fds[0]);
    sys_close(c->kept_fds[1]);
    free(c->notify_path);
    *c = CONTRACT_NONE;
}

int contract_notify(const struct contract *c, const char *state)
{
    return c->notify_path ? notify_socket_send(c->notify_path, state) : 0;
}

/* 0, or -EINVAL where it is too long. */
static int set_text(char *out, size_t out_n, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n >= out_n)
        return -EINVAL;
    memcpy(out, text ? text : "", n);
    return 0;
}

/* fd: -1 where none goes along. */
static int send_message(int channel_fd, struct contract_message *m, int fd)
{
    if (channel_fd < 0)
        return -EPIPE;
    ssize_t n = fd < 0 ? sys_send(channel_fd, m, sizeof *m, MSG_DONTWAIT) : sys_send_with_fd(channel_fd, m, sizeof *m, fd);
    return n < 0 ? (n == -ECONNRESET || n == -ENOTCONN ? -EPIPE : (int)n) : 0;
}

int contract_send_detail(int channel_fd, enum contract_kind kind, uint32_t value, const char *name, const char *detail)
{
    struct contract_message m = {.version = CONTRACT_VERSION, .kind = (uint16_t)kind, .value = value};
    int error = set_text(m.name, sizeof m.name, name);
    error = error ? error : set_text(m.detail, sizeof m.detail, detail);
    return error ? error : send_message(channel_fd, &m, -1);
}

int contract_send(int channel_fd, enum contract_kind kind, uint32_t value, const char *name)
{
    return contract_send_detail(channel_fd, kind, value, name, NULL);
}

int contract_send_fd(int channel_fd, enum contract_kind kind, int fd)
{
    struct contract_message m = {.version = CONTRACT_VERSION, .kind = (uint16_t)kind};
    return fd < 0 ? -EBADF : send_message(channel_fd, &m, fd);
}

/* 1 for a message of ours, with ends to its texts; else what contract_receive says. bytes_n: what recv(2) said. */
static int take_message(const char *bytes, ssize_t bytes_n, struct contract_message *m)
{
    if (bytes_n == -EAGAIN)
        return 0;
    if (bytes_n == 0 || bytes_n == -ECONNRESET)
        return -EPIPE;
    if (bytes_n < 0)
        return (int)bytes_n;
    if (bytes_n != (ssize_t)sizeof *m)
        return -EPROTO;
    memcpy(m, bytes, sizeof *m);
    m->name[sizeof m->name - 1] = '\0';
    m->detail[sizeof m->detail - 1] = '\0';
    return m->version == CONTRACT_VERSION ? 1 : -EPROTO;
}

int contract_receive(int channel_fd, struct contract_message *m)
{
    char bytes[sizeof *m + 1]; /* one more, to notice a message that is too long */
    return take_message(bytes, sys_recv(channel_fd, bytes, sizeof bytes, MSG_DONTWAIT), m);
}

int contract_receive_fd(int channel_fd, struct contract_message *m, int *fd)
{
    char bytes[sizeof *m + 1];
    *fd = -1;
    int got = take_message(bytes, sys_recv_with_fd(channel_fd, bytes, sizeof bytes, fd), m);
    if (got != 1) {
        sys_close(*fd);
        *fd = -1;
    }
    return got;
}

int64_t contract_stall_interval_ms(int64_t limit_ms)
{
    enum { LOOKS = 8, LOOK_MIN_MS = 100, LOOK_MAX_MS = 30000 };
    int64_t interval_ms = limit_ms / LOOKS;
    return interval_ms < LOOK_MIN_MS ? LOOK_MIN_MS : interval_ms > LOOK_MAX_MS ? LOOK_MAX_MS : interval_ms;
}
