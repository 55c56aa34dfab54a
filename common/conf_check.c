/*
 * What follows from the values together: the built-in programs, the addresses of listeners, Ollama and backend,
 * and the rules that no single row of the table can state.
 */
#include "common/conf_internal.h"

#include "common/contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLLAMA_OWN_PORT = 11435, CONTROL_PATH_BYTES = 107 /* sun_path, unix(7) */ };

static int set_built_in(struct conf *c, const char *program, const char *key, const char *text, struct diag *d)
{
    return conf_set_built_in(c, "program", program, key, text, d);
}

int conf_add_built_in(struct conf *c, struct diag *d)
{
    static const char *const rows[][3] = {
        {"ollama", "command", "ollama serve"},
        {"proxy", "command", "ollama-proxy"},
        {"proxy", "ready", "notify"},
        {"preload", "command", "ollama-preload"},
        {"preload", "ready", "exit"},
        {"preload", "restart", "on-failure"},
    };
    return conf_set_built_ins(c, "program", rows, sizeof rows / sizeof *rows, d);
}

static int is_listener_port(const struct conf *c, uint16_t port)
{
    for (size_t i = 0; i < c->listen_n; i++)
        if (c->listen[i].port == port)
            return 1;
    return 0;
}

/* An IP address, localhost, or every interface; a name is something for clients. */
static int is_bindable(const struct address *a)
{
    struct sockaddr_storage address;
    socklen_t address_n;
    return address_to_sockaddr(a, &address, &address_n) == 0;
}

/* OLLAMA_NUM_PARALLEL as Ollama reads it (envconfig Uint, v0.9.5): spaces and quotes around it go, and what is no number
 * is as good as 0, its own choice. */
static int64_t parallel_of(const char *text)
{
    char digits[24] = "", why[PARSE_WHY_BYTES];
    int64_t parallel = 0;
    while (text && *text && strchr(" \t\"'", *text))
        text++;
    size_t n = text ? strcspn(text, " \t\"'") : 0;
    if (!text || n >= sizeof digits || text[n + strspn(text + n, " \t\"'")])
        return 0;
    memcpy(digits, text, n);
    return parse_integer(digits, 0, INT64_MAX, &parallel, why) < 0 ? 0 : parallel;
}

/* What the supervisor has made of it. */
static int64_t handed_keep_alive(const struct conf *c)
{
    const char *text = conf_variable(c->environment_in, CONTRACT_ENV_KEEP_ALIVE);
    char why[PARSE_WHY_BYTES];
    int64_t ms;
    return text && parse_integer(text, -1, INT64_MAX, &ms, why) == 0 ? ms : parse_ollama_keep_alive_ms(NULL);
}

/* Where `ollama serve` will listen: OLLAMA_HOST of its environment, out of the way of our own listeners; how many
 * requests it takes at once, and how long it keeps a model. */
static int derive_ollama(struct conf *c, struct diag *d)
{
    char why[PARSE_WHY_BYTES];
    if (c->reader == CONF_READER_CHILD) {
        c->ollama_parallel = parallel_of(conf_variable(c->environment_in, CONTRACT_ENV_PARALLEL));
        c->ollama_keep_alive_ms = handed_keep_alive(c);
        conf_ollama_memory_take(&c->ollama_memory, conf_variable(c->environment_in, CONTRACT_ENV_MEMORY));
    }
    const char *handed = c->reader == CONF_READER_CHILD ? conf_variable(c->environment_in, CONTRACT_ENV_OLLAMA) : NULL;
    if (handed && parse_address(handed, &c->ollama, why) == 0)
        return 0;
    char **environment = conf_environment(c, conf_program(c, "ollama"), NULL);
    if (!environment)
        return -ENOMEM;
    const char *host = conf_variable(environment, "OLLAMA_HOST");
    if (c->reader != CONF_READER_CHILD) {
        c->ollama_parallel = parallel_of(conf_variable(environment, "OLLAMA_NUM_PARALLEL"));
        c->ollama_keep_alive_ms = parse_ollama_keep_alive_ms(conf_variable(environment, "OLLAMA_KEEP_ALIVE"));
        conf_ollama_memory_read(&c->ollama_memory, environment);
    }
    int is_set = host && *host;
    if (is_set)
        parse_ollama_host(host, &c->ollama);
    conf_environment_free(environment);
    if (is_set && c->ollama.port == 0) /* Ollama would choose one, and nobody know which */
        c->ollama.port = OLLAMA_OWN_PORT;
    if (is_set && is_bindable(&c->ollama) && !is_listener_port(c, c->ollama.port))
        return 0;
    if (is_set && !is_bindable(&c->ollama) && conf_program(c, "ollama")->autostart)
        diag_add(d, DIAG_ERROR, "OLLAMA_HOST", 0,
                 "\"%.100s\" is a name: here it says where Ollama binds, so write an IP address or localhost", c->ollama.host);
    c->is_ollama_moved = is_set;
    c->ollama = (struct address){.host = "127.0.0.1", .port = OLLAMA_OWN_PORT};
    while (is_listener_port(c, c->ollama.port))
        c->ollama.port++;
    return 0;
}

static void derive_backend(struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->proxy;
    struct address own;
    char why[PARSE_WHY_BYTES];
    address_reachable(&c->ollama, &own);
    c->backend = own;
    c->is_alone = CONF_HAS_MODELS && c->models.serve && !conf_program(c, "ollama")->autostart && !c->is_fleet && !c->proxy.backend[0];
    c->is_backend_ours = !c->is_fleet && !c->is_alone;
    if (c->proxy.backend[0] == '\0' || c->is_fleet)
        return;
    if (parse_backend(c->proxy.backend, &c->backend, why) < 0) {
        conf_mistake(c, at, "proxy", "backend", d, why);
        return;
    }
    c->is_backend_ours = address_equal(&c->backend, &own);
    if (conf_is_own_listener(c, &c->backend))
        conf_mistake(c, at, "proxy", "backend", d, CONF_CIRCLE);
}

/* A build for one Ollama. */
static void refuse_fleet(const struct conf *c, struct diag *d)
{
    if (*c->proxy.containers && strcmp(c->proxy.containers, "none") != 0)
        conf_mistake(c, (const struct conf_head *)&c->proxy, "proxy", "containers", d, CONF_NO_BALANCER);
    for (size_t i = 0; i < c->backends_n; i++)
        if (conf_backend_is_member(&c->backends[i]))
            conf_mistake(c, (const struct conf_head *)&c->backends[i], "backend", "api", d, CONF_NO_BALANCER);
}

/* Several Ollamas take the place of ours: no program of ours is asked, and none is started unless its section says so. 0 or -ENOMEM. */
static int derive_fleet(struct conf *c, struct diag *d)
{
    if (!CONF_HAS_BALANCER) {
        refuse_fleet(c, d);
        return 0;
    }
    int error = conf_read_containers(c, d);
    for (size_t i = 0; i < c->backends_n; i++)
        c->is_fleet |= conf_backend_is_member(&c->backends[i]);
    if (error || !c->is_fleet)
        return error;
    if (c->proxy.backend[0])
        conf_warning(c, (struct conf_head *)&c->proxy, "proxy", "backend", d, "it has no effect: the backends with api = ollama are used in its place");
    return set_built_in(c, "ollama", "autostart", "no", d);
}

static int program_index(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->programs_n; i++)
        if (strcmp(c->programs[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* Where a walk along the dependencies has been: each program's mark, and the way from its start to where it is. */
struct walk {
    enum { UNSEEN, OPEN, CLOSED } seen[CONF_PROGRAMS_MAX];
    int way[CONF_PROGRAMS_MAX];
    size_t way_n;
};

/* Tells the circle that closes at this program, by the names of those that are in it. */
static void tell_circle(const struct conf *c, const struct walk *w, int closes_at, struct diag *d)
{
    char why[400];
    size_t first = 0, n = (size_t)snprintf(why, sizeof why, "the programs depend on each other in a circle: ");
    while (w->way[first] != closes_at)
        first++;
    for (size_t i = first; i < w->way_n && n < sizeof why; i++)
        n += (size_t)snprintf(why + n, sizeof why - n, "%s -> ", c->programs[w->way[i]].name);
    if (n < sizeof why)
        n += (size_t)snprintf(why + n, sizeof why - n, "%s", c->programs[closes_at].name);
    if (n >= sizeof why) /* the names that fit show where to look */
        memcpy(why + sizeof why - sizeof "...", "...", sizeof "...");
    conf_mistake(c, (const struct conf_head *)&c->programs[closes_at], "program", "depends", d, why);
}

/* Follows the dependencies from one program; 1 where a circle was found (and told). */
static int follow(const struct conf *c, int from, struct walk *w, struct diag *d)
{
    const struct conf_program *p = &c->programs[from];
    if (w->seen[from] == CLOSED)
        return 0;
    if (w->seen[from] == OPEN) {
        tell_circle(c, w, from, d);
        return 1;
    }
    w->seen[from] = OPEN;
    w->way[w->way_n++] = from;
    for (size_t i = 0; i < p->depends.items_n; i++) {
        int to = program_index(c, p->depends.items[i]);
        if (to >= 0 && follow(c, to, w, d))
            return 1;
    }
    w->way_n--;
    w->seen[from] = CLOSED;
    return 0;
}

/* The URL of a probe. */
static void check_url(const struct conf *c, const struct conf_program *p, const char *key, const char *url, struct diag *d)
{
    struct address a;
    struct sockaddr_storage address;
    socklen_t address_n;
    char path[512], why[PARSE_WHY_BYTES];
    const struct conf_head *at = (const struct conf_head *)p;
    if (!strstr(url, "://")) {
        snprintf(why, sizeof why, "\"%.60s\" is neither %s nor a URL, http://HOST:PORT/PATH", url,
                 strcmp(key, "ready") == 0 ? "none, notify, exit" : "none");
        conf_mistake(c, at, "program", key, d, why);
    } else if (parse_http_url(url, &a, path, sizeof path, why) < 0) {
        conf_mistake(c, at, "program", key, d, why);
    } else if (address_to_sockaddr(&a, &address, &address_n) < 0) {
        conf_mistake(c, at, "program", key, d, "a probe needs an IP address or localhost: the supervisor asks no name server");
    }
}

static int is_word(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return 1;
    return 0;
}

static void check_program(const struct conf *c, const struct conf_program *p, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)p;
    char why[PARSE_WHY_BYTES];
    if (p->command.items_n == 0)
        conf_mistake(c, at, "program", "command", d, "there is none: write what is to be run");
    for (size_t i = 0; i < p->depends.items_n; i++) {
        if (program_index(c, p->depends.items[i]) < 0) {
            snprintf(why, sizeof why, "there is no program \"%.60s\"", p->depends.items[i]);
            conf_mistake(c, at, "program", "depends", d, why);
        }
    }
    for (size_t i = 0; i < p->environment.items_n; i++)
        if (!strchr(p->environment.items[i], '=') || p->environment.items[i][0] == '=')
            conf_mistake(c, at, "program", "environment", d, "write NAME=value, with commas between them");
    if (p->backoff_min_ms > p->backoff_max_ms)
        conf_mistake(c, at, "program", "backoff_min", d, "it is longer than backoff_max");
    if (!is_word(p->ready, (const char *const[]){"none", "notify", "exit", NULL}))
        check_url(c, p, "ready", p->ready, d);
    if (strcmp(p->live, "none") != 0)
        check_url(c, p, "live", p->live, d);
    if (strcmp(p->ready, "exit") == 0 && (strcmp(p->live, "none") != 0 || p->watchdog_ms > 0))
        conf_mistake(c, at, "program", p->watchdog_ms > 0 ? "watchdog" : "live", d,
                     "a task (ready = exit) is not watched: it is done when it exits; start_timeout limits it");
}

/* What the built-in programs do unless the file says otherwise, now that the addresses are known. */
static int complete_built_in(struct conf *c, struct diag *d)
{
    char host[ADDRESS_TEXT_BYTES], url[ADDRESS_TEXT_BYTES + 32];
    struct address own;
    address_reachable(&c->ollama, &own);
    address_text(&own, host);
    snprintf(url, sizeof url, "http://%s/api/tags", host);
    int error = set_built_in(c, "ollama", "ready", url, d);
    if (!error && strcmp(conf_program(c, "ollama")->ready, url) == 0) /* else it is something of the owner's */
        error = set_built_in(c, "ollama", "live", url, d);
    if (!error && c->is_backend_ours)
        error = set_built_in(c, "preload", "depends", "ollama", d);
    if (!error)
        error = set_built_in(c, "preload", "required", c->preload.required ? "yes" : "no", d);
    const struct list *command = &conf_program(c, "proxy")->command;
    if (!error && command->items_n == 1 && strcmp(command->items[0], "ollama-proxy") == 0) /* it knows of watchdogs */
        error = set_built_in(c, "proxy", "watchdog", "60s", d);
    if (!error && c->proxy.start == CONF_START_READY)
        error = set_built_in(c, "proxy", "depends", c->is_backend_ours ? "ollama, preload" : "preload", d);
    for (size_t i = 0; i < c->programs_n && !error; i++)
        if (strcmp(c->programs[i].ready, "exit") == 0) /* nobody knows how long a task may take but its owner */
            error = set_built_in(c, c->programs[i].name, "start_timeout", "0", d);
    return error;
}

static int set_own_path(struct conf *c, const char *key, char **field, const char *path)
{
    *field = conf_text(c, path, strlen(path));
    conf_origin((struct conf_head *)&c->supervisor, conf_find_section("supervisor"), key)->text = *field;
    return *field ? 0 : -ENOMEM;
}

/* Where the control socket is when its own place can't be written, as in a container whose file system is read-only but for its
 * volume. 0 or -ENOMEM. */
static int find_second_control(struct conf *c)
{
    char path[CONTROL_PATH_BYTES + 1];
    int n = snprintf(path, sizeof path, "%s/control.sock", c->supervisor.state_dir);
    if (n >= (int)sizeof path || strcmp(path, c->supervisor.control_socket) == 0)
        path[0] = '\0';
    c->second_control_socket = conf_text(c, path, strlen(path));
    return c->second_control_socket ? 0 : -ENOMEM;
}

/* state_dir and control_socket as absolute paths. */
static int complete_paths(struct conf *c)
{
    const char *home = conf_env(c, "HOME"), *state_home = conf_env(c, "XDG_STATE_HOME");
    const char *runtime_dir = conf_env(c, "XDG_RUNTIME_DIR");
    int is_root = sys_getuid() == 0;
    char *state = NULL, *control = NULL;
    int n = 0;
    if (c->supervisor.state_dir[0])
        state = conf_path(c, c->supervisor.state_dir);
    else if (is_root)
        n = asprintf(&state, "/var/lib/ollama-sidecar");
    else if (state_home)
        n = asprintf(&state, "%s/ollama-sidecar", state_home);
    else
        n = asprintf(&state, "%s/.local/state/ollama-sidecar", home ? home : "/tmp");
    if (n < 0 || !state)
        return -ENOMEM;
    if (c->supervisor.control_socket[0])
        control = conf_path(c, c->supervisor.control_socket);
    else if (is_root)
        n = asprintf(&control, "/run/ollama-sidecar/control.sock");
    else
        n = asprintf(&control, "%s%s/control.sock", runtime_dir ? runtime_dir : state, runtime_dir ? "/ollama-sidecar" : "");
    int is_set = n >= 0 && control && set_own_path(c, "state_dir", &c->supervisor.state_dir, state) == 0 &&
                 set_own_path(c, "control_socket", &c->supervisor.control_socket, control) == 0;
    free(state);
    free(control);
    return is_set ? find_second_control(c) : -ENOMEM;
}

/* The programs' own; they may say where Ollama binds. */
static int read_program_env_files(struct conf *c, struct diag *d)
{
    for (size_t i = 0; i < c->programs_n; i++) {
        const struct conf_program *p = &c->programs[i];
        char why[PARSE_WHY_BYTES + 1024];
        char *path;
        int error = conf_read_named_env_file(c, p->env_file, &c->program_env_files[i], &path, d);
        snprintf(why, sizeof why, "%.1000s can't be read: %s", path ? path : "", strerror(-error));
        free(path);
        if (error == -ENOMEM)
            return error;
        if (error)
            conf_mistake(c, (const struct conf_head *)p, "program", "env_file", d, why);
    }
    return 0;
}

int conf_check(struct conf *c, struct diag *d)
{
    struct walk walk = {.way_n = 0};
    int error = read_program_env_files(c, d);
    if (!error)
        error = conf_check_rights(c, d);
    if (error)
        return error;
    conf_check_listen(c, d);
    conf_check_machine(c, d);
    error = derive_fleet(c, d);
    error = error ? error : derive_ollama(c, d);
    if (error)
        return error;
    derive_backend(c, d);
    if (c->supervisor.idle_action == CONF_IDLE_STOP && !c->is_backend_ours)
        conf_warning(c, (struct conf_head *)&c->supervisor, "supervisor", "idle_action", d,
             c->is_alone ? "stop has no effect, as there is no Ollama: engines are stopped by idle_timeout of [engine:NAME]" :
             c->is_fleet ? "stop has no effect, as the Ollamas that are used are not ours" :
             "stop has no effect, as [proxy] backend is not the Ollama that runs here: no request would start it again");
    error = conf_check_trust(c, d);
    if (!error)
        error = complete_built_in(c, d);
    if (!error)
        error = complete_paths(c);
    if (error)
        return error;
    if (strlen(c->supervisor.control_socket) > CONTROL_PATH_BYTES && c->reader != CONF_READER_CHILD)
        conf_mistake(c, (struct conf_head *)&c->supervisor, "supervisor", "control_socket", d, "the path is longer than 107 bytes");
    for (size_t i = 0; i < c->programs_n; i++)
        check_program(c, &c->programs[i], d);
    for (size_t i = 0; i < c->programs_n; i++)
        if (follow(c, (int)i, &walk, d))
            break;
    conf_check_fly(c, d);
    conf_check_pins(c, d);
    error = conf_check_keys(c, d);
    error = error ? error : conf_check_backends(c, d);
    error = error ? error : conf_check_redis(c, d);
    error = error ? error : conf_check_strategies(c, d);
    error = error ? error : conf_check_engines(c, d);
    if (error)
        return error;
    conf_check_preload(c, d);
    error = conf_check_presets(c, d);
    if (!error)
        error = conf_check_secrets(c, d);
    if (error || c->reader == CONF_READER_CHILD) /* the list is the preloader's, which reads it for itself */
        return error;
    return conf_check_preload_list(c, d);
}
