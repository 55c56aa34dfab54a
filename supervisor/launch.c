/*
 * See launch.h. Everything a start needs is laid out beforehand, so that a restart, perhaps with no memory left,
 * allocates nothing: the numbers that differ from process to process are written into places kept for them.
 */
#include "supervisor/launch.h"

#include "common/contract.h"
#include "common/hash.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_FD = 3, EXTRA_MAX = 20, EXTRA_BYTES = 320 };

struct extras {
    char text[EXTRA_MAX][EXTRA_BYTES];
    const char *list[EXTRA_MAX + 1];
    size_t n;
};

static void extra(struct extras *e, const char *format, ...) PRINTF_LIKE(2, 3);
static void extra(struct extras *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->text[e->n], EXTRA_BYTES, format, args);
    va_end(args);
    e->list[e->n] = e->text[e->n];
    e->n++;
    e->list[e->n] = NULL;
}

/* proxy and preload, unless the file gives them another command than the built-in one (which --dump writes out). */
static int is_own(const struct conf_program *p)
{
    static const char *const commands[][2] = {{"proxy", "ollama-proxy"}, {"preload", "ollama-preload"}};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(p->name, commands[i][0]) == 0)
            return p->command.items_n == 1 && strcmp(p->command.items[0], commands[i][1]) == 0;
    return 0;
}

static int make_argv(struct launch *l, const struct launch_site *site, const struct conf_program *p)
{
    int has_file = is_own(p) && site->conf->file != NULL;
    size_t words_n = p->command.items_n;
    l->argv = calloc(words_n + 3, sizeof *l->argv);
    if (!l->argv)
        return -ENOMEM;
    for (size_t i = 0; i < words_n; i++)
        if (!(l->argv[i] = strdup(p->command.items[i])))
            return -ENOMEM;
    if (has_file) {
        if (!(l->argv[words_n] = strdup("-c")) || !(l->argv[words_n + 1] = strdup(site->conf->file)))
            return -ENOMEM;
    }
    return 0;
}

static char *value_place(char **envp, const char *name)
{
    const char *value = conf_variable(envp, name);
    return (char *)(uintptr_t)value; /* what we gave to conf_environment is ours to write to */
}

/* LISTEN_FDNAMES: listen0:listen1… */
static void listen_variables(struct extras *e, const struct launch_site *site)
{
    char names[EXTRA_BYTES - 32] = "";
    size_t n = 0;
    for (size_t i = 0; i < site->listen_n; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%slisten%zu", i ? ":" : "", i);
    extra(e, "LISTEN_FDS=%zu", site->listen_n);
    extra(e, "LISTEN_PID=0000000000");
    extra(e, "LISTEN_FDNAMES=%s", names);
}

static int make_envp(struct launch *l, const struct launch_site *site, const struct conf_program *p)
{
    struct extras e = {.n = 0};
    size_t listen_n = l->has_listeners ? site->listen_n : 0;
    extra(&e, LAUNCH_ENV_RUN "=%d.0000000000", (int)sys_getpid()); /* first, so that it is found at once */
    if (l->has_listeners) {
        listen_variables(&e, site);
        extra(&e, CONTRACT_ENV_PARALLEL "=%lld", (long long)site->conf->ollama_parallel);
        extra(&e, CONTRACT_ENV_KEEP_ALIVE "=%lld", (long long)site->conf->ollama_keep_alive_ms);
        char memory[CONF_OLLAMA_MEMORY_BYTES];
        conf_ollama_memory_write(&site->conf->ollama_memory, memory);
        extra(&e, CONTRACT_ENV_MEMORY "=%s", memory);
    }
    char bind[ADDRESS_TEXT_BYTES];
    address_text(&site->conf->ollama, bind);
    if (l->has_contract) {
        extra(&e, CONTRACT_ENV_OLLAMA "=%s", bind);
        extra(&e, CONTRACT_ENV_CHANNEL "=%zu", FIRST_FD + listen_n);
        extra(&e, CONTRACT_ENV_PAGE "=%zu", FIRST_FD + listen_n + 1);
        extra(&e, CONTRACT_ENV_LINE "=00");
        if (site->config_fd >= 0)
            extra(&e, CONTRACT_ENV_CONFIG "=%zu", FIRST_FD + listen_n + 2);
    }
    if (l->has_listeners) { /* the last, as their number differs from process to process */
        extra(&e, CONTRACT_ENV_LEAVING "=00:00");
        if (site->doors->kept_fds[0] >= 0)
            extra(&e, CONTRACT_ENV_KEPT "=%zu", FIRST_FD + listen_n + 2 + (site->config_fd >= 0));
    }
    if (l->has_contract || strcmp(p->ready, "notify") == 0 || p->watchdog_ms > 0)
        extra(&e, "NOTIFY_SOCKET=%s", site->notify_path);
    if (p->watchdog_ms > 0)
        extra(&e, "WATCHDOG_USEC=%lld", (long long)p->watchdog_ms * 1000);
    if (strcmp(p->name, "ollama") == 0)
        extra(&e, "OLLAMA_HOST=%s", bind);
    l->envp = conf_environment(site->conf, p, e.n ? e.list : NULL);
    if (!l->envp)
        return -ENOMEM;
    while (l->envp[l->envp_n])
        l->envp_n++;
    if (strcmp(p->name, "ollama") == 0 && !conf_variable(l->envp, "OLLAMA_NOPRUNE")) {
        if (!(l->noprune = strdup("OLLAMA_NOPRUNE=1")))
            return -ENOMEM;
        l->envp[l->envp_n++] = l->noprune; /* there is room for one more */
    }
    l->listen_pid_at = l->has_listeners ? value_place(l->envp, "LISTEN_PID") : NULL;
    l->main_pid_at = strchr(value_place(l->envp, LAUNCH_ENV_RUN), '.') + 1;
    l->leaving_at = l->has_listeners ? value_place(l->envp, CONTRACT_ENV_LEAVING) : NULL;
    l->line_at = l->has_contract ? value_place(l->envp, CONTRACT_ENV_LINE) : NULL;
    return 0;
}

/* With an end that no text has in it. */
static uint64_t hash(uint64_t h, const char *text)
{
    return hash_add(text ? hash_bytes(h, text, strlen(text)) : h, 0xff);
}

/* What our own programs read for themselves counts as theirs too: their section, how to log, where Ollama is. */
static int sign_configuration(uint64_t *h, const struct launch_site *site, const struct conf_program *p)
{
    struct buf text;
    struct list models = {0};
    struct diag d;
    char backend[ADDRESS_TEXT_BYTES];
    diag_init(&d);
    buf_init(&text, 0);
    address_text(&site->conf->backend, backend);
    int error = conf_section_values(site->conf, p->name, &text); /* [proxy], [preload] */
    error = error ? error : buf_printf(&text, "%s %d %d", backend, site->conf->supervisor.log_level,
                                       site->conf->supervisor.log_format);
    if (!error && strcmp(p->name, "proxy") == 0)
        error = buf_printf(&text, " %d %d", site->conf->supervisor.memory_check, site->conf->is_alone);
    error = error ? error : buf_append(&text, "", 1);
    if (!error && strcmp(p->name, "preload") == 0)
        error = conf_preload_list(site->conf, &models, &d);
    for (size_t i = 0; i < models.items_n; i++)
        *h = hash(*h, models.items[i]);
    if (strcmp(p->name, "proxy") == 0) /* it loads the first model, and reads models.json */
        *h = hash(hash(hash(*h, site->conf->preload.load), site->conf->supervisor.state_dir), site->conf->presets_text);
    if (!error) /* else it has no end */
        *h = hash(*h, buf_data(&text));
    buf_fini(&text);
    list_fini(&models);
    diag_fini(&d);
    return error == -ENOMEM ? error : 0;
}

static uint64_t hash_numbers(uint64_t h, uint64_t a, uint64_t b)
{
    char text[64];
    snprintf(text, sizeof text, "%llx %llx", (unsigned long long)a, (unsigned long long)b);
    return hash(h, text);
}

/* What it is started as; names of users don't count, their numbers do. */
static uint64_t sign_rights(uint64_t h, const struct conf_rights *r)
{
    h = hash_numbers(h, (uint64_t)r->has_ids, (uint64_t)r->has_groups);
    h = hash_numbers(h, r->uid, r->gid);
    for (size_t i = 0; i < r->groups_n; i++)
        h = hash_numbers(h, i, r->groups[i]);
    h = hash_numbers(h, (uint64_t)r->umask, (uint64_t)r->nice);
    h = hash_numbers(h, (uint64_t)r->no_new_privileges, r->limits_n);
    for (size_t i = 0; i < r->limits_n; i++) {
        h = hash(h, r->limits[i].name);
        h = hash_numbers(h, r->limits[i].soft, r->limits[i].hard);
    }
    return hash(h, r->oom_score_adj);
}

static int sign(struct launch *l, const struct launch_site *site, const struct conf_program *p)
{
    uint64_t h = HASH_START;
    for (char **a = l->argv; *a; a++)
        h = hash(h, *a);
    for (size_t i = 0; i < l->envp_n; i++)
        h = hash(h, l->envp[i]);
    h = hash(h, l->directory);
    h = sign_rights(h, &l->rights);
    int error = l->has_contract ? sign_configuration(&h, site, p) : 0;
    l->signature = h;
    return error;
}

/* 0 or -ENOMEM. */
static int copy_rights(struct conf_rights *out, const struct conf_rights *from)
{
    *out = *from;
    out->home = out->shell = NULL; /* they are in its environment */
    out->groups = calloc(from->groups_n + 1, sizeof *out->groups);
    out->limits = calloc(from->limits_n + 1, sizeof *out->limits);
    out->user = from->user ? strdup(from->user) : NULL;
    if (!out->groups || !out->limits || (from->user && !out->user))
        return -ENOMEM;
    if (from->groups_n)
        memcpy(out->groups, from->groups, from->groups_n * sizeof *out->groups);
    if (from->limits_n)
        memcpy(out->limits, from->limits, from->limits_n * sizeof *out->limits);
    return 0;
}

int launch_init(struct launch *l, const struct launch_site *site, const struct conf_program *p)
{
    *l = (struct launch){.has_contract = is_own(p)};
    if (copy_rights(&l->rights, conf_rights(site->conf, p)) < 0)
        return -ENOMEM;
    if (site->is_ollama_kept && strcmp(p->name, "ollama") == 0)
        l->rights.has_ids = l->rights.has_groups = 0; /* its variables stay: the folder that was looked at is the user's */
    l->has_listeners = l->has_contract && strcmp(p->name, "proxy") == 0;
    l->is_backend = strcmp(p->name, "ollama") == 0 && site->conf->is_backend_ours;
    if (p->directory[0] && !(l->directory = conf_path(site->conf, p->directory)))
        return -ENOMEM;
    int error = make_argv(l, site, p);
    if (!error)
        error = make_envp(l, site, p);
    return error ? error : sign(l, site, p);
}

void launch_fini(struct launch *l)
{
    for (char **a = l->argv; a && *a; a++)
        free(*a);
    free(l->argv);
    conf_environment_free(l->envp);
    free(l->noprune);
    free(l->directory);
    free(l->rights.groups);
    free(l->rights.limits);
    free(l->rights.user);
    *l = (struct launch){0};
}

static void write_digits(char *at, unsigned number)
{
    at[0] = (char)('0' + number / 10);
    at[1] = (char)('0' + number % 10);
}

/* What is there for this process alone, or between it and those before and behind it. */
static void plan_doors(const struct launch *l, const struct doors *doors, struct spawn_plan *plan)
{
    for (int i = 0; i < 2 && doors->kept_fds[0] >= 0; i++)
        plan->fds[plan->fds_n++] = doors->kept_fds[i];
    write_digits(l->leaving_at, (unsigned)(FIRST_FD + plan->fds_n));
    write_digits(l->leaving_at + 3, (unsigned)doors->leaving.n);
    for (size_t i = 0; i < doors->leaving.n; i++)
        plan->fds[plan->fds_n++] = doors->leaving.fds[i];
}

void launch_plan(const struct launch *l, const struct launch_site *site, int channel_fd, int output_fd, int line,
                 int is_pruning, struct spawn_plan *plan)
{
    *plan = (struct spawn_plan){.argv = l->argv, .envp = l->envp, .directory = l->directory,
                                .start_dir = site->start_dir, .rights = &l->rights,
                                .first_dir = l->has_contract ? site->own_dir : NULL, .is_own = l->has_contract, .output_fd = output_fd,
                                .listen_pid_at = l->listen_pid_at, .main_pid_at = l->main_pid_at};
    for (size_t i = 0; l->has_listeners && i < site->listen_n; i++)
        plan->fds[plan->fds_n++] = site->doors->open.fds[i];
    if (l->has_contract) {
        plan->fds[plan->fds_n++] = channel_fd;
        plan->fds[plan->fds_n++] = site->page_fd;
        if (site->config_fd >= 0)
            plan->fds[plan->fds_n++] = site->config_fd;
        write_digits(l->line_at, (unsigned)line);
    }
    if (l->has_listeners)
        plan_doors(l, site->doors, plan);
    if (l->noprune) /* a variable of another name is as good as none */
        l->noprune[0] = is_pruning ? '_' : 'O';
}

void launch_failure_text(const struct launch *l, const struct spawn_failure *f, char *out, size_t out_n)
{
    struct spawn_plan plan = {.argv = l->argv, .directory = l->directory, .rights = &l->rights};
    spawn_failure_text(f, &plan, out, out_n);
}

int launch_site_config(struct launch_site *site)
{
    struct buf text;
    buf_init(&text, 0);
    int error = conf_handed_text(site->conf, &text);
    int is_any = buf_size(&text) > 0;
    int fd = is_any && !error ? sys_memfd_text("supervisor.ini", buf_data(&text), buf_size(&text)) : -1;
    buf_fini(&text);
    if (error || (is_any && fd < 0))
        return error ? error : fd;
    sys_close(site->config_fd);
    site->config_fd = fd;
    return 0;
}
