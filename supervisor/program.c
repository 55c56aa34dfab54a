/*
 * See program.h. The table has an action for each state and event; only enter() writes the state. An action
 * that has nothing to do is `ignore`, written out, so that an empty cell is a mistake that a test finds.
 */
#include "supervisor/program.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { EXIT_USAGE = 100, HONEST_END_MS = 300 };

static void enter(struct program *p, enum contract_state state, const char *cause, int64_t now_ms)
{
    enum contract_state from = p->state;
    p->state = state;
    p->state_since_ms = now_ms;
    if (state == CONTRACT_READY || state == CONTRACT_DOWN || state == CONTRACT_DONE)
        p->reason[0] = '\0';
    p->ops->changed(p, from, cause);
}

static void because(struct program *p, const char *format, ...) PRINTF_LIKE(2, 3);
static void because(struct program *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->reason, sizeof p->reason, format, args);
    va_end(args);
    for (char *c = p->reason; *c; c++) /* it will stand between double quotes, on one line */
        *c = *c == '"' ? '\'' : (unsigned char)*c < 0x20 ? ' ' : *c;
}

static void set_deadline(struct program *p, int64_t at_ms)
{
    p->deadline_ms = at_ms;
    p->ops->deadline(p, at_ms);
}

static void give_up(struct program *p, const char *cause, int64_t now_ms)
{
    set_deadline(p, -1);
    p->is_wanted = 0;
    enter(p, CONTRACT_FAILED, cause, now_ms);
}

static void launch(struct program *p, const char *cause, int64_t now_ms);

/* It died, or could not be started: again at once, later, or never. The reason is in place. */
static void failure(struct program *p, const char *cause, int64_t now_ms)
{
    int64_t wait_ms = backoff_exit(&p->backoff, &p->rule, now_ms, p->ops->random(p));
    if (wait_ms < 0) {
        char why[CONTRACT_REASON_BYTES];
        snprintf(why, sizeof why, "%.170s; %u restarts within %llds were not enough", p->reason, p->rule.max_restarts,
                 (long long)(p->rule.window_ms / 1000));
        because(p, "%s", why);
        give_up(p, "too_many_restarts", now_ms);
        return;
    }
    p->restarts_n++;
    set_deadline(p, now_ms + wait_ms);
    enter(p, CONTRACT_BACKOFF, cause, now_ms);
    if (wait_ms == 0)
        launch(p, "restart", now_ms);
}

/* What the machine is short of is no fault of the program's: it is not counted as a death, and never given up for. */
static int is_shortage(int error)
{
    return error == -EAGAIN || error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -ENOBUFS;
}

static void wait_for_plenty(struct program *p, int64_t now_ms)
{
    set_deadline(p, now_ms + backoff_wait(&p->rule, ++p->shortages_n, p->ops->random(p)));
    enter(p, CONTRACT_BACKOFF, "shortage", now_ms);
}

/* A run has failed; whether there is another one is the owner's to say. */
static void run_failed(struct program *p, const char *cause, int64_t now_ms)
{
    if (p->conf->restart == CONF_RESTART_NEVER)
        give_up(p, cause, now_ms);
    else
        failure(p, cause, now_ms);
}

static int has_readiness(const struct program *p)
{
    return strcmp(p->conf->ready, "none") != 0;
}

static void launch(struct program *p, const char *cause, int64_t now_ms)
{
    set_deadline(p, -1);
    p->stop_stage = 0;
    pid_t pid = p->ops->spawn(p);
    if (pid < 0) {
        because(p, "%s can't be started: %s", p->conf->command.items_n ? p->conf->command.items[0] : "it",
                strerror(-pid));
        if (is_shortage(pid))
            wait_for_plenty(p, now_ms);
        else
            run_failed(p, "spawn_failed", now_ms);
        return;
    }
    p->shortages_n = 0;
    p->pid = pid;
    p->spawned_at_ms = now_ms;
    if (p->is_task || has_readiness(p)) {
        if (p->conf->start_timeout_ms > 0)
            set_deadline(p, now_ms + p->conf->start_timeout_ms);
        enter(p, CONTRACT_STARTING, cause, now_ms);
    } else {
        enter(p, CONTRACT_READY, cause, now_ms);
    }
}

/* Asks the process to stop, and says when to ask again and when to kill. */
static void ask_to_stop(struct program *p, enum program_after after, const char *cause, int64_t soft_ms,
                        int64_t hard_ms, int64_t now_ms)
{
    p->after = after;
    p->stop_stage = 0;
    p->stop_soft_ms = soft_ms;
    p->stop_hard_ms = hard_ms;
    set_deadline(p, soft_ms);
    enter(p, CONTRACT_STOPPING, cause, now_ms); /* before it is told: what changes with it has changed by then */
    p->ops->signal(p, p->conf->stop_signal);
}

static void ask_within_timeout(struct program *p, enum program_after after, const char *cause, int64_t now_ms)
{
    int64_t hard_ms = now_ms + p->conf->stop_timeout_ms;
    int64_t soft_ms = p->conf->stop_timeout_ms > 2 * HONEST_END_MS ? hard_ms - HONEST_END_MS : hard_ms;
    ask_to_stop(p, after, cause, soft_ms, hard_ms, now_ms);
}

typedef void program_action_fn(struct program *p, int64_t now_ms);

static void ignore(struct program *p, int64_t now_ms)
{
    (void)p;
    (void)now_ms;
}

static void start(struct program *p, int64_t now_ms)
{
    backoff_reset(&p->backoff);
    launch(p, "start", now_ms);
}

static void start_now(struct program *p, int64_t now_ms)
{
    launch(p, "backoff_over", now_ms);
}

static void settle_down(struct program *p, int64_t now_ms)
{
    set_deadline(p, -1);
    enter(p, CONTRACT_DOWN, "stop", now_ms);
}

static void become_ready(struct program *p, int64_t now_ms)
{
    set_deadline(p, -1);
    enter(p, CONTRACT_READY, "ready", now_ms);
}

static void stop(struct program *p, int64_t now_ms)
{
    ask_within_timeout(p, PROGRAM_AFTER_DOWN, "stop", now_ms);
}

static void restart(struct program *p, int64_t now_ms)
{
    if (p->is_handed_over && p->ops->hand_over(p) == 0) {
        p->pid = 0;
        launch(p, "restart", now_ms);
    } else {
        ask_within_timeout(p, PROGRAM_AFTER_RESTART, "restart", now_ms);
    }
}

static void start_took_too_long(struct program *p, int64_t now_ms)
{
    because(p, "not %s within %lld ms", p->is_task ? "done" : "ready", (long long)(now_ms - p->spawned_at_ms));
    ask_within_timeout(p, PROGRAM_AFTER_FAILURE, "start_timeout", now_ms);
}

static void replace_hung(struct program *p, int64_t now_ms)
{
    ask_within_timeout(p, PROGRAM_AFTER_FAILURE, "hung", now_ms);
}

static void stop_for_good(struct program *p, int64_t now_ms)
{
    (void)now_ms;
    p->after = PROGRAM_AFTER_DOWN;
}

static void start_after_stop(struct program *p, int64_t now_ms)
{
    (void)now_ms;
    p->after = PROGRAM_AFTER_RESTART;
}

/* The deadlines of a stop: ask once more (our proxy then ends its answers honestly), then kill, again and again. */
static void stop_took_too_long(struct program *p, int64_t now_ms)
{
    if (p->stop_stage == 0 && now_ms < p->stop_hard_ms) {
        p->stop_stage = 1;
        p->ops->signal(p, p->conf->stop_signal);
        set_deadline(p, p->stop_hard_ms);
        return;
    }
    p->stop_stage = 2;
    p->ops->signal(p, SIGKILL);
    set_deadline(p, now_ms + 1000);
}

static int is_good_exit(const struct program *p)
{
    return WIFEXITED(p->last_status) && WEXITSTATUS(p->last_status) == 0;
}

/* What another try can't mend: our own programs say so by their exit code. */
static int is_final_exit(const struct program *p)
{
    if (!p->is_built_in || !WIFEXITED(p->last_status))
        return 0;
    int code = WEXITSTATUS(p->last_status);
    return (code == EXIT_USAGE && strcmp(p->conf->name, "ollama") != 0) ||
           (code == 1 && strcmp(p->conf->name, "preload") == 0);
}

static void died(struct program *p, int64_t now_ms)
{
    set_deadline(p, -1);
    if (p->is_over)
        enter(p, CONTRACT_DOWN, "exited", now_ms);
    else if (is_final_exit(p))
        give_up(p, "final_exit", now_ms);
    else if (is_good_exit(p) && (p->is_task || p->conf->restart != CONF_RESTART_ALWAYS))
        enter(p, CONTRACT_DONE, "exited", now_ms);
    else
        run_failed(p, "exited", now_ms);
}

static void died_while_stopping(struct program *p, int64_t now_ms)
{
    set_deadline(p, -1);
    switch (p->is_over ? PROGRAM_AFTER_DOWN : p->after) {
    case PROGRAM_AFTER_DOWN:
        enter(p, CONTRACT_DOWN, "stopped", now_ms);
        break;
    case PROGRAM_AFTER_RESTART:
        launch(p, "restart", now_ms);
        break;
    case PROGRAM_AFTER_FAILURE:
        run_failed(p, "killed", now_ms);
        break;
    }
}

#define CELL(fn) {fn, #fn}
static const struct {
    program_action_fn *act;
    const char *name;
} cells[CONTRACT_STATE_COUNT][PROGRAM_EVENT_COUNT] = {
    [CONTRACT_DOWN] = {[PROGRAM_START] = CELL(start), [PROGRAM_STOP] = CELL(ignore), [PROGRAM_RESTART] = CELL(start),
                       [PROGRAM_BECAME_READY] = CELL(ignore), [PROGRAM_HUNG] = CELL(ignore),
                       [PROGRAM_EXITED] = CELL(ignore), [PROGRAM_TIMER] = CELL(ignore)},
    [CONTRACT_STARTING] = {[PROGRAM_START] = CELL(ignore), [PROGRAM_STOP] = CELL(stop),
                           [PROGRAM_RESTART] = CELL(restart), [PROGRAM_BECAME_READY] = CELL(become_ready),
                           [PROGRAM_HUNG] = CELL(ignore), [PROGRAM_EXITED] = CELL(died), [PROGRAM_TIMER] = CELL(start_took_too_long)},
    [CONTRACT_READY] = {[PROGRAM_START] = CELL(ignore), [PROGRAM_STOP] = CELL(stop),
                        [PROGRAM_RESTART] = CELL(restart), [PROGRAM_BECAME_READY] = CELL(ignore),
                        [PROGRAM_HUNG] = CELL(replace_hung), [PROGRAM_EXITED] = CELL(died),
                        [PROGRAM_TIMER] = CELL(ignore)},
    [CONTRACT_BACKOFF] = {[PROGRAM_START] = CELL(start), [PROGRAM_STOP] = CELL(settle_down),
                          [PROGRAM_RESTART] = CELL(start), [PROGRAM_BECAME_READY] = CELL(ignore),
                          [PROGRAM_HUNG] = CELL(ignore), [PROGRAM_EXITED] = CELL(ignore),
                          [PROGRAM_TIMER] = CELL(start_now)},
    [CONTRACT_STOPPING] = {[PROGRAM_START] = CELL(start_after_stop), [PROGRAM_STOP] = CELL(stop_for_good),
                           [PROGRAM_RESTART] = CELL(start_after_stop), [PROGRAM_BECAME_READY] = CELL(ignore),
                           [PROGRAM_HUNG] = CELL(ignore), [PROGRAM_EXITED] = CELL(died_while_stopping),
                           [PROGRAM_TIMER] = CELL(stop_took_too_long)},
    [CONTRACT_DONE] = {[PROGRAM_START] = CELL(start), [PROGRAM_STOP] = CELL(settle_down),
                       [PROGRAM_RESTART] = CELL(start), [PROGRAM_BECAME_READY] = CELL(ignore),
                       [PROGRAM_HUNG] = CELL(ignore), [PROGRAM_EXITED] = CELL(ignore),
                       [PROGRAM_TIMER] = CELL(ignore)},
    [CONTRACT_FAILED] = {[PROGRAM_START] = CELL(start), [PROGRAM_STOP] = CELL(settle_down),
                         [PROGRAM_RESTART] = CELL(start), [PROGRAM_BECAME_READY] = CELL(ignore),
                         [PROGRAM_HUNG] = CELL(ignore), [PROGRAM_EXITED] = CELL(ignore),
                         [PROGRAM_TIMER] = CELL(ignore)},
};

static const char *const event_names[] = {
    [PROGRAM_START] = "start",        [PROGRAM_STOP] = "stop",     [PROGRAM_RESTART] = "restart",
    [PROGRAM_BECAME_READY] = "ready", [PROGRAM_HUNG] = "hung",     [PROGRAM_EXITED] = "exited",
    [PROGRAM_TIMER] = "timer",
};
_Static_assert(sizeof event_names / sizeof *event_names == PROGRAM_EVENT_COUNT, "a name for each event");

const char *program_cell_name(enum contract_state state, enum program_event event)
{
    return cells[state][event].name;
}

const char *program_event_name(enum program_event event)
{
    return event_names[event];
}

void program_event(struct program *p, enum program_event event, int64_t now_ms)
{
    cells[p->state][event].act(p, now_ms);
}

static struct backoff_rule rule_of(const struct conf_program *conf)
{
    return (struct backoff_rule){conf->backoff_min_ms, conf->backoff_max_ms, conf->restart_window_ms,
                                 (unsigned)conf->max_restarts};
}

int program_backoff(struct backoff *out, const struct conf_program *conf)
{
    struct backoff_rule rule = rule_of(conf);
    return backoff_init(out, &rule);
}

void program_init(struct program *p, const struct conf_program *conf, struct backoff *take_backoff,
                  const struct program_ops *ops, void *context)
{
    *p = (struct program){.ops = ops, .context = context, .state = CONTRACT_DOWN, .is_wanted = conf->autostart,
                          .deadline_ms = -1};
    program_reconfigure(p, conf, take_backoff);
}

void program_reconfigure(struct program *p, const struct conf_program *conf, struct backoff *take_backoff)
{
    struct backoff_rule rule = rule_of(conf);
    if (!p->conf || rule.max_restarts != p->rule.max_restarts) {
        backoff_fini(&p->backoff);
        p->backoff = *take_backoff;
        *take_backoff = (struct backoff){0};
    } else {
        backoff_fini(take_backoff);
    }
    p->rule = rule;
    p->conf = conf;
}

void program_ready_changed(struct program *p, int64_t now_ms)
{
    if (p->state != CONTRACT_STARTING)
        return;
    if (p->is_task || has_readiness(p))
        set_deadline(p, p->conf->start_timeout_ms > 0 ? now_ms + p->conf->start_timeout_ms : -1);
    else
        program_event(p, PROGRAM_BECAME_READY, now_ms);
}

void program_fini(struct program *p)
{
    backoff_fini(&p->backoff);
}

void program_last_exit(const struct program *p, char *out, size_t out_n)
{
    if (!p->has_exited)
        snprintf(out, out_n, "%s", "");
    else if (WIFSIGNALED(p->last_status))
        snprintf(out, out_n, "killed by signal %d (%s)", WTERMSIG(p->last_status), strsignal(WTERMSIG(p->last_status)));
    else
        snprintf(out, out_n, "exit code %d", WEXITSTATUS(p->last_status));
}

int program_last_code(const struct program *p)
{
    enum { SIGNALLED = 128 };
    if (!p->has_exited)
        return -1;
    return WIFSIGNALED(p->last_status) ? SIGNALLED + WTERMSIG(p->last_status) : WEXITSTATUS(p->last_status);
}

void program_exited(struct program *p, int status, const char *last_line, int64_t now_ms)
{
    char how[64];
    p->pid = 0;
    p->last_status = status;
    p->has_exited = 1;
    program_last_exit(p, how, sizeof how);
    if (p->state != CONTRACT_STOPPING)
        because(p, "%s%s%.180s", how, *last_line ? ": " : "", last_line);
    program_event(p, PROGRAM_EXITED, now_ms);
}

void program_hung(struct program *p, const char *why, int64_t now_ms)
{
    if (p->state == CONTRACT_READY)
        because(p, "%s", why);
    program_event(p, PROGRAM_HUNG, now_ms);
}

static int64_t later_ms(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

void program_extend(struct program *p, int64_t more_ms, int64_t now_ms)
{
    if (p->state == CONTRACT_STARTING && p->deadline_ms >= 0) {
        set_deadline(p, later_ms(p->deadline_ms, now_ms + more_ms));
    } else if (p->state == CONTRACT_STOPPING && !p->is_over && p->stop_stage < 2) {
        p->stop_soft_ms = later_ms(p->stop_soft_ms, now_ms + more_ms - HONEST_END_MS);
        p->stop_hard_ms = later_ms(p->stop_hard_ms, now_ms + more_ms);
        set_deadline(p, p->stop_stage == 0 ? p->stop_soft_ms : p->stop_hard_ms);
    }
}

void program_stop_by(struct program *p, int64_t soft_ms, int64_t hard_ms, int64_t now_ms)
{
    p->is_wanted = 0;
    switch (p->state) {
    case CONTRACT_STARTING:
    case CONTRACT_READY:
        ask_to_stop(p, PROGRAM_AFTER_DOWN, "shutdown", soft_ms, hard_ms, now_ms);
        break;
    case CONTRACT_STOPPING: /* it was asked already; only what is earlier counts */
        p->after = PROGRAM_AFTER_DOWN;
        if (hard_ms < p->stop_hard_ms) {
            p->stop_soft_ms = soft_ms;
            p->stop_hard_ms = hard_ms;
            if (p->stop_stage < 2)
                set_deadline(p, p->stop_stage == 0 ? soft_ms : hard_ms);
        }
        break;
    case CONTRACT_BACKOFF:
    case CONTRACT_DOWN:
    case CONTRACT_DONE:
    case CONTRACT_FAILED:
    case CONTRACT_STATE_COUNT:
        if (p->state == CONTRACT_BACKOFF)
            program_event(p, PROGRAM_STOP, now_ms);
        break;
    }
}

void program_end(struct program *p, int64_t now_ms)
{
    p->is_over = 1;
    p->is_wanted = 0;
    if (p->state == CONTRACT_BACKOFF)
        program_event(p, PROGRAM_STOP, now_ms);
}

int program_is_alive(const struct program *p)
{
    return p->pid > 0;
}
