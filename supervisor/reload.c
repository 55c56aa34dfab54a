/*
 * See reload.h. The new configuration is complete and checked before the first child hears of it; a child's past (its state,
 * its exits, its process) belongs to the child and stays.
 */
#include "supervisor/reload.h"

#include "common/log.h"
#include "supervisor/sleep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int is_listening_changed(const struct conf *a, const struct conf *b)
{
    if (a->listen_n != b->listen_n)
        return 1;
    for (size_t i = 0; i < a->listen_n; i++)
        if (!address_equal(&a->listen[i], &b->listen[i]))
            return 1;
    return strcmp(a->supervisor.control_socket, b->supervisor.control_socket) != 0;
}

/* Programs that are gone can be dropped from the end only: the page's rows must not move. */
static size_t kept_children(const struct supervisor *s, const struct conf *fresh)
{
    size_t kept_n = s->children_n;
    while (kept_n > 0 && !conf_program(fresh, s->children[kept_n - 1].program.conf->name))
        kept_n--;
    return kept_n;
}

/* Programs come and go only where no process is left behind unwatched. */
static int check_programs(const struct supervisor *s, const struct conf *fresh, struct diag *d)
{
    const char *where = fresh->file ? fresh->file : "built-in";
    for (size_t i = 0; i < s->children_n; i++) {
        const struct program *p = &s->children[i].program;
        if (!conf_program(fresh, p->conf->name) && program_is_alive(p))
            diag_add(d, DIAG_ERROR, where, 0, "[program:%s] is gone but still runs: stop it first", p->conf->name);
    }
    for (size_t i = 0; i < kept_children(s, fresh); i++)
        if (!conf_program(fresh, s->children[i].program.conf->name))
            diag_add(d, DIAG_ERROR, where, 0, "[program:%s] was removed before others: that needs a restart",
                     s->children[i].program.conf->name);
    if (is_listening_changed(s->conf, fresh))
        diag_add(d, DIAG_ERROR, where, 0, "[proxy] listen or [supervisor] control_socket changed: that needs a restart");
    return d->errors_n ? -EBUSY : 0;
}

static int apply_to(struct supervisor *s, const struct conf_program *conf, int64_t now_ms)
{
    struct child *c = state_child(s, conf->name);
    if (!c) {
        if (s->children_n == CONF_PROGRAMS_MAX)
            return -ENOSPC;
        c = &s->children[s->children_n];
        int error = child_init(c, &s->child_site, conf);
        if (error)
            return error;
        struct contract_program *row = &s->board.page->programs[s->children_n++];
        snprintf(row->name, sizeof row->name, "%s", conf->name);
        return 0;
    }
    uint64_t before = c->launch.signature;
    int is_new_at_start = conf->autostart && !c->program.conf->autostart;
    int error = child_reconfigure(c, conf);
    if (error)
        return error;
    if (before == c->launch.signature && !is_new_at_start)
        return 0;
    log_event(LOG_INFO, "changed", "program=%s", conf->name);
    if (is_new_at_start || (conf->autostart && c->program.state == CONTRACT_FAILED))
        c->program.is_wanted = 1;
    if (strcmp(conf->name, "preload") == 0) { /* another list: it is waited for again */
        error = state_count_models(s);
        if (error)
            return error;
    }
    if (!c->program.is_wanted || c->program.state == CONTRACT_FAILED)
        program_event(&c->program, PROGRAM_STOP, now_ms); /* from failed: down, and from there it starts in its turn */
    else if (before == c->launch.signature)
        return 0;
    else if (program_is_alive(&c->program) || c->program.state == CONTRACT_DONE)
        program_event(&c->program, PROGRAM_RESTART, now_ms);
    return 0;
}

int reload_configuration(struct supervisor *s, struct diag *d)
{
    struct conf *fresh = NULL;
    if (s->is_stopping) {
        diag_add(d, DIAG_ERROR, s->conf->file ? s->conf->file : "built-in", 0, "everything is being stopped: it is not read again");
        return -EBUSY;
    }
    int error = conf_load(&fresh, s->conf->file, s->conf->environment_in, d);
    if (error)
        return error;
    error = check_programs(s, fresh, d);
    if (error) {
        conf_free(&fresh);
        return error;
    }
    for (size_t kept_n = kept_children(s, fresh); s->children_n > kept_n;)
        child_fini(&s->children[--s->children_n]);
    struct conf *old = s->conf;
    s->conf = fresh;
    s->launch_site.conf = fresh;
    error = launch_site_config(&s->launch_site);
    for (size_t i = 0; i < fresh->programs_n && !error; i++)
        error = apply_to(s, &fresh->programs[i], loop_now_ms(&s->loop));
    if (error) { /* no memory in the middle: both stay, and nothing dangles */
        log_event(LOG_ERROR, "reload_failed", "error=\"%s\"", strerror(-error));
        return error;
    }
    conf_free(&old);
    log_init("supervisor", (enum log_level)fresh->supervisor.log_level, (enum log_format)fresh->supervisor.log_format);
    sleep_init(s);
    state_evaluate_soon(s);
    return 0;
}
