/*
 * A supervised program's process: what the state table (program.c) asks for is done here, with the rooms that know how:
 * spawn, output, channel, probe, board. Decisions are the table's; those about several programs are made above.
 */
#include "supervisor/child.h"

#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static struct child *child_of(struct program *p)
{
    return p->context;
}

static int has_pipe(const struct child *c)
{
    return !c->launch.has_contract; /* our own programs write log lines of our own form */
}

static void give_back(struct child *c)
{
    board_free_line(c->site->board, c->line, loop_monotonic_ms(c->site->loop));
    c->line = -1;
    channel_close(&c->channel);
}

static pid_t child_spawn(struct program *p)
{
    struct child *c = child_of(p);
    struct spawn_plan plan;
    int channel_fd = -1, output_fd = -1, error = 0;
    sys_close(c->exec_fd);
    c->exec_fd = -1;
    c->status[0] = '\0';
    if (c->launch.has_contract) {
        c->line = board_take_line(c->site->board);
        error = c->line < 0 ? -EBUSY : (channel_fd = channel_open(&c->channel));
    }
    if (has_pipe(c) && error >= 0)
        error = output_fd = output_open(&c->output);
    pid_t pid = error;
    if (error >= 0) {
        launch_plan(&c->launch, c->site->launch, channel_fd, output_fd, c->line, !board_is_pulling(c->site->board), &plan); /* else Ollama throws away what it has of it */
        pid = spawn_process(&plan, &c->exec_fd);
    }
    sys_close(channel_fd);
    sys_close(output_fd);
    if (pid < 0) {
        give_back(c);
        output_close(&c->output);
        return pid;
    }
    log_event(LOG_INFO, "exec", "program=%s pid=%d command=\"%s\"", p->conf->name, (int)pid, c->launch.argv[0]);
    return pid;
}

static void child_signal(struct program *p, int signal_number)
{
    struct child *c = child_of(p);
    int error = p->pid > 0 ? sys_kill_group(p->pid, signal_number) : 0;
    if (error == -ESRCH) /* it has left its group for another one; not reaped yet, so its pid is its own */
        error = sys_kill(p->pid, signal_number);
    if (error == -EPERM && c->refused_pid != p->pid) { /* it has become somebody else's, by a setuid program */
        c->refused_pid = p->pid;
        log_event(LOG_WARNING, "signal_refused", "program=%s pid=%d signal=%d hint=\"it runs as a user whom we may not signal: stop it yourself, or set no_new_privileges\"",
                  p->conf->name, (int)p->pid, signal_number);
    }
}

static int child_hand_over(struct program *p)
{
    struct child *c = child_of(p);
    const struct child_site *site = c->site;
    if (!c->launch.has_listeners || atomic_load(&site->board->page->is_stopping))
        return -EBUSY;
    int error = draining_take(site->draining, site->loop, site->board, p->pid, &c->channel, c->line,
                              site->launch->conf->proxy.drain_timeout_ms);
    if (!error)
        c->line = -1;
    return error;
}

static void child_deadline(struct program *p, int64_t at_ms)
{
    struct child *c = child_of(p);
    if (at_ms < 0)
        loop_disarm(c->site->loop, &c->timer);
    else
        loop_arm(c->site->loop, &c->timer, at_ms);
}

static void child_timer(void *context, int64_t now_ms)
{
    struct child *c = context;
    program_event(&c->program, PROGRAM_TIMER, now_ms);
}

static void child_answered(void *context, int is_good)
{
    struct child *c = context;
    if (c->program.state == CONTRACT_READY)
        live_told(&c->live, is_good);
    else if (is_good)
        program_event(&c->program, PROGRAM_BECAME_READY, loop_now_ms(c->site->loop));
}

/* Bytes of answers and of pulls: the work of Ollama alone. */
static uint64_t child_progress(void *context)
{
    const struct child *c = context;
    return c->launch.is_backend ? board_progress(c->site->board) : 0;
}

static void child_hung(void *context, const char *why)
{
    struct child *c = context;
    program_hung(&c->program, why, loop_now_ms(c->site->loop));
}

static const struct live_ops child_live_ops = {child_progress, child_hung};

/* The probe asks for readiness while the program starts. none, notify and exit are no URL. */
static void follow_readiness(struct child *c)
{
    const struct conf_program *conf = c->program.conf;
    struct address address;
    char path[PROBE_PATH_BYTES], why[PARSE_WHY_BYTES];
    if (c->program.state != CONTRACT_STARTING)
        return;
    if (parse_http_url(conf->ready, &address, path, sizeof path, why) == 0)
        probe_start(&c->probe, &address, path, live_text_for(path));
    else
        probe_stop(&c->probe);
}

/* While it is ready, the probe is live's. */
static void follow_state(struct child *c)
{
    if (c->program.state == CONTRACT_READY)
        live_begin(&c->live, c->program.conf);
    else
        live_end(&c->live); /* and the probe, whoever's it was */
    follow_readiness(c);
}

/* Ollama, the proxy and the preloader say themselves that they have come so far: `listening`, `preload_done`, `ready`, `booted`, `awake`. */
static int is_told_elsewhere(const struct child *c)
{
    const struct program *p = &c->program;
    int is_of_ours = c->launch.has_contract || strcmp(p->conf->name, "ollama") == 0;
    return is_of_ours && p->restarts_n == 0 &&
           (p->state == CONTRACT_STARTING || p->state == CONTRACT_READY || p->state == CONTRACT_DONE);
}

static void child_changed(struct program *p, enum contract_state from, const char *cause)
{
    struct child *c = child_of(p);
    enum log_level level = p->state == CONTRACT_FAILED    ? LOG_ERROR
                           : p->state == CONTRACT_BACKOFF ? LOG_WARNING
                           : is_told_elsewhere(c)         ? LOG_DEBUG
                                                          : LOG_INFO;
    log_event(level, "state", "program=%s from=%s to=%s cause=%s pid=%d%s%s%s", p->conf->name,
              contract_state_name(from), contract_state_name(p->state), cause, (int)p->pid,
              p->reason[0] ? " reason=\"" : "", p->reason, p->reason[0] ? "\"" : "");
    follow_state(c);
    c->site->changed(c->site->context, c);
}

static uint32_t child_random(struct program *p)
{
    uint32_t random;
    (void)p;
    sys_random(&random, sizeof random);
    return random;
}

static const struct program_ops child_ops = {child_spawn,   child_signal,  child_hand_over,
                                      child_deadline, child_changed, child_random};

static void child_said(void *context, const struct contract_message *m, int fd)
{
    struct child *c = context;
    c->site->heard(c->site->context, c, m, fd);
}

/* Ollama says it when a runner of its own has gone. */
static void child_complained(void *context, const char *line, enum log_level level)
{
    struct child *c = context;
    c->site->complained(c->site->context, c, line, level);
    memory_look_soon(c->site->memory);
}

/* What its launch says of the program. */
static void follow_launch(struct child *c)
{
    c->program.is_built_in = c->launch.has_contract;
    c->program.is_handed_over = c->launch.has_listeners;
    c->program.is_task = strcmp(c->program.conf->ready, "exit") == 0;
}

int child_plan_init(struct child_plan *p, const struct launch_site *site, const struct conf_program *conf)
{
    *p = (struct child_plan){.backoff = {0}};
    int error = program_backoff(&p->backoff, conf);
    if (!error)
        error = launch_init(&p->launch, site, conf);
    if (error)
        child_plan_fini(p);
    return error;
}

void child_plan_fini(struct child_plan *p)
{
    launch_fini(&p->launch);
    backoff_fini(&p->backoff);
}

void child_init(struct child *c, const struct child_site *site, struct child_room *room, const struct conf_program *conf,
                struct child_plan *take_plan)
{
    memset(c, 0, sizeof *c);
    c->site = site;
    c->room = room;
    c->line = -1;
    c->exec_fd = -1;
    output_init(&c->output, site->loop, &room->output, site->ring, conf->name, conf->output_rate);
    c->output.complained = child_complained;
    c->output.context = c;
    channel_init(&c->channel, site->loop, conf->name, child_said, c);
    probe_init(&c->probe, site->loop, &room->probe, child_answered, c);
    live_init(&c->live, site->loop, &c->probe, &child_live_ops, c);
    timer_init(&c->timer, child_timer, c);
    program_init(&c->program, conf, &take_plan->backoff, &child_ops, c);
    c->launch = take_plan->launch;
    follow_launch(c);
}

void child_reconfigure(struct child *c, const struct conf_program *conf, struct child_plan *take_plan)
{
    int is_ready_new = strcmp(c->program.conf->ready, conf->ready) != 0; /* a launch that changed with it is restarted anyway */
    launch_fini(&c->launch);
    c->launch = take_plan->launch;
    if (c->is_retired) {
        c->is_retired = 0;
        c->program.is_over = 0;
        c->program.is_wanted = conf->autostart;
    }
    c->channel.name = conf->name;
    output_reconfigure(&c->output, conf->name, conf->output_rate);
    program_reconfigure(&c->program, conf, &take_plan->backoff);
    follow_launch(c);
    if (is_ready_new) {
        program_ready_changed(&c->program, loop_now_ms(c->site->loop));
        follow_readiness(c);
    }
    live_reconfigure(&c->live, conf);
}

void child_retire(struct child *c)
{
    const struct conf_program *conf = c->program.conf;
    struct child_room *room = c->room;
    snprintf(room->retired_name, sizeof room->retired_name, "%s", conf->name);
    snprintf(room->retired_none, sizeof room->retired_none, "none");
    room->retired_conf = (struct conf_program){.name = room->retired_name, .ready = room->retired_none,
                                               .live = room->retired_none, .restart = CONF_RESTART_NEVER,
                                               .stop_signal = conf->stop_signal, .stop_timeout_ms = conf->stop_timeout_ms};
    c->is_retired = 1;
    c->program.conf = &c->room->retired_conf;
    c->output.name = c->channel.name = c->room->retired_name;
    live_end(&c->live);
    program_end(&c->program, loop_now_ms(c->site->loop));
    program_event(&c->program, PROGRAM_STOP, loop_now_ms(c->site->loop));
}

int child_is_vacant(const struct child *c)
{
    return c->is_retired && !program_is_alive(&c->program);
}

void child_fini(struct child *c)
{
    live_end(&c->live);
    loop_disarm(c->site->loop, &c->timer);
    output_fini(&c->output);
    channel_close(&c->channel);
    sys_close(c->exec_fd);
    launch_fini(&c->launch);
    program_fini(&c->program);
}

void child_notified(struct child *c, const char *name, const char *value)
{
    int64_t now_ms = loop_now_ms(c->site->loop), more_us = 0;
    char why[PARSE_WHY_BYTES];
    if (strcmp(name, "READY") == 0 && strcmp(value, "1") == 0 && strcmp(c->program.conf->ready, "notify") == 0)
        program_event(&c->program, PROGRAM_BECAME_READY, now_ms);
    else if (strcmp(name, "STATUS") == 0)
        snprintf(c->status, sizeof c->status, "%s", value);
    else if (strcmp(name, "WATCHDOG") == 0 && strcmp(value, "1") == 0)
        live_ping(&c->live);
    else if (strcmp(name, "WATCHDOG") == 0 && strcmp(value, "trigger") == 0)
        program_hung(&c->program, "hung: it says so itself (WATCHDOG=trigger)", now_ms);
    else if (strcmp(name, "EXTEND_TIMEOUT_USEC") == 0 &&
             parse_integer(value, 0, CONF_DAY_MS * 1000, &more_us, why) == 0)
        program_extend(&c->program, more_us / 1000, now_ms);
}

/* Killed by the kernel for want of memory, and not by us or by the owner. */
static int is_out_of_memory(struct child *c, int status, char why[MEMORY_WHY_BYTES])
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && c->program.state != CONTRACT_STOPPING &&
           memory_claim(c->site->memory, c->program.conf->name, why);
}

void child_reaped(struct child *c, int status)
{
    struct program *p = &c->program;
    struct spawn_failure failure = spawn_exec_error(c->exec_fd);
    sys_close(c->exec_fd);
    c->exec_fd = -1;
    output_close(&c->output);
    channel_end(&c->channel);
    give_back(c);
    char last[LAST_WORDS_BYTES], out_of_memory[MEMORY_WHY_BYTES];
    if (is_out_of_memory(c, status, out_of_memory))
        snprintf(last, sizeof last, "%s", out_of_memory);
    else if (failure.error)
        launch_failure_text(&c->launch, &failure, last, sizeof last);
    else
        snprintf(last, sizeof last, "%s", c->output.last.text);
    int is_done = c->launch.has_contract && !c->launch.has_listeners && status == 0; /* `preload_done` says so */
    if (WIFSIGNALED(status))
        log_event(p->state == CONTRACT_STOPPING ? LOG_INFO : LOG_WARNING, "exited", "program=%s pid=%d signal=%d",
                  p->conf->name, (int)p->pid, WTERMSIG(status));
    else
        log_event(is_done                                                        ? LOG_DEBUG
                  : p->state == CONTRACT_STOPPING || WEXITSTATUS(status) == 0 ? LOG_INFO
                                                                              : LOG_WARNING, "exited",
                  "program=%s pid=%d code=%d", p->conf->name, (int)p->pid, WEXITSTATUS(status));
    program_exited(p, status, last, loop_now_ms(c->site->loop));
}
