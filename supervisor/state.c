/* See state.h. */
#include "supervisor/state.h"

#include "common/log.h"
#ifdef WITH_MODELS
#include "supervisor/instances/places.h"
#endif

#include <errno.h>
#include <string.h>

struct child *state_child(struct supervisor *s, const char *name)
{
    for (size_t i = 0; i < s->children_n; i++)
        if (strcmp(s->children[i].program.conf->name, name) == 0 && !child_is_vacant(&s->children[i]))
            return &s->children[i];
    return NULL;
}

struct child *state_engine_at(const struct supervisor *s, size_t n)
{
#ifdef WITH_MODELS
    return places_child_at(s->instances, n);
#else
    (void)s;
    (void)n;
    return NULL;
#endif
}

const struct child *state_next_child(const struct supervisor *s, size_t *at)
{
    const struct child *c = NULL;
    if (*at < s->children_n)
        return &s->children[(*at)++];
    while (!c && *at < s->children_n + CONTRACT_INSTANCES)
        c = state_engine_at(s, (*at)++ - s->children_n);
    return c;
}

struct child *state_main_of(struct supervisor *s, pid_t pid)
{
    for (size_t i = 0; i < s->children_n; i++)
        if (s->children[i].program.pid == pid)
            return &s->children[i];
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++) {
        struct child *c = state_engine_at(s, i);
        if (c && c->program.pid == pid)
            return c;
    }
    return NULL;
}

int state_is_ollama(const struct child *c)
{
    return strcmp(c->program.conf->name, "ollama") == 0;
}

enum contract_sleep state_sleep(const struct supervisor *s)
{
    return (enum contract_sleep)atomic_load(&s->board.page->sleep);
}

unsigned state_tell_proxies(struct supervisor *s, enum contract_kind kind, uint32_t value)
{
    unsigned told_n = 0;
    for (size_t i = 0; i < s->children_n; i++) {
        struct child *c = &s->children[i];
        if (!c->launch.has_listeners || c->channel.fd < 0)
            continue;
        channel_tell(&c->channel, kind, value);
        told_n++;
    }
    return told_n;
}

void state_tell_all(struct supervisor *s, enum contract_kind kind)
{
    for (size_t i = 0; i < s->children_n; i++)
        channel_tell(&s->children[i].channel, kind, 0);
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

void state_follow_doors(struct supervisor *s, const struct child *c)
{
    const struct program *p = &c->program;
    if (strcmp(p->conf->name, "proxy") != 0 || s->is_stopping)
        return;
    if (p->state == CONTRACT_READY && c->launch.has_listeners)
        doors_are_served(&s->doors);
    else if (!c->launch.has_listeners || c->is_retired || p->state == CONTRACT_FAILED || (p->state == CONTRACT_DOWN && !p->is_wanted))
        doors_are_forsaken(&s->doors);
    else if (!program_is_alive(p)) /* it may wait for Ollama, which must not wait for it */
        doors_make_way(&s->doors, &s->conf->ollama);
    else if (p->state == CONTRACT_STARTING)
        doors_are_given(&s->doors);
}

int state_is_port_held(const struct supervisor *s, const struct child *c)
{
    return state_is_ollama(c) && doors_hold(&s->doors, &s->conf->ollama);
}

void state_tell_moved(const struct conf *conf, const struct conf *before)
{
    char bind[ADDRESS_TEXT_BYTES];
    if (!conf->is_ollama_moved || (before && address_equal(&conf->ollama, &before->ollama)))
        return;
    address_text(&conf->ollama, bind);
    log_event(LOG_INFO, "ollama_moved", "OLLAMA_HOST=%s reason=\"its port is one of our listeners'\"", bind);
}
