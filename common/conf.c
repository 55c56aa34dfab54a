/*
 * From a file and an environment to one checked, constant struct conf. The steps are in conf_load, in order;
 * each has a file of its own (conf_read, conf_text, conf_table, conf_env, conf_check).
 */
#include "common/conf_internal.h"

#include "common/contract.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const default_files[] = {"supervisor.ini", "/etc/ollama-sidecar/supervisor.ini"};

/* The file under the name it was given, as an absolute path: a link may lead elsewhere at the next reload. */
static char *named_file(struct conf *c, const char *path)
{
    char folder[4096], *named = NULL;
    if (path[0] == '/' || sys_getcwd(folder) < 0)
        return conf_text(c, path, strlen(path));
    if (asprintf(&named, "%s/%s", folder, path) < 0)
        return NULL;
    char *kept = conf_text(c, named, strlen(named));
    free(named);
    return kept;
}

/* Reads the file's text, or what was handed to us in its place. 0 or -errno. */
static int read_text(struct conf *c)
{
    enum { INI_LIMIT_BYTES = 4 << 20 };
    char *bytes;
    size_t bytes_n;
    int fd = conf_handed_fd(c);
    int error = fd >= 0 ? sys_read_fd(fd, INI_LIMIT_BYTES + PRESETS_FILE_BYTES + CONF_CONTAINERS_BYTES, &bytes, &bytes_n)
                        : sys_read_file(c->file, INI_LIMIT_BYTES, &bytes, &bytes_n);
    if (error)
        return error;
    if (fd >= 0) {
        error = conf_take_handed(c, bytes, bytes_n);
    } else {
        c->text_n = bytes_n;
        c->text = conf_text(c, bytes, bytes_n);
    }
    free(bytes);
    return error || c->text ? error : -ENOMEM;
}

/* Finds the file and the folder that relative paths start from. */
static int find_file(struct conf *c, const char *path, struct diag *d)
{
    char resolved[4096];
    const char *found = path;
    int error = -ENOENT;
    if (path) {
        error = sys_realpath(path, resolved);
        if (error && conf_handed_fd(c) >= 0) /* the file may be gone: its text was handed to us */
            error = snprintf(resolved, sizeof resolved, "%s", path) < (int)sizeof resolved ? 0 : -ENAMETOOLONG;
        if (error)
            diag_add(d, DIAG_ERROR, path, 0, "can't be read: %s", strerror(-error));
    }
    /* A supervisor that found none hands on what it has: no file that came later is in force. */
    for (size_t i = 0; !path && error && conf_handed_fd(c) < 0 && i < sizeof default_files / sizeof *default_files; i++) {
        found = default_files[i];
        error = sys_realpath(found, resolved);
    }
    if (error) {
        if (sys_getcwd(resolved) < 0)
            snprintf(resolved, sizeof resolved, "/");
        c->base_dir = conf_text(c, resolved, strlen(resolved));
        return c->base_dir ? 0 : -ENOMEM;
    }
    const char *slash = strrchr(resolved, '/');
    c->file = named_file(c, found);
    c->base_dir = conf_text(c, resolved, slash == resolved ? 1 : (size_t)(slash - resolved));
    return c->file && c->base_dir ? 0 : -ENOMEM;
}

static int load_env_file(struct conf *c, const struct conf_entries *entries, struct diag *d)
{
    const char *path = conf_env(c, "SIDECAR_SUPERVISOR_ENV_FILE");
    const char *where = "SIDECAR_SUPERVISOR_ENV_FILE";
    int line = 0;
    for (size_t i = 0; i < entries->items_n && !path; i++) {
        const struct conf_entry *e = &entries->items[i];
        if (e->key && strcmp(e->section, "supervisor") == 0 && strcmp(e->key, "env_file") == 0) {
            path = e->value;
            where = c->file;
            line = e->line;
        }
    }
    if (path && line > 0) {
        struct diag told_later; /* with all the other values */
        char *expanded;
        diag_init(&told_later);
        int expand_error = conf_expand(c, path, where, line, &told_later, &expanded);
        diag_fini(&told_later);
        if (expand_error == -ENOMEM)
            return expand_error;
        path = expanded;
    }
    char *absolute;
    int error = conf_read_named_env_file(c, path ? path : "", &c->env_file, &absolute, d);
    if (error && error != -ENOMEM) {
        diag_add(d, DIAG_ERROR, where, line, "env_file %s can't be read: %s", absolute, strerror(-error));
        error = 0;
    }
    free(absolute);
    return error;
}

static void unknown_section(const struct conf *c, const struct conf_entry *e, struct diag *d)
{
    const char *names[32] = {"environment"};
    for (size_t i = 0; i < conf_sections_n && i + 2 < sizeof names / sizeof *names; i++)
        names[i + 1] = conf_sections[i].name;
    const char *nearest = diag_nearest(e->section, names);
    if (!CONF_HAS_MODELS && strcmp(e->section, "engine") == 0) {
        diag_add(d, DIAG_ERROR, c->file, e->line, "[engine:NAME]: " CONF_NO_MODELS);
        return;
    }
    diag_add(d, DIAG_ERROR, c->file, e->line, "unknown section [%s]%s%s%s", e->section,
             nearest ? "; did you mean [" : "", nearest ? nearest : "", nearest ? "]?" : "");
}

static void unknown_key(const struct conf *c, const struct conf_section *s, const struct conf_entry *e, struct diag *d)
{
    const char *names[64] = {NULL};
    if (!CONF_HAS_MODELS && strcmp(s->name, "models") == 0) {
        diag_add(d, DIAG_ERROR, c->file, e->line, "[models] %s: " CONF_NO_MODELS, e->key);
        return;
    }
    for (size_t i = 0; i < s->params_n && i + 1 < sizeof names / sizeof *names; i++)
        names[i] = conf_param_key(&s->params[i]);
    const char *nearest = diag_nearest(e->key, names);
    const char *shown = nearest || !conf_has_secret_rows(s->name) ? e->key : CONF_MASK; /* base64 alone on a line looks like a key */
    diag_add(d, DIAG_ERROR, c->file, e->line, "unknown key \"%s\" in [%s]%s%s%s", shown, e->section,
             nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static int is_variable_name(const char *name)
{
    if (*name == '\0' || (*name >= '0' && *name <= '9'))
        return 0;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') ||
              *name == '_'))
            return 0;
    return 1;
}

/* [environment]: any name is a key. */
static int apply_variable(struct conf *c, const struct conf_entry *e, struct diag *d)
{
    if (!is_variable_name(e->key)) {
        diag_add(d, DIAG_ERROR, c->file, e->line, "\"%s\" is no variable's name", e->key);
        return 0;
    }
    for (size_t i = 0; i < c->environment.items_n; i++) {
        if (strcmp(c->environment.items[i].name, e->key) == 0) {
            diag_add(d, DIAG_ERROR, c->file, e->line, "%s is set twice, first in line %d", e->key,
                     c->environment.items[i].line);
            return 0;
        }
    }
    char *value;
    int error = conf_expand(c, e->value, c->file, e->line, d, &value);
    if (!error)
        error = conf_variables_add(c, &c->environment, e->key, strlen(e->key), value, e->line);
    return error == -ENOMEM ? error : 0;
}

/* Whether a named section may have this name; a mistake is told. */
static int has_good_name(const struct conf *c, const struct conf_entry *e, struct diag *d)
{
    char why[PARSE_WHY_BYTES];
    if (!e->name)
        return 1;
    if (strcmp(e->section, "pin") == 0) {
        int error = conf_pin_name(e->name, why);
        if (error)
            diag_add(d, DIAG_ERROR, c->file, e->line, "%s", why);
        return !error;
    }
    if (!conf_is_section_name(e->name))
        diag_add(d, DIAG_ERROR, c->file, e->line, "\"%.60s\" is no name: letters, digits, _ - and . (%d at the most)", e->name, CONF_NAME_N);
    return conf_is_section_name(e->name);
}

/* The header of a section: 0 with *at, or NULL where it was refused. */
static int apply_header(struct conf *c, const struct conf_entry *e, struct conf_head **at, struct diag *d)
{
    const struct conf_section *s = conf_find_section(e->section);
    int max;
    *at = NULL;
    if (!s) {
        unknown_section(c, e, d);
    } else if (s->is_named && !e->name) {
        diag_add(d, DIAG_ERROR, c->file, e->line, "[%s] needs a name: write [%s:NAME]", e->section, e->section);
    } else if (!s->is_named && e->name) {
        diag_add(d, DIAG_ERROR, c->file, e->line, "[%s] has no name: write [%s]", e->section, e->section);
    } else if (has_good_name(c, e, d)) {
        struct conf_head *head = conf_instance(c, s, e->name);
        if (!head && conf_is_full(c, s, &max))
            diag_add(d, DIAG_ERROR, c->file, e->line, "more than %d sections [%s:NAME]", max, s->name);
        else if (!head)
            return -ENOMEM;
        else if (head->line)
            diag_add(d, DIAG_ERROR, c->file, e->line, "[%s%s%s] stands twice, first in line %d", e->section,
                     e->name ? ":" : "", e->name ? e->name : "", head->line);
        else
            head->line = e->line;
        *at = head;
    }
    return 0;
}

static int apply_pair(struct conf *c, struct conf_head *at, const struct conf_entry *e, struct diag *d)
{
    const struct conf_section *s = conf_find_section(e->section);
    const struct conf_param *p = conf_find_param(s, e->key);
    if (!p) {
        unknown_key(c, s, e, d);
        return 0;
    }
    const struct conf_origin *before = conf_origin(at, s, e->key);
    if (before->kind == CONF_FROM_FILE) {
        diag_add(d, DIAG_ERROR, c->file, e->line, "%s is set twice in [%s], first in line %d", e->key, e->section,
                 before->line);
        return 0;
    }
    struct conf_origin origin = {.kind = CONF_FROM_FILE, .line = e->line};
    char *value;
    struct diag unshown; /* its words may have a part of the secret in them */
    diag_init(&unshown);
    struct diag *told = conf_is_secret_row(p) ? &unshown : d;
    int error = CONF_HAS_MODELS && strcmp(s->name, "engine") == 0 ? conf_expand_template(c, e->value, c->file, e->line, told, &value)
                                               : conf_expand(c, e->value, c->file, e->line, told, &value);
    if (unshown.errors_n)
        diag_add(d, DIAG_ERROR, c->file, e->line, "[%s:%s] %s: what follows a %% is wrong: write %%%% for a percent sign, %%(ENV_NAME)s "
                 "for a variable that is set", s->name, at->name, conf_param_key(p));
    diag_fini(&unshown);
    if (!error)
        error = conf_set(c, at, p, value, &origin, d);
    return error == -ENOMEM ? error : 0;
}

static int apply_entries(struct conf *c, const struct conf_entries *entries, struct diag *d)
{
    struct conf_head *at = NULL;
    int is_environment = 0, error = 0, environment_line = 0;
    for (size_t i = 0; i < entries->items_n && !error; i++) {
        const struct conf_entry *e = &entries->items[i];
        if (!e->key) {
            is_environment = strcmp(e->section, "environment") == 0 && !e->name;
            at = NULL;
            if (is_environment && environment_line)
                diag_add(d, DIAG_ERROR, c->file, e->line, "[environment] stands twice, first in line %d", environment_line);
            if (is_environment)
                environment_line = e->line;
            else
                error = apply_header(c, e, &at, d);
        } else if (is_environment) {
            error = apply_variable(c, e, d);
        } else if (at) {
            error = apply_pair(c, at, e, d);
        }
    }
    return error;
}

static int load(struct conf *c, const char *path, struct conf_entries *entries, struct diag *d)
{
    int error = find_file(c, path, d);
    if (!error && (c->file || conf_handed_fd(c) >= 0)) {
        int read_error = read_text(c);
        if (!read_error)
            read_error = conf_read_ini(c, c->text, c->text_n, entries, d);
        if (read_error == -ENOMEM)
            error = read_error;
        else if (read_error)
            diag_add(d, DIAG_ERROR, c->file ? c->file : CONTRACT_ENV_CONFIG, 0, "can't be read: %s", strerror(-read_error));
    }
    if (!error)
        error = load_env_file(c, entries, d);
    for (size_t i = 0; i < conf_sections_n && !error; i++)
        if (!conf_sections[i].is_named)
            error = conf_instance(c, &conf_sections[i], NULL) ? 0 : -ENOMEM;
    if (!error)
        error = conf_add_built_in(c, d);
    if (!error)
        error = conf_add_engines(c, entries, d);
    if (!error)
        error = apply_entries(c, entries, d);
    if (!error)
        error = conf_apply_environment(c, d);
    if (!error)
        error = conf_check(c, d);
    return error ? error : d->errors_n ? -EINVAL : 0;
}

static int load_for(enum conf_reader reader, struct conf **out, const char *path, char **environment, struct diag *d)
{
    struct conf_entries entries = {0};
    struct conf *c = malloc(sizeof *c);
    *out = NULL;
    if (!c)
        return -ENOMEM;
    memset(c, 0, offsetof(struct conf, pins));
    c->reader = reader;
    c->environment_in = environment;
    int error = load(c, path, &entries, d);
    free(entries.items);
    if (!error && reader != CONF_READER_CHILD && c->secrets.items_n > 0) /* a child has it from us, unless its `limits` say otherwise */
        sys_leave_no_core();
    int is_of_use = error == -EINVAL && reader == CONF_READER_ASKER && c->second_control_socket; /* its paths are there */
    if (error && !is_of_use)
        conf_free(&c);
    *out = c;
    return error;
}

int conf_load(struct conf **out, const char *path, char **environment, struct diag *d)
{
    int is_child = conf_variable(environment, CONTRACT_ENV_OLLAMA) != NULL; /* which contract_adopt leaves */
    return load_for(is_child ? CONF_READER_CHILD : CONF_READER_ANY, out, path, environment, d);
}

int conf_load_to_ask(struct conf **out, const char *path, char **environment, struct diag *d)
{
    return load_for(CONF_READER_ASKER, out, path, environment, d);
}

int conf_load_to_start(struct conf **out, const char *path, char **environment, struct diag *d)
{
    return load_for(CONF_READER_SUPERVISOR, out, path, environment, d);
}

void conf_free(struct conf **conf)
{
    struct conf *c = *conf;
    if (!c)
        return;
    for (size_t i = 0; i < conf_sections_n; i++)
        if (!conf_sections[i].is_named)
            conf_fini_instance(conf_existing(c, &conf_sections[i], NULL), &conf_sections[i]);
    for (size_t i = 0; i < c->programs_n; i++)
        conf_fini_instance((struct conf_head *)&c->programs[i], conf_find_section("program"));
    for (size_t i = 0; i < c->pins_n; i++)
        conf_fini_instance((struct conf_head *)&c->pins[i], conf_find_section("pin"));
    for (size_t i = 0; i < c->keys_n; i++)
        conf_fini_instance((struct conf_head *)&c->keys[i], conf_find_section("key"));
    for (size_t i = 0; i < c->backends_n; i++)
        conf_fini_instance((struct conf_head *)&c->backends[i], conf_find_section("backend"));
    for (size_t i = 0; i < c->strategies_n; i++)
        conf_fini_instance((struct conf_head *)&c->strategies[i], conf_find_section("strategy"));
#ifdef WITH_MODELS
    for (size_t i = 0; i < c->engines_n; i++)
        conf_fini_instance((struct conf_head *)&c->engines[i], conf_find_section("engine"));
#endif
    for (size_t i = 0; i < c->programs_n; i++) {
        conf_fini_rights(&c->rights[i]);
        free(c->program_env_files[i].items);
    }
    free(c->environment.items);
    free(c->env_file.items);
    free(c->secrets.items);
    free(c->expanded.items);
    presets_fini(&c->presets);
    conf_text_free(c);
    free(c);
    *conf = NULL;
}
