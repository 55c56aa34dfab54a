/*
 * See contract.h. Both sides of the contract: what a child adopts, and the few operations on the page and
 * the channel that the supervisor and its children share.
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

int contract_send(int channel_fd, enum contract_kind kind, uint32_t value, const char *name)
{
    struct contract_message m = {.version = CONTRACT_VERSION, .kind = (uint16_t)kind, .value = value};
    if (channel_fd < 0)
        return -EPIPE;
    if (name) {
        if (strlen(name) >= sizeof m.name)
            return -EINVAL;
        memcpy(m.name, name, strlen(name));
    }
    ssize_t n = sys_send(channel_fd, &m, sizeof m, MSG_DONTWAIT);
    return n < 0 ? (n == -ECONNRESET || n == -ENOTCONN ? -EPIPE : (int)n) : 0;
}

int contract_receive(int channel_fd, struct contract_message *m)
{
    char bytes[sizeof *m + 1]; /* one more, to notice a message that is too long */
    ssize_t n = sys_recv(channel_fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == -EAGAIN)
        return 0;
    if (n == 0 || n == -ECONNRESET)
        return -EPIPE;
    if (n < 0)
        return (int)n;
    if (n != (ssize_t)sizeof *m)
        return -EPROTO;
    memcpy(m, bytes, sizeof *m);
    m->name[sizeof m->name - 1] = '\0';
    return m->version == CONTRACT_VERSION ? 1 : -EPROTO;
}

static void copy_text(char *out, size_t out_n, const char *text)
{
    size_t n = text ? strnlen(text, out_n - 1) : 0;
    memcpy(out, text ? text : "", n);
    memset(out + n, 0, out_n - n);
}

/* A seqlock with one writer. A writer that died in the middle left an odd number: the next one starts from there. */
static uint32_t write_begin(_Atomic uint32_t *sequence)
{
    uint32_t odd = atomic_load(sequence) | 1;
    atomic_store(sequence, odd);
    atomic_thread_fence(memory_order_release);
    return odd;
}

static void write_end(_Atomic uint32_t *sequence, uint32_t odd)
{
    atomic_store(sequence, odd + 1);
}

void contract_model_write(struct contract_model *row, enum contract_model_state state, const char *name,
                          const char *reason)
{
    uint32_t odd = write_begin(&row->sequence);
    copy_text(row->name, sizeof row->name, name);
    copy_text(row->reason, sizeof row->reason, reason);
    atomic_store(&row->state, (uint32_t)state);
    write_end(&row->sequence, odd);
}

enum { READ_TRIES = 100 }; /* a writer that died in the middle must not hold a reader */

void contract_model_read(const struct contract_model *row, struct contract_model_view *view)
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&row->sequence);
        uint32_t state = atomic_load(&row->state);
        view->state = state <= CONTRACT_MODEL_FAILED ? (enum contract_model_state)state : CONTRACT_MODEL_EMPTY;
        view->completed_bytes = atomic_load(&row->completed_bytes);
        view->total_bytes = atomic_load(&row->total_bytes);
        memcpy(view->name, row->name, sizeof view->name);
        memcpy(view->reason, row->reason, sizeof view->reason);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&row->sequence) == before)
            break;
    }
    view->name[sizeof view->name - 1] = '\0';
    view->reason[sizeof view->reason - 1] = '\0';
}

void contract_program_reason(struct contract_program *p, const char *reason)
{
    uint32_t odd = write_begin(&p->sequence);
    copy_text(p->reason, sizeof p->reason, reason);
    write_end(&p->sequence, odd);
}

void contract_program_read_reason(const struct contract_program *p, char reason[CONTRACT_REASON_BYTES])
{
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&p->sequence);
        memcpy(reason, p->reason, CONTRACT_REASON_BYTES);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&p->sequence) == before)
            break;
    }
    reason[CONTRACT_REASON_BYTES - 1] = '\0';
}

void contract_trouble_write(struct contract_trouble *t, const char *text, int64_t at_ms)
{
    uint32_t odd = write_begin(&t->sequence);
    copy_text(t->text, sizeof t->text, text);
    atomic_store(&t->at_ms, at_ms);
    write_end(&t->sequence, odd);
}

void contract_trouble_read(const struct contract_trouble *t, int64_t since_ms, char text[CONTRACT_REASON_BYTES])
{
    int64_t at_ms = 0;
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load(&t->sequence);
        at_ms = atomic_load(&t->at_ms);
        memcpy(text, t->text, CONTRACT_REASON_BYTES);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && atomic_load(&t->sequence) == before)
            break;
    }
    text[at_ms <= 0 || at_ms < since_ms ? 0 : CONTRACT_REASON_BYTES - 1] = '\0';
}

const struct contract_program *contract_find_program(const struct contract_page *page, const char *name)
{
    for (size_t i = 0; i < CONTRACT_PROGRAMS; i++)
        if (strncmp(page->programs[i].name, name, sizeof page->programs[i].name) == 0)
            return &page->programs[i];
    return NULL;
}

int64_t contract_stall_interval_ms(int64_t limit_ms)
{
    enum { LOOKS = 8, LOOK_MIN_MS = 100, LOOK_MAX_MS = 30000 };
    int64_t interval_ms = limit_ms / LOOKS;
    return interval_ms < LOOK_MIN_MS ? LOOK_MIN_MS : interval_ms > LOOK_MAX_MS ? LOOK_MAX_MS : interval_ms;
}
