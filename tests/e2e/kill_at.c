/*
 * Loaded before a program (LD_PRELOAD): kills it by SIGKILL right before its call number KILL_AT, of those that change files below KILL_BELOW. So a test can
 * end a job between any two of its steps. With KILL_ERROR=N that call fails with this errno instead, and so do all that follow it, as on a full disk.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long done_n;

/* 1 where the call is to fail; errno is set then. */
static int count(void)
{
    const char *at = getenv("KILL_AT"), *error = getenv("KILL_ERROR");
    if (!at || ++done_n < atol(at))
        return 0;
    if (!error)
        kill(getpid(), SIGKILL);
    errno = error ? atoi(error) : 0;
    return 1;
}

static int is_below(const char *path)
{
    const char *below = getenv("KILL_BELOW");
    return below && strncmp(path, below, strlen(below)) == 0;
}

/* A descriptor's own path. */
static int is_fd_below(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return is_below(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int open_next(const char *name, const char *path, int flags, int mode)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    if ((flags & O_CREAT) && is_below(path) && count())
        return -1;
    return next(path, flags, mode);
}

static int mode_of(int flags, va_list args)
{
    return flags & O_CREAT ? va_arg(args, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return open_next("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return open_next("open64", path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t bytes_n)
{
    if (is_fd_below(fd) && count())
        return -1;
    return NEXT(write)(fd, bytes, bytes_n);
}

int rename(const char *from, const char *to)
{
    if (is_below(to) && count())
        return -1;
    return NEXT(rename)(from, to);
}

int symlink(const char *target, const char *path)
{
    if (is_below(path) && count())
        return -1;
    return NEXT(symlink)(target, path);
}

int unlink(const char *path)
{
    if (is_below(path) && !getenv("KILL_ERROR")) /* which take no room */
        (void)count();
    return NEXT(unlink)(path);
}

int rmdir(const char *path)
{
    if (is_below(path) && !getenv("KILL_ERROR")) /* which take no room */
        (void)count();
    return NEXT(rmdir)(path);
}

int mkdir(const char *path, mode_t mode)
{
    if (is_below(path) && count())
        return -1;
    return NEXT(mkdir)(path, mode);
}

int fdatasync(int fd)
{
    if (is_fd_below(fd) && count())
        return -1;
    return NEXT(fdatasync)(fd);
}
