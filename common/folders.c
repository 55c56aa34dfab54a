/* See folders.h. */
#include "common/folders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, MODE = 0755 };

int folders_make_above(const char *path)
{
    char folder[PATH_BYTES];
    int error = 0, n = snprintf(folder, sizeof folder, "%s", path);
    if (n < 0 || n >= PATH_BYTES)
        return -ENAMETOOLONG;
    for (char *slash = n > 0 ? strchr(folder + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int made = sys_mkdir(folder, MODE); /* one that is not ours to make may be there all the same: the next one shows it */
        *slash = '/';
        if (made != -ENOENT || !error)
            error = made; /* -ENOENT only follows from what failed above it */
    }
    return error;
}
