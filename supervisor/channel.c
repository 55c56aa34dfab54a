/* See channel.h. A message that breaks the contract is dropped; the child goes on serving. */
#include "supervisor/channel.h"

#include "common/log.h"

#include <errno.h>

enum { MESSAGES_A_TURN = 32, TURNS_AT_THE_END = 32 };

void channel_init(struct channel *c, struct loop *loop, const char *name,
                  void (*said)(void *, const struct contract_message *, int fd), void *context)
{
    *c = (struct channel){.loop = loop, .fd = -1, .said = said, .context = context, .name = name};
}

/* One turn; whether there may be more. */
static int hear(struct channel *c)
{
    for (int i = 0; i < MESSAGES_A_TURN && c->fd >= 0; i++) {
        struct contract_message m;
        int fd, got = contract_receive_fd(c->fd, &m, &fd);
        if (got == 0)
            return 0;
        if (got == -EPROTO) {
            if (!c->has_refused)
                log_event(LOG_WARNING, "channel_refused", "program=%s", c->name);
            c->has_refused = 1; /* told once, dropped always */
            continue;
        }
        if (got < 0) {
            channel_close(c);
            return 0;
        }
        c->said(c->context, &m, fd);
        sys_close(fd);
    }
    return c->fd >= 0;
}

static void channel_ready(void *context, short revents)
{
    (void)revents;
    (void)hear(context);
}

int channel_open(struct channel *c)
{
    int fds[2];
    channel_close(c);
    int error = sys_socketpair(AF_UNIX, SOCK_SEQPACKET, fds);
    if (error < 0)
        return error;
    error = loop_add(c->loop, fds[0], POLLIN, channel_ready, c);
    if (error < 0) {
        sys_close(fds[0]);
        sys_close(fds[1]);
        return error;
    }
    c->fd = fds[0];
    c->has_refused = 0;
    return fds[1];
}

void channel_close(struct channel *c)
{
    if (c->fd < 0)
        return;
    loop_remove(c->loop, c->fd);
    sys_close(c->fd);
    c->fd = -1;
}

void channel_end(struct channel *c)
{
    int turns = 0;
    while (hear(c) && turns++ < TURNS_AT_THE_END)
        continue;
    channel_close(c);
}

void channel_move(struct channel *from, struct channel *to)
{
    int fd = from->fd;
    if (fd < 0)
        return;
    loop_remove(from->loop, fd);
    from->fd = -1;
    if (loop_add(to->loop, fd, POLLIN, channel_ready, to) == 0)
        to->fd = fd;
    else
        sys_close(fd);
}

void channel_tell(struct channel *c, enum contract_kind kind, uint32_t value)
{
    if (c->fd < 0)
        return;
    int error = contract_send(c->fd, kind, value, NULL);
    if (error < 0 && error != -EPIPE)
        log_event(LOG_DEBUG, "channel_full", "program=%s kind=%d", c->name, (int)kind);
}
