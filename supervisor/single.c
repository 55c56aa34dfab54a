/*
 * See single.h. All signals are blocked from the first moment on and taken one by one, so that none is lost, none comes
 * twice, and nothing runs between two of them. The terminal's part, and stops, are in single_job.c.
 */
#include "supervisor/single.h"

#include "common/conf.h"
#include "supervisor/descendants.h"
#include "supervisor/single_child.h"
#include "supervisor/single_job.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { EXIT_USAGE = 100, EXIT_SYSTEM = 111, EXIT_SIGNALLED = 128, REAP_AGAIN_MS = 100 };
enum { KILL_AGAIN_MS = 100, KILLING_MS = 1000 };

/* Signals of a fault in ourselves end us as they end anybody; TTIN and TTOU would only tell that we touched a terminal. */
#define FAULTS                                                                                                        \
    (SYS_SIGNAL_BIT(SIGFPE) | SYS_SIGNAL_BIT(SIGILL) | SYS_SIGNAL_BIT(SIGSEGV) | SYS_SIGNAL_BIT(SIGBUS) |             \
     SYS_SIGNAL_BIT(SIGABRT) | SYS_SIGNAL_BIT(SIGTRAP) | SYS_SIGNAL_BIT(SIGSYS))
#define TERMINAL (SYS_SIGNAL_BIT(SIGTTIN) | SYS_SIGNAL_BIT(SIGTTOU))
#define STOPS (SYS_SIGNAL_BIT(SIGTERM) | SYS_SIGNAL_BIT(SIGINT) | SYS_SIGNAL_BIT(SIGQUIT))
#define BLOCKED (~FAULTS)
#define TAKEN (BLOCKED & ~TERMINAL)

enum phase {
    RUNNING, /* the command lives */
    ENDING,  /* it has ended; what it left behind was asked to */
    KILLING, /* what is left is killed */
};

struct single {
    struct single_child child;
    struct single_job job;
    enum phase phase;
    int64_t grace_ms;
    int64_t deadline_ms; /* of the phase; 0: none */
    int64_t give_up_ms;  /* of KILLING */
    int has_ended, code; /* the command's */
    int is_asked;        /* to stop: another time hurries */
    int is_reap_due; /* the kernel would not tell who is dead */
};

static int is_in(int signal_number, uint64_t signals)
{
    return (SYS_SIGNAL_BIT(signal_number) & signals) != 0;
}

/* Again and again, as those that are killed may have had children meanwhile. */
static void kill_rest(struct single *s, int64_t now_ms)
{
    if (s->phase != KILLING)
        s->give_up_ms = now_ms + KILLING_MS;
    s->phase = KILLING;
    s->deadline_ms = now_ms + KILL_AGAIN_MS;
    if (descendants_signal(SIGKILL, NULL, 0) < 0 && !s->has_ended)
        sys_kill(s->child.pid, SIGKILL); /* no /proc: the one that we know */
}

/* SIGCONT, as what is stopped would not end before it is killed. */
static void end_rest(struct single *s, int64_t now_ms)
{
    s->phase = ENDING;
    if (!s->deadline_ms)
        s->deadline_ms = now_ms + s->grace_ms;
    if (descendants_signal(SIGTERM, NULL, 0) > 0)
        (void)!descendants_signal(SIGCONT, NULL, 0);
}

/* A request to stop that the command ignores only because we were started with it ignored (as a shell does for `x &`)
 * is ours to fulfil. */
static void stop_deaf(struct single *s, int signal_number, int64_t now_ms)
{
    if (!is_in(signal_number, s->child.ignored) || !single_child_ignores(&s->child, signal_number))
        return;
    if (!single_child_ignores(&s->child, SIGTERM))
        sys_kill(s->child.pid, SIGTERM);
    if (!s->deadline_ms)
        s->deadline_ms = now_ms + s->grace_ms;
}

static void caught(struct single *s, int signal_number)
{
    int64_t now_ms = sys_monotonic_ms();
    int is_hurry = is_in(signal_number, STOPS) && s->is_asked && s->deadline_ms;
    if (is_in(signal_number, STOPS))
        s->is_asked = 1;
    if (is_hurry) {
        kill_rest(s, now_ms);
    } else if (s->phase == RUNNING) {
        single_job_pass_on(&s->job, signal_number);
        if (is_in(signal_number, STOPS))
            stop_deaf(s, signal_number, now_ms);
    }
}

static void ended(struct single *s, int status)
{
    int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    s->has_ended = 1;
    s->code = by ? EXIT_SIGNALLED + by : WEXITSTATUS(status);
    if (by && is_in(by, STOPS))
        s->is_asked = 1; /* by ^C, which went past us */
    single_job_fini(&s->job);
}

/* Where /proc does not tell who is left, the command's own group is asked, while its number can't be another's yet. */
static void ask_group(const struct single *s)
{
    if (descendants_check() < 0)
        sys_kill_group(s->child.pid, SIGTERM);
}

/* One SIGCHLD may stand for many deaths. 1 when nobody is left. */
static int reap(struct single *s)
{
    pid_t pid;
    int was_ended = s->has_ended;
    while ((pid = sys_dead_child()) > 0) {
        int status = 0, is_ours = pid == s->child.pid && !s->has_ended;
        if (is_ours)
            ask_group(s);
        if (sys_reap(pid, &status) == pid && is_ours)
            ended(s, status);
    }
    s->is_reap_due = pid < 0 && pid != -ECHILD; /* a death is told once: looked for again */
    if (pid == -ECHILD)
        return 1;
    if (s->has_ended && !was_ended && s->phase == RUNNING)
        end_rest(s, sys_monotonic_ms());
    return 0;
}

/* 1 when there is nothing more that we could do: what waits in the kernel for a disk or a device can't be killed. */
static int is_too_late(struct single *s)
{
    int64_t now_ms = sys_monotonic_ms();
    if (!s->deadline_ms || now_ms < s->deadline_ms)
        return 0;
    if (s->phase != KILLING || !s->has_ended || now_ms < s->give_up_ms) {
        kill_rest(s, now_ms);
        return 0;
    }
    int left_n = descendants_signal(0, NULL, 0);
    if (left_n > 0)
        fprintf(stderr, "ollama-supervisor: error: %d process%s can't be killed, and outlive%s the command\n", left_n,
                left_n == 1 ? "" : "es", left_n == 1 ? "s" : "");
    return 1;
}

static int64_t wait_ms(const struct single *s)
{
    int64_t left_ms = s->deadline_ms - sys_monotonic_ms();
    int64_t wait = !s->deadline_ms ? -1 : left_ms > 0 ? left_ms : 0;
    return s->is_reap_due && (wait < 0 || wait > REAP_AGAIN_MS) ? REAP_AGAIN_MS : wait;
}

static int serve(struct single *s)
{
    for (;;) {
        int signal_number = sys_signal_wait(TAKEN, wait_ms(s));
        if (signal_number < 0)
            return EXIT_SYSTEM;
        if (signal_number == SIGCHLD || (signal_number == 0 && s->is_reap_due)) {
            if (!s->has_ended)
                single_job_follow(&s->job);
            if (reap(s))
                break;
        } else if (signal_number > 0) {
            caught(s, signal_number);
        }
        if (is_too_late(s))
            break;
    }
    return s->code;
}

static void have_orphans(void)
{
    struct diag d;
    diag_init(&d);
    if (sys_getpid() != 1 && sys_become_subreaper() < 0)
        diag_add(&d, DIAG_WARNING, "ollama-supervisor", 0,
                 "orphans go to PID 1, as the kernel does not let this process have them");
    diag_print(&d);
    diag_fini(&d);
}

/* What stands behind `--`, with our environment: a command line and no more. */
static int prepare_words(void *context, struct single_command *command, int64_t *grace_ms)
{
    const struct single_command *words = context;
    struct diag d;
    diag_init(&d);
    *command = *words;
    int error = conf_lone_duration_ms("supervisor", "shutdown_timeout", words->envp, grace_ms, &d);
    diag_print(&d);
    diag_fini(&d);
    return error < 0 ? EXIT_USAGE : 0;
}

int single_run(char **argv, char **envp)
{
    struct single_command words = {.argv = argv, .envp = envp};
    return single_run_prepared(prepare_words, &words);
}

int single_run_prepared(single_prepare_fn *prepare, void *context)
{
    struct single s = {0};
    struct single_command command = {0};
    int error = sys_signals_mask(BLOCKED, &s.child.blocked); /* first of all: docker stop may come in the first millisecond */
    if (error < 0) {
        fprintf(stderr, "ollama-supervisor: error: signals can't be taken: %s\n", strerror(-error));
        return EXIT_SYSTEM;
    }
    have_orphans();
    int code = prepare(context, &command, &s.grace_ms);
    if (!code)
        code = single_child_start(&s.child, &command);
    if (code)
        return code;
    single_job_init(&s.job, s.child.pid, s.child.has_terminal);
    return serve(&s);
}
