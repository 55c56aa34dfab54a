/*
 * See control.h. A client says one line, gets its answer and is closed; one that dawdles is closed after some seconds. One that
 * follows the programs' lines stays. It reads from the ring at its own pace, with no more than a piece of text of its own: who
 * is too slow finds that lines are gone.
 */
#include "supervisor/control.h"

#include "common/folders.h"
#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { CLIENT_LIMIT_MS = 10000, REPLY_LIMIT_BYTES = 1 << 20, BACKLOG = 16, REST_MS = 200, PIECES_A_TURN = 4, GROWN_MS = 20 };

static void close_client(struct control_client *c)
{
    if (c->fd < 0)
        return;
    loop_remove(c->control->loop, c->fd);
    loop_disarm(c->control->loop, &c->timer);
    sys_close(c->fd);
    c->fd = -1;
    buf_release(&c->reply);
    c->control->followers_n -= (unsigned)c->tail.is_following;
    c->tail = (struct tail){0};
    c->is_in_pieces = 0;
}

static void client_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    close_client(context);
}

/* Adds the next piece to a reply that was sent. TAIL_END where there is none, ever. */
static int next_piece(struct control_client *c)
{
    if (!c->is_in_pieces)
        return TAIL_END;
    int left = tail_write(&c->tail, c->control->ring, &c->reply);
    if (left == TAIL_MORE || left == TAIL_WAIT)
        return left;
    c->is_in_pieces = 0;
    return buf_size(&c->reply) > 0 ? TAIL_MORE : TAIL_END;
}

static void write_reply(struct control_client *c)
{
    for (int i = 0; i < PIECES_A_TURN; i++) {
        int left = buf_size(&c->reply) > 0 ? TAIL_MORE : next_piece(c);
        if (left == TAIL_END) {
            close_client(c);
            return;
        }
        if (buf_size(&c->reply) == 0) {
            loop_set_events(c->control->loop, c->fd, POLLIN); /* until there are lines, or the client leaves */
            return;
        }
        ssize_t n = sys_send(c->fd, buf_data(&c->reply), buf_size(&c->reply), MSG_DONTWAIT); /* a proxy's may be made to block, by that */
        if (n < 0 && n != -EAGAIN) {
            close_client(c);
            return;
        }
        if (n > 0)
            buf_consume(&c->reply, (size_t)n);
        if (buf_size(&c->reply) > 0)
            break;
    }
    if (buf_size(&c->reply) == 0 && !c->is_in_pieces)
        close_client(c);
    else
        loop_set_events(c->control->loop, c->fd, c->tail.is_following ? POLLIN | POLLOUT : POLLOUT);
}

/* The rest of the line is what tail_parse takes; the command has found it good. */
static void begin_tail(struct control_client *c)
{
    char why[TAIL_WHY_BYTES];
    long lines_n = 0;
    if (!c->control->ring || tail_parse(&c->tail, c->line + strcspn(c->line, " "), &lines_n, why) < 0)
        return; /* the client is closed after what the command said */
    tail_begin(&c->tail, c->control->ring, lines_n);
    c->is_in_pieces = 1;
    if (c->tail.is_following) {
        loop_disarm(c->control->loop, &c->timer);
        c->control->followers_n++;
    }
}

static void answer(struct control_client *c)
{
    int error = c->control->command(c->control->context, c->who, c->line, &c->reply);
    int has_tail = error == CONTROL_TAIL;
    if (error >= 0)
        error = buf_text(&c->reply, "\n");
    if (error) {
        close_client(c);
        return;
    }
    if (has_tail)
        begin_tail(c);
    write_reply(c);
}

/* A follower has nothing more to say; but that it leaves is seen. */
static void read_nothing(struct control_client *c)
{
    char bytes[64];
    ssize_t n = sys_recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && n != -EAGAIN))
        close_client(c);
}

static void read_line(struct control_client *c)
{
    ssize_t n = sys_recv(c->fd, c->line + c->line_n, CONTROL_LINE_BYTES - 1 - c->line_n, MSG_DONTWAIT);
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
    } else if (c->line_n == CONTROL_LINE_BYTES - 1) {
        close_client(c);
    }
}

static void client_ready(void *context, short revents)
{
    struct control_client *c = context;
    if (c->tail.is_following && revents & POLLIN)
        read_nothing(c);
    if (c->fd < 0)
        return;
    if (revents & POLLOUT)
        write_reply(c);
    else if (c->tail.is_following && revents & POLLIN)
        return;
    else if (revents & POLLIN)
        read_line(c);
    else
        close_client(c);
}

static void tell_followers(void *context, int64_t now_ms)
{
    struct control *c = context;
    (void)now_ms;
    for (int i = 0; i < CONTROL_PLACES; i++) {
        struct control_client *client = &c->clients[i];
        if (client->fd >= 0 && client->tail.is_following && buf_size(&client->reply) == 0)
            write_reply(client);
    }
}

/* Not at once: a program that writes without end would have us write without end. */
void control_ring_grown(struct control *c)
{
    if (c->fd >= 0 && !timer_is_armed(&c->grown) && c->followers_n > 0)
        loop_arm(c->loop, &c->grown, loop_now_ms(c->loop) + GROWN_MS);
}

static struct control_client *free_client(struct control *c, enum control_who who)
{
    for (int i = 0; i < CONTROL_PLACES; i++)
        if (c->clients[i].who == who && c->clients[i].fd < 0)
            return &c->clients[i];
    return NULL;
}

/* 0 or -errno, and the descriptor is the caller's still. */
static int begin_client(struct control *c, struct control_client *client, int take_fd)
{
    int error = loop_add(c->loop, take_fd, POLLIN, client_ready, client);
    if (error < 0)
        return error;
    client->fd = take_fd;
    client->line_n = 0;
    loop_arm(c->loop, &client->timer, loop_now_ms(c->loop) + CLIENT_LIMIT_MS);
    return 0;
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
    struct control_client *client = free_client(c, CONTROL_OWNER);
    if (!client || begin_client(c, client, fd) < 0)
        sys_close(fd);
}

/* One end of what the contract names; over a connection to elsewhere nobody is told anything. */
static int is_unix_socket(int fd)
{
    struct sockaddr_storage name;
    socklen_t name_n;
    return sys_socket_name(fd, &name, &name_n) == 0 && name.ss_family == AF_UNIX;
}

/* What a proxy hands up can come before the end of those that it has closed is seen. */
static struct control_client *place_of_proxies(struct control *c)
{
    struct control_client *client = free_client(c, CONTROL_PROXY);
    for (int i = 0; i < CONTROL_PLACES && !client; i++) {
        struct pollfd p = {.fd = c->clients[i].fd};
        if (c->clients[i].who != CONTROL_PROXY || sys_poll(&p, 1, 0) <= 0)
            continue;
        client = &c->clients[i];
        close_client(client);
    }
    return client;
}

void control_take(struct control *c, int fd)
{
    static const char crowded[] = "{\"ok\":false,\"code\":\"busy\",\"error\":\"proxies ask for so much already that there is no place for more\"}\n";
    if (!is_unix_socket(fd))
        return;
    struct control_client *client = place_of_proxies(c);
    int own_fd = client ? sys_dup_high(fd, 0) : -EBUSY;
    if (own_fd < 0)
        (void)!sys_send(fd, crowded, sizeof crowded - 1, MSG_DONTWAIT); /* who has gone need not hear it */
    else if (begin_client(c, client, own_fd) < 0)
        sys_close(own_fd);
}

int control_heard(struct control *c, const struct contract_message *m, int fd)
{
    if (m->kind != CONTRACT_ASK || fd < 0)
        return 0;
    control_take(c, fd);
    return 1;
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

int control_bind(struct control *c, const char *path, int *fd)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    *fd = -1;
    if (strlen(path) >= sizeof name.sun_path)
        return -ENAMETOOLONG;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int folder_error = folders_make_above(path);
    int error = remove_stale(&name);
    if (error)
        return error;
    *fd = sys_socket(AF_UNIX, SOCK_STREAM, 0);
    int mask = sys_umask(0177); /* 0600 from the first moment on */
    error = *fd < 0 ? *fd : sys_bind(*fd, (struct sockaddr *)&name, sizeof name);
    sys_umask(mask);
    int is_ours = error >= 0;
    if (error == -ENOENT && folder_error)
        error = folder_error; /* there is no such folder because it could not be made: that is what helps */
    if (error >= 0)
        error = sys_listen(*fd, BACKLOG);
    if (error >= 0)
        error = loop_add(c->loop, *fd, POLLIN, control_ready, c);
    if (error < 0) {
        sys_close(*fd);
        *fd = -1;
        if (is_ours)
            sys_unlink(path);
    }
    return error < 0 ? error : 0;
}

static void close_socket(struct control *c, int fd, const char *path)
{
    if (fd >= 0) {
        loop_remove(c->loop, fd);
        sys_close(fd);
    }
    if (path[0])
        sys_unlink(path);
}

void control_unbind(struct control *c, const char *path, int fd)
{
    if (fd >= 0)
        close_socket(c, fd, path);
}

void control_move(struct control *c, const char *path, int take_fd)
{
    loop_disarm(c->loop, &c->rest);
    close_socket(c, c->fd, c->path);
    c->fd = take_fd;
    snprintf(c->path, sizeof c->path, "%s", path);
}

int control_init(struct control *c, struct loop *loop, const char *path,
                 int (*command)(void *, enum control_who, const char *, struct buf *), void *context)
{
    memset(c, 0, offsetof(struct control, lines));
    c->loop = loop;
    c->command = command;
    c->context = context;
    c->fd = -1;
    timer_init(&c->rest, rest_is_over, c);
    timer_init(&c->grown, tell_followers, c);
    for (int i = 0; i < CONTROL_PLACES; i++) {
        c->clients[i] = (struct control_client){.control = c, .who = i < CONTROL_CLIENTS_MAX ? CONTROL_OWNER : CONTROL_PROXY, .fd = -1, .line = c->lines[i]};
        buf_init(&c->clients[i].reply, REPLY_LIMIT_BYTES);
        timer_init(&c->clients[i].timer, client_timer, &c->clients[i]);
    }
    int fd, error = control_bind(c, path, &fd);
    if (!error)
        control_move(c, path, fd);
    return error;
}

void control_fini(struct control *c)
{
    if (timer_is_armed(&c->grown)) { /* the last words */
        loop_disarm(c->loop, &c->grown);
        tell_followers(c, 0);
    }
    for (int i = 0; i < CONTROL_PLACES; i++)
        if (c->clients[i].control)
            close_client(&c->clients[i]);
    if (c->loop)
        loop_disarm(c->loop, &c->rest);
    close_socket(c, c->fd, c->path); /* also a path without a socket: it was never made */
    c->path[0] = '\0';
    c->fd = -1;
}
