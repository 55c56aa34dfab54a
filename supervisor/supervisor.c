/*
 * The supervisor as a whole: the order of boot, who may start when, what children say, who is reaped.
 *
 * Invariant: after boot nothing here ends the process but supervisor_run's return; an error in one room is that room's.
 */
#include "supervisor/supervisor.h"

#include "common/listen.h"
#include "common/log.h"
#include "supervisor/broken.h"
#include "supervisor/diary.h"
#include "supervisor/doze.h"
#include "supervisor/hang.h"
#include "supervisor/instances/instances.h"
#include "supervisor/phases.h"
#include "supervisor/reasons.h"
#include "supervisor/resume.h"
#include "supervisor/sleep.h"
#include "supervisor/standing.h"
#include "supervisor/state_folder.h"
#include "supervisor/stop.h"
#include "supervisor/strays.h"
#include "supervisor/suspend.h"
#include "supervisor/taken.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SYSTEM = 111 };

/* ---- who may start ---- */

/* Our preloader is started beside Ollama, as it waits for its API itself: what its own start takes is not waited for then. */
static int is_started_beside(const struct child *who, const struct child *c)
{
    return who->launch.has_contract && strcmp(who->program.conf->name, "preload") == 0 && state_is_ollama(c) &&
           c->program.state == CONTRACT_STARTING;
}

/* There is no list, or nobody is to have it pulled. */
static int is_without_list(const struct supervisor *s, const struct child *c)
{
    return strcmp(c->program.conf->name, "preload") == 0 && c->program.state == CONTRACT_DOWN && !c->program.is_wanted &&
           atomic_load(&s->board.page->phase) == CONTRACT_PHASE_NONE;
}

static int is_dependency_met(struct supervisor *s, const struct child *who, const char *name)
{
    const struct child *c = state_child(s, name);
    if (!c)
        return 0;
    if (is_started_beside(who, c) || is_without_list(s, c))
        return 1;
    return c->program.state == CONTRACT_READY || c->program.state == CONTRACT_DONE ||
           (c->program.state == CONTRACT_FAILED && !c->program.conf->required); /* what is optional holds nobody up */
}

static int may_start(struct supervisor *s, const struct child *c)
{
    if (s->is_stopping || !c->program.is_wanted || c->program.state != CONTRACT_DOWN || state_is_port_held(s, c))
        return 0;
    for (size_t i = 0; i < c->program.conf->depends.items_n; i++)
        if (!is_dependency_met(s, c, c->program.conf->depends.items[i]))
            return 0;
    return 1;
}

static void announce(struct supervisor *s)
{
    const struct child *ollama = state_child(s, "ollama"), *proxy = state_child(s, "proxy");
    uint32_t phase = atomic_load(&s->board.page->phase);
    if (s->is_announced || (ollama->program.is_wanted && ollama->program.state != CONTRACT_READY) ||
        phase == CONTRACT_PHASE_WAITING || phase == CONTRACT_PHASE_LISTED)
        return;
    if ((s->conf->is_fleet || s->conf->is_alone) && proxy->program.is_wanted && proxy->program.state != CONTRACT_READY)
        return; /* there is nobody else to be ready */
    s->is_announced = 1;
    if (ollama->program.state == CONTRACT_READY)
        models_folder_claim(&s->models_folder);
    log_event(LOG_INFO, "ready", "after_ms=%lld", (long long)(loop_now_ms(&s->loop) - s->started_at_ms));
    outer_ready(&s->outer);
}

static void step(struct supervisor *s)
{
    int64_t now_ms = loop_now_ms(&s->loop);
    if (s->is_stopping) {
        stop_step(s);
        return;
    }
    sleep_look(s);
    for (size_t i = 0; i < s->children_n; i++) {
        struct child *c = &s->children[i];
        if (may_start(s, c))
            program_event(&c->program, PROGRAM_START, now_ms);
    }
    for (size_t i = 0; i < s->children_n; i++) {
        struct child *c = &s->children[i];
        if (c->program.state == CONTRACT_FAILED && c->program.conf->required) {
            log_event(LOG_ERROR, "required_failed", "program=%s reason=\"%s\"", c->program.conf->name, c->program.reason);
            stop_begin(s, 1, "required_failed");
            return;
        }
    }
    announce(s);
}

/* Runs once at the end of a turn in which something changed. */
static void evaluate(void *context)
{
    struct supervisor *s = context;
    instances_look(s);
    step(s);
    phases_look(s);
    standing_tell(s);
}

/* The phase of the list where no preloader can write it: none is there any more, or another one is to follow. */
static void preload_changed(struct supervisor *s, const struct program *p)
{
    _Atomic uint32_t *phase = &s->board.page->phase;
    int is_at_rest = p->state == CONTRACT_FAILED || (p->state == CONTRACT_DOWN && !p->is_wanted);
    if (s->is_stopping)
        return; /* who waits is answered by the proxy */
    if (is_at_rest && atomic_load(phase) == CONTRACT_PHASE_NONE)
        board_forget_models(&s->board);
    else if (is_at_rest)
        atomic_store(phase, CONTRACT_PHASE_DONE);
    else if (p->state == CONTRACT_STOPPING && p->after == PROGRAM_AFTER_RESTART)
        atomic_store(phase, CONTRACT_PHASE_WAITING);
    else if (p->state == CONTRACT_BACKOFF && atomic_load(phase) == CONTRACT_PHASE_DONE)
        atomic_store(phase, CONTRACT_PHASE_WAITING); /* it gave up, and is not to: somebody else told it to stop */
}

static void changed(void *context, struct child *c)
{
    struct supervisor *s = context;
    size_t index = (size_t)(c - s->children);
    struct contract_program *row = &s->board.page->programs[index];
    if (c->program.state == CONTRACT_STARTING ||
        (c->program.state == CONTRACT_READY && strcmp(c->program.conf->ready, "none") == 0))
        s->start_order[index] = s->start_order[index] ? s->start_order[index] : ++s->starts_n; /* a restart keeps its place */
    sleep_look(s);
    reasons_follow(s, c); /* who finds the state has the reason */
    atomic_store(&row->state, (uint32_t)c->program.state);
    atomic_store(&row->pid, (int32_t)c->program.pid);
    atomic_store(&row->restarts_n, c->program.restarts_n);
    contract_program_reason(row, c->program.reason);
    if (strcmp(c->program.conf->name, "preload") == 0)
        preload_changed(s, &c->program);
    doze_needed_by(s, c);
    phases_follow(s, c);
    diary_follow(s, c);
    hang_follow(s, c);
    state_follow_doors(s, c);
    state_tell_all(s, CONTRACT_STATE_CHANGED);
    state_evaluate_soon(s);
}

/* ---- what children say ---- */

static void complained(void *context, const struct child *c, const char *line, enum log_level level)
{
    reasons_said(context, c, line, level);
}

static void heard(void *context, struct child *c, const struct contract_message *m, int fd)
{
    struct supervisor *s = context;
    if (c->launch.has_listeners && (instances_heard(s, m, fd) || control_heard(&s->control, m, fd)))
        return;
    switch (m->kind) {
    case CONTRACT_WANT:
        state_want(s, m->name);
        break;
    case CONTRACT_SLEEP:
        sleep_answered(s, m->value);
        break;
    case CONTRACT_BROKEN:
        broken_heard(s, c, m);
        break;
    case CONTRACT_CHANGED:
        state_tell_all(s, CONTRACT_STATE_CHANGED);
        state_evaluate_soon(s);
        if (m->value == 1)
            hang_look(s);
        break;
    case CONTRACT_LOST:
        memory_look_soon(&s->memory);
        break;
    case CONTRACT_UNLOADED:
        hang_answered(s, c, m->value == 1);
        break;
    default:
        if (!c->channel.has_refused)
            log_event(LOG_WARNING, "channel_refused", "program=%s kind=%u", c->program.conf->name, m->kind);
        c->channel.has_refused = 1; /* told once a process, as by channel.c */
    }
}

static void notified(void *context, pid_t pid, const char *name, const char *value)
{
    struct child *c = pid > 0 ? state_main_of(context, pid) : NULL;
    if (c)
        child_notified(c, name, value);
    else
        log_event(LOG_DEBUG, "notify_foreign", "pid=%d", (int)pid); /* not a child of ours, or an old one */
}

/* A death is told once: where it could not be looked at, it is looked for again. */
static void reap_later(struct supervisor *s, int64_t now_ms)
{
    enum { REAP_AGAIN_MS = 100 };
    loop_arm(&s->loop, &s->reap_timer, now_ms + REAP_AGAIN_MS);
}

static void reap_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    supervisor_reap(context);
}

void supervisor_reap(struct supervisor *s)
{
    pid_t pid;
    int is_main_gone = 0;
    while ((pid = sys_dead_child()) > 0) {
        struct child *child = state_main_of(s, pid);
        struct draining *draining = draining_find(&s->draining, pid);
        int status = 0;
        if (child || draining)
            sys_kill_group(pid, SIGKILL); /* what it left behind, while the group's number is still its own */
        if (sys_reap(pid, &status) != pid) {
            reap_later(s, loop_now_ms(&s->loop));
            break;
        }
        is_main_gone |= child || draining;
        if (child)
            child_reaped(child, status);
        else if (draining)
            draining_reaped(draining);
        else if (!instances_reaped(s, pid, status) && !diary_reaped(s, pid, status))
            log_event(LOG_DEBUG, "orphan", "pid=%d", (int)pid);
    }
    if (pid < 0 && pid != -ECHILD)
        reap_later(s, loop_now_ms(&s->loop));
    if (is_main_gone)
        strays_look(s);
    memory_reaped(&s->memory);
    if (s->is_stopping)
        state_evaluate_soon(s);
}

/* Whose child a killed process must have been: our own programs have none. NULL where it may be one of several. */
static const char *owner_of_a_child(void *context)
{
    const struct supervisor *s = context;
    const struct child *c;
    const char *name = NULL;
    for (size_t at = 0; (c = state_next_child(s, &at));) {
        if (c->launch.has_contract || !program_is_alive(&c->program))
            continue;
        if (name)
            return NULL;
        name = c->program.conf->name;
    }
    return name;
}

static void was_killed(void *context, const char *limit)
{
    reasons_killed(context, owner_of_a_child(context), limit);
    instances_killed(context, limit);
}

/* ---- boot ---- */

static void doors_left(void *context)
{
    state_evaluate_soon(context); /* Ollama may have waited for a port */
}

static int open_listeners(struct supervisor *s)
{
    doors_init(&s->doors, &s->loop, doors_left, s);
    for (size_t i = 0; i < s->conf->listen_n; i++) {
        char why[LISTEN_WHY_BYTES], address[ADDRESS_TEXT_BYTES];
        address_text(&s->conf->listen[i], address);
        int error = doors_open(&s->doors, &s->conf->listen[i], why);
        if (error < 0) {
            const char *advice = error == -EADDRINUSE ? taken_advice(&s->loop, &s->conf->listen[i]) : "";
            log_event(LOG_ERROR, "listen_failed", "address=%s error=\"%s%s\"", address, why, advice);
            return error;
        }
    }
    return 0;
}

/* 0, or the error that ends us; *why: what keeps it from its own place, 0: nothing. */
static int open_control(struct supervisor *s, supervisor_command_fn *command, int *why)
{
    const char *path = s->conf->supervisor.control_socket;
    *why = control_init(&s->control, &s->loop, path, command, s);
    if (*why != -EADDRINUSE)
        return 0;
    log_event(LOG_ERROR, "control_failed", "path=\"%s\" error=\"another supervisor answers there: stop it, or set [supervisor] control_socket\"", path);
    return *why;
}

/* In state_dir, when that has its owner: a folder in which something is already is given to nobody. */
static void open_second_control(struct supervisor *s, supervisor_command_fn *command, int error)
{
    const char *path = s->conf->supervisor.control_socket, *second = s->conf->second_control_socket;
    if (error && second[0] && control_init(&s->control, &s->loop, second, command, s) == 0)
        log_event(LOG_WARNING, "control_elsewhere", "path=\"%s\" error=\"%s\" now=\"%s\" hint=\"sidecarctl looks there, too\"", path, strerror(-error), second);
    else if (error)
        log_event(LOG_WARNING, "control_failed", "path=\"%s\" error=\"%s\" hint=\"sidecarctl will not reach us: set [supervisor] control_socket to a folder that can be written\"", path, strerror(-error));
}

static void ring_grown(void *context)
{
    struct supervisor *s = context;
    control_ring_grown(&s->control);
}

static int add_children(struct supervisor *s)
{
    for (size_t i = 0; i < s->conf->programs_n; i++) {
        const struct conf_program *conf = &s->conf->programs[i];
        struct child_plan plan;
        int error = child_plan_init(&plan, &s->launch_site, conf);
        if (error)
            return error;
        child_init(&s->children[i], &s->child_site, &s->child_rooms[i], conf, &plan);
        s->children_n++;
        board_name_program(&s->board, i, conf->name);
    }
    size_t models_n;
    int error = state_read_models(s->conf, &models_n);
    if (!error)
        state_count_models(s, models_n);
    return error;
}

static void find_own_dir(struct supervisor *s)
{
    if (sys_own_path(s->own_dir) < 0) {
        snprintf(s->own_dir, sizeof s->own_dir, "/usr/bin");
        return;
    }
    char *slash = strrchr(s->own_dir, '/');
    if (slash)
        *slash = '\0';
}

/* Our own place is /: a volume that we were started on can be unmounted. Programs start where we were started. */
static void leave_start_dir(struct supervisor *s)
{
    int error = sys_getcwd(s->start_dir);
    if (error < 0)
        snprintf(s->start_dir, sizeof s->start_dir, "/");
    error = sys_chdir("/");
    (void)error; /* then we are where we were, and nothing is lost */
}

/* 0 or -errno; *what: what it was doing then. */
static int boot(struct supervisor *s, supervisor_command_fn *command, const char **what)
{
    enum { FDS_MAX = 256, TIMERS_MAX = 256 };
    *what = "the loop";
    int error = loop_init(&s->loop);
    if (!error)
        error = loop_reserve(&s->loop, FDS_MAX);
    if (!error)
        error = timerq_reserve(&s->loop.timers, TIMERS_MAX);
    if (error)
        return error;
    loop_guard(&s->loop);
    outer_init(&s->outer, &s->loop);
    s->started_at_ms = s->sleep_since_ms = loop_now_ms(&s->loop);
    timer_init(&s->reap_timer, reap_timer, s);
    strays_init(s);
    hang_init(s);
    s->evaluation = (struct deferred){.fn = evaluate, .context = s};
    *what = "the listeners";
    if ((error = open_listeners(s)) < 0)
        return error;
    *what = "the control socket";
    int why;
    if ((error = open_control(s, command, &why)) < 0)
        return error;
    *what = "the page in shared memory";
    if ((error = board_init(&s->board)) < 0)
        return error;
    *what = "the notify socket";
    if ((error = notify_init(&s->notify, &s->loop, notified, s)) < 0)
        return error;
    memory_init(&s->memory, &s->loop, "/proc", owner_of_a_child, s);
    s->memory.killed = was_killed;
    board_tell_limit(&s->board, memory_limit_bytes(&s->memory));
    s->launch_site = (struct launch_site){.conf = s->conf, .notify_path = s->notify.path, .own_dir = s->own_dir,
                                          .start_dir = s->start_dir,
                                          .doors = &s->doors, .listen_n = s->conf->listen_n,
                                          .page_fd = s->board.fd, .config_fd = -1};
    *what = "the configuration for children";
    error = launch_site_config(&s->launch_site);
    if (error)
        return error;
    *what = "the programs";
    s->child_site = (struct child_site){.loop = &s->loop, .board = &s->board, .draining = &s->draining, .ring = &s->ring,
                                        .launch = &s->launch_site, .memory = &s->memory, .changed = changed, .heard = heard, .complained = complained, .context = s};
    s->ring.grown = ring_grown;
    s->ring.context = s;
    s->launch_site.is_ollama_kept = models_folder_prepare(&s->models_folder, s->conf, s->start_dir);
    state_folder_prepare(s->conf, &s->keeper);
    open_second_control(s, command, why);
    s->control.ring = &s->ring;
    error = instances_prepare(s, s->conf);
    return error ? error : add_children(s);
}

int supervisor_init(struct supervisor *s, struct conf *take_conf, supervisor_command_fn *command, int64_t began_ms)
{
    ring_init(&s->ring);
    s->conf = take_conf;
    s->board.fd = s->notify.fd = s->control.fd = s->launch_site.config_fd = s->clock_fd = s->memory.watch_fd = -1;
    models_folder_init(&s->models_folder);
    find_own_dir(s);
    leave_start_dir(s);
    state_tell_moved(take_conf, NULL);
    const char *what;
    int error = boot(s, command, &what);
    if (!error) {
        phases_init(s, began_ms);
        standing_init(s);
        state_evaluate_soon(s);
        diary_init(s);
        suspend_init(s);
        sleep_init(s);
        resume_init(s);
        return 0;
    }
    log_event(LOG_ERROR, "boot_failed", "part=\"%s\" error=\"%s\"", what, strerror(-error));
    outer_status(&s->outer, "it can't start: see its log");
    outer_end(&s->outer, EXIT_SYSTEM, error);
    supervisor_fini(s);
    return EXIT_SYSTEM;
}

void supervisor_fini(struct supervisor *s)
{
    for (size_t i = 0; i < s->children_n; i++)
        child_fini(&s->children[i]);
    instances_fini(s);
    hang_fini(s);
    resume_fini(s);
    suspend_fini(s);
    control_fini(&s->control);
    outer_fini(&s->outer);
    memory_fini(&s->memory);
    ring_fini(&s->ring);
    notify_fini(&s->notify);
    board_fini(&s->board);
    models_folder_fini(&s->models_folder);
    sys_close(s->launch_site.config_fd);
    doors_fini(&s->doors);
    loop_disarm(&s->loop, &s->stuck_timer);
    loop_disarm(&s->loop, &s->sweep_timer);
    loop_fini(&s->loop);
    conf_free(&s->conf);
}

/* While a limit runs for a program, or we are to be frozen, a freeze must be seen although nothing else wakes us. */
static int64_t longest_wait_ms(const struct supervisor *s)
{
    const struct child *c;
    for (size_t at = 0; (c = state_next_child(s, &at));) {
        if (program_is_alive(&c->program) && c->program.deadline_ms >= 0)
            return LOOP_FREEZE_MS;
    }
    return suspend_is_under_way(s) || hang_is_watching(s) ? LOOP_FREEZE_MS : -1;
}

int supervisor_run(struct supervisor *s)
{
    enum { LOOP_FAILED_PAUSE_MS = 100 };
    while (!s->loop.is_stopped) {
        int error = loop_turn(&s->loop, longest_wait_ms(s));
        if (error < 0) {
            log_event(LOG_ERROR, "loop_failed", "error=\"%s\"", strerror(-error));
            (void)!sys_poll(NULL, 0, LOOP_FAILED_PAUSE_MS); /* EINVAL lasts as long as a limit below our descriptors */
        }
    }
    log_event(LOG_INFO, "stopped", "exit_code=%d", s->exit_code);
    outer_end(&s->outer, s->exit_code, 0);
    return s->exit_code;
}
