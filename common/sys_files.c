/* The kernel's door, files by path: what they are, links, room on the disk. See sys.h. */
#include "common/sys.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int tell(const struct stat *st, struct sys_entry *out)
{
    *out = (struct sys_entry){.bytes_n = st->st_size > 0 ? (uint64_t)st->st_size : 0, .changed_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000,
                              .is_folder = S_ISDIR(st->st_mode), .is_regular = S_ISREG(st->st_mode)};
    return 0;
}

int sys_look(const char *path, struct sys_entry *out)
{
    struct stat st;
    return stat(path, &st) < 0 ? -errno : tell(&st, out);
}

int sys_look_at_link(const char *path, struct sys_entry *out)
{
    struct stat st;
    return lstat(path, &st) < 0 ? -errno : tell(&st, out);
}

int sys_symlink(const char *target, const char *path)
{
    return symlink(target, path) < 0 ? -errno : 0;
}

int sys_rmdir(const char *path)
{
    return rmdir(path) < 0 ? -errno : 0;
}

int sys_free_bytes(const char *path, uint64_t *bytes_n)
{
    struct statvfs vfs;
    if (statvfs(path, &vfs) < 0)
        return -errno;
    *bytes_n = (uint64_t)vfs.f_bavail * (vfs.f_frsize ? vfs.f_frsize : vfs.f_bsize);
    return 0;
}

int sys_truncate(int fd, uint64_t bytes_n)
{
    return ftruncate(fd, (off_t)bytes_n) < 0 ? -errno : 0;
}

int sys_sync(int fd)
{
    return fdatasync(fd) < 0 ? -errno : 0;
}

ssize_t sys_read_at(int fd, void *bytes, size_t bytes_n, uint64_t at)
{
    ssize_t n;
    do
        n = pread(fd, bytes, bytes_n, (off_t)at);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
