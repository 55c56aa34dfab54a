/* See state.h. */
#include "supervisor/state.h"

#include "common/log.h"

#include <errno.h>
#include <string.h>

struct child *state_child(struct supervisor *s, const char *name)
{
    for (size_t i = 0; i < s->children_n; i++)
        if (strcmp(s->children[i].program.conf->name, name) == 0 && !child_is_vacant(&s->children[i]))
            return &s->children[i];
    return NULL;
}

void state_tell_all(struct supervisor *s, enum contract_kind kind)
{
    for (size_t i = 0; i < s->children_n; i++)
        channel_tell(&s->children[i].channel, kind);
    draining_tell(&s->draining, kind);
}

void state_evaluate_soon(struct supervisor *s)
{
    loop_defer(&s->loop, &s->evaluation);
}

int state_read_models(const struct conf *conf, size_t *models_n)
{
    struct list models = {0};
    struct diag d;
    diag_init(&d);
    int error = conf_preload_list(conf, &models, &d);
    *models_n = models.items_n;
    list_fini(&models);
    diag_fini(&d);
    return error == -ENOMEM ? error : 0;
}

void state_count_models(struct supervisor *s, size_t models_n)
{
    s->models_n = models_n;
    struct child *preload = state_child(s, "preload");
    int is_waited_for = s->models_n > 0 && preload->launch.has_contract && preload->program.conf->autostart;
    preload->program.is_wanted = is_waited_for || (!preload->launch.has_contract && preload->program.conf->autostart);
    atomic_store(&s->board.page->phase, is_waited_for ? CONTRACT_PHASE_WAITING : CONTRACT_PHASE_NONE);
}

static void want(struct supervisor *s, const char *name, unsigned char seen[CONF_PROGRAMS_MAX])
{
    struct child *c = state_child(s, name);
    if (!c || seen[c - s->children] || s->is_stopping || c->program.state == CONTRACT_FAILED)
        return;
    seen[c - s->children] = 1; /* many may depend on it */
    for (size_t i = 0; i < c->program.conf->depends.items_n; i++)
        want(s, c->program.conf->depends.items[i], seen);
    if (!c->program.is_wanted && c->program.state == CONTRACT_DOWN)
        log_event(LOG_INFO, "wanted", "program=%s", name);
    c->program.is_wanted = 1;
    state_evaluate_soon(s);
}

void state_want(struct supervisor *s, const char *name)
{
    unsigned char seen[CONF_PROGRAMS_MAX] = {0};
    want(s, name, seen);
}
