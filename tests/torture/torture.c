/*
 * See torture.h. The supervisor's main() runs here, with its real loop; before each poll of that loop the puppeteer plays
 * a step, as an owner, a child or a stranger would. Then it is looked at what is left.
 *
 *   torture CHILD_PROGRAM   reads lines of stdin: SCENARIO (a clean run: prints how often each call was made), or
 *                           SCENARIO:CALL:NUMBER:FAULT (in this run the NUMBER-th CALL fails so); one line each on stdout
 */
int supervisor_main(int argc, char **argv);
#define main supervisor_main
#include "supervisor/main.c"
#undef main

#include "tests/torture/torture.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { RUN_LIMIT_MS = 30000 }; /* a run takes some ms; at a low priority beside other lanes it may have to wait */

void __lsan_do_recoverable_leak_check(void) __attribute__((weak));

struct supervisor *puppet_supervisor = &the_supervisor;

/* ---- judging ---- */

/* How many descriptors are open; told: their targets, for the verdict. The signals' is main()'s, to the very end. */
static int count_fds(int has_signals, char *told, size_t told_n)
{
    int n = 0;
    size_t at = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        char path[300], target[80] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
        if (e->d_name[0] == '.' || readlink(path, target, sizeof target - 1) < 0 || strtol(e->d_name, NULL, 10) == dirfd(dir))
            continue;
        if (!has_signals && strcmp(target, "anon_inode:[signalfd]") == 0)
            continue;
        n++;
        if (told && at < told_n)
            at += (size_t)snprintf(told + at, told_n - at, " %s=%s", e->d_name, target);
    }
    closedir(dir);
    return n;
}

/* What ended without a supervisor is still on its way for a moment; then nobody may be left. */
static void check_children(void)
{
    int64_t until_ms = puppet_clock_ms() + 1500;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) >= 0 && puppet_clock_ms() < until_ms)
        if (pid == 0)
            usleep(1000);
    if (pid < 0)
        return;
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    (void)!read(fd, text, sizeof text - 1);
    close(fd);
    puppet_fail("left behind: %s", text);
}

/* Calls without which there is nothing to supervise with: their failure may end the boot, before anything was started. */
static int may_end_boot(int id)
{
    static const int ids[] = {
        CALL_sys_set_cloexec, CALL_sys_signalfd,                                          /* main() */
        CALL_sys_read_file, CALL_sys_realpath, CALL_sys_getcwd, CALL_sys_open, CALL_sys_read_fd, CALL_sys_read, /* the ini file */
        CALL_sys_socket, CALL_sys_bind, CALL_sys_listen, CALL_sys_setsockopt_int, CALL_sys_socket_name, /* listeners, notify */
        CALL_sys_memfd, CALL_sys_map_shared, CALL_sys_memfd_text,                         /* the page, the text for children */
        CALL_sys_connect,                         /* somebody may answer on the control socket: then it is not ours */
        CALL_sys_user_by_name, CALL_sys_user_by_id, CALL_sys_group_by_name, CALL_sys_user_groups, /* user =, groups = */
        CALL_malloc, CALL_calloc, CALL_realloc, CALL_strdup, CALL_asprintf,
    };
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i] == id)
            return 1;
    return 0;
}

static void judge_exit(const struct scenario *s, int code, int was_booted)
{
    int is_hit = atomic_load(&faults->was_hit);
    if (was_booted || !is_hit) {
        if (code != s->exit_code && !(is_hit && s->may_boot && code == 0))
            puppet_fail("exit code %d, not %d", code, s->exit_code);
        if (was_booted && !puppet_has_played())
            puppet_fail("it ended before step %zu", faults->step_n + 1);
        return;
    }
    if (code == s->exit_code)
        return;
    int is_single = s->words[0] != NULL, is_refused = code == 111 || code == 100;
    if (!is_refused && !(is_single && (code == 126 || code == 127)))
        puppet_fail("exit code %d at boot, neither 111 nor 100", code);
    else if (!is_single && !may_end_boot(faults->target))
        puppet_fail("%s ended the boot", call_name(faults->target));
    else if (!puppet_logged(is_single ? "error" : code == 111 ? "error=" : "mistake") && !puppet_logged("can't"))
        puppet_fail("the boot ended without a word: %.200s", puppet_log());
}

static int fds_before_n;

void torture_fds_are_closed(void)
{
    faults_are_on = 0;
    if (puppet_open() < 0)
        puppet_fail("the puppet has no address: %s", strerror(errno));
    fds_before_n = count_fds(0, NULL, 0);
    faults_are_on = 1;
}

static void run_inside(const struct scenario *s)
{
    static char single[] = "--";
    char path[4096];
    char ini[96], told[400] = "", *argv[] = {(char[]){"ollama-supervisor"}, (char[]){"-c"}, ini, NULL, NULL, NULL};
    setsid(); /* no terminal: SIGHUP reloads */
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    clearenv();
    snprintf(path, sizeof path, "%.*s:/usr/bin:/bin", (int)(strrchr(puppet_child, '/') - puppet_child), puppet_child);
    setenv("PATH", path, 1); /* our own programs too are found there, by a supervisor that does not know where it is itself */
    setenv("HOME", puppet_dir, 1);
    setenv("FLY_APP_NAME", "app", 1);
    setenv("FLY_MACHINE_ID", "148ed1", 1);
    snprintf(ini, sizeof ini, "%s/supervisor.ini", puppet_dir);
    snprintf(puppet_address, sizeof puppet_address, "127.%d.%d.%d", 1 + ((int)getpid() >> 16 & 63), (int)getpid() >> 8 & 255, (int)getpid() & 255);
    puppet_begin(s);
    if (s->words[0]) {
        argv[1] = single;
        argv[2] = (char *)(uintptr_t)puppet_child;
        argv[3] = (char *)(uintptr_t)s->words[0];
        argv[4] = (char *)(uintptr_t)s->words[1];
    }
    int log_fd = open(puppet_log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    close(log_fd);
    fds_before_n = count_fds(0, NULL, 0);
    faults_pid = getpid();
    faults_are_on = 1;
    int code = supervisor_main(s->words[0] ? 5 : 3, argv);
    faults_are_on = 0;
    puppet_end();
    judge_exit(s, code, puppet_has_booted());
    int after_n = count_fds(puppet_has_booted(), told, sizeof told);
    if (after_n != fds_before_n)
        puppet_fail("%d descriptors, %d before:%s", after_n, fds_before_n, told);
    if (faults_live_n != 0) {
        puppet_fail("%ld allocations were not freed", faults_live_n);
        if (__lsan_do_recoverable_leak_check)
            __lsan_do_recoverable_leak_check(); /* says where */
    }
    check_children();
}

/* ---- serving ---- */

static void kill_children(void)
{
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    for (int tries = 0; tries < 200; tries++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        if (n <= 0)
            return;
        text[n] = '\0';
        for (char *at = text, *end; (void)(end = at), *at; at = end) {
            long pid = strtol(at, &end, 10);
            if (end == at)
                break;
            kill((pid_t)pid, SIGKILL);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        usleep(1000);
    }
}

static int wait_for_run(pid_t pid)
{
    int status = 0;
    int64_t until_ms = puppet_clock_ms() + RUN_LIMIT_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (puppet_clock_ms() > until_ms) {
            puppet_fail("it hangs, at step %zu", faults->step_n + 1);
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
        usleep(500);
    }
    return status;
}

static void run_one(char *line)
{
    char spec[256], name[32], *call, *number, *fault;
    const struct scenario *s = NULL;
    snprintf(spec, sizeof spec, "%s", line);
    (void)strtok(line, ":");
    call = strtok(NULL, ":");
    number = strtok(NULL, ":");
    fault = strtok(NULL, ":");
    memset(faults, 0, sizeof *faults);
    faults->target = -1;
    for (size_t i = 0; i < scenarios_n; i++)
        if (strcmp(scenarios[i].name, line) == 0)
            s = &scenarios[i];
    if (fault) {
        faults->target = call_find(call);
        faults->number = (int)strtol(number, NULL, 10);
        for (size_t i = 0; faults->target >= 0 && !faults->fault; i++) {
            int value = call_fault(faults->target, i, name, sizeof name);
            if (value == 0)
                break;
            faults->fault = strcmp(name, fault) == 0 ? value : 0;
        }
    }
    if (!s || (call && !faults->fault)) {
        printf("fail %s there is no such scenario, call or fault\n", spec);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        run_inside(s);
        _exit(faults->verdict[0] != 0);
    }
    int status = wait_for_run(pid);
    if (WIFSIGNALED(status))
        puppet_fail("killed by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) > 1)
        puppet_fail("a sanitizer ended it, exit code %d", WEXITSTATUS(status));
    kill_children();
    for (char *c = faults->verdict; *c; c++) /* it is one line of our answer */
        *c = *c == '\n' ? ' ' : *c;
    printf("%s %s%s%s", faults->verdict[0] ? "fail" : atomic_load(&faults->was_hit) || !call ? "ok" : "missed", spec,
           faults->verdict[0] ? " " : "", faults->verdict);
    for (int i = 0; i < CALL_COUNT && !call && !faults->verdict[0]; i++)
        if (faults->called_n[i])
            printf(" %s=%u", call_name(i), (unsigned)faults->called_n[i]);
    printf("\n");
}

static void print_table(void)
{
    char name[32];
    for (size_t i = 0; i < scenarios_n; i++)
        if (!scenarios[i].needs_root || geteuid() == 0)
            printf("scenario %s\n", scenarios[i].name);
    for (int i = 0; i < CALL_COUNT; i++) {
        printf("call %s", call_name(i));
        for (size_t n = 0; call_fault(i, n, name, sizeof name); n++)
            printf(" %s", name);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    char line[256];
    if (argc < 3) {
        print_table();
        return 0;
    }
    faults_are_traced = getenv("TORTURE_TRACE") != NULL;
    puppet_child = argv[1];
    snprintf(puppet_dir, sizeof puppet_dir, "%s", argv[2]);
    snprintf(puppet_log_path, sizeof puppet_log_path, "%s/log", puppet_dir);
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        run_one(line);
    }
    return 0;
}
