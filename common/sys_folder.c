/* The kernel's door, folders by descriptor, so that nobody can put another one in their place meanwhile. See sys.h. */
#include "common/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int sys_open_at(int folder_fd, const char *name, int flags)
{
    int fd;
    do
        fd = openat(folder_fd, name, flags | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int sys_mkdir_at(int folder_fd, const char *name, int mode)
{
    return mkdirat(folder_fd, name, (mode_t)mode) < 0 ? -errno : 0;
}

int sys_file(int fd, struct sys_file *out)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *out = (struct sys_file){.uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode & 0777,
                             .is_folder = S_ISDIR(st.st_mode), .is_link = S_ISLNK(st.st_mode),
                             .is_pipe = S_ISFIFO(st.st_mode), .is_regular = S_ISREG(st.st_mode),
                             .device = (uint64_t)st.st_dev};
    return 0;
}

int sys_is_read_only(int fd)
{
    struct statvfs vfs;
    return fstatvfs(fd, &vfs) < 0 ? -errno : (vfs.f_flag & ST_RDONLY) != 0;
}

int sys_readlink_at(int fd, char *target, size_t target_n)
{
    ssize_t n = readlinkat(fd, "", target, target_n - 1);
    if (n < 0)
        return -errno;
    target[n] = '\0';
    return (size_t)n == target_n - 1 ? -ENAMETOOLONG : 0;
}

int sys_each_entry_at(int folder_fd, int (*fn)(void *context, const char *name), void *context)
{
    int found = 0;
    int fd = sys_open_at(folder_fd, ".", O_RDONLY | O_DIRECTORY); /* closedir closes it, and has an offset of its own */
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int error = fd < 0 ? fd : -errno;
        sys_close(fd);
        return error;
    }
    for (struct dirent *entry; found == 0 && (entry = readdir(dir));)
        if (!(entry->d_name[0] == '.' && (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2]))))
            found = fn(context, entry->d_name);
    closedir(dir);
    return found;
}
