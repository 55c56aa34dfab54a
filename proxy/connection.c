/*
 * See connection.h. Write first, and ask for POLLOUT only for what is left; read only what has room. It knows
 * nothing of HTTP, and neither calls its owner nor closes itself: it leaves marks. An idle connection holds no
 * memory beside its struct.
 */
#include "proxy/connection.h"

#include <errno.h>

int connection_init(struct connection *c, struct loop *loop, int take_fd, loop_fd_fn *fn, void *context)
{
    *c = (struct connection){.loop = loop, .fd = take_fd};
    buf_init(&c->stash, CONNECTION_READ_BYTES);
    buf_init(&c->out, 0); /* keep() has its limit */
    int error = loop_add(loop, take_fd, POLLIN | POLLRDHUP, fn, context);
    if (error)
        sys_close(take_fd);
    return error;
}

void connection_close(struct connection *c)
{
    loop_remove(c->loop, c->fd);
    sys_close(c->fd);
    c->fd = -1;
}

void connection_fini(struct connection *c)
{
    buf_fini(&c->stash);
    buf_fini(&c->out);
}

static void break_off(struct connection *c)
{
    c->is_broken = 1;
    buf_release(&c->out);
}

/* An answer that is made here is written at once, however long it is: what counts is how much was waiting before. */
static void keep(struct connection *c, const struct iovec *parts, int parts_n, size_t sent_n)
{
    if (buf_size(&c->out) > CONNECTION_OUT_BYTES) {
        break_off(c);
        return;
    }
    for (int i = 0; i < parts_n; i++) {
        size_t skip_n = sent_n < parts[i].iov_len ? sent_n : parts[i].iov_len;
        sent_n -= skip_n;
        if (buf_append(&c->out, (const char *)parts[i].iov_base + skip_n, parts[i].iov_len - skip_n) < 0) {
            break_off(c);
            return;
        }
    }
}

void connection_write(struct connection *c, const struct iovec *parts, int parts_n)
{
    ssize_t n = 0;
    if (c->is_broken)
        return;
    if (buf_size(&c->out) == 0)
        n = sys_send_parts(c->fd, parts, parts_n);
    if (n < 0 && n != -EAGAIN)
        break_off(c);
    else
        keep(c, parts, parts_n, n > 0 ? (size_t)n : 0);
    c->written_bytes += n > 0 ? (size_t)n : 0;
}

size_t connection_flush(struct connection *c)
{
    if (buf_size(&c->out) == 0)
        return 0;
    ssize_t n = sys_send(c->fd, buf_data(&c->out), buf_size(&c->out), 0);
    if (n < 0 && n != -EAGAIN)
        break_off(c);
    if (n <= 0)
        return 0;
    c->written_bytes += (size_t)n;
    buf_consume(&c->out, (size_t)n);
    if (buf_size(&c->out) == 0)
        buf_release(&c->out);
    return (size_t)n;
}

ssize_t connection_read(struct connection *c, char *scratch)
{
    ssize_t n = sys_recv(c->fd, scratch, CONNECTION_READ_BYTES, 0);
    c->input = scratch;
    c->input_n = n > 0 ? (size_t)n : 0;
    c->is_input_stashed = 0;
    return n;
}

void connection_begin_input(struct connection *c)
{
    if (c->input_n > 0)
        return;
    c->is_input_stashed = 1;
    c->input = buf_data(&c->stash);
    c->input_n = buf_size(&c->stash);
}

void connection_end_input(struct connection *c)
{
    if (c->is_input_stashed)
        buf_consume(&c->stash, buf_size(&c->stash) - c->input_n);
    else if (buf_append(&c->stash, c->input, c->input_n) < 0)
        break_off(c);
    if (buf_size(&c->stash) == 0)
        buf_release(&c->stash);
    c->input_n = 0;
    c->is_input_stashed = 0;
}

void connection_watch(struct connection *c, int wants_input, int wants_end)
{
    int events = (wants_input ? POLLIN : 0) | (wants_end ? POLLRDHUP : 0) | (buf_size(&c->out) > 0 ? POLLOUT : 0);
    loop_set_events(c->loop, c->fd, (short)events);
}

int connection_has_unread(const struct connection *c)
{
    char byte;
    return buf_size(&c->stash) > 0 || sys_recv(c->fd, &byte, 1, MSG_PEEK) > 0;
}
