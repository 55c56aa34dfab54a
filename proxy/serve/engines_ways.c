/* See engines.h. The ways to load a model, and which of them have led nowhere. */
#include "proxy/serve/engines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next one that nothing is known against: 1, or 0 where there is none. */
static int find_way(struct engines_model *m)
{
    while (m->try_at < m->tries_n && *m->tries[m->try_at].why)
        m->try_at++;
    return m->try_at < m->tries_n;
}

static void tell_all(struct engines_model *m)
{
    for (struct engines_lease *lease = m->first; lease; lease = lease->next)
        lease->has_failed = 1;
}

int engines_begin(struct engines *e, struct engines_model *m, int64_t now_ms)
{
    struct engines_try tries[ENGINES_TRIES_MAX];
    size_t n = e->ops.find(e->ops.context, m->name, tries);
    struct engines_try *copy = malloc((n ? n : 1) * sizeof *copy);
    if (copy) { /* else by those of last time */
        memcpy(copy, tries, n * sizeof *copy);
        free(m->tries);
        m->tries = copy;
        m->tries_n = n;
    }
    m->try_at = 0;
    m->is_hopeless = !find_way(m);
    m->state = m->is_hopeless ? ENGINES_RESTING : ENGINES_WANTED;
    m->rest_until_ms = now_ms + ENGINES_HOPELESS_MS;
    m->wanted_ms = now_ms;
    if (m->is_hopeless)
        tell_all(m);
    return !m->is_hopeless;
}

void engines_note(struct engines_model *m, const char *why)
{
    if (m->try_at < m->tries_n)
        snprintf(m->tries[m->try_at].why, sizeof m->tries->why, "%s", *why ? why : "it ended");
}

void engines_fail_way(struct engines *e, struct engines_model *m, const char *why, int64_t now_ms)
{
    engines_note(m, why);
    if (find_way(m)) {
        m->state = ENGINES_WANTED;
        return;
    }
    m->state = ENGINES_RESTING;
    m->rest_until_ms = now_ms + e->rules.cooldown_ms;
    tell_all(m);
    e->ops.rests(e->ops.context, m);
}

int engines_has_failed(const struct engines_model *model)
{
    for (size_t i = 0; i < model->tries_n; i++)
        if (*model->tries[i].why && (!model->tries[i].is_absent || model->is_hopeless))
            return 1;
    return 0;
}

size_t engines_why_not(const struct engines *e, const struct engines_try *way, char *text, size_t text_n)
{
    return (size_t)snprintf(text, text_n, "%s%s: %s", e->rules.names[way->engine], way->is_quantized ? " (q4)" : "", way->why);
}

void engines_why(const struct engines *e, const struct engines_model *model, char *text, size_t text_n)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < model->tries_n && at < text_n; i++) {
        if (!*model->tries[i].why)
            continue;
        at += (size_t)snprintf(text + at, text_n - at, "%s", at ? "; " : "");
        if (at < text_n)
            at += engines_why_not(e, &model->tries[i], text + at, text_n - at);
    }
}
