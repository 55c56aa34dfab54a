/*
 * See state_file.h. It is not forced onto the disk (fsync(2) would hold up the loop): after a power failure there may be an
 * empty file, or the one before it, and neither does harm.
 */
#include "common/state_file.h"

#include "common/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { FILE_MODE = 0600 };

static int path_of(char path[STATE_FILE_PATH_BYTES], const char *folder, const char *name, const char *ending)
{
    int n = snprintf(path, STATE_FILE_PATH_BYTES, "%s/%s%s", folder, name, ending);
    return n < STATE_FILE_PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int state_file_read(const char *folder, const char *name, size_t limit_bytes, char **text, size_t *text_n)
{
    char path[STATE_FILE_PATH_BYTES];
    int fd = path_of(path, folder, name, "");
    if (!fd)
        fd = sys_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    int error = sys_read_fd(fd, limit_bytes, text, text_n);
    sys_close(fd);
    return error;
}

/* What root writes is the folder's owner's, who may have all that is in it looked through. Of no harm where it can't be given. */
static void give(int fd, const char *folder)
{
    struct sys_file owner;
    int folder_fd = sys_geteuid() == 0 ? sys_open(folder, O_PATH | O_DIRECTORY, 0) : -1;
    if (folder_fd >= 0 && sys_file(folder_fd, &owner) == 0 && owner.uid != 0)
        (void)!sys_give_fd(fd, owner.uid, owner.gid);
    sys_close(folder_fd);
}

int state_file_write(const char *folder, const char *name, const char *text, size_t text_n)
{
    char path[STATE_FILE_PATH_BYTES], fresh[STATE_FILE_PATH_BYTES];
    int error = path_of(path, folder, name, "");
    error = error ? error : path_of(fresh, folder, name, ".new");
    error = error ? error : folders_make_above(path);
    if (error)
        return error;
    (void)!sys_unlink(fresh); /* what a write left that came to no end, or a pipe that somebody put there */
    int fd = sys_open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return fd;
    error = sys_write_all(fd, text, text_n);
    give(fd, folder);
    sys_close(fd);
    error = error ? error : sys_rename(fresh, path);
    if (error)
        (void)!sys_unlink(fresh);
    return error;
}
