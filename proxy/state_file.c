/*
 * See state_file.h. It is not forced onto the disk (fsync(2) would hold up the loop): after a power failure there may be an
 * empty file, or the one before it, and neither does harm.
 */
#include "proxy/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { FOLDER_MODE = 0755, FILE_MODE = 0600 };

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

/* The folder and those above it. */
static int make_folder(const char *folder)
{
    char path[STATE_FILE_PATH_BYTES];
    int error = 0, n = snprintf(path, sizeof path, "%s", folder);
    if (n >= STATE_FILE_PATH_BYTES)
        return -ENAMETOOLONG;
    for (char *at = path + 1; n > 0; at++) {
        char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        error = sys_mkdir(path, FOLDER_MODE); /* one that is not ours to make may be there all the same */
        *at = end;
        if (end == '\0')
            break;
    }
    return error;
}

static int write_all(int fd, const char *text, size_t text_n)
{
    for (size_t done_n = 0; done_n < text_n;) {
        ssize_t n = sys_write(fd, text + done_n, text_n - done_n);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        done_n += (size_t)n;
    }
    return 0;
}

int state_file_write(const char *folder, const char *name, const char *text, size_t text_n)
{
    char path[STATE_FILE_PATH_BYTES], fresh[STATE_FILE_PATH_BYTES];
    int error = path_of(path, folder, name, "");
    error = error ? error : path_of(fresh, folder, name, ".new");
    error = error ? error : make_folder(folder);
    if (error)
        return error;
    (void)!sys_unlink(fresh); /* what a write left that came to no end, or a pipe that somebody put there */
    int fd = sys_open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return fd;
    error = write_all(fd, text, text_n);
    sys_close(fd);
    error = error ? error : sys_rename(fresh, path);
    if (error)
        (void)!sys_unlink(fresh);
    return error;
}
