/*
 * See reload.h. The new configuration is complete and checked before the first child hears of it; a child's past (its state,
 * its exits, its process) belongs to the child and stays.
 */
#include "supervisor/reload.h"

#include "common/listen.h"
#include "common/log.h"
#include "supervisor/instances/instances.h"
#include "supervisor/sleep.h"
#include "supervisor/state_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The first place that nobody has, or NULL. */
static struct child *free_place(struct supervisor *s)
{
    for (size_t i = 0; i < s->children_n; i++)
        if (child_is_vacant(&s->children[i]))
            return &s->children[i];
    return s->children_n < CONF_PROGRAMS_MAX ? &s->children[s->children_n] : NULL;
}

/* Those of programs that go and have no process count too. */
static size_t free_places(const struct supervisor *s, const struct conf *fresh)
{
    size_t free_n = CONF_PROGRAMS_MAX - s->children_n;
    for (size_t i = 0; i < s->children_n; i++) {
        const struct program *p = &s->children[i].program;
        int stays = !s->children[i].is_retired && conf_program(fresh, p->conf->name);
        free_n += !stays && !program_is_alive(p);
    }
    return free_n;
}

static const char *where(const struct conf *c)
{
    return c->file ? c->file : "built-in";
}

/* A program needs a place for its process; all places are there from the start. */
static int check_change(struct supervisor *s, const struct conf *fresh, struct diag *d)
{
    size_t new_n = 0;
    for (size_t i = 0; i < fresh->programs_n; i++)
        new_n += state_child(s, fresh->programs[i].name) == NULL;
    if (new_n > free_places(s, fresh))
        diag_add(d, DIAG_ERROR, where(fresh), 0, "%zu programs are new, and with those that still stop there would be more than %d: try again when they are gone",
                 new_n, CONF_PROGRAMS_MAX);
    return d->errors_n ? -EBUSY : 0;
}

/* The rows of the page stay where they are: each belongs to a place, not to a program. */
static void add_program(struct supervisor *s, const struct conf_program *conf, struct child_plan *plan)
{
    struct child *c = free_place(s);
    if (!c) /* check_change has counted them */
        return;
    size_t index = (size_t)(c - s->children);
    if (index < s->children_n)
        child_fini(c);
    else
        s->children_n++;
    child_init(c, &s->child_site, &s->child_rooms[index], conf, plan);
    s->start_order[index] = 0;
    board_name_program(&s->board, index, conf->name);
    log_event(LOG_INFO, "added", "program=%s", conf->name);
}

static void retire_removed(struct supervisor *s, const struct conf *fresh)
{
    for (size_t i = 0; i < s->children_n; i++) {
        struct child *c = &s->children[i];
        if (c->is_retired || conf_program(fresh, c->program.conf->name))
            continue;
        log_event(LOG_INFO, "removed", "program=%s", c->program.conf->name);
        child_retire(c);
    }
}

/* All that a new configuration needs memory, a descriptor or an address for: had before the first child hears of it. */
struct plans {
    struct child_plan of[CONF_PROGRAMS_MAX];
    size_t made_n, models_n;
    struct launch_site site;
    struct doors_plan doors;
    int control_fd; /* where the control socket moves; -1: it stays */
    unsigned engines_kept; /* as instances_plan() */
};

static void drop_plans(struct plans *p, struct supervisor *s, const struct conf *fresh)
{
    while (p->made_n > 0)
        child_plan_fini(&p->of[--p->made_n]);
    sys_close(p->site.config_fd);
    control_unbind(&s->control, fresh->supervisor.control_socket, p->control_fd);
    doors_plan_drop(&s->doors, &p->doors);
}

/* A sentence for the owner. */
static int refuse(struct diag *d, const struct conf *fresh, const char *key, const char *why, int error)
{
    diag_add(d, DIAG_ERROR, where(fresh), 0, "%s: %s", key, why);
    return error;
}

/* The one holder of a port for whom we know a way out. */
static const char *advice(const struct supervisor *s, const struct conf *fresh, int error)
{
    for (size_t i = 0; i < fresh->listen_n && error == -EADDRINUSE; i++)
        if (fresh->listen[i].port == s->conf->ollama.port)
            return "; our own Ollama would have to leave that port first, and a reload that fails changes nothing: restart ollama-supervisor";
    return "";
}

/* However it is spelled. */
static int is_same_socket(const char *path, const char *other)
{
    char real[4096], other_real[4096];
    if (strcmp(path, other) == 0)
        return 1;
    return sys_realpath(path, real) >= 0 && sys_realpath(other, other_real) >= 0 && strcmp(real, other_real) == 0;
}

/* 0, or -errno with nothing left of it, and told. */
static int plan_sockets(struct plans *p, struct supervisor *s, const struct conf *fresh, struct diag *d)
{
    char why[LISTEN_WHY_BYTES], text[LISTEN_WHY_BYTES + 160];
    const char *path = fresh->supervisor.control_socket;
    int error = doors_plan(&s->doors, fresh->listen, fresh->listen_n, &p->doors, why);
    if (error) {
        snprintf(text, sizeof text, "%s%s", why, advice(s, fresh, error));
        return refuse(d, fresh, "[proxy] listen", text, error);
    }
    if (is_same_socket(path, s->conf->supervisor.control_socket))
        return 0;
    error = control_bind(&s->control, path, &p->control_fd);
    if (!error)
        return 0;
    snprintf(why, sizeof why, "%.107s: %s", path, error == -EADDRINUSE ? "somebody answers there already" : strerror(-error));
    doors_plan_drop(&s->doors, &p->doors);
    return refuse(d, fresh, "[supervisor] control_socket", why, error);
}

/* 0, or -errno with nothing left of it, and told. */
static int make_plans(struct plans *p, struct supervisor *s, const struct conf *fresh, struct diag *d)
{
    char why[LISTEN_WHY_BYTES] = "";
    p->made_n = 0;
    p->control_fd = -1;
    int error = plan_sockets(p, s, fresh, d);
    if (error)
        return error;
    p->site = s->launch_site;
    p->site.conf = fresh;
    p->site.listen_n = fresh->listen_n;
    p->site.is_ollama_kept = models_folder_prepare(&s->models_folder, fresh, s->start_dir);
    state_folder_prepare(fresh, &s->keeper);
    p->site.config_fd = -1;
    error = launch_site_config(&p->site);
    if (!error)
        error = instances_prepare(s, fresh);
    if (!error)
        error = instances_plan(s, &p->site, &p->engines_kept);
    if (!error)
        error = state_read_models(fresh, &p->models_n);
    for (size_t i = 0; i < fresh->programs_n && !error; i++) {
        error = child_plan_init(&p->of[i], &p->site, &fresh->programs[i]);
        p->made_n += !error;
    }
    if (!error)
        error = doors_plan_listen(&s->doors, &p->doors, why);
    if (error) {
        (void)!refuse(d, fresh, "can't be put in force", *why ? why : strerror(-error), error);
        drop_plans(p, s, fresh);
    }
    return error;
}

static void apply_to(struct supervisor *s, const struct conf_program *conf, struct plans *p, int64_t now_ms)
{
    struct child_plan *plan = &p->of[conf - s->conf->programs];
    struct child *c = state_child(s, conf->name);
    if (!c) {
        add_program(s, conf, plan);
        return;
    }
    int is_back = c->is_retired;
    uint64_t before = c->launch.signature;
    int is_new_at_start = conf->autostart && !c->program.conf->autostart;
    child_reconfigure(c, conf, plan);
    if (is_back && c->program.is_wanted)
        program_event(&c->program, PROGRAM_START, now_ms);
    if (is_back)
        return;
    if (before == c->launch.signature && !is_new_at_start)
        return;
    log_event(LOG_INFO, "changed", "program=%s", conf->name);
    if (strcmp(conf->name, "ollama") == 0 && before != c->launch.signature) /* also of one that sleeps: what is known of it was another's */
        atomic_fetch_add(&s->board.page->ollama_changes_n, 1);
    if (is_new_at_start || (conf->autostart && c->program.state == CONTRACT_FAILED))
        c->program.is_wanted = 1;
    if (strcmp(conf->name, "preload") == 0) /* another list: it is waited for again */
        state_count_models(s, p->models_n);
    if (!c->program.is_wanted || c->program.state == CONTRACT_FAILED)
        program_event(&c->program, PROGRAM_STOP, now_ms); /* from failed: down, and from there it starts in its turn */
    else if (before == c->launch.signature)
        return;
    else if (state_is_port_held(s, c)) /* it starts where that listener was, when it has left */
        program_event(&c->program, PROGRAM_STOP, now_ms);
    else if (program_is_alive(&c->program) || c->program.state == CONTRACT_DONE || c->program.state == CONTRACT_BACKOFF)
        program_event(&c->program, PROGRAM_RESTART, now_ms); /* also what waits for its next try: this one is another */
}

/* A proxy that did not change its state was not heard. */
static void follow_doors(struct supervisor *s)
{
    const struct child *proxy = state_child(s, "proxy");
    if (proxy && !(program_is_alive(&proxy->program) && proxy->launch.has_listeners))
        state_follow_doors(s, proxy);
}

/* Where there was no file, ./supervisor.ini is looked for again: from where we were started. */
static int load(struct supervisor *s, struct conf **fresh, struct diag *d)
{
    int moved = sys_chdir(s->start_dir);
    int error = conf_load_to_start(fresh, s->conf->file, s->conf->environment_in, d);
    moved = sys_chdir("/");
    (void)moved; /* where it is gone, nothing is found there */
    return error;
}

static int reload_all(struct supervisor *s, struct diag *d)
{
    struct conf *fresh = NULL;
    if (s->is_stopping) {
        diag_add(d, DIAG_ERROR, s->conf->file ? s->conf->file : "built-in", 0, "everything is being stopped: it is not read again");
        return -EBUSY;
    }
    int error = load(s, &fresh, d);
    if (error)
        return error;
    struct plans plans;
    error = check_change(s, fresh, d);
    if (!error)
        error = make_plans(&plans, s, fresh, d);
    if (error) {
        conf_free(&fresh);
        return error;
    }
    struct conf *old = s->conf;
    s->conf = fresh;
    sys_close(s->launch_site.config_fd);
    s->launch_site = plans.site;
    doors_commit(&s->doors, &plans.doors);
    state_tell_moved(fresh, old);
    if (plans.control_fd >= 0)
        control_move(&s->control, fresh->supervisor.control_socket, plans.control_fd);
    retire_removed(s, fresh);
    for (size_t i = 0; i < fresh->programs_n; i++)
        apply_to(s, &fresh->programs[i], &plans, loop_now_ms(&s->loop));
    instances_reloaded(s, plans.engines_kept);
    follow_doors(s);
    conf_free(&old);
    log_init("supervisor", (enum log_level)fresh->supervisor.log_level, (enum log_format)fresh->supervisor.log_format);
    sleep_init(s);
    state_evaluate_soon(s);
    return 0;
}

int reload_configuration(struct supervisor *s, struct diag *d)
{
    int is_told = s->is_announced && !s->is_stopping; /* while it starts or stops, READY=1 would not be true */
    if (is_told)
        outer_reloading(&s->outer);
    int error = reload_all(s, d);
    if (is_told)
        outer_ready(&s->outer); /* refused or not, it is over */
    return error;
}
