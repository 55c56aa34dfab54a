/*
 * connection: the bytes of one client's socket, both ways: what was read and not used, what is to be sent.
 */
#ifndef PROXY_CONNECTION_H
#define PROXY_CONNECTION_H

#include "common/buf.h"
#include "common/loop.h"

enum { CONNECTION_READ_BYTES = 64 * 1024, CONNECTION_OUT_BYTES = 1 << 20 };

struct connection {
    int fd;            /* owned */
    int is_broken;     /* writing failed, or memory did: it is of no more use */
    struct buf out;    /* to be sent; a token needs no more */
    struct buf stash;  /* read, but not used yet */
    struct loop *loop; /* borrowed */
    const char *input; /* between begin and end: what is there and not used */
    size_t input_n;
    uint64_t written_bytes; /* taken by the socket */
    int is_input_stashed;
};

/* take_fd: closed where this fails. 0 or -errno. */
int connection_init(struct connection *c, struct loop *loop, int take_fd, loop_fd_fn *fn, void *context) WARN_UNUSED;
void connection_close(struct connection *c);
/* Frees the memory of one that is closed. */
void connection_fini(struct connection *c);

/* Writes now what the socket takes, and keeps the rest. Errors: is_broken. */
void connection_write(struct connection *c, const struct iovec *parts, int parts_n);
/* Writes what was kept. Returns the bytes written. */
size_t connection_flush(struct connection *c);
static inline size_t connection_pending_bytes(const struct connection *c)
{
    return buf_size(&c->out);
}

/* Reads into scratch (CONNECTION_READ_BYTES), which becomes the input: > 0; 0 at the other side's end; else -errno. To
 * be called only where nothing is stashed. */
ssize_t connection_read(struct connection *c, char *scratch) WARN_UNUSED;
/* Where nothing has just been read, the stash is the input. */
void connection_begin_input(struct connection *c);
static inline void connection_take_input(struct connection *c, size_t used_n)
{
    c->input += used_n;
    c->input_n -= used_n;
}
/* Stashes what was not used. */
void connection_end_input(struct connection *c);

/* Asks the loop for what matters now; errors are always told. */
void connection_watch(struct connection *c, int wants_input, int wants_end);
/* Whether anything waits to be read, here or in the kernel. */
int connection_has_unread(const struct connection *c);

#endif
