/*
 * launch: the words, variables and descriptors that a program is started with, made once when the configuration is read.
 */
#ifndef SUPERVISOR_LAUNCH_H
#define SUPERVISOR_LAUNCH_H

#include "common/conf.h"
#include "supervisor/doors.h"
#include "supervisor/spawn.h"

/* In the environment of every program: SUPERVISOR_PID.MAIN_PID, so that a process tells whose it is wherever it went. */
#define LAUNCH_ENV_RUN "SIDECAR_RUN"

struct launch {
    char **argv;          /* NULL-terminated, owned */
    char **envp;          /* owned; of its strings only those that are written to: see conf_environment */
    size_t envp_n;
    char *noprune;        /* the last of envp, OLLAMA_NOPRUNE=1, owned; NULL: there is none */
    int has_contract;     /* one of our own: channel, page, perhaps listeners */
    int has_listeners;
    int is_backend;       /* the Ollama that our proxy asks: what that counts is its work */
    char *directory;      /* absolute, or NULL; owned */
    struct conf_rights rights; /* owned, home and shell aside: a program may outlive its configuration */
    char *listen_pid_at;  /* into envp; NULL: none */
    char *main_pid_at;    /* the second number of LAUNCH_ENV_RUN */
    char *leaving_at;     /* FIRST:COUNT, two digits each, of listeners that are leaving */
    char *line_at;        /* two digits in envp for the number of its line on the page */
    uint64_t signature;   /* differs where a reload must restart it */
};

/* What all launches share. */
struct launch_site {
    const struct conf *conf;
    const char *notify_path;
    const char *own_dir; /* where our binaries are */
    const char *start_dir; /* where we were started: where programs without `directory` are; NULL: where we are */
    int is_ollama_kept;  /* ollama is not given another user: it could not write what it must */
    const struct doors *doors;
    size_t listen_n; /* as many as doors->open has when it is in force */
    int page_fd;
    int config_fd; /* supervisor.ini and models.json as they were accepted; -1: there is neither */
};

/* (Re-)makes site->config_fd from the texts and the variables of site->conf. 0 or -errno. */
int launch_site_config(struct launch_site *site) WARN_UNUSED;

/* 0 or -ENOMEM. */
int launch_init(struct launch *l, const struct launch_site *site, const struct conf_program *p) WARN_UNUSED;
void launch_fini(struct launch *l);

/* The plan for one process. channel_fd, output_fd: -1 where it has none; line: its line on the page; is_pruning: Ollama may
 * delete what is left of interrupted pulls. */
void launch_plan(const struct launch *l, const struct launch_site *site, int channel_fd, int output_fd, int line,
                 int is_pruning, struct spawn_plan *plan);

/* Why a process of it came to nothing before its command ran, in words. */
void launch_failure_text(const struct launch *l, const struct spawn_failure *f, char *out, size_t out_n);

#endif
