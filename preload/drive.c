/*
 * The loop of the preloader: wait for a socket, a signal, the supervisor or a deadline; tell the machines, of which each Ollama has one;
 * carry out what they ask for. One thread, one request for each, the clock read once a turn, and no turn longer than a second, so that
 * a stop is noticed at once and a freeze is told from a stall.
 */
#include "preload/drive.h"

#include "common/log.h"
#include "preload/show.h"
#include "preload/together.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURN_MS = 1000, AT_ONCE_N = 4 /* pulls, of several Ollamas */ };

struct drive {
    struct site *sites;
    size_t sites_n, sites_room_n;
    struct http *https[HTTP_ALL_MAX]; /* theirs */
    struct pull_turns turns;
    struct models *models;
    int32_t hurried_pid; /* the Ollama that was asked as soon as it was ready; 0: none */
    int64_t now_ms;
    int signal_fd;
    int stopped_by;
};

static void stop_all(struct drive *d)
{
    for (size_t i = 0; i < d->sites_n; i++)
        pull_stop(&d->sites[i].pull, d->now_ms);
}

static int has_ended(const struct drive *d)
{
    for (size_t i = 0; i < d->sites_n; i++)
        if (d->sites[i].pull.state != PULL_ENDED)
            return 0;
    return 1;
}

static int may_sleep(const struct drive *d)
{
    for (size_t i = 0; i < d->sites_n; i++)
        if (!pull_may_sleep(&d->sites[i].pull))
            return 0;
    return 1;
}

static void take_signals(struct drive *d)
{
    for (int number; (number = sys_signalfd_read(d->signal_fd)) > 0;) {
        d->stopped_by = number;
        stop_all(d);
    }
}

/* What the supervisor says. Where it is gone, nobody is left to work for. */
static void take_messages(struct drive *d)
{
    struct contract *contract = d->models->contract;
    struct contract_message m;
    int r = 0;
    while (contract->channel_fd >= 0 && (r = contract_receive(contract->channel_fd, &m)) != 0 && r != -EPIPE) {
        if (r == 1 && m.kind == CONTRACT_MAY_I_SLEEP) {
            int error = contract_send(contract->channel_fd, CONTRACT_SLEEP, (uint32_t)may_sleep(d), NULL);
            if (error)
                log_event(LOG_DEBUG, "channel_full", "error=\"%s\"", strerror(-error));
        } else if (r < 0 && r != -EPROTO) {
            break;
        }
    }
    if (r == -EPIPE) {
        log_event(LOG_WARNING, "supervisor_gone", "doing=stop");
        sys_close(contract->channel_fd);
        contract->channel_fd = -1;
        stop_all(d);
    }
}

/* We may have been started before it: the supervisor's word is sooner than our next look. Once for each Ollama, as it may be
 * ready and gone. */
static void hurry(struct drive *d)
{
    const struct contract_page *page = d->models->contract->page;
    struct pull *p = &d->sites[0].pull;
    const struct contract_program *ollama = page && p->setup.is_backend_ours ? contract_find_program(page, "ollama") : NULL;
    if (!ollama || p->state != PULL_WAITING || atomic_load(&ollama->state) != CONTRACT_READY)
        return;
    int32_t pid = atomic_load(&ollama->pid);
    if (pid == d->hurried_pid)
        return;
    d->hurried_pid = pid;
    pull_hurry(p, d->now_ms);
}

static int wait_ms(const struct drive *d, int64_t tell_at_ms)
{
    int64_t left_ms = TURN_MS;
    for (size_t i = 0; i < d->sites_n; i++)
        if (d->sites[i].pull.deadline_ms - d->now_ms < left_ms)
            left_ms = d->sites[i].pull.deadline_ms - d->now_ms;
    if (tell_at_ms >= 0 && tell_at_ms - d->now_ms < left_ms)
        left_ms = tell_at_ms - d->now_ms;
    return left_ms < 0 ? 0 : (int)left_ms;
}

static void turn(struct drive *d)
{
    int fds[2] = {d->signal_fd, d->models->contract->channel_fd};
    for (size_t i = 0; i < d->sites_n; i++)
        site_follow(&d->sites[i]);
    int64_t tell_at_ms = models_tell(d->models, d->now_ms);
    http_wait(d->https, d->sites_n, fds, 2, wait_ms(d, tell_at_ms));
    d->now_ms = sys_monotonic_ms();
    take_signals(d);
    take_messages(d);
    for (size_t i = 0; i < d->sites_n; i++)
        site_turn(&d->sites[i], d->now_ms);
    hurry(d);
    if (d->turns.most_n)
        together_tell(d->models, d->sites, d->sites_n, d->now_ms);
}

static int is_colour_wanted(void)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
}

/* [program:preload] stall_timeout may make the limit of a pull shorter. */
static struct pull_limits limits_of(const struct conf *conf)
{
    const struct conf_program *program = conf_program(conf, "preload");
    struct pull_limits limits = pull_limits_default;
    if (program && program->stall_timeout_ms > 0 && program->stall_timeout_ms < limits.stall_ms)
        limits.stall_ms = program->stall_timeout_ms;
    return limits;
}

/* Where the list goes: our Ollama, or each of several; an empty one ends at once. */
static size_t backends_of(const struct conf *conf, const struct list *names, const struct conf_backend *out[HTTP_ALL_MAX])
{
    size_t n = 0;
    out[0] = NULL;
    for (size_t i = 0; i < conf->backends_n && names->items_n > 0; i++)
        if (conf_backend_is_member(&conf->backends[i]))
            out[n++] = &conf->backends[i];
    return n ? n : 1;
}
_Static_assert((int)CONF_BACKENDS_MAX <= (int)HTTP_ALL_MAX, "room for each");

static int init_sites(struct drive *d, const struct conf *conf, const struct list *names)
{
    const struct conf_backend *backends[HTTP_ALL_MAX];
    size_t n = backends_of(conf, names, backends);
    struct site_plan plan = {.names = names, .models = d->models, .limits = limits_of(conf)};
    plan.has_terminal = sys_isatty(STDERR_FILENO) && conf->supervisor.log_format == LOG_TEXT && !backends[0];
    plan.has_colours = is_colour_wanted();
    if (backends[0]) {
        d->turns.most_n = AT_ONCE_N;
        plan.turns = &d->turns;
    }
    int error = 0;
    d->sites = calloc(n, sizeof *d->sites);
    for (size_t i = 0; i < n && d->sites && !error; i++) {
        plan.backend = backends[i];
        d->https[i] = &d->sites[i].http;
        error = site_init(&d->sites[i], conf, &plan, d->now_ms);
        d->sites_n += !error;
    }
    return d->sites ? error : -ENOMEM;
}

/* The rows that all see, where each site has its own. */
static void end_together(struct drive *d)
{
    struct show show;
    if (!d->turns.most_n)
        return;
    together_tell(d->models, d->sites, d->sites_n, d->now_ms);
    if (d->stopped_by && models_stop(d->models, d->now_ms))
        return;
    size_t ready_n = models_count(d->models, CONTRACT_MODEL_READY), failed_n = models_count(d->models, CONTRACT_MODEL_FAILED);
    models_end(d->models, d->now_ms);
    show_init(&show, NULL, 0, 0);
    show_end(&show, ready_n, failed_n, d->models->items_n - ready_n - failed_n);
}

int drive_run(const struct conf *conf, const struct list *names, struct models *models, struct drive_result *result)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct drive d = {.models = models, .signal_fd = -1, .now_ms = sys_monotonic_ms()};
    *result = (struct drive_result){0};
    d.signal_fd = sys_signalfd(signals, sizeof signals / sizeof *signals);
    if (d.signal_fd < 0)
        return d.signal_fd;
    int error = init_sites(&d, conf, names);
    while (!error && !has_ended(&d))
        turn(&d);
    if (!error)
        end_together(&d);
    result->stopped_by = d.stopped_by;
    result->failed_n = models_count(models, CONTRACT_MODEL_FAILED);
    for (size_t i = 0; i < d.sites_n; i++)
        site_fini(&d.sites[i]);
    free(d.sites);
    sys_close(d.signal_fd);
    return error;
}
