/* See doors.h. It knows sockets, and nothing of the proxy but what it is told. */
#include "supervisor/doors.h"

#include "common/listen.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add(struct door_list *list, const struct address *a, int fd)
{
    list->addresses[list->n] = *a;
    list->fds[list->n++] = fd;
}

/* "localhost" is 127.0.0.1. */
static int is_same(const struct address *a, const struct address *b)
{
    struct sockaddr_storage left = {0}, right = {0};
    socklen_t left_n, right_n;
    return address_to_sockaddr(a, &left, &left_n) == 0 && address_to_sockaddr(b, &right, &right_n) == 0 &&
           left_n == right_n && memcmp(&left, &right, left_n) == 0;
}

/* Its place in the list, or the list's end. */
static size_t find(const struct door_list *list, const struct address *a)
{
    size_t i = 0;
    while (i < list->n && !is_same(&list->addresses[i], a))
        i++;
    return i;
}

static int has_fd(const struct door_list *list, int fd)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->fds[i] == fd)
            return 1;
    return 0;
}

static void take_out(struct door_list *list, size_t at)
{
    list->n--;
    for (size_t i = at; i < list->n; i++) {
        list->fds[i] = list->fds[i + 1];
        list->addresses[i] = list->addresses[i + 1];
    }
}

static void tell_listening(const struct address *a)
{
    char text[ADDRESS_TEXT_BYTES];
    address_text(a, text);
    log_event(LOG_DEBUG, "listening", "address=%s", text); /* the proxy says so when it takes who comes */
}

static void tell_leaving(const struct address *a, int is_closed)
{
    char text[ADDRESS_TEXT_BYTES];
    address_text(a, text);
    if (is_closed)
        log_event(LOG_INFO, "listener_closed", "address=%s", text);
    else
        log_event(LOG_INFO, "listener_leaves", "address=%s", text);
}

static void close_leaving(struct doors *d, size_t at)
{
    sys_close(d->leaving.fds[at]);
    tell_leaving(&d->leaving.addresses[at], 1);
    take_out(&d->leaving, at);
}

static void close_all_leaving(struct doors *d)
{
    loop_disarm(d->loop, &d->timer);
    if (d->leaving.n == 0)
        return;
    while (d->leaving.n > 0)
        close_leaving(d, d->leaving.n - 1);
    d->left(d->context);
}

static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    close_all_leaving(context);
}

void doors_init(struct doors *d, struct loop *loop, void (*left)(void *context), void *context)
{
    *d = (struct doors){.loop = loop, .left = left, .context = context, .kept_fds = {-1, -1}};
    timer_init(&d->timer, on_timer, d);
    if (sys_socketpair(AF_UNIX, SOCK_SEQPACKET, d->kept_fds) < 0)
        d->kept_fds[0] = d->kept_fds[1] = -1; /* an old proxy closes them then, as if there were no other */
}

void doors_fini(struct doors *d)
{
    if (!d->loop)
        return;
    loop_disarm(d->loop, &d->timer);
    for (size_t i = 0; i < d->open.n; i++)
        sys_close(d->open.fds[i]);
    for (size_t i = 0; i < d->leaving.n; i++)
        sys_close(d->leaving.fds[i]);
    d->open.n = d->leaving.n = 0;
    sys_close(d->kept_fds[0]);
    sys_close(d->kept_fds[1]);
}

int doors_open(struct doors *d, const struct address *a, char *why)
{
    int fd = listen_open(a, LISTEN_BACKLOG, why, LISTEN_WHY_BYTES);
    if (fd < 0)
        return fd;
    add(&d->open, a, fd);
    tell_listening(a);
    return 0;
}

/* SO_REUSEPORT on what goes, all that next has not (NULL: nothing stays), and has this port: the kernel lets 0.0.0.0:P and
 * 127.0.0.1:P listen side by side only where both sockets say so. Who is bound to the narrower address has the connections until
 * it is closed. */
static void share(const struct door_list *list, const struct door_list *next, uint16_t port, int is_shared, size_t *shared_n)
{
    for (size_t i = 0; i < list->n; i++)
        if ((port == 0 || list->addresses[i].port == port) && (!next || !has_fd(next, list->fds[i])))
            *shared_n += sys_setsockopt_int(list->fds[i], SOL_SOCKET, SO_REUSEPORT, is_shared) == 0;
}

/* Other programs of our user are not to bind there beside us. */
static void unshare(struct doors *d, struct doors_plan *plan)
{
    size_t unused;
    if (plan->shared_n == 0)
        return;
    share(&d->open, NULL, 0, 0, &unused);
    share(&d->leaving, NULL, 0, 0, &unused);
    share(&plan->next, NULL, 0, 0, &unused);
    plan->shared_n = 0;
}

static int bind_new(struct doors *d, const struct address *a, const struct door_list *stay, struct doors_plan *plan, char *why)
{
    int fd = listen_bind(a, 0, why, LISTEN_WHY_BYTES);
    if (fd != -EADDRINUSE)
        return fd;
    size_t before_n = plan->shared_n;
    share(&d->open, stay, a->port, 1, &plan->shared_n);
    share(&d->leaving, stay, a->port, 1, &plan->shared_n);
    return plan->shared_n > before_n ? listen_bind(a, 1, why, LISTEN_WHY_BYTES) : fd;
}

/* Those of ours that are in the list stay as they are, with who waits there; one that was leaving comes back. */
static int find_ours(const struct doors *d, const struct address *a)
{
    size_t at = find(&d->open, a);
    if (at < d->open.n)
        return d->open.fds[at];
    at = find(&d->leaving, a);
    return at < d->leaving.n ? d->leaving.fds[at] : -1;
}

int doors_plan(struct doors *d, const struct address *list, size_t list_n, struct doors_plan *plan, char *why)
{
    struct door_list stay = {.n = 0};
    size_t leaving_n = d->open.n + d->leaving.n;
    *plan = (struct doors_plan){.shared_n = 0};
    for (size_t i = 0; i < list_n; i++) {
        int fd = find_ours(d, &list[i]);
        if (fd >= 0)
            add(&stay, &list[i], fd);
    }
    if (leaving_n - stay.n > CONF_LISTEN_MAX) {
        snprintf(why, LISTEN_WHY_BYTES, "%zu listeners of earlier reloads have not left yet: try again when the proxy is ready", d->leaving.n);
        return -EBUSY;
    }
    for (size_t i = 0; i < list_n; i++) {
        int fd = find_ours(d, &list[i]), is_new = fd < 0;
        if (is_new)
            fd = bind_new(d, &list[i], &stay, plan, why);
        if (!is_new && has_fd(&plan->next, fd)) {
            fd = -EINVAL;
            snprintf(why, LISTEN_WHY_BYTES, "%.255s:%d: the same listener stands twice", list[i].host, list[i].port);
        }
        if (fd < 0) {
            doors_plan_drop(d, plan);
            return fd;
        }
        plan->is_new[plan->next.n] = is_new;
        add(&plan->next, &list[i], fd);
    }
    return 0;
}

int doors_plan_listen(struct doors *d, struct doors_plan *plan, char *why)
{
    int error = 0;
    char text[ADDRESS_TEXT_BYTES];
    for (size_t i = 0; i < plan->next.n && error >= 0; i++) {
        if (plan->is_new[i])
            error = sys_listen(plan->next.fds[i], LISTEN_BACKLOG);
        else if (has_fd(&d->leaving, plan->next.fds[i]))
            error = sys_listen_again(plan->next.fds[i]);
        address_text(&plan->next.addresses[i], text);
    }
    if (error >= 0)
        return 0;
    snprintf(why, LISTEN_WHY_BYTES, "%s: %s", text, strerror(-error));
    return error;
}

void doors_plan_drop(struct doors *d, struct doors_plan *plan)
{
    unshare(d, plan);
    for (size_t i = 0; i < plan->next.n; i++)
        if (plan->is_new[i])
            sys_close(plan->next.fds[i]);
    plan->next.n = 0;
}

void doors_commit(struct doors *d, struct doors_plan *plan)
{
    struct door_list old = d->open;
    int has_more = 0;
    unshare(d, plan);
    for (size_t i = d->leaving.n; i > 0; i--) /* those that come back */
        if (has_fd(&plan->next, d->leaving.fds[i - 1]))
            take_out(&d->leaving, i - 1);
    for (size_t i = 0; i < old.n; i++) {
        if (has_fd(&plan->next, old.fds[i]))
            continue;
        add(&d->leaving, &old.addresses[i], old.fds[i]);
        tell_leaving(&old.addresses[i], 0);
        has_more = 1;
    }
    for (size_t i = 0; i < plan->next.n; i++)
        if (!has_fd(&old, plan->next.fds[i]))
            tell_listening(&plan->next.addresses[i]);
    d->open = plan->next;
    if (has_more) /* they have not been served yet */
        loop_disarm(d->loop, &d->timer);
}

void doors_are_given(struct doors *d)
{
    if (timer_is_armed(&d->timer))
        loop_disarm(d->loop, &d->timer);
}

void doors_are_served(struct doors *d)
{
    if (d->leaving.n == 0)
        return;
    for (size_t i = d->leaving.n; i > 0; i--)
        if (sys_listen_no_more(d->leaving.fds[i - 1]) < 0)
            close_leaving(d, i - 1); /* then the proxy's copy is the last, and it looks who waits before it closes that */
    if (d->leaving.n == 0)
        d->left(d->context);
    else if (!timer_is_armed(&d->timer))
        loop_arm(d->loop, &d->timer, loop_now_ms(d->loop) + DOORS_LEAVE_MS);
}

void doors_are_forsaken(struct doors *d)
{
    int fd;
    close_all_leaving(d);
    while (d->kept_fds[0] >= 0 && (fd = sys_recv_fd(d->kept_fds[0])) >= 0)
        sys_close(fd);
}

static int is_any(const struct sockaddr_storage *s)
{
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)s;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
    return s->ss_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) : in4->sin_addr.s_addr == htonl(INADDR_ANY);
}

static int is_in_the_way(const struct address *ours, const struct address *a)
{
    struct sockaddr_storage left, right;
    socklen_t left_n, right_n;
    if (ours->port != a->port || address_to_sockaddr(ours, &left, &left_n) < 0 || address_to_sockaddr(a, &right, &right_n) < 0)
        return 0;
    return is_any(&left) || is_any(&right) || is_same(ours, a);
}

int doors_hold(const struct doors *d, const struct address *a)
{
    for (size_t i = 0; i < d->leaving.n; i++)
        if (is_in_the_way(&d->leaving.addresses[i], a))
            return 1;
    return 0;
}

void doors_make_way(struct doors *d, const struct address *a)
{
    for (size_t i = d->leaving.n; i > 0; i--)
        if (is_in_the_way(&d->leaving.addresses[i - 1], a))
            close_leaving(d, i - 1);
}

int doors_shut(struct doors *d)
{
    int error = 0;
    for (size_t i = 0; i < d->open.n && error >= 0; i++)
        error = sys_listen_no_more(d->open.fds[i]);
    if (error < 0)
        doors_open_again(d);
    return error < 0 ? error : 0;
}

void doors_open_again(struct doors *d)
{
    for (size_t i = 0; i < d->open.n; i++) {
        int error = sys_listen_again(d->open.fds[i]);
        char text[ADDRESS_TEXT_BYTES];
        if (error >= 0)
            continue;
        address_text(&d->open.addresses[i], text);
        log_event(LOG_ERROR, "door_stuck", "address=%s error=\"%s\" hint=\"nobody is let in there any more: restart ollama-supervisor\"", text, strerror(-error));
    }
}

int doors_are_asked(const struct doors *d)
{
    struct pollfd fds[2 * CONF_LISTEN_MAX + 1];
    size_t n = 0;
    for (size_t i = 0; i < d->open.n; i++)
        fds[n++] = (struct pollfd){.fd = d->open.fds[i], .events = POLLIN};
    for (size_t i = 0; i < d->leaving.n; i++)
        fds[n++] = (struct pollfd){.fd = d->leaving.fds[i], .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = d->kept_fds[0], .events = POLLIN}; /* -1: not looked at */
    return sys_poll(fds, n, 0) != 0;
}
