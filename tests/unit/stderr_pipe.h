/*
 * stderr_pipe: what the code under test writes to stderr. Assertions come after stderr_pipe_end(), as cmocka's own
 * words go to stderr too.
 */
#ifndef TESTS_UNIT_STDERR_PIPE_H
#define TESTS_UNIT_STDERR_PIPE_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stderr_pipe {
    int fds[2];
    int saved_fd;
};

static inline void stderr_pipe_begin(struct stderr_pipe *p)
{
    if (pipe(p->fds) < 0 || (p->saved_fd = dup(STDERR_FILENO)) < 0 || dup2(p->fds[1], STDERR_FILENO) < 0)
        abort();
    (void)fcntl(p->fds[0], F_SETFL, O_NONBLOCK);
}

/* What is in the pipe now, NUL-terminated. */
static inline size_t stderr_pipe_take(struct stderr_pipe *p, char *out, size_t out_n)
{
    size_t have_n = 0;
    ssize_t n;
    while (have_n < out_n - 1 && (n = read(p->fds[0], out + have_n, out_n - 1 - have_n)) > 0)
        have_n += (size_t)n;
    out[have_n] = '\0';
    return have_n;
}

static inline void stderr_pipe_end(struct stderr_pipe *p)
{
    (void)dup2(p->saved_fd, STDERR_FILENO);
    (void)close(p->saved_fd);
    (void)close(p->fds[0]);
    (void)close(p->fds[1]);
}

#endif
