/*
 * The loop of the preloader: wait for a socket, a signal, the supervisor or a deadline; tell the machine; carry out
 * what it asks for. One thread, one request, the clock read once a turn, and no turn longer than a second, so that
 * a stop is noticed at once and a freeze is told from a stall.
 *
 * Invariant: after each turn the request under way is the one that the machine asks for, or none.
 */
#include "preload/drive.h"

#include "common/log.h"
#include "preload/http.h"
#include "preload/pull.h"
#include "preload/show.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TURN_MS = 1000 };

struct drive {
    struct http http;
    struct pull pull;
    struct show show;
    struct models *models;
    unsigned done_ask_n; /* the last wish that was carried out */
    int32_t hurried_pid; /* the Ollama that was asked as soon as it was ready; 0: none */
    int64_t now_ms;
    int signal_fd;
    int stopped_by;
};

static void take_bytes(void *context, const char *bytes, size_t bytes_n)
{
    struct drive *d = context;
    pull_bytes(&d->pull, bytes, bytes_n, d->now_ms);
}

static int start_pull(struct drive *d)
{
    struct buf json;
    const char *name = d->pull.current->name;
    buf_init(&json, 0);
    int error = buf_text(&json, "{\"model\":");
    error = error ? error : buf_json_string(&json, name, strlen(name));
    error = error ? error : buf_text(&json, ",\"stream\":true}");
    error = error ? error : buf_append(&json, "", 1);
    error = error ? error : http_start(&d->http, "/api/pull", buf_data(&json));
    buf_fini(&json);
    return error;
}

/* Makes the request under way the one that is wanted. */
static void follow(struct drive *d)
{
    while (d->done_ask_n != d->pull.ask_n) {
        int error = 0;
        d->done_ask_n = d->pull.ask_n;
        http_cancel(&d->http);
        if (d->pull.ask == PULL_ASK_TAGS)
            error = http_start(&d->http, "/api/tags", NULL);
        else if (d->pull.ask == PULL_ASK_PULL)
            error = start_pull(d);
        if (error)
            pull_answer(&d->pull, &(struct pull_answer){.is_lost = 1, .text = strerror(-error)}, d->now_ms);
    }
}

static void take_signals(struct drive *d)
{
    for (int number; (number = sys_signalfd_read(d->signal_fd)) > 0;) {
        d->stopped_by = number;
        pull_stop(&d->pull, d->now_ms);
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
            int error = contract_send(contract->channel_fd, CONTRACT_SLEEP, (uint32_t)pull_may_sleep(&d->pull), NULL);
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
        pull_stop(&d->pull, d->now_ms);
    }
}

/* We may have been started before it: the supervisor's word is sooner than our next look. Once for each Ollama, as it may be
 * ready and gone. */
static void hurry(struct drive *d)
{
    const struct contract_page *page = d->models->contract->page;
    const struct contract_program *ollama = page && d->pull.setup.is_backend_ours ? contract_find_program(page, "ollama") : NULL;
    if (!ollama || d->pull.state != PULL_WAITING || atomic_load(&ollama->state) != CONTRACT_READY)
        return;
    int32_t pid = atomic_load(&ollama->pid);
    if (pid == d->hurried_pid)
        return;
    d->hurried_pid = pid;
    pull_hurry(&d->pull, d->now_ms);
}

static int wait_ms(const struct drive *d, int64_t tell_at_ms)
{
    int64_t left_ms = d->pull.deadline_ms - d->now_ms;
    if (tell_at_ms >= 0 && tell_at_ms - d->now_ms < left_ms)
        left_ms = tell_at_ms - d->now_ms;
    return left_ms < 0 ? 0 : left_ms > TURN_MS ? TURN_MS : (int)left_ms;
}

static void turn(struct drive *d)
{
    struct http_answer answer;
    int fds[2] = {d->signal_fd, d->models->contract->channel_fd};
    follow(d);
    int64_t tell_at_ms = models_tell(d->models, d->now_ms);
    http_wait(&d->http, fds, 2, wait_ms(d, tell_at_ms));
    d->now_ms = sys_monotonic_ms();
    take_signals(d);
    take_messages(d);
    if (d->done_ask_n == d->pull.ask_n && http_perform(&d->http, &answer)) {
        struct pull_answer told = {.is_lost = answer.is_lost, .status = answer.status, .text = answer.text};
        pull_answer(&d->pull, &told, d->now_ms);
    }
    pull_time(&d->pull, d->now_ms);
    hurry(d);
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

int drive_run(const struct conf *conf, struct models *models, struct drive_result *result)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct drive d = {.models = models, .signal_fd = -1, .now_ms = sys_monotonic_ms()};
    char backend[ADDRESS_TEXT_BYTES];
    address_text(&conf->backend, backend);
    *result = (struct drive_result){0};
    d.signal_fd = sys_signalfd(signals, sizeof signals / sizeof *signals);
    if (d.signal_fd < 0)
        return d.signal_fd;
    int error = http_init(&d.http, &conf->backend, take_bytes, &d);
    if (error) {
        sys_close(d.signal_fd);
        return error;
    }
    int has_terminal = sys_isatty(STDERR_FILENO) && conf->supervisor.log_format == LOG_TEXT;
    show_init(&d.show, has_terminal, is_colour_wanted());
    pull_init(&d.pull,
              &(struct pull_setup){.models = models, .show = &d.show, .backend = backend,
                                   .retries = conf->preload.retries, .is_backend_ours = conf->is_backend_ours,
                                   .limits = limits_of(conf)},
              d.now_ms);
    while (d.pull.state != PULL_ENDED)
        turn(&d);
    result->stopped_by = d.stopped_by;
    result->failed_n = models_count(models, CONTRACT_MODEL_FAILED);
    pull_fini(&d.pull);
    http_fini(&d.http);
    sys_close(d.signal_fd);
    return 0;
}
