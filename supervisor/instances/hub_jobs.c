/* See hub_jobs.h. They are what the preloader is: its user, its environment, its configuration. */
#include "supervisor/instances/hub_jobs.h"

#include "common/contract.h"
#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { LINE_BYTES = 400, RETRY_S = 5 };

static void tell(int socket_fd, const char *code, int status, const char *more, const char *why)
{
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof line, "{\"error\":\"%.250s\",\"code\":\"%s\",\"status\":%d%s}\n", why, code, status, more);
    (void)!sys_send(socket_fd, line, (size_t)n, MSG_DONTWAIT); /* who has gone need not hear it */
}

void hub_jobs_refuse(int socket_fd, const char *why)
{
    tell(socket_fd, "system", 501, "", why);
}

static struct hub_job *find(struct hub_jobs *h, pid_t pid)
{
    for (size_t i = 0; i < HUB_JOBS_MAX; i++)
        if (h->items[i].pid == pid)
            return &h->items[i];
    return NULL;
}

/* Its pid, or -errno. */
static pid_t start(const struct launch_site *site, int socket_fd, int *exec_fd)
{
    char command[] = "ollama-preload", hub[] = "--hub", file[] = "-c", config[32];
    const char *extra[] = {site->config_fd >= 0 ? config : NULL, NULL};
    const struct conf_program *preload = conf_program(site->conf, "preload");
    char *argv[] = {command, hub, site->conf->file ? file : NULL, site->conf->file, NULL};
    snprintf(config, sizeof config, CONTRACT_ENV_CONFIG "=3"); /* the first that is passed */
    int error = sys_set_blocking(socket_fd); /* its end alone */
    char **envp = error < 0 ? NULL : conf_environment(site->conf, preload, extra);
    if (!envp)
        return error < 0 ? error : -ENOMEM;
    struct spawn_plan plan = {.argv = argv, .envp = envp, .start_dir = site->start_dir, .rights = conf_rights(site->conf, preload),
                              .first_dir = site->own_dir, .is_own = 1, .output_fd = -1, .stdio_fd = socket_fd};
    if (site->config_fd >= 0)
        plan.fds[plan.fds_n++] = site->config_fd;
    pid_t pid = spawn_process(&plan, exec_fd);
    conf_environment_free(envp);
    return pid;
}

void hub_jobs_begin(struct hub_jobs *h, const struct launch_site *site, int socket_fd)
{
    char more[48], why[160];
    struct hub_job *job = find(h, 0);
    if (!job) {
        snprintf(more, sizeof more, ",\"retry_after_s\":%d", RETRY_S);
        snprintf(why, sizeof why, "%d jobs of the hub are under way already: try again when one of them has ended", HUB_JOBS_MAX);
        tell(socket_fd, "busy", 503, more, why);
        return;
    }
    pid_t pid = start(site, socket_fd, &job->exec_fd);
    if (pid < 0) {
        snprintf(why, sizeof why, "ollama-preload can't be started: %s", strerror(-pid));
        log_event(LOG_WARNING, "hub_job_failed", "error=\"%s\"", why);
        tell(socket_fd, "system", 500, "", why);
        return;
    }
    job->pid = pid;
    log_event(LOG_DEBUG, "hub_job", "pid=%d", (int)pid);
}

int hub_jobs_reaped(struct hub_jobs *h, pid_t pid, int status)
{
    struct hub_job *job = pid > 0 ? find(h, pid) : NULL;
    if (!job)
        return 0;
    struct spawn_failure failure = spawn_exec_error(job->exec_fd);
    sys_close(job->exec_fd);
    *job = (struct hub_job){.pid = 0};
    if (failure.error)
        log_event(LOG_WARNING, "hub_job_failed", "pid=%d error=\"%s\"", (int)pid, strerror(-failure.error));
    else if (WIFSIGNALED(status))
        log_event(LOG_WARNING, "hub_job_failed", "pid=%d signal=%d", (int)pid, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        log_event(LOG_WARNING, "hub_job_failed", "pid=%d code=%d", (int)pid, WEXITSTATUS(status));
    else
        log_event(LOG_DEBUG, "hub_job_done", "pid=%d", (int)pid);
    return 1;
}

unsigned hub_jobs_n(const struct hub_jobs *h)
{
    unsigned n = 0;
    for (size_t i = 0; i < HUB_JOBS_MAX; i++)
        n += h->items[i].pid > 0;
    return n;
}

void hub_jobs_end(const struct hub_jobs *h)
{
    for (size_t i = 0; i < HUB_JOBS_MAX; i++)
        if (h->items[i].pid > 0)
            (void)sys_kill_group(h->items[i].pid, SIGTERM);
}

void hub_jobs_fini(struct hub_jobs *h)
{
    for (size_t i = 0; i < HUB_JOBS_MAX; i++)
        if (h->items[i].pid > 0)
            sys_close(h->items[i].exec_fd);
    *h = (struct hub_jobs){.items = {{0, 0}}};
}
