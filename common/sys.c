/*
 * The kernel's door. No policy lives here: each function does one call (or the few that always go
 * together), turns errno into a negative result and comes back. Keep it dull. Sockets are in sys_socket.c, processes and
 * signals in sys_process.c.
 */
#include "common/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static int result(int value)
{
    return value < 0 ? -errno : value;
}

static ssize_t result_n(ssize_t value)
{
    return value < 0 ? -errno : value;
}

static int64_t clock_ms(clockid_t id)
{
    struct timespec ts = {0};
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t sys_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

int64_t sys_boottime_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

int sys_clock_watch(void)
{
    struct itimerspec never = {.it_value.tv_sec = (time_t)(sizeof(time_t) > 4 ? 1LL << 34 : INT32_MAX)}; /* the year 2514 */
    int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) == 0)
        return fd;
    int error = -errno;
    close(fd);
    return error;
}

int64_t sys_monotonic_us(void)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t sys_realtime_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int sys_open(const char *path, int flags, int mode)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return result(fd);
}

int sys_close(int fd)
{
    return fd < 0 ? 0 : result(close(fd));
}

ssize_t sys_read(int fd, void *bytes, size_t bytes_n)
{
    ssize_t n;
    do
        n = read(fd, bytes, bytes_n);
    while (n < 0 && errno == EINTR);
    return result_n(n);
}

ssize_t sys_write(int fd, const void *bytes, size_t bytes_n)
{
    ssize_t n;
    do
        n = write(fd, bytes, bytes_n);
    while (n < 0 && errno == EINTR);
    return result_n(n);
}

int sys_write_all(int fd, const void *bytes, size_t bytes_n)
{
    for (size_t done_n = 0; done_n < bytes_n;) {
        ssize_t n = sys_write(fd, (const char *)bytes + done_n, bytes_n - done_n);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        done_n += (size_t)n;
    }
    return 0;
}

ssize_t sys_writev(int fd, const struct iovec *parts, int parts_n)
{
    ssize_t n;
    do
        n = writev(fd, parts, parts_n);
    while (n < 0 && errno == EINTR);
    return result_n(n);
}

int sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms)
{
    return result(poll(fds, (nfds_t)fds_n, timeout_ms));
}

int sys_epoll_create(void)
{
    return result(epoll_create1(EPOLL_CLOEXEC));
}

int sys_epoll_control(int epoll_fd, int how, int fd, struct epoll_event *event)
{
    return result(epoll_ctl(epoll_fd, how, fd, event));
}

int sys_epoll_wait(int epoll_fd, struct epoll_event *ready, int ready_n, int timeout_ms)
{
    return result(epoll_wait(epoll_fd, ready, ready_n, timeout_ms));
}

int sys_pipe(int fds[2], int flags)
{
    return result(pipe2(fds, flags | O_CLOEXEC));
}

int sys_dup_to(int from_fd, int to_fd)
{
    if (from_fd == to_fd) /* dup2 would leave the close-on-exec flag as it is */
        return sys_set_cloexec(from_fd, 0);
    return result(dup2(from_fd, to_fd));
}

int sys_dup_high(int fd, int lowest_fd)
{
    return result(fcntl(fd, F_DUPFD_CLOEXEC, lowest_fd));
}

int sys_set_cloexec(int fd, int is_cloexec)
{
    return result(fcntl(fd, F_SETFD, is_cloexec ? FD_CLOEXEC : 0));
}

int sys_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int sys_set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : result(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK));
}

int sys_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

int sys_isatty(int fd)
{
    return isatty(fd);
}

int sys_terminal_rows(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

/* The way of old kernels: walk what /proc says is open. */
static void cloexec_listed(int lowest_fd)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd >= lowest_fd)
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    closedir(dir);
}

static void close_listed(int lowest_fd, int kept_fd)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd >= lowest_fd && fd != kept_fd && fd != dirfd(dir))
            close(fd);
    }
    closedir(dir);
}

void sys_cloexec_from(int lowest_fd)
{
    enum { CLOSE_RANGE_BY_FLAG = 4 }; /* CLOSE_RANGE_CLOEXEC, newer than some headers */
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)lowest_fd, ~0U, CLOSE_RANGE_BY_FLAG) == 0)
        return;
#endif
    cloexec_listed(lowest_fd);
}

void sys_close_from(int lowest_fd, int kept_fd)
{
#ifdef SYS_close_range
    int error = 0;
    if (kept_fd > lowest_fd)
        error = syscall(SYS_close_range, (unsigned)lowest_fd, (unsigned)kept_fd - 1, 0) < 0;
    if (!error && syscall(SYS_close_range, (unsigned)(kept_fd < lowest_fd ? lowest_fd : kept_fd + 1), ~0U, 0) == 0)
        return;
#endif
    close_listed(lowest_fd, kept_fd);
}

int sys_mkdir(const char *path, int mode)
{
    struct stat st;
    if (mkdir(path, (mode_t)mode) == 0)
        return 0;
    int error = errno;
    return error == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -error;
}

int sys_unlink(const char *path)
{
    return result(unlink(path));
}

int sys_rename(const char *from, const char *to)
{
    return result(rename(from, to));
}

int sys_is_socket(const char *path)
{
    struct stat st;
    return lstat(path, &st) < 0 ? -errno : S_ISSOCK(st.st_mode);
}

int sys_readlink(const char *path, char *target, size_t target_n)
{
    ssize_t n = readlink(path, target, target_n - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    return 0;
}

int sys_each_entry(const char *path, int (*fn)(void *context, const char *name), void *context)
{
    int found = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    for (struct dirent *entry; found == 0 && (entry = readdir(dir));)
        found = fn(context, entry->d_name);
    closedir(dir);
    return found;
}

int sys_lock(int fd)
{
    return result(flock(fd, LOCK_EX | LOCK_NB));
}

int sys_chdir(const char *path)
{
    return result(chdir(path));
}

int sys_access_exec(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EACCES;
    return result(access(path, X_OK));
}

int sys_umask(int mask)
{
    return (int)umask((mode_t)mask);
}

int sys_realpath(const char *path, char out[4096])
{
    return realpath(path, out) ? 0 : -errno;
}

int sys_getcwd(char out[4096])
{
    return getcwd(out, 4096) ? 0 : -errno;
}

int sys_own_path(char out[4096])
{
    ssize_t n = readlink("/proc/self/exe", out, 4095);
    if (n < 0)
        return -errno;
    out[n] = '\0';
    return 0;
}

int sys_read_fd(int fd, size_t limit_bytes, char **out, size_t *out_n)
{
    size_t have_n = 0, room_n = 4096;
    char *bytes = malloc(room_n + 1);
    int error = bytes ? 0 : -ENOMEM, is_seekable = lseek(fd, 0, SEEK_CUR) >= 0;
    while (!error) {
        ssize_t n = is_seekable ? result_n(pread(fd, bytes + have_n, room_n - have_n, (off_t)have_n))
                                : sys_read(fd, bytes + have_n, room_n - have_n);
        if (n == -EINTR)
            continue;
        if (n <= 0) {
            error = (int)n;
            break;
        }
        have_n += (size_t)n;
        if (have_n > limit_bytes) {
            error = -EFBIG;
        } else if (have_n == room_n) {
            char *more = realloc(bytes, room_n * 2 + 1);
            if (!more) {
                error = -ENOMEM;
            } else {
                bytes = more;
                room_n *= 2;
            }
        }
    }
    if (error) {
        free(bytes);
        return error;
    }
    bytes[have_n] = '\0';
    *out = bytes;
    *out_n = have_n;
    return 0;
}

int sys_read_file(const char *path, size_t limit_bytes, char **out, size_t *out_n)
{
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int error = sys_read_fd(fd, limit_bytes, out, out_n);
    sys_close(fd);
    return error;
}

ssize_t sys_read_text(const char *path, char *text, size_t text_n)
{
    int fd = sys_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t n = sys_read(fd, text, text_n - 1);
    sys_close(fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

int sys_memfd_text(const char *name, const char *bytes, size_t bytes_n)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int error = sys_write_all(fd, bytes, bytes_n);
    if (!error && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        error = -errno;
    if (error)
        close(fd);
    return error ? error : fd;
}

int sys_memfd(const char *name, size_t bytes_n)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)bytes_n) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int sys_map_shared(int fd, size_t bytes_n, void **out)
{
    void *at = mmap(NULL, bytes_n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    *out = at;
    return 0;
}

void sys_unmap(void *at, size_t bytes_n)
{
    if (at)
        munmap(at, bytes_n);
}

int sys_file_size(int fd, size_t *bytes_n)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *bytes_n = (size_t)st.st_size;
    return 0;
}

int sys_eventfd(void)
{
    return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void sys_trim_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

int sys_random_secret(void *bytes, size_t bytes_n)
{
    ssize_t n = getrandom(bytes, bytes_n, 0);
    return n == (ssize_t)bytes_n ? 0 : n < 0 ? -errno : -EIO;
}

void sys_random(void *bytes, size_t bytes_n)
{
    if (sys_random_secret(bytes, bytes_n) == 0)
        return;
    struct timespec ts = {0};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    uint64_t seed = (uint64_t)ts.tv_nsec * 0x9e3779b97f4a7c15u + (uint64_t)ts.tv_sec;
    for (size_t i = 0; i < bytes_n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)bytes)[i] = (unsigned char)(seed >> 56);
    }
}
