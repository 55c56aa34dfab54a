/* The kernel's door, processes and signals. See sys.h and sys.c. */
#include "common/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int result(int value)
{
    return value < 0 ? -errno : value;
}

pid_t sys_fork(void)
{
    pid_t pid = fork();
    return pid < 0 ? -errno : pid;
}

int sys_execve(const char *path, char *const argv[], char *const envp[])
{
    execve(path, argv, envp);
    return -errno;
}

void sys_exit_now(int code)
{
    _exit(code);
}

pid_t sys_getpid(void)
{
    return getpid();
}

unsigned sys_getuid(void)
{
    return getuid();
}

int sys_kill_group(pid_t group, int signal_number)
{
    return result(kill(-group, signal_number));
}

int sys_kill(pid_t pid, int signal_number)
{
    return result(kill(pid, signal_number));
}

int sys_pidfd_open(pid_t pid)
{
#ifdef SYS_pidfd_open
    return result((int)syscall(SYS_pidfd_open, pid, 0));
#else
    (void)pid;
    return -ENOSYS;
#endif
}

int sys_pidfd_signal(int pidfd, int signal_number)
{
#ifdef SYS_pidfd_send_signal
    return result((int)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0));
#else
    (void)pidfd;
    (void)signal_number;
    return -ENOSYS;
#endif
}

int sys_setpgid(pid_t pid, pid_t group)
{
    return result(setpgid(pid, group));
}

pid_t sys_dead_child(void)
{
    siginfo_t info = {0};
    int r;
    do
        r = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : info.si_pid;
}

pid_t sys_reap(pid_t pid, int *status)
{
    pid_t reaped;
    do
        reaped = waitpid(pid, status, WNOHANG);
    while (reaped < 0 && errno == EINTR);
    return reaped < 0 ? -errno : reaped;
}

int sys_become_subreaper(void)
{
    return result(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

int sys_die_with_parent(int signal_number)
{
    return result(prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0));
}

int64_t sys_raise_fd_limit(int64_t want_n)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t want = (rlim_t)want_n;
    if (limit.rlim_cur < want) {
        struct rlimit more = {.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}

int sys_signalfd(const int *signals, size_t signals_n)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < signals_n; i++)
        sigaddset(&set, signals[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    /* A signal that is ignored (as a shell leaves SIGINT for `x &`) would never be queued. */
    for (size_t i = 0; i < signals_n; i++)
        signal(signals[i], SIG_DFL);
    return result(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int sys_signalfd_read(int fd)
{
    struct signalfd_siginfo info;
    ssize_t n = sys_read(fd, &info, sizeof info);
    if (n == -EAGAIN)
        return 0;
    if (n < 0)
        return (int)n;
    return n == sizeof info ? (int)info.ssi_signo : 0;
}

void sys_signals_reset(int ignored)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int s = 1; s <= SIGRTMAX; s++) {
        action.sa_handler = s == ignored ? SIG_IGN : SIG_DFL;
        (void)sigaction(s, &action, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

int sys_signal_ignore(int signal_number)
{
    return signal(signal_number, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static void do_nothing(int signal_number)
{
    (void)signal_number;
}

int sys_prepare_interrupts(void)
{
    struct sigaction action = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    return result(sigaction(SIGALRM, &action, NULL) < 0 ? -1 : sigprocmask(SIG_UNBLOCK, &set, NULL));
}

void sys_interrupt_waits(int first_ms, int every_ms)
{
    struct itimerval limit = {.it_value.tv_usec = first_ms * 1000, .it_interval.tv_usec = every_ms * 1000};
    setitimer(ITIMER_REAL, &limit, NULL);
}

void sys_alarm(unsigned seconds)
{
    alarm(seconds);
}

int64_t sys_page_bytes(void)
{
    return sysconf(_SC_PAGESIZE);
}

int64_t sys_clock_ticks(void)
{
    return sysconf(_SC_CLK_TCK);
}

int sys_controlling_tty(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    close(fd);
    return 1;
}
