/* supervisor/descendants: who is below us, and that nobody else is hit. Each tree grows in a process of its own. */
#include "supervisor/descendants.h"
#include "supervisor/proc_stat.h"

#include "tests/unit/in_child.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cmocka.h>

enum { LIFE_S = 30 }; /* whatever goes wrong, nothing that was started here stays longer */

static int told[2]; /* each process writes its pid when it is what it should be */

static void tell_and_stay(void)
{
    pid_t pid = getpid();
    alarm(LIFE_S);
    CHILD_CHECK(write(told[1], &pid, sizeof pid) == sizeof pid);
    for (;;)
        pause();
}

static pid_t hear(void)
{
    pid_t pid = -1;
    CHILD_CHECK(read(told[0], &pid, sizeof pid) == sizeof pid);
    return pid;
}

/* A child that runs fn. Returns the pid that is told, its own or that of a child of it. */
static pid_t grow(void (*fn)(void))
{
    pid_t pid = fork();
    CHILD_CHECK(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    return hear();
}

static void be_plain(void)
{
    tell_and_stay();
}

static void be_in_another_session(void)
{
    CHILD_CHECK(setsid() > 0);
    tell_and_stay();
}

/* Told is the grandchild; the child stays between, in its own group. */
static void be_a_parent(void)
{
    setpgid(0, 0);
    if (fork() == 0)
        be_in_another_session();
    alarm(LIFE_S);
    for (;;)
        pause();
}

static void leave_an_orphan(void)
{
    pid_t parent = getpid();
    if (fork() == 0) {
        while (getppid() == parent)
            sched_yield();
        be_in_another_session();
    }
}

static void be_badly_named(void)
{
    CHILD_CHECK(prctl(PR_SET_NAME, ") Z 1 (x y") == 0);
    tell_and_stay();
}

static int is_alive(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

/* Waits until no child is left; each must have died of that signal. */
static void reap_all(int signal_number)
{
    int status;
    while (waitpid(-1, &status, 0) > 0)
        CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
    CHILD_CHECK(errno == ECHILD);
}

static void reap_one(pid_t pid)
{
    CHILD_CHECK(waitpid(pid, NULL, 0) == pid);
}

/* Waits until a child of ours that has left an orphan is gone. */
static void reap_its_parent(void)
{
    int status;
    CHILD_CHECK(waitpid(-1, &status, 0) > 0 && status == 0);
}

static void begin(void)
{
    alarm(LIFE_S);
    CHILD_CHECK(pipe(told) == 0);
    CHILD_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

static void everybody(void *context)
{
    (void)context;
    begin();
    CHILD_CHECK(descendants_signal(0, NULL, 0) == 0);
    grow(be_plain);
    grow(be_a_parent);
    grow(leave_an_orphan);
    reap_its_parent();
    grow(be_badly_named);
    CHILD_CHECK(descendants_signal(0, NULL, 0) == 5);
    CHILD_CHECK(descendants_signal(SIGTERM, NULL, 0) == 5);
    reap_all(SIGTERM);
    CHILD_CHECK(descendants_signal(SIGTERM, NULL, 0) == 0);
}

static void test_children_their_children_orphans_and_other_sessions_scenario_21(void **state)
{
    (void)state;
    assert_int_equal(in_child(everybody, NULL), 0);
}

static void spared(void *context)
{
    (void)context;
    begin();
    pid_t kept = grow(be_plain);
    pid_t below = grow(be_a_parent);
    pid_t parent = 0;
    struct proc_stat s;
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)below);
    FILE *file = fopen(path, "r");
    CHILD_CHECK(file && fgets(text, sizeof text, file) && proc_stat_parse(text, &s) == 0);
    fclose(file);
    parent = s.parent;
    const pid_t spare[] = {kept, parent};
    CHILD_CHECK(descendants_signal(SIGKILL, spare, 2) == 1); /* what is below a spared one is not spared */
    while (descendants_signal(0, spare, 2) != 0)
        sched_yield();
    CHILD_CHECK(is_alive(kept) && is_alive(parent));
    CHILD_CHECK(descendants_signal(0, NULL, 0) == 2);
    CHILD_CHECK(descendants_signal(SIGKILL, NULL, 0) == 2);
    reap_all(SIGKILL);
}

static void test_the_spared_ones_live(void **state)
{
    (void)state;
    assert_int_equal(in_child(spared, NULL), 0);
}

static void *stay(void *context)
{
    (void)context;
    tell_and_stay();
    return NULL;
}

static void be_a_thread_without_its_leader(void)
{
    pthread_t thread;
    CHILD_CHECK(pthread_create(&thread, NULL, stay, NULL) == 0);
    pthread_exit(NULL);
}

static void zombies(void *context)
{
    (void)context;
    begin();
    pid_t dead = fork();
    if (dead == 0)
        _exit(0);
    while (is_alive(dead))
        ;
    CHILD_CHECK(descendants_signal(SIGTERM, NULL, 0) == 0);
    pid_t threaded = grow(be_a_thread_without_its_leader);
    CHILD_CHECK(descendants_signal(SIGTERM, NULL, 0) == 1); /* its first thread is a zombie, the process is not */
    reap_one(threaded);
    reap_one(dead);
}

static void test_zombies_do_not_count(void **state)
{
    (void)state;
    assert_int_equal(in_child(zombies, NULL), 0);
}

static void hunt(void *context)
{
    (void)context;
    begin();
    grow(be_plain);
    CHILD_CHECK(descendants_signal(SIGKILL, NULL, 0) == 1);
    reap_all(SIGKILL);
}

static void test_strangers_are_not_hit(void **state)
{
    (void)state;
    pid_t stranger = fork(); /* beside the process that hunts, not below it */
    if (stranger == 0) {
        alarm(LIFE_S);
        for (;;)
            pause();
    }
    assert_true(stranger > 0);
    assert_int_equal(in_child(hunt, NULL), 0);
    assert_true(is_alive(stranger));
    kill(stranger, SIGKILL);
    assert_int_equal(waitpid(stranger, NULL, 0), stranger);
}

/* More than are remembered: one look, and the rest when asked again. */
static void crowd(void *context)
{
    enum { CROWD_N = DESCENDANTS_REMEMBERED_MAX + 50 };
    (void)context;
    begin();
    for (int i = 0; i < CROWD_N; i++)
        grow(be_plain);
    CHILD_CHECK(descendants_signal(0, NULL, 0) == CROWD_N);
    CHILD_CHECK(descendants_signal(SIGTERM, NULL, 0) == CROWD_N);
    reap_all(SIGTERM);
    CHILD_CHECK(descendants_signal(0, NULL, 0) == 0);
}

static void test_more_than_are_remembered(void **state)
{
    (void)state;
    assert_int_equal(in_child(crowd, NULL), 0);
}

/* Each is gone, an orphan in its place, after longer than a look takes. */
static void keep_running_away(void)
{
    enum { STAY_MS = 50 };
    for (int is_first = 1;; is_first = 0) {
        if (fork() != 0)
            _exit(0);
        alarm(LIFE_S);
        if (is_first && write(told[1], &(pid_t){getpid()}, sizeof(pid_t)) != sizeof(pid_t))
            _exit(1);
        poll(NULL, 0, STAY_MS);
    }
}

/* Has children that are gone at once, as fast as it can. */
static void be_busy(void)
{
    pid_t pid = getpid();
    alarm(LIFE_S);
    CHILD_CHECK(write(told[1], &pid, sizeof pid) == sizeof pid);
    for (;;) {
        if (fork() == 0)
            _exit(0);
        while (waitpid(-1, NULL, 0) > 0)
            ;
    }
}

static void chase(void *context)
{
    (void)context;
    begin();
    for (int i = 0; i < 4; i++)
        grow(keep_running_away);
    grow(be_busy);
    grow(be_plain);
    pid_t reaped;
    do {
        CHILD_CHECK(descendants_signal(SIGKILL, NULL, 0) >= 0);
        while ((reaped = waitpid(-1, NULL, WNOHANG)) > 0)
            ;
    } while (reaped == 0);
    CHILD_CHECK(errno == ECHILD);
}

static void test_processes_that_come_and_go_meanwhile(void **state)
{
    (void)state;
    assert_int_equal(in_child(chase, NULL), 0);
}

/* As on kernels before 5.3. */
static void without_pidfd(void *context)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHILD_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    CHILD_CHECK(sys_pidfd_open(getpid()) == -ENOSYS);
    everybody(context);
}

static void test_without_pidfd(void **state)
{
    (void)state;
    assert_int_equal(in_child(without_pidfd, NULL), 0);
}

static void foreign_proc(void *context)
{
    (void)context;
    if (unshare(CLONE_NEWPID) < 0)
        _exit(errno == EPERM || errno == ENOSYS ? 77 : 1);
    pid_t pid = fork();
    if (pid == 0) /* 1 in its namespace; /proc is still the outer one's */
        _exit(getpid() == 1 && descendants_signal(SIGTERM, NULL, 0) == -EXDEV ? 0 : 1);
    int status;
    CHILD_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void test_the_proc_of_another_pid_namespace_is_refused(void **state)
{
    (void)state;
    int status = in_child(foreign_proc, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("SKIPPED: no right to make a PID namespace\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void test_a_signal_that_is_none(void **state)
{
    (void)state;
    assert_int_equal(descendants_signal(-1, NULL, 0), -EINVAL);
    assert_int_equal(descendants_signal(65, NULL, 0), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children_their_children_orphans_and_other_sessions_scenario_21),
        cmocka_unit_test(test_the_spared_ones_live),
        cmocka_unit_test(test_zombies_do_not_count),
        cmocka_unit_test(test_strangers_are_not_hit),
        cmocka_unit_test(test_more_than_are_remembered),
        cmocka_unit_test(test_processes_that_come_and_go_meanwhile),
        cmocka_unit_test(test_without_pidfd),
        cmocka_unit_test(test_the_proc_of_another_pid_namespace_is_refused),
        cmocka_unit_test(test_a_signal_that_is_none),
    };
    return cmocka_run_group_tests_name("supervisor_descendants", tests, NULL, NULL);
}
