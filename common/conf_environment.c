/*
 * The environment that a program is started with, and the variables that Ollama should always have.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A growing envp; the first entry of a name wins. */
struct envp {
    char **items;
    size_t items_n;
    int has_error;
    size_t room_n; /* with the NULL at the end */
};

static int has_name(const struct envp *e, const char *pair)
{
    size_t name_n = strcspn(pair, "=") + 1;
    for (size_t i = 0; i < e->items_n; i++)
        if (strncmp(e->items[i], pair, name_n) == 0)
            return 1;
    return 0;
}

/* Room for one more, and for others behind it. 0 or -ENOMEM. */
static int make_room(struct envp *e)
{
    size_t room_n = e->room_n ? e->room_n * 2 : 32;
    if (e->items_n + 2 <= e->room_n)
        return 0;
    char **items = realloc(e->items, room_n * sizeof *items);
    if (!items)
        return -ENOMEM;
    e->items = items;
    e->room_n = room_n;
    return 0;
}

static void add(struct envp *e, const char *pair)
{
    if (!strchr(pair, '=') || has_name(e, pair) || e->has_error)
        return;
    char *copy = make_room(e) == 0 ? strdup(pair) : NULL;
    if (!copy) {
        e->has_error = 1;
        return;
    }
    e->items[e->items_n++] = copy;
    e->items[e->items_n] = NULL;
}

static void add_value(struct envp *e, const char *name, const char *value)
{
    char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value) < 0)
        e->has_error = 1;
    else
        add(e, pair);
    free(pair);
}

static void add_variables(struct envp *e, const struct conf_variables *v)
{
    for (size_t i = 0; i < v->items_n; i++)
        add_value(e, v->items[i].name, v->items[i].value);
}

/* What a manager above us meant for us alone. */
static int is_ours_alone(const char *pair)
{
    static const char *const names[] = {"NOTIFY_SOCKET=", "LISTEN_FDS=",  "LISTEN_PID=", "LISTEN_FDNAMES=",
                                        "WATCHDOG_USEC=", "WATCHDOG_PID="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(pair, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}

/* Secrets that the proxy, the preloader and sidecarctl read, under names that mean nothing to anybody else. */
static int is_for_own_programs(const char *pair)
{
    static const char *const names[] = {"SIDECAR_REDIS_URL", "SIDECAR_REDIS_PASSWORD", "SIDECAR_KEY"};
    size_t n = strcspn(pair, "=");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncmp(pair, names[i], n) == 0)
            return 1;
    return 0;
}

static int is_own_program(const struct conf_program *p)
{
    return p && p->name && (strcmp(p->name, "proxy") == 0 || strcmp(p->name, "preload") == 0);
}

/* A variable that is set, but empty: as if it were not. */
static void drop_empty(struct envp *e, const char *name)
{
    const char *value = conf_variable(e->items, name);
    if (!value || *value)
        return;
    for (size_t i = 0; i < e->items_n; i++) {
        if (e->items[i] + strlen(name) + 1 != value)
            continue;
        free(e->items[i]);
        memmove(&e->items[i], &e->items[i + 1], (e->items_n - i) * sizeof *e->items);
        e->items_n--;
        return;
    }
}

/* Ollama's defaults here, and its name for the models' folder. */
static void add_ollama_defaults(struct envp *e)
{
    static const char *const defaults[][2] = {
        {"OLLAMA_NUM_PARALLEL", "1"}, {"OLLAMA_MAX_QUEUE", "64"}, {"OLLAMA_KEEP_ALIVE", "5m"}};
    const char *cache = conf_variable(e->items, "OLLAMA_MODEL_CACHE_DIR");
    if (cache && *cache) {
        drop_empty(e, "OLLAMA_MODELS");
        add_value(e, "OLLAMA_MODELS", cache);
    }
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        drop_empty(e, defaults[i][0]);
        add_value(e, defaults[i][0], defaults[i][1]);
    }
}

/* What login(1) and its like say of one user: of no use, or worse, to another. */
static int is_of_one_user(const char *pair)
{
    static const char *const names[] = {"HOME=", "USER=", "LOGNAME=", "SHELL=", "MAIL=", "XDG_RUNTIME_DIR="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(pair, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}

static void add_user(struct envp *e, const struct conf_rights *r)
{
    add_value(e, "HOME", r->home);
    if (r->user[0]) {
        add_value(e, "USER", r->user);
        add_value(e, "LOGNAME", r->user);
    }
    if (r->shell[0])
        add_value(e, "SHELL", r->shell);
}

/* The same string in the process's own environment, or NULL. */
static char *shared(const struct conf *c, const char *pair)
{
    for (char **item = c->environment_in; item && *item; item++)
        if (strcmp(*item, pair) == 0)
            return *item;
    return NULL;
}

/* One block with the pointers, room for another, and the texts of those that are not shared; the first own_n never are.
 * NULL: no memory. */
static char **pack(const struct conf *c, const struct envp *e, size_t own_n)
{
    size_t items_n = 0, text_bytes = 0;
    for (; e->items[items_n]; items_n++)
        if (items_n < own_n || !shared(c, e->items[items_n]))
            text_bytes += strlen(e->items[items_n]) + 1;
    char **out = malloc((items_n + 2) * sizeof *out + text_bytes);
    if (!out)
        return NULL;
    char *text = (char *)(out + items_n + 2);
    for (size_t i = 0; i < items_n; i++) {
        size_t bytes_n = strlen(e->items[i]) + 1;
        out[i] = i < own_n ? NULL : shared(c, e->items[i]);
        if (out[i])
            continue;
        out[i] = memcpy(text, e->items[i], bytes_n);
        text += bytes_n;
    }
    out[items_n] = out[items_n + 1] = NULL;
    return out;
}

static void free_items(struct envp *e)
{
    for (char **item = e->items; item && *item; item++)
        free(*item);
    free(e->items);
}

char **conf_environment(const struct conf *c, const struct conf_program *p, const char *const *extra)
{
    const struct conf_rights *rights = p ? conf_rights(c, p) : NULL;
    int is_another_user = rights && rights->home, is_own = is_own_program(p);
    struct envp e = {.items = calloc(1, sizeof *e.items)};
    e.has_error = e.items == NULL;
    for (; extra && *extra; extra++)
        add(&e, *extra);
    size_t extra_n = e.items_n;
    for (size_t i = 0; p && i < p->environment.items_n; i++)
        add(&e, p->environment.items[i]);
    if (p && conf_program_at(c, p) < c->programs_n)
        add_variables(&e, &c->program_env_files[conf_program_at(c, p)]);
    for (char **item = c->environment_in; item && *item; item++)
        if (!is_ours_alone(*item) && !(is_another_user && is_of_one_user(*item)) && (is_own || !is_for_own_programs(*item)))
            add(&e, *item);
    for (size_t i = 0; i < c->env_file.items_n; i++)
        if (is_own || !is_for_own_programs(c->env_file.items[i].name))
            add_value(&e, c->env_file.items[i].name, c->env_file.items[i].value);
    add_variables(&e, &c->environment);
    if (is_another_user)
        add_user(&e, rights);
    if (!e.has_error)
        add_ollama_defaults(&e);
    if (!e.has_error && conf_fill_in_secrets(c, e.items) < 0)
        e.has_error = 1;
    char **packed = e.has_error ? NULL : pack(c, &e, extra_n);
    free_items(&e);
    return packed;
}

void conf_environment_free(char **environment)
{
    free(environment);
}
