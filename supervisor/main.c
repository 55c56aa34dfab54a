/*
 * ollama-supervisor: PID 1, or any process. Reads the configuration, then lets supervisor.c run it.
 */
#include "common/conf.h"
#include "common/log.h"
#include "supervisor/command.h"
#include "supervisor/operand.h"
#include "supervisor/reload.h"
#include "supervisor/signals.h"
#include "supervisor/single.h"
#include "supervisor/stop.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

enum { EXIT_USAGE = 100, EXIT_INTERNAL = 101, EXIT_SYSTEM = 111 };

static const char usage[] =
    "usage: ollama-supervisor [-c FILE] [--check | --dump | --help | --version] [serve]\n"
    "       ollama-supervisor [-c FILE] ARGUMENT...\n"
    "       ollama-supervisor -- COMMAND [ARGUMENT...]\n\n"
    "Runs `ollama serve` behind a streaming proxy, pulls the models of preload-models.txt, restarts what crashes,\n"
    "and exits when idle. Signals: TERM, INT and QUIT stop (a second one hurries), HUP reloads (with a terminal: stops).\n"
    "Exit codes: 0 stopped or idle, 1 a required program has failed, 100 usage or configuration, 101 internal,\n"
    "111 a system call failed.\n\n"
    "With -- it runs one command and nothing else: passes signals on, reaps orphans, ends what the command leaves behind\n"
    "(TERM, and KILL after SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT, 8s) and exits with its code: 128+n after signal n, 127 no\n"
    "such command, 126 it can't be executed. Other arguments than serve are a command of Ollama's, such as pull MODEL: it is run\n"
    "so too, as [program:ollama] says.\n";

extern char **environ;

/* The one supervisor of this process: too large for a stack, and never allocated. */
static struct supervisor the_supervisor;
static int is_hangup_final; /* of the process too: see signals.h */

static void report(const struct diag *d)
{
    const char *at = buf_data(&d->text), *end = at + buf_size(&d->text);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        log_event(LOG_ERROR, "mistake", "%.*s", (int)(line_end - at), at);
        at = line_end + 1;
    }
}

static void reload(struct supervisor *s)
{
    struct diag d;
    diag_init(&d);
    int error = reload_configuration(s, &d);
    report(&d);
    log_event(error ? LOG_ERROR : LOG_INFO, "reload", "result=%s", error ? "refused hint=\"nothing has changed\"" : "done");
    diag_fini(&d);
}

static void caught(void *context, int signal_number)
{
    struct supervisor *s = context;
    switch (signal_number) {
    case SIGCHLD:
        supervisor_reap(s);
        break;
    case SIGHUP:
        if (is_hangup_final)
            stop_begin(s, 0, "SIGHUP");
        else
            reload(s);
        break;
    case SIGTERM:
        stop_begin(s, 0, "SIGTERM");
        break;
    case SIGINT:
        stop_begin(s, 0, "SIGINT");
        break;
    case SIGQUIT:
        stop_begin(s, 0, "SIGQUIT");
        break;
    default: /* USR1 and USR2 are kept from killing us */
        break;
    }
}

/* Before there is a log. */
static int cannot(const char *what, int error)
{
    fprintf(stderr, "ollama-supervisor: can't %s: error=\"%s\"\n", what, strerror(-error));
    return EXIT_SYSTEM;
}

/* Descriptors 0, 1 and 2 must exist, or our own would land there. */
static int open_standard_fds(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (!sys_is_open(fd) && sys_open("/dev/null", O_RDWR, 0) != fd)
            return -EBADF;
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (sys_set_cloexec(fd, 0) < 0)
            return -EBADF;
    sys_cloexec_from(STDERR_FILENO + 1);
    return 0;
}

static int run(struct conf *take_conf, struct signals *signals, int64_t began_ms)
{
    struct supervisor *s = &the_supervisor;
    if (sys_getpid() != 1 && sys_become_subreaper() < 0)
        log_event(LOG_WARNING, "no_subreaper", "orphans go to pid 1");
    int code = supervisor_init(s, take_conf, command_answer, began_ms);
    if (code)
        return code;
    is_hangup_final = signals->is_hangup_final;
    if (signals_watch(signals, &s->loop, caught, s) < 0) {
        supervisor_fini(s);
        return EXIT_SYSTEM;
    }
    supervisor_reap(s); /* a script that exec'd us may have left us dead children, whose signal came before we listened */
    code = supervisor_run(s);
    signals_fini(signals);
    supervisor_fini(s);
    return code;
}

/* -c FILE is let stand before it, unread: an image's ENTRYPOINT has it, and its user can only add words behind. */
static int run_single(const struct conf_options *options, char **argv)
{
    const char *mistake = NULL;
    if (!argv[options->rest_at])
        mistake = "-- needs a command behind it";
    else if (options->is_check || options->is_dump)
        mistake = "--check and --dump have no meaning before --, as no configuration is read";
    if (!mistake)
        return single_run(argv + options->rest_at, environ);
    fprintf(stderr, "ollama-supervisor: %s\n\n%s", mistake, usage);
    return EXIT_USAGE;
}

/* What an image's arguments ask for. */
static int run_operand(const struct conf_options *options, char **argv)
{
    if (!options->is_check && !options->is_dump)
        return operand_run(options, argv + options->operands_at, environ);
    fprintf(stderr, "ollama-supervisor: %s has no meaning before %s, as that is a command of Ollama's\n\n%s",
            options->is_check ? "--check" : "--dump", argv[options->operands_at], usage);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct conf_options options = {.help = conf_help};
    struct conf *conf = NULL;
    struct signals signals;
    int64_t began_ms = sys_monotonic_ms();
    int error = open_standard_fds();
    if (error < 0)
        return cannot("make descriptors 0 to 2 ready", error);
    int code = conf_options(&options, argc, argv, usage);
    if (code >= 0)
        return code;
    if (options.rest_at)
        return run_single(&options, argv);
    if (options.operands_at && !operand_is_serve(argv + options.operands_at))
        return run_operand(&options, argv);
    error = signals_block(&signals); /* before anything slow: docker stop may come in the first millisecond */
    if (error < 0)
        return cannot("wait for signals", error);
    options.is_supervisor = 1;
    code = conf_main(&conf, &options, environ);
    if (code > 0 && !options.is_check && !options.is_dump)
        outer_refuse(code == EXIT_USAGE ? "the configuration has mistakes: see its log" : "the configuration can't be read", code);
    if (code >= 0)
        return code;
    /* Ours begin here: what else is open is a stray, and whoever waits for its end would wait for ours. Not earlier, as
     * the file may be named by one of them (-c /dev/fd/7). */
    sys_close_from(STDERR_FILENO + 1, signals.fd);
    log_init("supervisor", (enum log_level)conf->supervisor.log_level, (enum log_format)conf->supervisor.log_format);
    log_open_stream();
    log_event(LOG_INFO, "boot", "version=%s pid=%d file=\"%s\"", SIDECAR_VERSION, (int)sys_getpid(),
              conf->file ? conf->file : "none");
    return run(conf, &signals, began_ms);
}
