/*
 * sys: the one room that calls the kernel.
 *
 * Every function is a thin wrapper that returns a value >= 0 or -errno, never touches errno for the
 * caller and retries EINTR where a retry is what everybody wants. Tests replace the whole room, or
 * wrap one name, to make any call fail. Descriptors are born close-on-exec.
 */
#ifndef COMMON_SYS_H
#define COMMON_SYS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Clocks, in milliseconds. clock_gettime(2) */
int64_t sys_monotonic_ms(void);
int64_t sys_boottime_ms(void);
int64_t sys_monotonic_us(void); /* where another process compares it with its own reading of that clock */
int64_t sys_realtime_ms(void);
/* A descriptor that is readable (-ECANCELED) whenever REALTIME was set. timerfd_create(2) TFD_TIMER_CANCEL_ON_SET */
int sys_clock_watch(void) WARN_UNUSED;

/* Files and descriptors. */
int sys_open(const char *path, int flags, int mode) WARN_UNUSED;
int sys_close(int fd);
ssize_t sys_read(int fd, void *bytes, size_t bytes_n) WARN_UNUSED;
ssize_t sys_write(int fd, const void *bytes, size_t bytes_n) WARN_UNUSED;
int sys_write_all(int fd, const void *bytes, size_t bytes_n) WARN_UNUSED; /* to a file: all of it, or -errno */
ssize_t sys_writev(int fd, const struct iovec *parts, int parts_n) WARN_UNUSED;
int sys_poll(struct pollfd *fds, size_t fds_n, int timeout_ms) WARN_UNUSED;
/* epoll_create1(2), epoll_ctl(2), epoll_wait(2) */
int sys_epoll_create(void) WARN_UNUSED;
int sys_epoll_control(int epoll_fd, int how, int fd, struct epoll_event *event) WARN_UNUSED;
int sys_epoll_wait(int epoll_fd, struct epoll_event *ready, int ready_n, int timeout_ms) WARN_UNUSED;
int sys_pipe(int fds[2], int flags) WARN_UNUSED;
int sys_dup_to(int from_fd, int to_fd) WARN_UNUSED; /* the copy is inherited by exec */
int sys_dup_high(int fd, int lowest_fd) WARN_UNUSED; /* a close-on-exec copy at lowest_fd or above */
int sys_set_cloexec(int fd, int is_cloexec) WARN_UNUSED;
int sys_set_nonblock(int fd) WARN_UNUSED;
int sys_set_blocking(int fd) WARN_UNUSED; /* for who has it next: programs expect that of their standard streams */
int sys_is_open(int fd);
int sys_isatty(int fd);
int sys_terminal_rows(int fd); /* how many lines it has, 0 where nobody knows. ioctl_tty(2) */
void sys_cloexec_from(int lowest_fd); /* close_range(2) with CLOEXEC, else one by one */
void sys_close_from(int lowest_fd, int kept_fd); /* closes all from there on but one (-1: none): close_range(2), else one by one */
int sys_mkdir(const char *path, int mode) WARN_UNUSED; /* 0 also where a folder is already there */
int sys_unlink(const char *path);
int sys_rename(const char *from, const char *to) WARN_UNUSED; /* what is at `to` is replaced, never missing. rename(2) */
int sys_is_socket(const char *path) WARN_UNUSED; /* 1 or 0, or -errno; links are not followed */
/* Where a symbolic link points, NUL-terminated and cut at target_n. readlink(2) */
int sys_readlink(const char *path, char *target, size_t target_n) WARN_UNUSED;
/* Calls fn with each name in a folder until it returns other than 0, and returns that; else 0 or -errno. */
int sys_each_entry(const char *path, int (*fn)(void *context, const char *name), void *context) WARN_UNUSED;
int sys_lock(int fd) WARN_UNUSED; /* 0, or -EWOULDBLOCK where another process has it; ends with the descriptor. flock(2) */
int sys_chdir(const char *path) WARN_UNUSED;
int sys_access_exec(const char *path) WARN_UNUSED; /* 0 for an executable regular file */
int sys_umask(int mask);
int sys_realpath(const char *path, char out[4096]) WARN_UNUSED; /* 0 or -errno */
int sys_getcwd(char out[4096]) WARN_UNUSED;
int sys_own_path(char out[4096]) WARN_UNUSED; /* the path of the running binary */
/* Reads a whole file of at most limit_bytes; *out is malloc'd, NUL-terminated and the caller's. -EFBIG beyond. */
int sys_read_file(const char *path, size_t limit_bytes, char **out, size_t *out_n) WARN_UNUSED;

/* The same of an open descriptor, from its start; its offset stays. pread(2) */
int sys_read_fd(int fd, size_t limit_bytes, char **out, size_t *out_n) WARN_UNUSED;
/* A small file of /proc or /sys in one read, into the caller's room: NUL-terminated, and cut where that is full. How many bytes, or
 * -errno with nothing written. proc(5) */
ssize_t sys_read_text(const char *path, char *text, size_t text_n) WARN_UNUSED;

/* A descriptor with these bytes, sealed against any change. memfd_create(2) */
int sys_memfd_text(const char *name, const char *bytes, size_t bytes_n) WARN_UNUSED;
/* Shared memory sealed against growing and shrinking. memfd_create(2) */
int sys_memfd(const char *name, size_t bytes_n) WARN_UNUSED;
int sys_map_shared(int fd, size_t bytes_n, void **out) WARN_UNUSED;
void sys_unmap(void *at, size_t bytes_n);
int sys_file_size(int fd, size_t *bytes_n) WARN_UNUSED;

/* Sockets. */
int sys_socket(int family, int type, int protocol) WARN_UNUSED;
int sys_socketpair(int family, int type, int fds[2]) WARN_UNUSED;
int sys_bind(int fd, const struct sockaddr *address, socklen_t length) WARN_UNUSED;
int sys_listen(int fd, int backlog) WARN_UNUSED;
int sys_accept(int fd, struct sockaddr_storage *peer, socklen_t *length) WARN_UNUSED;
int sys_connect(int fd, const struct sockaddr *address, socklen_t length) WARN_UNUSED;
int sys_setsockopt_int(int fd, int level, int name, int value) WARN_UNUSED;
int sys_socket_error(int fd) WARN_UNUSED; /* 0 or -errno: SO_ERROR */
int sys_socket_name(int fd, struct sockaddr_storage *address, socklen_t *length) WARN_UNUSED;
int sys_shutdown_write(int fd);
/* What was sent and not yet taken by the other side's kernel. tcp(7) SIOCOUTQ */
int sys_unsent_bytes(int fd) WARN_UNUSED;
/* close(2) will send a reset instead of an orderly end. socket(7) SO_LINGER */
int sys_reset_on_close(int fd);
/* A listening socket whose new connections are dropped without a word, as if the packet were lost, while those that the kernel
 * has begun or keeps for us can still be accepted; and back. socket(7) SO_ATTACH_FILTER, tcp(7) */
int sys_listen_no_more(int fd) WARN_UNUSED;
int sys_listen_again(int fd) WARN_UNUSED;
int sys_peer_name(int fd, struct sockaddr_storage *address, socklen_t *length) WARN_UNUSED;
/* Passes a descriptor through a socket of the UNIX kind, and takes one (-EAGAIN: none waits; -EPIPE: none will come; -EPROTO: a
 * message without one). What was sent stays in the socket until somebody takes it, whoever closes his copy. unix(7) SCM_RIGHTS */
int sys_send_fd(int socket_fd, int fd) WARN_UNUSED;
int sys_recv_fd(int socket_fd) WARN_UNUSED;
/* The same beside a message: how many bytes of it, 0 at the end of a stream, or -errno; none of these waits. *fd: -1 where none came. */
ssize_t sys_send_with_fd(int socket_fd, const void *bytes, size_t bytes_n, int fd) WARN_UNUSED;
ssize_t sys_recv_with_fd(int socket_fd, void *bytes, size_t bytes_n, int *fd) WARN_UNUSED;
ssize_t sys_recv(int fd, void *bytes, size_t bytes_n, int flags) WARN_UNUSED;
ssize_t sys_send(int fd, const void *bytes, size_t bytes_n, int flags) WARN_UNUSED;
/* All parts in one call, as writev(2): small ones are gathered first, as one piece costs the kernel less than many. */
ssize_t sys_send_parts(int fd, const struct iovec *parts, int parts_n) WARN_UNUSED;
ssize_t sys_sendto(int fd, const void *bytes, size_t bytes_n, const struct sockaddr *to,
                   socklen_t to_length) WARN_UNUSED;
/* One datagram and the pid that the kernel vouches for (0 where none came). unix(7) SCM_CREDENTIALS */
ssize_t sys_recv_with_pid(int fd, void *bytes, size_t bytes_n, pid_t *pid) WARN_UNUSED;

/* Processes and signals. */
pid_t sys_fork(void) WARN_UNUSED;
int sys_execve(const char *path, char *const argv[], char *const envp[]);
void sys_exit_now(int code) __attribute__((noreturn));
pid_t sys_getpid(void);
unsigned sys_getuid(void);
int sys_kill_group(pid_t group, int signal_number);
int sys_kill(pid_t pid, int signal_number); /* signal 0: only whether we may. kill(2) */
/* A descriptor that means this process and never another that gets its pid. -ENOSYS before Linux 5.3. pidfd_open(2) */
int sys_pidfd_open(pid_t pid) WARN_UNUSED;
int sys_pidfd_signal(int pidfd, int signal_number); /* pidfd_send_signal(2) */
int sys_setpgid(pid_t pid, pid_t group);
/* The next dead child, not yet reaped, so that its pid and group can't be somebody else's: its pid, 0 when none is
 * dead, -ECHILD when there are no children. waitid(2) WNOWAIT */
pid_t sys_dead_child(void) WARN_UNUSED;
/* Reaps that child. Its pid, or -errno. */
pid_t sys_reap(pid_t pid, int *status) WARN_UNUSED;
int sys_become_subreaper(void);
int sys_die_with_parent(int signal_number);
/* Raises the soft limit on descriptors towards want_n, as far as the hard one goes; returns what it is then. */
int64_t sys_raise_fd_limit(int64_t want_n);
/* Blocks the given signals and returns a descriptor that tells of them. signalfd(2) */
int sys_signalfd(const int *signals, size_t signals_n) WARN_UNUSED;
int sys_signalfd_read(int fd) WARN_UNUSED; /* the number of one signal, 0 when none waits */
/* Empty mask and default dispositions, but for one that is ignored from the beginning (0: none), for a child. signal(7) */
void sys_signals_reset(int ignored);
int sys_signal_ignore(int signal_number);
void sys_alarm(unsigned seconds); /* this process ends by SIGALRM then. alarm(2) */
/* SIGALRM interrupts a wait in the kernel, and does nothing else, until sys_signals_reset. sigaction(2) */
int sys_prepare_interrupts(void) WARN_UNUSED;
/* It comes after first_ms (below 1000), and each every_ms from then on; 0, 0: no more. Not to a forked child. setitimer(2) */
void sys_interrupt_waits(int first_ms, int every_ms);
int64_t sys_page_bytes(void);    /* of a page of memory, as /proc counts them. sysconf(3) */
int64_t sys_clock_ticks(void);   /* a second, as /proc counts them. sysconf(3) */
int sys_controlling_tty(void); /* 1 where the process has a terminal */

/* Standing in for another process (sys_job.c). Sets of signals are bits. */
#define SYS_SIGNAL_BIT(signal_number) (UINT64_C(1) << ((signal_number) - 1))
/* Sets the mask; *was: the one before (NULL: not asked). Linux keeps what is blocked also where it is ignored. signal(7) */
int sys_signals_mask(uint64_t blocked, uint64_t *was);
/* Takes the next of these (blocked) signals; -1 ms: waits for ever. Its number, 0 none came, or -errno. sigtimedwait(2) */
int sys_signal_wait(uint64_t signals, int64_t timeout_ms) WARN_UNUSED;
int sys_signal_is_ignored(int signal_number);
int sys_signal_default(int signal_number); /* its default disposition */
/* The signal that has stopped a child since this was asked last, 0 where none has, or -errno. waitid(2) WSTOPPED */
int sys_stopped_by(pid_t pid) WARN_UNUSED;
/* Stops us (is_group: all of our process group) by a signal that we block, until SIGCONT, which is then pending: 1. 0 where
 * the kernel lets nobody stop us, as nobody could continue us: an orphaned group, PID 1. setpgid(2) */
int sys_stop_self(int signal_number, int is_group) WARN_UNUSED;
/* The foreground process group of the controlling terminal; -errno where there is no terminal. tcgetpgrp(3) */
pid_t sys_terminal_group(void) WARN_UNUSED;
int sys_terminal_give(pid_t group); /* makes another one the foreground; SIGTTOU must be blocked. tcsetpgrp(3) */
pid_t sys_getpgrp(void);
pid_t sys_getppid(void);
/* A counter that others add to, readable when it is above zero. eventfd(2) */
int sys_eventfd(void) WARN_UNUSED;

/* What a process may do, and how it is treated (sys_rights.c). All but the questions are for a child between fork and
 * exec, and change this process alone. */
#define SYS_UNLIMITED UINT64_MAX
int sys_set_groups(const unsigned *groups, size_t groups_n) WARN_UNUSED; /* setgroups(2) */
int sys_set_group(unsigned gid) WARN_UNUSED; /* real, effective and saved. setresgid(2) */
int sys_set_user(unsigned uid) WARN_UNUSED;  /* the same. setresuid(2) */
int sys_is_user(unsigned uid, unsigned gid); /* 1 where all three of both are these */
/* 1 where we have the capability; root in a container may have lost it. capabilities(7) */
enum sys_power { SYS_SET_USER, SYS_SIGNAL_OTHERS, SYS_SET_GROUPS, SYS_RAISE_LIMITS, SYS_LOWER_NICE };
int sys_may(enum sys_power power);
unsigned sys_geteuid(void);
unsigned sys_getegid(void);
int sys_drop_capabilities(void) WARN_UNUSED; /* all that this process has, ambient ones too. capset(2) */
int sys_no_new_privileges(void) WARN_UNUSED; /* prctl(2) PR_SET_NO_NEW_PRIVS */
int sys_set_nice(int nice_value) WARN_UNUSED;
int sys_lowest_nice(void); /* that may be set without SYS_LOWER_NICE. getpriority(2), RLIMIT_NICE */
/* A limit as it is, and as it is to be, in the resource's own unit. getrlimit(2) */
int sys_limit(int resource, uint64_t *soft, uint64_t *hard) WARN_UNUSED;
int sys_set_limit(int resource, uint64_t soft, uint64_t hard) WARN_UNUSED;
/* This process, and what it starts, leaves no core dump: neither a file, nor what a handler gets that the kernel pipes it to. Where it can't be had, all
 * stays as it is. core(5) */
void sys_leave_no_core(void);
void sys_leave_core_again(void); /* in a child that was started by such a process: as it was before */
/* Writes all of it into a file that is there, such as one of /proc. */
int sys_write_file(const char *path, const char *bytes, size_t bytes_n) WARN_UNUSED;
int sys_give_fd(int fd, unsigned uid, unsigned gid); /* fchown(2) */

/* Users and groups by name (sys_user.c): they read files, and ask whom nsswitch.conf(5) names. */
enum { SYS_GROUPS_MAX = 256 };
struct sys_user {
    unsigned uid, gid;
    char name[256], home[1024], shell[256];
};
int sys_user_by_name(const char *name, struct sys_user *out) WARN_UNUSED; /* 0, -ENOENT, … getpwnam_r(3) */
int sys_user_by_id(unsigned uid, struct sys_user *out) WARN_UNUSED;
int sys_group_by_name(const char *name, unsigned *gid) WARN_UNUSED; /* getgrnam_r(3) */
/* The groups of a user, gid among them: how many; -E2BIG where they are more. getgrouplist(3) */
int sys_user_groups(const char *name, unsigned gid, unsigned groups[SYS_GROUPS_MAX]) WARN_UNUSED;

/* Folders by descriptor (sys_folder.c). O_PATH | O_NOFOLLOW opens a link itself. openat(2) */
struct sys_file {
    unsigned uid, gid;
    int mode; /* permissions: 0 to 0777 */
    int is_folder, is_link, is_pipe, is_regular;
    uint64_t device; /* the file system that it is on */
};
int sys_open_at(int folder_fd, const char *name, int flags) WARN_UNUSED;
int sys_mkdir_at(int folder_fd, const char *name, int mode) WARN_UNUSED;
int sys_file(int fd, struct sys_file *out) WARN_UNUSED; /* fstat(2) */
int sys_is_read_only(int fd) WARN_UNUSED; /* 1 where its file system is mounted so, 0, or -errno. fstatvfs(3) */
int sys_readlink_at(int fd, char *target, size_t target_n) WARN_UNUSED; /* where this link points; -ENAMETOOLONG */
/* As sys_each_entry, without . and .. */
int sys_each_entry_at(int folder_fd, int (*fn)(void *context, const char *name), void *context) WARN_UNUSED;

/* Files by path (sys_files.c). */
struct sys_entry {
    uint64_t bytes_n;
    int64_t changed_ms; /* realtime */
    int is_folder, is_regular;
};
int sys_look(const char *path, struct sys_entry *out) WARN_UNUSED;         /* stat(2): behind links */
int sys_look_at_link(const char *path, struct sys_entry *out) WARN_UNUSED; /* lstat(2): a link itself */
int sys_symlink(const char *target, const char *path) WARN_UNUSED;
int sys_rmdir(const char *path) WARN_UNUSED;
/* What may still be written to the file system of this path by who is not root. statvfs(3) */
int sys_free_bytes(const char *path, uint64_t *bytes_n) WARN_UNUSED;
int sys_truncate(int fd, uint64_t bytes_n) WARN_UNUSED; /* ftruncate(2) */
int sys_sync(int fd) WARN_UNUSED; /* it is on the disk then; waits for that. fdatasync(2) */
/* From a place in the file; its offset stays. 0 at its end. pread(2) */
ssize_t sys_read_at(int fd, void *bytes, size_t bytes_n, uint64_t at) WARN_UNUSED;

/* Threads (sys_thread.c). This one runs beside the loop, with all signals blocked, as they are the loop's, and nobody waits for its end. 0 or
 * -errno. pthread_create(3) */
int sys_start_thread(void *(*fn)(void *context), void *context) WARN_UNUSED;
/* Each address of a host's name, of families that this machine has one of itself. It waits for name servers: only for a thread of its own. 0,
 * or -EHOSTUNREACH with a sentence in why. getaddrinfo(3) */
int sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n) WARN_UNUSED;

/* Gives the kernel back what was freed and libc keeps; nothing where libc can't. malloc_trim(3) */
void sys_trim_memory(void);

/* Fills bytes from the kernel's generator, for secrets: 0, or -errno where it has none. getrandom(2) */
int sys_random_secret(void *bytes, size_t bytes_n) WARN_UNUSED;
/* Fills bytes from the kernel's generator; falls back to the clock. getrandom(2) */
void sys_random(void *bytes, size_t bytes_n);

#endif
