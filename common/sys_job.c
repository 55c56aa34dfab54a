/* The kernel's door, for a process that stands in for another: its signals, its stops, its terminal. See sys.h and sys.c. */
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int result(int value)
{
    return value < 0 ? -errno : value;
}

static void to_set(uint64_t signals, sigset_t *set)
{
    sigemptyset(set);
    for (int s = 1; s <= SIGRTMAX; s++)
        if (signals & SYS_SIGNAL_BIT(s))
            sigaddset(set, s);
}

int sys_signals_mask(uint64_t blocked, uint64_t *was)
{
    sigset_t set, old;
    uint64_t bits = 0;
    to_set(blocked, &set);
    if (sigprocmask(SIG_SETMASK, &set, &old) < 0)
        return -errno;
    for (int s = 1; s <= SIGRTMAX; s++)
        if (sigismember(&old, s) == 1)
            bits |= SYS_SIGNAL_BIT(s);
    if (was)
        *was = bits;
    return 0;
}

int sys_signal_wait(uint64_t signals, int64_t timeout_ms)
{
    sigset_t set;
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    to_set(signals, &set);
    int number = sigtimedwait(&set, NULL, timeout_ms < 0 ? NULL : &timeout);
    return number >= 0 ? number : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int sys_signal_is_ignored(int signal_number)
{
    struct sigaction action;
    return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int sys_signal_default(int signal_number)
{
    return signal(signal_number, SIG_DFL) == SIG_ERR ? -errno : 0;
}

int sys_stopped_by(pid_t pid)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) < 0)
        return -errno;
    return info.si_pid == pid ? info.si_status : 0;
}

int sys_stop_self(int signal_number, int is_group)
{
    sigset_t set, pending;
    if (kill(is_group ? 0 : getpid(), signal_number) < 0)
        return -errno;
    to_set(SYS_SIGNAL_BIT(signal_number), &set);
    sigprocmask(SIG_UNBLOCK, &set, NULL); /* here we stop, until SIGCONT */
    sigprocmask(SIG_BLOCK, &set, NULL);
    return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1;
}

/* The terminal's own name needs no descriptor; where it is missing from /dev, a standard one may lead there. */
static int open_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    for (int standard = 0; fd < 0 && standard <= STDERR_FILENO; standard++)
        if (tcgetpgrp(standard) >= 0)
            fd = fcntl(standard, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return result(fd);
}

pid_t sys_terminal_group(void)
{
    int fd = open_terminal();
    if (fd < 0)
        return fd;
    pid_t group = result(tcgetpgrp(fd));
    close(fd);
    return group;
}

int sys_terminal_give(pid_t group)
{
    int fd = open_terminal();
    if (fd < 0)
        return fd;
    int error = result(tcsetpgrp(fd, group));
    close(fd);
    return error;
}

pid_t sys_getpgrp(void)
{
    return getpgrp();
}

pid_t sys_getppid(void)
{
    return getppid();
}
