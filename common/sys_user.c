/* The kernel's door, users and groups by name. See sys.h. What is asked here reads files and perhaps the network, as
 * nsswitch.conf(5) says: never between fork and exec. */
#include "common/sys.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENTRY_BYTES = 4096, ENTRY_BYTES_MAX = 1 << 20 };

/* Answers of getpwnam_r(3) and the like: 0 with *found, or an error; some systems say "nobody" by one of these. */
static int judge(int error, const void *found)
{
    if (error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM)
        return found ? 0 : -ENOENT;
    return -error;
}

/* By name, or by uid where name is NULL. */
static int find_user(const char *name, unsigned uid, struct sys_user *out)
{
    for (size_t room_n = ENTRY_BYTES; room_n <= ENTRY_BYTES_MAX; room_n *= 4) {
        struct passwd entry, *found = NULL;
        char *room = malloc(room_n);
        if (!room)
            return -ENOMEM;
        int error = name ? getpwnam_r(name, &entry, room, room_n, &found) : getpwuid_r(uid, &entry, room, room_n, &found);
        if (found) {
            *out = (struct sys_user){.uid = entry.pw_uid, .gid = entry.pw_gid};
            snprintf(out->name, sizeof out->name, "%s", entry.pw_name);
            snprintf(out->home, sizeof out->home, "%s", entry.pw_dir);
            snprintf(out->shell, sizeof out->shell, "%s", entry.pw_shell);
        }
        free(room);
        if (error != ERANGE)
            return judge(error, found);
    }
    return -ERANGE;
}

int sys_user_by_name(const char *name, struct sys_user *out)
{
    return find_user(name, 0, out);
}

int sys_user_by_id(unsigned uid, struct sys_user *out)
{
    return find_user(NULL, uid, out);
}

int sys_group_by_name(const char *name, unsigned *gid)
{
    for (size_t room_n = ENTRY_BYTES; room_n <= ENTRY_BYTES_MAX; room_n *= 4) {
        struct group entry, *found = NULL;
        char *room = malloc(room_n);
        if (!room)
            return -ENOMEM;
        int error = getgrnam_r(name, &entry, room, room_n, &found);
        if (found)
            *gid = entry.gr_gid;
        free(room);
        if (error != ERANGE)
            return judge(error, found);
    }
    return -ERANGE;
}

int sys_user_groups(const char *name, unsigned gid, unsigned groups[SYS_GROUPS_MAX])
{
    int n = SYS_GROUPS_MAX;
    return getgrouplist(name, gid, groups, &n) < 0 ? -E2BIG : n;
}
