/*
 * The environment's say: SIDECAR_<SECTION>_<KEY> for the sections without a name, and the names of other houses
 * that mean one of our parameters.
 */
#include "common/conf_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 };

static void variable_name(const struct conf_param *p, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "SIDECAR_%s_%s", conf_param_section(p)->name, conf_param_key(p));
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
}

static int set_from(struct conf *c, const char *section, const char *key, const char *variable, const char *text,
                    struct diag *d)
{
    const struct conf_section *s = conf_find_section(section);
    struct conf_origin origin = {.kind = CONF_FROM_ENVIRONMENT,
                                 .variable = conf_text(c, variable, strlen(variable))};
    if (!origin.variable)
        return -ENOMEM;
    int error = conf_set(c, conf_existing(c, s, NULL), conf_find_param(s, key), text, &origin, d);
    return error == -ENOMEM ? error : 0;
}

/* 1 where some variable has a name like ours; mostly none has. */
static int has_own_names(const struct conf *c)
{
    for (char **e = c->environment_in; e && *e; e++)
        if (strncmp(*e, "SIDECAR_", 8) == 0)
            return 1;
    for (size_t i = 0; i < c->env_file.items_n; i++)
        if (strncmp(c->env_file.items[i].name, "SIDECAR_", 8) == 0)
            return 1;
    return 0;
}

static int apply_own_names(struct conf *c, struct diag *d)
{
    for (size_t i = 0; i < conf_sections_n; i++) {
        const struct conf_section *s = &conf_sections[i];
        for (size_t j = 0; j < s->params_n && !s->is_named; j++) {
            char name[NAME_BYTES];
            variable_name(&s->params[j], name);
            const char *text = conf_env(c, name);
            if (text && set_from(c, s->name, conf_param_key(&s->params[j]), name, text, d) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

/* Kubernetes and Docker links set NAME_PORT=tcp://… for a service of that name: not meant for us. */
static int is_link(const char *value)
{
    return strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
}

/* What the contract says, and what sidecarctl reads itself. */
static int is_name_of_others(const char *name)
{
    static const char *const names[] = {"SIDECAR_CHANNEL_FD", "SIDECAR_PAGE_FD", "SIDECAR_PAGE_LINE", "SIDECAR_CONFIG_FD",
                                        "SIDECAR_RUN", "SIDECAR_OLLAMA", "SIDECAR_OLLAMA_PARALLEL", "SIDECAR_KEPT_FD",
                                        "SIDECAR_LEAVING_FDS", "SIDECAR_OLLAMA_KEEP_ALIVE", "SIDECAR_OLLAMA_MEMORY", "SIDECAR_KEY"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return 1;
    return 0;
}

enum { NAMES_MAX = 128 };

/* Every SIDECAR_ variable that we know, NULL-terminated. Seldom needed, and too large for PID 1's stack. */
struct names {
    const char *list[NAMES_MAX + 1];
    char texts[NAMES_MAX][NAME_BYTES];
};
static struct names the_names;

static const char *const *known_names(void)
{
    struct names *names = &the_names;
    size_t n = 0;
    if (names->list[0])
        return names->list;
    for (size_t i = 0; i < conf_sections_n; i++)
        for (size_t j = 0; j < conf_sections[i].params_n && !conf_sections[i].is_named && n < NAMES_MAX; j++) {
            variable_name(&conf_sections[i].params[j], names->texts[n]);
            names->list[n] = names->texts[n];
            n++;
        }
    names->list[n] = NULL;
    return names->list;
}

static void warn_unless_known(const char *name, size_t name_n, const char *value, struct diag *d)
{
    static const char *const links[] = {"_SERVICE_HOST", "_SERVICE_PORT", "_TCP", "_PROTO", "_ADDR"};
    char text[NAME_BYTES];
    if (strncmp(name, "SIDECAR_", 8) != 0 || name_n >= sizeof text || is_link(value))
        return;
    snprintf(text, sizeof text, "%.*s", (int)name_n, name);
    int is_known = is_name_of_others(text);
    for (size_t i = 0; i < sizeof links / sizeof *links && !is_known; i++)
        is_known = strstr(text, links[i]) != NULL;
    const char *const *list = is_known ? NULL : known_names();
    for (size_t i = 0; list && list[i] && !is_known; i++)
        is_known = strcmp(text, list[i]) == 0;
    const char *nearest = is_known ? NULL : diag_nearest(text, list);
    if (!is_known)
        diag_add(d, DIAG_WARNING, text, 0, "unknown variable%s%s%s", nearest ? "; did you mean " : "",
                 nearest ? nearest : "", nearest ? "?" : ", it has no effect");
}

/* Of the environment, and of env_file. */
static void warn_unknown(const struct conf *c, struct diag *d)
{
    for (char **e = c->environment_in; e && *e; e++) {
        const char *equals = strchr(*e, '=');
        if (equals)
            warn_unless_known(*e, (size_t)(equals - *e), equals + 1, d);
    }
    for (size_t i = 0; i < c->env_file.items_n; i++)
        warn_unless_known(c->env_file.items[i].name, strlen(c->env_file.items[i].name), c->env_file.items[i].value, d);
}

/* The port that platforms ask for: OLLAMA_HTTP_PORT, else PORT, in the place of the first listener's. */
static int apply_port(struct conf *c, struct diag *d)
{
    static const char *const names[] = {"OLLAMA_HTTP_PORT", "PORT"};
    if (conf_env(c, "SIDECAR_PROXY_LISTEN"))
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = conf_env(c, names[i]);
        int64_t port;
        char why[PARSE_WHY_BYTES];
        if (!text)
            continue;
        if (is_link(text)) {
            diag_add(d, DIAG_WARNING, names[i], 0, "\"%.60s\" is a link to a service and no port: not read", text);
            continue;
        }
        if (parse_integer(text, 1, 65535, &port, why) < 0) {
            diag_add(d, DIAG_ERROR, names[i], 0, "%s; the public port is a number from 1 to 65535", why);
            return 0;
        }
        const struct list *listen = &c->proxy.listen;
        struct address first;
        char address[ADDRESS_TEXT_BYTES];
        struct buf value;
        if (listen->items_n == 0 || parse_address(listen->items[0], &first, why) < 0)
            return 0; /* a mistake that conf_check tells: a port alone would open every interface */
        first.port = (uint16_t)port;
        address_text(&first, address);
        buf_init(&value, 0);
        int error = buf_text(&value, address);
        for (size_t k = 1; k < listen->items_n && !error; k++)
            error = buf_printf(&value, ", %s", listen->items[k]);
        error = error ? error : buf_append(&value, "", 1);
        error = error ? error : set_from(c, "proxy", "listen", names[i], buf_data(&value), d);
        buf_fini(&value);
        return error;
    }
    return 0;
}

/* Such a variable, also where [environment] sets it: our programs, which get that, are to see what the supervisor sees. */
static const char *env_or_own(const struct conf *c, const char *name)
{
    const char *value = conf_env(c, name);
    for (size_t i = 0; i < c->environment.items_n && !value; i++)
        if (strcmp(c->environment.items[i].name, name) == 0 && *c->environment.items[i].value)
            value = c->environment.items[i].value;
    return value;
}

/* What the model server's settings are called where its users come from: plain numbers. The names are common ones: others are not read for it. */
static int apply_models(struct conf *c, struct diag *d)
{
    static const struct {
        const char *variable, *key, *own, *unit;
    } rows[] = {
        {"MAX_CACHE_MODELS", "max_cache_models", "SIDECAR_MODELS_MAX_CACHE_MODELS", ""},
        {"MODEL_LOAD_COOLDOWN", "load_cooldown", "SIDECAR_MODELS_LOAD_COOLDOWN", "s"},
        {"MODEL_Q4_THRESHOLD_BYTES", "q4_threshold_bytes", "SIDECAR_MODELS_Q4_THRESHOLD_BYTES", ""},
    };
    int error = 0;
    for (size_t i = 0; CONF_HAS_MODELS && c->models.serve && i < sizeof rows / sizeof *rows && !error; i++) {
        const char *text = env_or_own(c, rows[i].variable);
        char value[32], why[PARSE_WHY_BYTES];
        int64_t number;
        if (!text || conf_env(c, rows[i].own))
            continue;
        if (parse_whole_number(text, &number, why) < 0) {
            diag_add(d, DIAG_ERROR, rows[i].variable, 0, "%s", why);
            continue;
        }
        snprintf(value, sizeof value, "%lld%s", (long long)number, rows[i].unit);
        error = set_from(c, "models", rows[i].key, rows[i].variable, value, d);
    }
    return error;
}

int conf_apply_environment(struct conf *c, struct diag *d)
{
    int has_own = has_own_names(c); /* so many names are not compared in vain, nor laid out on PID 1's stack */
    int error = has_own ? apply_own_names(c, d) : 0;
    if (!error)
        error = apply_port(c, d);
    if (!error)
        error = apply_models(c, d);
    if (has_own)
        warn_unknown(c, d);
    return error;
}

int conf_lone_duration_ms(const char *section, const char *key, char *const *environment, int64_t *out_ms, struct diag *d)
{
    const struct conf_param *p = conf_find_param(conf_find_section(section), key);
    char name[NAME_BYTES], why[PARSE_WHY_BYTES];
    variable_name(p, name);
    const char *text = conf_variable(environment, name);
    int error = parse_duration_ms(text && *text ? text : conf_param_default(p), p->min, p->max, out_ms, why);
    if (error)
        diag_add(d, DIAG_ERROR, name, 0, "%s", why);
    return error;
}
