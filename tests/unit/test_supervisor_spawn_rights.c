/* supervisor/spawn: as whom, and how, a process is started; each step that can fail says so. Scenarios 60, 64. */
#include "supervisor/spawn.h"

#include "tests/unit/in_child.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>

enum { SOMEBODY = 65534, GROUP = 65533, SECOND = 4321 };

static struct scratch scratch;
static char report[16384];
static int status;
static struct conf_rights rights;
static unsigned groups[4];
static struct conf_limit limits[4];
static struct spawn_plan plan;
static char sh[] = "/bin/sh", flag[] = "-c", script[2000];
static char *argv[] = {sh, flag, script, NULL};
static char path[] = "PATH=/usr/bin:/bin";
static char *envp[] = {path, NULL};
static char show[] = "cat /proc/self/status /proc/self/limits; echo oom=$(cat /proc/self/oom_score_adj);"
                     "echo umask=$(umask); echo nice=$(nice); echo cwd=$(pwd)";

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    rights = (struct conf_rights){.umask = -1, .groups = groups, .limits = limits};
    plan = (struct spawn_plan){.argv = argv, .envp = envp, .output_fd = -1, .rights = &rights};
    snprintf(script, sizeof script, "%s", show);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_fini(&scratch);
    return 0;
}

static void skip_without_root(void)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root may become somebody else\n");
        skip();
    }
}

/* Root of a container often lacks CAP_SYS_NICE, and CAP_SYS_RESOURCE with it. capabilities(7) */
static void skip_without_all_rights_of_root(void)
{
    skip_without_root();
    if (setpriority(PRIO_PROCESS, 0, -5) < 0 || setpriority(PRIO_PROCESS, 0, 0) < 0) {
        print_message("SKIPPED: this root may not do all that root may\n");
        skip();
    }
}

/* Runs the plan with its output in `report` to its end. Also called in a child of the test: no asserts. */
static struct spawn_failure run(void)
{
    struct spawn_failure none = {.error = -1000};
    int fds[2], exec_fd;
    size_t have_n = 0;
    ssize_t n;
    if (sys_pipe(fds, 0) < 0)
        return none;
    plan.output_fd = fds[1];
    pid_t pid = spawn_process(&plan, &exec_fd);
    sys_close(fds[1]);
    while (pid > 0 && have_n < sizeof report - 1 && (n = sys_read(fds[0], report + have_n, sizeof report - 1 - have_n)) > 0)
        have_n += (size_t)n;
    report[have_n] = '\0';
    sys_close(fds[0]);
    if (pid <= 0 || waitpid(pid, &status, 0) != pid)
        return none;
    struct spawn_failure f = spawn_exec_error(exec_fd);
    sys_close(exec_fd);
    return f;
}

static void good(void)
{
    struct spawn_failure f = run();
    if (f.error || status)
        print_error("error %d in step %d, status %d, said:\n%s", f.error, f.step, status, report);
    assert_int_equal(f.error, 0);
    assert_int_equal(status, 0);
}

static void has(const char *line)
{
    if (!strstr(report, line))
        fail_msg("no \"%s\" in:\n%s", line, report);
}

static void become(unsigned uid, unsigned gid)
{
    rights.has_ids = rights.has_groups = 1;
    rights.uid = uid;
    rights.gid = gid;
    rights.groups[0] = gid;
    rights.groups[1] = SECOND;
    rights.groups_n = 2;
}

static void test_user_group_and_groups(void **state)
{
    (void)state;
    skip_without_root();
    become(SOMEBODY, GROUP);
    good();
    has("Uid:\t65534\t65534\t65534\t65534");
    has("Gid:\t65533\t65533\t65533\t65533");
    has("Groups:\t4321 65533 ");
    has("CapEff:\t0000000000000000");
}

static void test_no_groups_at_all(void **state)
{
    (void)state;
    skip_without_root();
    rights.has_groups = 1;
    good();
    has("Uid:\t0\t0");
    has("Groups:\t \n");
}

static void test_limits_nice_oom_umask_and_privileges(void **state)
{
    (void)state;
    rights.umask = 027;
    rights.nice = 7;
    rights.no_new_privileges = 1;
    snprintf(rights.oom_score_adj, sizeof rights.oom_score_adj, "500");
    rights.limits[rights.limits_n++] = (struct conf_limit){"nofile", RLIMIT_NOFILE, 100, 200};
    rights.limits[rights.limits_n++] = (struct conf_limit){"core", RLIMIT_CORE, 0, 0};
    rights.limits[rights.limits_n++] = (struct conf_limit){"cpu", RLIMIT_CPU, 1000, SYS_UNLIMITED};
    good();
    has("umask=0027");
    has("nice=7");
    has("NoNewPrivs:\t1");
    has("oom=500");
    has("Max open files            100                  200 ");
    has("Max core file size        0                    0 ");
    has("Max cpu time              1000                 unlimited");
}

static void test_the_defaults_change_nothing(void **state)
{
    (void)state;
    char before[4096], line[64];
    mode_t mask = umask(0);
    umask(mask);
    good();
    snprintf(before, sizeof before, "%s", strstr(report, "Limit "));
    snprintf(line, sizeof line, "umask=%04o", mask);
    has(line);
    has("NoNewPrivs:\t0");
    plan.rights = NULL;
    good();
    assert_string_equal(before, strstr(report, "Limit "));
}

/* Rights that only root has, and then no root any more. */
static void test_what_needs_root_comes_before_the_change_of_user(void **state)
{
    (void)state;
    skip_without_all_rights_of_root();
    become(SOMEBODY, GROUP);
    rights.nice = -5;
    rights.limits[rights.limits_n++] = (struct conf_limit){"nproc", RLIMIT_NPROC, 5000, 5000};
    good();
    has("nice=-5");
    has("Max processes             5000                 5000 ");
    has("Uid:\t65534");
}

static void test_its_pipe_can_be_opened_again(void **state)
{
    (void)state;
    skip_without_root();
    become(SOMEBODY, GROUP);
    snprintf(script, sizeof script, "echo one >/dev/stdout; echo two >/dev/stderr");
    good();
    assert_string_equal(report, "one\ntwo\n");
}

/* The step that failed, and its words. */
static void fails(enum spawn_step step, int error, const char *words)
{
    char text[300];
    struct spawn_failure f = run();
    spawn_failure_text(&f, &plan, text, sizeof text);
    assert_int_equal(f.error, error);
    assert_int_equal(f.step, step);
    assert_int_equal(WEXITSTATUS(status), 126);
    assert_string_equal(text, words);
    assert_string_equal(report, ""); /* nothing ran */
}

static void test_failures_of_root(void **state)
{
    (void)state;
    skip_without_root();
    snprintf(rights.oom_score_adj, sizeof rights.oom_score_adj, "5000");
    fails(SPAWN_OOM, -EINVAL, "can't set oom_score_adj to 5000: Invalid argument");
    rights.oom_score_adj[0] = '\0';
    rights.limits[rights.limits_n++] = (struct conf_limit){"core", RLIMIT_CORE, 0, 0};
    rights.limits[rights.limits_n++] = (struct conf_limit){"nofile", RLIMIT_NOFILE, 30, 20};
    fails(SPAWN_LIMIT, -EINVAL, "can't set the limit nofile: Invalid argument");
    rights.limits_n = 0;
    become(SOMEBODY, GROUP);
    plan.directory = scratch.dir; /* 0700, and root's: who is somebody already may not go there */
    char words[300];
    snprintf(words, sizeof words, "can't change to directory %s: Permission denied", scratch.dir);
    fails(SPAWN_DIRECTORY, -EACCES, words);
}

/* As somebody who is not root. */
static void without_rights(void *context)
{
    struct spawn_failure f;
    char text[300];
    (void)context;
    CHILD_CHECK(setgroups(0, NULL) == 0 && setresgid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 &&
                setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
    static char name[] = "ollama";
    rights.user = name;
    rights.has_groups = 1;
    f = run();
    spawn_failure_text(&f, &plan, text, sizeof text);
    CHILD_CHECK(f.step == SPAWN_GROUPS && strcmp(text, "can't set its supplementary groups: Operation not permitted") == 0);
    rights.has_groups = 0;
    rights.has_ids = 1;
    rights.gid = 7;
    f = run();
    spawn_failure_text(&f, &plan, text, sizeof text);
    CHILD_CHECK(f.step == SPAWN_GROUP && strcmp(text, "can't change to group 7: Operation not permitted") == 0);
    rights.gid = SOMEBODY;
    rights.uid = 7;
    f = run();
    spawn_failure_text(&f, &plan, text, sizeof text);
    CHILD_CHECK(f.step == SPAWN_USER && strcmp(text, "can't change to user ollama: Operation not permitted") == 0);
    rights.user = NULL; /* an uid without a name */
    spawn_failure_text(&f, &plan, text, sizeof text);
    CHILD_CHECK(strcmp(text, "can't change to user 7: Operation not permitted") == 0);
    rights.has_ids = 0;
    struct rlimit none = {0, 0};
    CHILD_CHECK(setrlimit(RLIMIT_NICE, &none) == 0);
    rights.nice = -5;
    f = run();
    spawn_failure_text(&f, &plan, text, sizeof text);
    CHILD_CHECK(f.step == SPAWN_NICE && strcmp(text, "can't set nice to -5: Permission denied") == 0);
    rights.nice = 0;
    CHILD_CHECK(run().error == 0 && strstr(report, "Uid:\t65534"));
    struct rlimit few = {32, 32}; /* podman run --ulimit nofile=32 */
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    f = run();
    spawn_failure_text(&f, &plan, text, sizeof text);
    CHILD_CHECK(f.step == SPAWN_DESCRIPTORS && strstr(text, "the limit on open files is too low"));
}

static void test_failures_of_somebody(void **state)
{
    (void)state;
    skip_without_root();
    assert_int_equal(in_child(without_rights, NULL), 0);
}

/* Scenario 60. */
static void test_it_starts_where_we_were_started(void **state)
{
    (void)state;
    char line[200], text[SCRATCH_PATH_BYTES];
    plan.start_dir = scratch.dir;
    snprintf(line, sizeof line, "cwd=%s", scratch.dir);
    good();
    has(line);
    if (geteuid() == 0) { /* it may be there, though it could not have gone there */
        become(SOMEBODY, GROUP);
        snprintf(script, sizeof script, "echo in $(readlink /proc/self/cwd)");
        good();
        snprintf(line, sizeof line, "in %s", scratch.dir);
        has(line);
        rights = (struct conf_rights){.umask = -1, .groups = groups, .limits = limits};
        snprintf(script, sizeof script, "%s", show);
    }
    plan.directory = "/"; /* wins */
    good();
    has("cwd=/\n");
    plan.directory = NULL;
    plan.start_dir = "/nonexistent"; /* gone meanwhile: no reason not to start */
    good();
    /* Commands and PATH that are relative start there too. */
    scratch_text(&scratch, "tool", "#!/bin/sh\necho found\n");
    assert_int_equal(chmod(scratch_path(&scratch, "tool", text), 0755), 0);
    static char relative[] = "./tool", plain[] = "tool", here[] = "PATH=:/bin";
    plan.start_dir = scratch.dir;
    argv[0] = relative;
    good();
    assert_string_equal(report, "found\n");
    argv[0] = plain;
    envp[0] = here;
    good();
    assert_string_equal(report, "found\n");
    argv[0] = sh;
    envp[0] = path;
}

/* Root finds it in a folder that is closed to the user: it goes on as the user would. */
static void test_a_command_is_the_users(void **state)
{
    (void)state;
    char text[SCRATCH_PATH_BYTES];
    static char plain[] = "tool", both[600];
    skip_without_root();
    scratch_text(&scratch, "tool", "#!/bin/sh\necho open\n");
    assert_int_equal(chmod(scratch_path(&scratch, "tool", text), 0755) + chmod(scratch.dir, 0755), 0);
    assert_int_equal(mkdir(scratch_path(&scratch, "closed", text), 0700), 0);
    scratch_text(&scratch, "closed/tool", "#!/bin/sh\necho closed\n");
    assert_int_equal(chmod(scratch_path(&scratch, "closed/tool", text), 0755), 0);
    snprintf(both, sizeof both, "PATH=%s/closed:%s", scratch.dir, scratch.dir);
    argv[0] = plain;
    envp[0] = both;
    good();
    assert_string_equal(report, "closed\n");
    become(SOMEBODY, GROUP);
    good();
    assert_string_equal(report, "open\n");
    assert_int_equal(unlink(scratch_path(&scratch, "tool", text)), 0);
    fails(SPAWN_EXEC, -EACCES, "tool can't be executed: Permission denied");
    assert_int_equal(unlink(scratch_path(&scratch, "closed/tool", text)), 0);
    argv[0] = sh;
    envp[0] = path;
}

/* PR_SET_PDEATHSIG is lost with a change of user: it is set after that. The middle one starts a process and dies. */
static void start_and_die(void *context)
{
    int *fds = context, exec_fd;
    plan.output_fd = fds[1];
    snprintf(script, sizeof script, "trap 'echo asked; exit' TERM; echo up; while :; do sleep 0.05; done");
    CHILD_CHECK(spawn_process(&plan, &exec_fd) > 0);
    char up[3];
    CHILD_CHECK(read(fds[0], up, sizeof up) == 3);
    kill(getpid(), SIGKILL);
}

static void test_it_is_asked_to_stop_when_we_die(void **state)
{
    (void)state;
    int fds[2];
    ssize_t n;
    size_t have_n = 0;
    skip_without_root();
    become(SOMEBODY, GROUP);
    assert_int_equal(sys_pipe(fds, 0), 0);
    int how = in_child(start_and_die, fds);
    assert_true(WIFSIGNALED(how));
    sys_close(fds[1]);
    while ((n = sys_read(fds[0], report + have_n, sizeof report - 1 - have_n)) > 0) /* ends when the process has */
        have_n += (size_t)n;
    report[have_n] = '\0';
    assert_string_equal(report, "asked\n");
    sys_close(fds[0]);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_user_group_and_groups),
        CASE(test_no_groups_at_all),
        CASE(test_limits_nice_oom_umask_and_privileges),
        CASE(test_the_defaults_change_nothing),
        CASE(test_what_needs_root_comes_before_the_change_of_user),
        CASE(test_its_pipe_can_be_opened_again),
        CASE(test_failures_of_root),
        CASE(test_failures_of_somebody),
        CASE(test_it_starts_where_we_were_started),
        CASE(test_a_command_is_the_users),
        CASE(test_it_is_asked_to_stop_when_we_die),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
