/* The kernel's door, what a process may do and how it is treated. See sys.h. What changes something is for a child between
 * fork and exec: system calls and nothing else. */
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(int value)
{
    return value < 0 ? -errno : value;
}

int sys_set_groups(const unsigned *groups, size_t groups_n)
{
    return result(setgroups(groups_n, groups));
}

int sys_set_group(unsigned gid)
{
    return result(setresgid(gid, gid, gid));
}

int sys_set_user(unsigned uid)
{
    return result(setresuid(uid, uid, uid));
}

int sys_is_user(unsigned uid, unsigned gid)
{
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    if (getresuid(&real, &effective, &saved) < 0 || getresgid(&real_group, &effective_group, &saved_group) < 0)
        return 0;
    return real == uid && effective == uid && saved == uid && real_group == gid && effective_group == gid &&
           saved_group == gid;
}

/* Of linux/capability.h, which some C libraries come without. */
enum { CAPABILITY_KILL = 5, CAPABILITY_SETGID = 6, CAPABILITY_SETUID = 7, CAPABILITY_SYS_NICE = 23, CAPABILITY_SYS_RESOURCE = 24 };

/* capget(2), version 3 */
struct capability_header {
    uint32_t version;
    int pid;
};

struct capability_data {
    uint32_t effective, permitted, inheritable;
};

enum { CAPABILITY_VERSION = 0x20080522 };

static int has_capability(unsigned number)
{
    struct capability_header header = {.version = CAPABILITY_VERSION};
    struct capability_data data[2] = {{0, 0, 0}};
    if (syscall(SYS_capget, &header, data) < 0)
        return geteuid() == 0; /* a kernel without them */
    return (data[number / 32].effective >> (number % 32)) & 1;
}

int sys_may(enum sys_power power)
{
    switch (power) {
    case SYS_SET_USER:
        return has_capability(CAPABILITY_SETUID);
    case SYS_SIGNAL_OTHERS:
        return has_capability(CAPABILITY_KILL);
    case SYS_SET_GROUPS:
        return has_capability(CAPABILITY_SETGID);
    case SYS_RAISE_LIMITS:
        return has_capability(CAPABILITY_SYS_RESOURCE);
    case SYS_LOWER_NICE:
        return has_capability(CAPABILITY_SYS_NICE);
    }
    return 0;
}

/* What is neither permitted nor inheritable can't be ambient either: capabilities(7). */
int sys_drop_capabilities(void)
{
    struct capability_header header = {.version = CAPABILITY_VERSION};
    struct capability_data none[2] = {{0, 0, 0}};
    return syscall(SYS_capset, &header, none) < 0 && errno != ENOSYS ? -errno : 0;
}

unsigned sys_geteuid(void)
{
    return geteuid();
}

unsigned sys_getegid(void)
{
    return getegid();
}

int sys_no_new_privileges(void)
{
    return result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

int sys_set_nice(int nice_value)
{
    return result(setpriority(PRIO_PROCESS, 0, nice_value));
}

int sys_lowest_nice(void)
{
    struct rlimit limit;
    errno = 0;
    int now = getpriority(PRIO_PROCESS, 0);
    if (errno)
        now = 0;
    int allowed = getrlimit(RLIMIT_NICE, &limit) < 0 ? 20 : limit.rlim_cur > 40 ? -20 : 20 - (int)limit.rlim_cur;
    return allowed < now ? allowed : now;
}

int sys_limit(int resource, uint64_t *soft, uint64_t *hard)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return -errno;
    *soft = limit.rlim_cur == RLIM_INFINITY ? SYS_UNLIMITED : limit.rlim_cur;
    *hard = limit.rlim_max == RLIM_INFINITY ? SYS_UNLIMITED : limit.rlim_max;
    return 0;
}

int sys_set_limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit limit = {.rlim_cur = soft == SYS_UNLIMITED ? RLIM_INFINITY : (rlim_t)soft,
                           .rlim_max = hard == SYS_UNLIMITED ? RLIM_INFINITY : (rlim_t)hard};
    return result(setrlimit(resource, &limit));
}

/* A limit of 0 does not count for a handler; with 1 the kernel starts none, and no file is that small. */
enum { NO_CORE_BYTES = 1 };
static struct rlimit core_before;
static int is_core_changed;

void sys_leave_no_core(void)
{
    struct rlimit limit;
    if (is_core_changed || getrlimit(RLIMIT_CORE, &limit) < 0 || limit.rlim_max < NO_CORE_BYTES)
        return;
    core_before = limit;
    limit.rlim_cur = NO_CORE_BYTES;
    is_core_changed = setrlimit(RLIMIT_CORE, &limit) == 0;
}

void sys_leave_core_again(void)
{
    if (is_core_changed)
        (void)!setrlimit(RLIMIT_CORE, &core_before);
}

int sys_write_file(const char *path, const char *bytes, size_t bytes_n)
{
    int fd = sys_open(path, O_WRONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t n = sys_write(fd, bytes, bytes_n);
    sys_close(fd);
    return n < 0 ? (int)n : (size_t)n == bytes_n ? 0 : -EIO;
}

int sys_give_fd(int fd, unsigned uid, unsigned gid)
{
    return result(fchown(fd, uid, gid));
}
