/*
 * ollama-proxy: the public door. Reads the configuration, takes what the supervisor hands down (or, alone, opens
 * its own sockets), and runs the loop until it is told to stop. It builds the rooms and ties them together;
 * requests are none of its business.
 *
 * The first signal to stop drains: no new connections, current answers to their end. The second ends the rest.
 */
#include "proxy/circle.h"
#include "proxy/nap.h"
#include "proxy/observe/catalog.h"
#include "proxy/observe/feed.h"
#include "proxy/observe/observe.h"
#include "proxy/observe/status.h"
#include "proxy/serve/hub_calls.h"
#include "proxy/serve/serve.h"
#include "proxy/stalled.h"
#include "proxy/store/store.h"
#include "proxy/upstreams.h"
#include "proxy/resume.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_SYSTEM = 111,
    ABORT_MS = 200,  /* from the second signal to the exit */
    SPARE_FDS = 128, /* beside clients and their backends: sockets, pool, log */
};

enum phase { PHASE_RUN, PHASE_DRAIN, PHASE_ABORT };

struct proxy {
    enum phase phase;
    struct loop loop;
    struct conf *conf;
    struct contract contract;
    struct contract_line own_line; /* counts where there is no supervisor to read it */
    struct backend backend;
    struct env env;
    struct observe observe;
    struct resume resume;
    struct clients clients;
    struct stalled stalled;
    struct listeners listeners;
    struct nap nap;
    struct timer deadline; /* of draining, then of aborting */
    struct timer watchdog; /* when to say again that the loop turns */
    struct list origins;   /* OLLAMA_ORIGINS */
    int signal_fd;
};

extern char **environ;

static const char usage[] =
    "usage: ollama-proxy [-c FILE] [--check | --dump | --help | --version]\n"
    "The public door in front of Ollama: a streaming HTTP proxy. Started by ollama-supervisor, or alone.\n";

/* The model that a restart of the proxy leaves behind half loaded would be loaded anew by the next one; and one that is half pulled by
 * nobody, where its clients have left. */
static int has_work_left(const struct proxy *p)
{
    int is_working = p->env.loader.loads.loading_n > 0 || pulls_under_way_n(&p->env.puller.pulls) > 0;
    return p->phase == PHASE_DRAIN && is_working && env_has_successor(&p->env);
}

static void stop_when_empty(struct proxy *p)
{
    if (p->phase != PHASE_RUN && p->clients.clients_n == 0 && !has_work_left(p))
        loop_stop(&p->loop);
}

static void on_client_left(void *context)
{
    struct proxy *p = context;
    listeners_resume(&p->listeners);
    stop_when_empty(p);
}

static void on_work_over(void *context)
{
    stop_when_empty(context);
}

static void abort_rest(struct proxy *p)
{
    p->phase = PHASE_ABORT;
    log_event(LOG_INFO, "abort", "clients=%zu", p->clients.clients_n);
    clients_abort(&p->clients, "the server is shutting down");
    loop_arm(&p->loop, &p->deadline, loop_now_ms(&p->loop) + ABORT_MS);
    stop_when_empty(p);
}

static void drain(struct proxy *p, const char *cause)
{
    p->phase = PHASE_DRAIN;
    log_event(LOG_INFO, "drain", "cause=%s clients=%zu", cause, p->clients.clients_n);
    p->env.is_draining = 1;
    p->env.draining_since_ms = loop_now_ms(&p->loop);
    p->backend.is_keeping = 0;
    (void)contract_notify(&p->contract, "STOPPING=1");
    listeners_close(&p->listeners);
    backend_drop_idle(&p->backend);
    clients_drain(&p->clients);
    env_review(&p->env); /* who waits for what will not come is told so */
    serve_see_page(p->env.serve);
    loop_arm(&p->loop, &p->deadline, loop_now_ms(&p->loop) + p->conf->proxy.drain_timeout_ms);
    stop_when_empty(p);
}

static void on_deadline(void *context, int64_t now_ms)
{
    struct proxy *p = context;
    (void)now_ms;
    if (p->phase == PHASE_ABORT)
        loop_stop(&p->loop);
    else
        abort_rest(p);
}

/* Twice in the time that we are given: a loop that no longer turns is found out, and replaced. */
static void ping_watchdog(void *context, int64_t now_ms)
{
    struct proxy *p = context;
    (void)contract_notify(&p->contract, "WATCHDOG=1");
    loop_arm(&p->loop, &p->watchdog, now_ms + p->contract.watchdog_ms / 2);
}

/* The first request to stop drains, the second ends. */
static void stop(struct proxy *p, const char *cause)
{
    if (p->phase == PHASE_RUN)
        drain(p, cause);
    else if (p->phase == PHASE_DRAIN)
        abort_rest(p);
}

static void on_signal(void *context, short revents)
{
    struct proxy *p = context;
    (void)revents;
    for (int s; (s = sys_signalfd_read(p->signal_fd)) > 0;) {
        if (s != SIGHUP)
            stop(p, "signal");
        else if (p->contract.channel_fd < 0) /* else the supervisor starts another where the configuration has changed */
            log_event(LOG_WARNING, "reload", "result=ignored hint=\"a proxy without a supervisor reads its configuration once: restart it\"");
    }
}

static void on_channel(void *context, short revents)
{
    struct proxy *p = context;
    struct contract_message m;
    int got;
    (void)revents;
    while ((got = contract_receive(p->contract.channel_fd, &m)) == 1 || got == -EPROTO) {
        if (got == -EPROTO)
            log_event(LOG_WARNING, "channel", "reason=\"a message was not understood\"");
        else if (m.kind == CONTRACT_STATE_CHANGED) {
            stalled_look(&p->stalled);
            env_review(&p->env);
            serve_see_page(p->env.serve);
        } else if (m.kind == CONTRACT_STALLED)
            stalled_begin(&p->stalled);
        else if (m.kind == CONTRACT_MAY_I_SLEEP)
            nap_asked(&p->nap, m.value);
        else if (m.kind == CONTRACT_RESUMED)
            resume_told(&p->resume);
    }
    if (got == 0)
        return;
    loop_remove(&p->loop, p->contract.channel_fd); /* the supervisor is gone */
    p->env.gate.is_orphaned = 1;
    if (p->phase == PHASE_RUN)
        drain(p, "supervisor_gone");
    else
        env_review(&p->env);
}

static int prepare_signals(struct proxy *p)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
    int error = sys_signal_ignore(SIGPIPE);
    if (error < 0)
        return error;
    p->signal_fd = sys_signalfd(signals, sizeof signals / sizeof *signals);
    return p->signal_fd < 0 ? p->signal_fd : loop_add(&p->loop, p->signal_fd, POLLIN, on_signal, p);
}

/* OLLAMA_ORIGINS, as ollama itself would get it. */
static int read_origins(struct proxy *p)
{
    const struct conf_program *ollama = conf_program(p->conf, "ollama");
    char **environment = ollama ? conf_environment(p->conf, ollama, NULL) : NULL;
    const char *text = environment ? conf_variable(environment, "OLLAMA_ORIGINS") : getenv("OLLAMA_ORIGINS");
    int error = text && *text ? parse_list(text, ",", &p->origins) : 0;
    conf_environment_free(environment);
    p->env.trust.ollama_origins = &p->origins;
    return error;
}

/* How many clients there are descriptors for. Each may need one to the backend as well: who came in without it would
 * be refused, who stays in the kernel's queue waits. */
static size_t fit_clients(size_t wanted_n)
{
    size_t room_n = 2 * wanted_n + SPARE_FDS;
    int64_t fds_n = sys_raise_fd_limit((int64_t)room_n);
    if (fds_n >= (int64_t)room_n)
        return wanted_n;
    size_t limit_n = fds_n > 4 ? (size_t)fds_n : 4;
    size_t fit_n = limit_n > 2 * SPARE_FDS ? (limit_n - SPARE_FDS) / 2 : limit_n / 4;
    log_event(LOG_WARNING, "few_descriptors",
              "limit=%lld wanted=%zu clients=%zu hint=\"raise the limit, or lower max_clients\"", (long long)fds_n,
              room_n, fit_n);
    return fit_n;
}

static void warn_of_circle(const struct proxy *p)
{
    const struct address *listener;
    char text[ADDRESS_TEXT_BYTES];
    if (!circle_find(&p->backend, p->conf, &listener))
        return;
    address_text(listener, text);
    log_event(LOG_WARNING, "backend_circle",
              "backend=%s listener=%s hint=\"[proxy] backend is this sidecar itself: say where Ollama listens\"", p->backend.host, text);
}

#ifdef WITH_BALANCER
static int open_fleet(struct proxy *p, char *why, size_t why_n)
{
    int error = env_open_fleet(&p->env);
    error = error ? error : store_new(&p->env.store, &p->loop, p->conf, &p->env.optimizer, &p->env.limits);
    if (error)
        snprintf(why, why_n, "%s", strerror(-error));
    return error;
}
#else
#define open_fleet(p, why, why_n) 0 /* who has a fleet, or Redis, was refused when the configuration was read */
#endif

static int open_rooms(struct proxy *p, char *why, size_t why_n)
{
    const struct conf *conf = p->conf;
    struct contract_line *line = p->contract.line ? p->contract.line : &p->own_line;
    size_t clients_max_n = fit_clients((size_t)conf->proxy.max_clients);
    int error = backend_init(&p->backend, &p->loop, &conf->backend, why, why_n);
    if (error)
        return error;
    warn_of_circle(p);
    env_init(&p->env, &p->loop, conf, &p->contract, line, &p->backend);
    observe_init(&p->observe, loop_now_ms(&p->loop));
    p->env.observe = &p->observe;
    error = catalog_new(&p->env.catalog, &p->env);
    error = error ? error : feed_new(&p->env.feed, &p->loop, &(struct feed_ops){status_look, status_write_event, &p->env});
    if (error) {
        snprintf(why, why_n, "%s", strerror(-error));
        return error;
    }
    error = open_fleet(p, why, why_n);
    if (error)
        return error;
    const struct lister *lister = p->env.fleet ? &p->env.lister : NULL;
    error = upstreams_new(&p->env.upstreams, &p->loop, conf, &p->env.gate, &p->backend, lister, &p->env.tell);
    if (p->env.upstreams) {
        p->env.upstreams->failed = env_backend_failed;
        p->env.upstreams->failed_context = &p->env;
    }
    error = error ? error : serve_new(&p->env.serve, &p->env);
    if (error) {
        snprintf(why, why_n, "%s", strerror(-error));
        return error;
    }
    nap_init(&p->nap, &p->env, &p->clients, &p->listeners);
    stalled_init(&p->stalled, &p->env);
    p->env.work_over = on_work_over;
    p->env.work_over_context = p;
    error = trust_rules_init(&p->env.trust, conf);
    error = error ? error : keys_init(&p->env.keys, conf);
    p->env.tell.are_keys_ours = p->env.keys.items_n > 0;
    if (!error)
        error = limits_init(&p->env.limits, conf->keys_n, conf->proxy.requests_per_minute > 0 || conf->proxy.tokens_per_minute > 0);
    if (!error)
        error = prepare_signals(p);
    if (!error)
        error = read_origins(p);
    if (!error)
        error = clients_init(&p->clients, &p->env, clients_max_n, on_client_left, p);
    if (!error && p->contract.channel_fd >= 0)
        error = loop_add(&p->loop, p->contract.channel_fd, POLLIN, on_channel, p);
    if (error) {
        snprintf(why, why_n, "%s", strerror(-error));
        return error;
    }
    error = listeners_init(&p->listeners, &p->loop, &p->clients, conf, 3, p->contract.listen_fds_n, why, why_n);
    p->listeners.clients_max_n = clients_max_n;
    if (error)
        return error;
    error = listeners_add_contract(&p->listeners, &p->contract);
    if (error)
        snprintf(why, why_n, "%s", strerror(-error));
    return error;
}

static void tell_start(const struct proxy *p)
{
    for (size_t i = 0; i < p->conf->listen_n; i++) {
        char text[ADDRESS_TEXT_BYTES];
        address_text(&p->conf->listen[i], text);
        log_event(LOG_INFO, "listening", "address=%s backend=%s", text, p->conf->is_fleet ? "fleet" : p->conf->is_alone ? "none" : p->backend.host);
    }
}

static void close_fleet(struct proxy *p)
{
#ifdef WITH_BALANCER
    env_close_fleet(&p->env);
    store_free(&p->env.store);
    (void)!loop_turn(&p->loop, 0); /* as above */
#else
    (void)p;
#endif
}

static void close_rooms(struct proxy *p)
{
    if (p->clients.host.env)
        clients_fini(&p->clients);
    if (p->listeners.loop)
        listeners_close(&p->listeners);
    (void)!loop_turn(&p->loop, 0); /* frees what waits for the end of a turn */
    nap_fini(&p->nap);
    stalled_fini(&p->stalled);
    feed_free(&p->env.feed);
    catalog_free(&p->env.catalog);
    hub_calls_free(&p->env.hub_calls);
    serve_free(&p->env.serve);
    upstreams_free(&p->env.upstreams);
    close_fleet(p);
    env_fini(&p->env);
    observe_fini(&p->observe);
    if (p->backend.loop)
        backend_fini(&p->backend);
    sys_close(p->signal_fd);
    list_fini(&p->origins);
    trust_rules_fini(&p->env.trust);
    keys_fini(&p->env.keys);
    loop_fini(&p->loop);
    contract_release(&p->contract);
    conf_free(&p->conf);
}

static int run(struct proxy *p)
{
    char why[512] = "";
    int error = loop_init(&p->loop);
    if (!error) {
        (void)!loop_use_epoll(&p->loop); /* docs/adr/0010; where there is none, poll(2) does the same at a higher price */
        error = open_rooms(p, why, sizeof why);
    }
    if (error) {
        log_event(LOG_ERROR, "start_failed", "reason=\"%s\"", *why ? why : strerror(-error));
        return EXIT_SYSTEM;
    }
    tell_start(p);
    (void)contract_notify(&p->contract, "READY=1");
    if (p->contract.watchdog_ms > 0)
        ping_watchdog(p, loop_now_ms(&p->loop));
    env_review(&p->env);
    resume_init(&p->resume, &p->env);
    while (!p->loop.is_stopped && !error)
        error = loop_turn(&p->loop, resume_longest_wait_ms(&p->resume, p->clients.clients_n));
    if (error)
        log_event(LOG_ERROR, "loop_failed", "reason=\"%s\"", strerror(-error));
    return error ? EXIT_SYSTEM : 0;
}

int main(int argc, char **argv)
{
    struct proxy *p = calloc(1, sizeof *p);
    struct conf_options options = {0};
    if (!p) {
        static const char words[] = "ollama-proxy: it can't start: out of memory\n"; /* the log comes later */
        (void)!sys_write(2, words, sizeof words - 1);
        return EXIT_SYSTEM;
    }
    int code = conf_options_alone(&options, argc, argv, usage);
    if (code < 0)
        code = conf_main(&p->conf, &options, environ);
    if (code < 0) {
        log_init("proxy", (enum log_level)p->conf->supervisor.log_level,
                 (enum log_format)p->conf->supervisor.log_format);
        log_open_stream();
        (void)!contract_adopt(&p->contract);
        p->signal_fd = -1;
        timer_init(&p->deadline, on_deadline, p);
        timer_init(&p->watchdog, ping_watchdog, p);
        code = run(p);
        close_rooms(p);
    }
    free(p);
    return code;
}
