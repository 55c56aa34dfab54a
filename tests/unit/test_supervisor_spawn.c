/* supervisor/spawn: what a process is born with. The process that reports is this test itself, started with `--report`. */
#include "supervisor/spawn.h"

#include "tests/unit/scratch.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

extern char **environ;

static struct scratch scratch;
static char own_path[4096];
static char report[16384];
static int status;

/* The child's side: descriptors, mask, dispositions, group, folder, environment, as `key=value` lines. */
static int write_report(int argc, char **argv)
{
    char cwd[4096];
    sigset_t mask;
    printf("argc=%d\n", argc);
    for (int i = 2; i < argc; i++)
        printf("argv=%s\n", argv[i]);
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("fd=%d\n", fd);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s < 65; s++) {
        struct sigaction action;
        if (sigismember(&mask, s) == 1)
            printf("blocked=%d\n", s);
        if (sigaction(s, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            printf("ignored=%d\n", s);
    }
    printf("pid=%d\npgid=%d\ncwd=%s\n", (int)getpid(), (int)getpgid(0), getcwd(cwd, sizeof cwd));
    for (char **e = environ; *e; e++)
        printf("env %s\n", *e);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    return sys_own_path(own_path);
}

static int teardown(void **state)
{
    (void)state;
    scratch_fini(&scratch);
    return 0;
}

/* Runs the plan with its output in `report`, and waits for its end. The pid, or what spawn_process says. */
static pid_t run(struct spawn_plan *plan, int *exec_error)
{
    int fds[2], exec_fd;
    size_t have_n = 0;
    ssize_t n;
    assert_int_equal(sys_pipe(fds, 0), 0);
    plan->output_fd = fds[1];
    pid_t pid = spawn_process(plan, &exec_fd);
    sys_close(fds[1]);
    while (pid > 0 && have_n < sizeof report - 1 && (n = sys_read(fds[0], report + have_n, sizeof report - 1 - have_n)) > 0)
        have_n += (size_t)n;
    report[have_n] = '\0';
    sys_close(fds[0]);
    if (pid > 0)
        assert_int_equal(waitpid(pid, &status, 0), pid);
    *exec_error = spawn_exec_error(exec_fd).error;
    sys_close(exec_fd);
    return pid;
}

static int has(const char *line)
{
    char wanted[5000];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    return strstr(report, wanted) != NULL;
}

static pid_t run_report(struct spawn_plan *plan)
{
    int exec_error;
    pid_t pid = run(plan, &exec_error);
    assert_true(pid > 0);
    assert_int_equal(exec_error, 0);
    assert_int_equal(status, 0);
    return pid;
}

static char word_report[] = "--report", word_arg[] = "one two";
static char variable[] = "A=1";

static void plan_init(struct spawn_plan *plan, char **argv, char **envp)
{
    argv[0] = own_path;
    argv[1] = word_report;
    argv[2] = word_arg;
    argv[3] = NULL;
    envp[0] = variable;
    envp[1] = NULL;
    *plan = (struct spawn_plan){.argv = argv, .envp = envp, .output_fd = -1};
}

static void test_words_and_environment_arrive_as_they_are(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], line[64];
    plan_init(&plan, argv, envp);
    pid_t pid = run_report(&plan);
    assert_true(has("argv=one two"));
    assert_true(has("env A=1"));
    assert_null(strstr(report, "env PATH="));
    snprintf(line, sizeof line, "pid=%d", (int)pid);
    assert_true(has(line));
    snprintf(line, sizeof line, "pgid=%d", (int)pid); /* a group of its own */
    assert_true(has(line));
}

/* scenario 59 */
static void test_listen_pid_is_the_childs_own(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], line[64];
    static char listen_pid[] = "LISTEN_PID=0000000000";
    plan_init(&plan, argv, envp);
    envp[1] = listen_pid;
    envp[2] = NULL;
    plan.listen_pid_at = listen_pid + 11;
    pid_t pid = run_report(&plan);
    snprintf(line, sizeof line, "env LISTEN_PID=%d", (int)pid);
    assert_true(has(line));
    assert_string_equal(listen_pid, "LISTEN_PID=0000000000"); /* ours is as it was: for the next one */
}

/* scenario 58 */
static void test_only_the_descriptors_named_are_inherited(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3];
    int stray = dup(0), high = fcntl(0, F_DUPFD, 500);
    plan_init(&plan, argv, envp);
    (void)run_report(&plan);
    assert_true(has("fd=0") && has("fd=1") && has("fd=2"));
    assert_null(strstr(report, "fd=3"));
    assert_null(strstr(report, "fd=5"));
    close(stray);
    close(high);
}

static void test_named_descriptors_become_3_4_5_in_their_order(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], text[SCRATCH_PATH_BYTES];
    int exec_error;
    /* Numbers that overlap with their places, backwards. */
    int fds[3];
    for (int i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        scratch_text(&scratch, name, "");
        int fd = open(scratch_path(&scratch, name, text), O_RDWR);
        fds[i] = fcntl(fd, F_DUPFD, 20);
        close(fd);
        assert_true(fds[i] >= 20);
    }
    assert_int_equal(dup2(fds[0], 5), 5);
    assert_int_equal(dup2(fds[1], 4), 4);
    assert_int_equal(dup2(fds[2], 3), 3);
    static char sh[] = "/bin/sh", flag[] = "-c", script[] = "echo a >&3; echo b >&4; echo c >&5";
    plan_init(&plan, argv, envp);
    argv[0] = sh;
    argv[1] = flag;
    argv[2] = script;
    plan.fds[0] = 5;
    plan.fds[1] = 4;
    plan.fds[2] = 3;
    plan.fds_n = 3;
    assert_true(run(&plan, &exec_error) > 0);
    assert_int_equal(status, 0);
    for (int i = 0; i < 3; i++) {
        char letter[4] = "";
        assert_int_equal(pread(fds[i], letter, sizeof letter, 0), 2);
        assert_int_equal(letter[0], 'a' + i);
        close(fds[i]);
        close(3 + i);
    }
}

/* scenario 12 */
static void test_signals_are_as_a_program_expects_them(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3];
    sigset_t some, before;
    static const int numbers[] = {SIGINT, SIGPIPE, SIGHUP, SIGTERM, SIGUSR1, SIGCHLD};
    sigemptyset(&some);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaddset(&some, numbers[i]);
        if (numbers[i] != SIGCHLD)
            (void)signal(numbers[i], SIG_IGN); /* as after `nohup x &` */
    }
    sigprocmask(SIG_BLOCK, &some, &before);
    plan_init(&plan, argv, envp);
    (void)run_report(&plan);
    sigprocmask(SIG_SETMASK, &before, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        (void)signal(numbers[i], SIG_DFL);
    assert_null(strstr(report, "blocked="));
    assert_null(strstr(report, "ignored="));
}

static void test_it_starts_in_its_folder(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], line[200];
    plan_init(&plan, argv, envp);
    plan.directory = scratch.dir;
    (void)run_report(&plan);
    snprintf(line, sizeof line, "cwd=%s", scratch.dir);
    assert_true(has(line));
}

static void test_stdin_is_empty(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3];
    int exec_error;
    static char sh[] = "/bin/sh", flag[] = "-c", script[] = "read x || echo nothing";
    plan_init(&plan, argv, envp);
    argv[0] = sh;
    argv[1] = flag;
    argv[2] = script;
    assert_true(run(&plan, &exec_error) > 0);
    assert_string_equal(report, "nothing\n");
}

static void test_one_socket_may_be_stdin_and_stdout(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], answer[32] = "";
    int exec_error, pair[2];
    static char sh[] = "/bin/sh", flag[] = "-c", script[] = "read x && echo \"heard $x\"; echo aside >&2";
    assert_int_equal(sys_socketpair(AF_UNIX, SOCK_STREAM, pair), 0);
    assert_int_equal(sys_set_blocking(pair[1]), 0);
    plan_init(&plan, argv, envp);
    argv[0] = sh;
    argv[1] = flag;
    argv[2] = script;
    plan.stdio_fd = pair[1];
    assert_int_equal(sys_send(pair[0], "it\n", 3, 0), 3);
    assert_true(run(&plan, &exec_error) > 0);
    assert_int_equal(sys_recv(pair[0], answer, sizeof answer - 1, 0), 9);
    assert_string_equal(answer, "heard it\n");
    assert_string_equal(report, "aside\n"); /* where the others go */
    sys_close(pair[0]);
    sys_close(pair[1]);
}

static void test_a_command_is_found_on_path(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], first[SCRATCH_PATH_BYTES], path[4500];
    int exec_error;
    static char name[] = "sidecar-unit-tool";
    scratch_text(&scratch, name, "#!/bin/sh\necho found\n");
    assert_int_equal(chmod(scratch_path(&scratch, name, first), 0755), 0);
    plan_init(&plan, argv, envp);
    argv[0] = name;
    argv[1] = NULL;
    snprintf(path, sizeof path, "PATH=/nonexistent::%s:/bin", scratch.dir);
    envp[1] = path;
    envp[2] = NULL;
    assert_true(run(&plan, &exec_error) > 0);
    assert_string_equal(report, "found\n");
    envp[1] = NULL;
    plan.first_dir = scratch.dir; /* where our own programs are */
    assert_true(run(&plan, &exec_error) > 0);
    assert_string_equal(report, "found\n");
    plan.first_dir = NULL;
    assert_int_equal(run(&plan, &exec_error), -ENOENT);
    assert_int_equal(chmod(first, 0644), 0);
    envp[1] = path;
    assert_int_equal(run(&plan, &exec_error), -EACCES); /* there, but not to be run */
}

static void test_missing_commands_make_no_process(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], endless[5000];
    int exec_error;
    static char missing[] = "/nonexistent/tool", name[] = "sidecar-no-such-tool", nothing[] = "";
    char *const commands[] = {missing, name, nothing};
    plan_init(&plan, argv, envp);
    for (size_t i = 0; i < 3; i++) {
        argv[0] = commands[i];
        assert_true(run(&plan, &exec_error) == -ENOENT || i == 2);
        assert_int_equal(exec_error, 0);
    }
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    argv[0] = endless;
    assert_true(run(&plan, &exec_error) < 0);
    endless[0] = '/';
    assert_int_equal(run(&plan, &exec_error), -ENAMETOOLONG);
    argv[0] = scratch.dir; /* a folder */
    assert_int_equal(run(&plan, &exec_error), -EACCES);
}

/* scenario 29 */
static void test_a_failed_exec_is_told(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3], path[SCRATCH_PATH_BYTES];
    int exec_error;
    scratch_text(&scratch, "garbage", "\x7f" "ELF but not really");
    assert_int_equal(chmod(scratch_path(&scratch, "garbage", path), 0755), 0);
    plan_init(&plan, argv, envp);
    argv[0] = path;
    assert_true(run(&plan, &exec_error) > 0);
    assert_int_equal(exec_error, -ENOEXEC); /* and no shell tries to read it */
    assert_int_equal(WEXITSTATUS(status), 126);
    scratch_text(&scratch, "script", "#!/nonexistent/interpreter\n");
    assert_int_equal(chmod(scratch_path(&scratch, "script", path), 0755), 0);
    assert_true(run(&plan, &exec_error) > 0);
    assert_int_equal(exec_error, -ENOENT);
    assert_int_equal(WEXITSTATUS(status), 127);
    argv[0] = own_path;
    plan.directory = "/nonexistent";
    assert_true(run(&plan, &exec_error) > 0);
    assert_int_equal(exec_error, -ENOENT);
    assert_int_equal(spawn_exec_error(-1).error, 0);
}

static void test_it_can_be_signalled_by_its_group_at_once(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char *argv[4], *envp[3];
    int exec_fd;
    static char sleep_[] = "/bin/sleep", ever[] = "1000";
    plan_init(&plan, argv, envp);
    argv[0] = sleep_;
    argv[1] = ever;
    argv[2] = NULL;
    pid_t pid = spawn_process(&plan, &exec_fd);
    assert_true(pid > 0);
    assert_int_equal(sys_kill_group(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(spawn_exec_error(exec_fd).error, 0);
    sys_close(exec_fd);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(test_words_and_environment_arrive_as_they_are),
        CASE(test_listen_pid_is_the_childs_own),
        CASE(test_only_the_descriptors_named_are_inherited),
        CASE(test_named_descriptors_become_3_4_5_in_their_order),
        CASE(test_signals_are_as_a_program_expects_them),
        CASE(test_it_starts_in_its_folder),
        CASE(test_stdin_is_empty),
        CASE(test_one_socket_may_be_stdin_and_stdout),
        CASE(test_a_command_is_found_on_path),
        CASE(test_missing_commands_make_no_process),
        CASE(test_a_failed_exec_is_told),
        CASE(test_it_can_be_signalled_by_its_group_at_once),
    };
    if (argc > 1 && strcmp(argv[1], word_report) == 0)
        return write_report(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
