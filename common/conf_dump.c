/*
 * The configuration in force as an ini file, with the origin of each value and without its secrets.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whether a line of an ini file can say this value: it would lose blanks at the ends, ` ;` starts a comment, and a line has its bound. */
static int is_writable(const char *value)
{
    enum { KEY_AND_ORIGIN_BYTES = 512 };
    size_t n = strlen(value), written_n = n;
    for (const char *c = value; *c; c++) {
        if (*c == ';' && c > value && (c[-1] == ' ' || c[-1] == '\t'))
            return 0;
        written_n += *c == '%';
    }
    return n == 0 || (!strchr(" \t", value[0]) && !strchr(" \t", value[n - 1]) &&
                      written_n < CONF_LINE_BYTES - KEY_AND_ORIGIN_BYTES);
}

/* Percent signs are doubled, so that what is dumped can be read back; a line end must not begin another line. What is
 * masked is a remark: read back, it would be a wrong value. */
static int dump_line(struct buf *out, const char *key, const char *value, int is_masked, const char *origin)
{
    const char *text = value ? value : "";
    int error = buf_printf(out, "%s%s%s", is_writable(text) && !is_masked ? "" : "; ", key, *text == ';' ? "=" : " = ");
    for (const char *c = text; *c && !error; c++)
        error = *c == '%' ? buf_text(out, "%%") : buf_append(out, (unsigned char)*c < 0x20 || *c == 0x7f ? "?" : c, 1);
    return error ? error : buf_printf(out, "%s%s\n", *origin ? "  ; " : "", origin);
}

int conf_mask_param(const struct conf *c, const struct conf_head *at, const struct conf_param *p, struct buf *out, int *is_masked)
{
    const struct conf_origin *o = &at->origins[p - conf_param_section(p)->params];
    int is_environment = strcmp(conf_param_key(p), "environment") == 0, error = 0; /* of a program, or an engine */
    const struct list *pairs = (const struct list *)(const void *)((const char *)at + p->offset);
    const char *text = o->text ? o->text : "";
    *is_masked = 0;
    if (conf_is_secret_row(p)) {
        int error_of_row = conf_mask_row(p, text, out, is_masked);
        return error_of_row ? error_of_row : buf_append(out, "", 1);
    }
    for (size_t i = 0; is_environment && i < pairs->items_n; i++)
        *is_masked |= conf_is_secret(pairs->items[i]);
    for (size_t i = 0; *is_masked && i < pairs->items_n && !error; i++) {
        const char *pair = pairs->items[i];
        error = i ? buf_text(out, ", ") : 0;
        error = error                  ? error
                : conf_is_secret(pair) ? buf_printf(out, "%.*s=" CONF_MASK, (int)strcspn(pair, "="), pair)
                                       : conf_mask(c, pair, out);
    }
    if (!*is_masked) {
        error = conf_mask(c, text, out);
        *is_masked = buf_size(out) != strlen(text) || memcmp(buf_data(out), text, buf_size(out)) != 0;
    }
    return error ? error : buf_append(out, "", 1);
}

static int dump_param(const struct conf *c, const struct conf_head *at, const struct conf_param *p, int has_origins,
                      struct buf *out)
{
    const struct conf_origin *o = &at->origins[p - conf_param_section(p)->params];
    struct buf masked;
    int is_masked;
    char origin[160] = "";
    if (has_origins && o->kind == CONF_FROM_FILE)
        snprintf(origin, sizeof origin, "line %d", o->line);
    else if (has_origins && o->kind == CONF_FROM_CONTAINERS)
        snprintf(origin, sizeof origin, "its line %d", o->line);
    else if (has_origins)
        snprintf(origin, sizeof origin, "%s", o->kind == CONF_FROM_ENVIRONMENT ? o->variable
                                              : o->kind == CONF_FROM_BUILT_IN  ? "built in"
                                                                               : "default");
    if (!has_origins) /* a text to compare, which nobody sees */
        return dump_line(out, conf_param_key(p), o->text, 0, origin);
    buf_init(&masked, 0);
    int error = conf_mask_param(c, at, p, &masked, &is_masked);
    error = error ? error : dump_line(out, conf_param_key(p), buf_data(&masked), is_masked, origin);
    buf_fini(&masked);
    return error;
}

static int dump_instance(const struct conf *c, const struct conf_head *at, const struct conf_section *s, int has_origins,
                         struct buf *out)
{
    int error = buf_printf(out, "[%s%s%s]\n", s->name, at->name ? ":" : "", at->name ? at->name : "");
    for (size_t i = 0; i < s->params_n && !error; i++)
        error = dump_param(c, at, &s->params[i], has_origins, out);
    return error ? error : buf_text(out, "\n");
}

static int dump_all(const struct conf *c, const char *section, const void *items, size_t items_n, size_t each_bytes, int has_origins,
                    struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < items_n && !error; i++)
        error = dump_instance(c, (const struct conf_head *)(const void *)((const char *)items + i * each_bytes), conf_find_section(section),
                              has_origins, out);
    return error;
}

/* Backends of containers: remarks, as that file brings them along. */
static int dump_containers(const struct conf *c, struct buf *out)
{
    struct buf text;
    int error = 0, is_any = 0;
    buf_init(&text, 0);
    for (size_t i = 0; i < c->backends_n && !error; i++) {
        if (!conf_is_of_containers(&c->backends[i]))
            continue;
        is_any = 1;
        error = dump_instance(c, (const struct conf_head *)&c->backends[i], conf_find_section("backend"), 1, &text);
    }
    error = error || !is_any ? error : buf_printf(out, "; of %s:\n", c->proxy.containers);
    for (const char *at = buf_data(&text), *end = at + buf_size(&text), *next; at < end && !error; at = next) {
        next = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
        if (*at == '\n')
            continue;
        error = *at == ';' ? 0 : buf_text(out, "; ");
        error = error ? error : buf_append(out, at, (size_t)(next - at));
    }
    buf_fini(&text);
    return error || !is_any ? error : buf_text(out, "\n");
}

/* What is the proxy's, behind the sections without a name. */
static int dump_proxys(const struct conf *c, int has_origins, struct buf *out)
{
    int error = dump_all(c, "pin", c->pins, c->pins_n, sizeof *c->pins, has_origins, out);
    error = error ? error : dump_all(c, "key", c->keys, c->keys_n, sizeof *c->keys, has_origins, out);
    size_t own_n = 0; /* those of containers stand behind those of sections */
    while (own_n < c->backends_n && !(has_origins && conf_is_of_containers(&c->backends[own_n])))
        own_n++;
    error = error ? error : dump_all(c, "backend", c->backends, own_n, sizeof *c->backends, has_origins, out);
    error = error || !has_origins ? error : dump_containers(c, out);
    error = error ? error : dump_all(c, "strategy", c->strategies, c->strategies_n, sizeof *c->strategies, has_origins, out);
#ifdef WITH_MODELS
    error = error ? error : dump_all(c, "engine", c->engines, c->engines_n, sizeof *c->engines, has_origins, out);
#endif
    return error;
}

int conf_section_values(const struct conf *c, const char *section, struct buf *out)
{
    const struct conf_section *s = conf_find_section(section);
    int error = dump_instance(c, conf_existing(c, s, NULL), s, 0, out);
    for (size_t i = 0; i < c->backends_n && !error && strcmp(section, "preload") == 0; i++) /* where it goes */
        if (conf_backend_is_member(&c->backends[i]))
            error = buf_printf(out, "%s %s %s\n", c->backends[i].name, c->backends[i].url, c->backends[i].key);
    if (error || strcmp(section, "proxy") != 0)
        return error;
    error = dump_instance(c, (const struct conf_head *)&c->models, conf_find_section("models"), 0, out);
    error = error ? error : dump_instance(c, (const struct conf_head *)&c->optimizer, conf_find_section("optimizer"), 0, out);
    error = error ? error : dump_instance(c, (const struct conf_head *)&c->balancer, conf_find_section("balancer"), 0, out);
    error = error ? error : dump_instance(c, (const struct conf_head *)&c->redis, conf_find_section("redis"), 0, out);
    error = error ? error : dump_proxys(c, 0, out);
    for (size_t i = 0; i < c->keys_n && !error; i++) /* what stands in files */
        error = buf_printf(out, "%s\n", c->keys[i].secret);
    for (size_t i = 0; i < c->backends_n && !error; i++)
        error = buf_printf(out, "%s\n", c->backends[i].key);
    error = error ? error : buf_printf(out, "%s\n", c->redis.password);
    return error;
}

int conf_mask_pair(const struct conf *c, const char *name, const char *value, struct buf *out)
{
    int error = buf_printf(out, "%s=", name);
    error = error ? error : conf_is_secret(name) ? buf_text(out, CONF_MASK) : conf_mask(c, value, out);
    return error ? error : buf_append(out, "", 1);
}

static int dump_environment(const struct conf *c, struct buf *out)
{
    const struct conf_variables *v = &c->environment;
    int error = buf_text(out, "[environment]\n");
    for (size_t i = 0; i < v->items_n && !error; i++) {
        char origin[32];
        struct buf pair;
        buf_init(&pair, 0);
        snprintf(origin, sizeof origin, "ini line %d", v->items[i].line);
        error = conf_mask_pair(c, v->items[i].name, v->items[i].value, &pair);
        const char *value = buf_data(&pair) + (error ? 0 : strlen(v->items[i].name) + 1);
        error = error ? error : dump_line(out, v->items[i].name, value, strcmp(value, v->items[i].value) != 0, origin);
        buf_fini(&pair);
    }
    return error;
}

/* A remark of one line, whatever is in it. */
static int dump_remark(const struct conf *c, struct buf *out, const char *name, const char *value, const char *origin)
{
    char line[1024];
    struct buf pair;
    buf_init(&pair, 0);
    int error = conf_mask_pair(c, name, value, &pair);
    snprintf(line, sizeof line, "; %.900s%s", error ? "" : buf_data(&pair), origin);
    buf_neutralise(line);
    buf_fini(&pair);
    error = error ? error : buf_text(out, line);
    return error ? error : buf_text(out, "\n");
}

/* Remarks only: when the dump is read back, env_file brings them along. */
static int dump_env_file(const struct conf *c, const struct conf_variables *v, struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < v->items_n && !error; i++) {
        char origin[40];
        snprintf(origin, sizeof origin, "  (env_file line %d)", v->items[i].line);
        error = dump_remark(c, out, v->items[i].name, v->items[i].value, origin);
    }
    return error;
}

/* Remarks, too: models.json brings them along. */
static int dump_presets(const struct conf *c, struct buf *out)
{
    struct presets p;
    struct buf text;
    int error = conf_accepted_presets(c, &p);
    buf_init(&text, 0);
    if (!error && c->presets_text)
        error = buf_text(out, "\n; presets:\n");
    for (size_t i = 0; i < p.items_n && !error; i++) {
        buf_consume(&text, buf_size(&text));
        error = presets_write(&p.items[i], &text);
        error = error ? error : buf_append(&text, "", 1);
        error = error ? error : dump_remark(c, out, p.items[i].name, buf_data(&text), "");
    }
    buf_fini(&text);
    presets_fini(&p);
    return error;
}

static int dump_program(const struct conf *c, const struct conf_program *p, struct buf *out)
{
    const struct conf_variables *v = &c->program_env_files[p - c->programs];
    int error = dump_instance(c, (const struct conf_head *)p, conf_find_section("program"), 1, out);
    error = error ? error : dump_env_file(c, v, out);
    return error || v->items_n == 0 ? error : buf_text(out, "\n");
}

/* The OLLAMA_ variables that `ollama serve` gets. */
static int dump_ollama(const struct conf *c, struct buf *out)
{
    char **environment = conf_environment(c, conf_program(c, "ollama"), NULL);
    char bind[ADDRESS_TEXT_BYTES];
    address_text(&c->ollama, bind);
    int error = environment ? buf_printf(out, "; what ollama gets:\n; OLLAMA_HOST=%s%s\n", bind,
                                         c->is_ollama_moved ? " (moved: its port is one of our listeners')" : "")
                            : -ENOMEM;
    for (char **e = environment; e && *e && !error; e++) {
        char *equals = strchr(*e, '=');
        if (strncmp(*e, "OLLAMA_", 7) != 0 || strncmp(*e, "OLLAMA_HOST=", 12) == 0)
            continue;
        char name[256]; /* the string may be the process's own: not to be written to */
        snprintf(name, sizeof name, "%.*s", equals - *e < 255 ? (int)(equals - *e) : 255, *e);
        error = dump_remark(c, out, name, equals + 1, "");
    }
    conf_environment_free(environment);
    return error;
}

int conf_dump(const struct conf *c, struct buf *out)
{
    char backend[ADDRESS_TEXT_BYTES];
    int error = buf_printf(out, "; configuration in force, from %s\n\n", c->file ? c->file : "no file");
    for (size_t i = 0; i < conf_sections_n && !error; i++)
        if (!conf_sections[i].is_named)
            error = dump_instance(c, conf_existing(c, &conf_sections[i], NULL), &conf_sections[i], 1, out);
    for (size_t i = 0; i < c->programs_n && !error; i++)
        error = dump_program(c, &c->programs[i], out);
    error = error ? error : dump_proxys(c, 1, out);
    error = error ? error : dump_environment(c, out);
    error = error ? error : dump_env_file(c, &c->env_file, out);
    error = error ? error : dump_presets(c, out);
    address_text(&c->backend, backend);
    if (!error && !c->is_fleet)
        error = buf_printf(out, "\n; backend: %s (%s)\n", c->is_alone ? "none" : backend,
                           c->is_alone ? "no Ollama" : c->is_backend_ours ? "our ollama" : "not ours");
    if (!error && CONF_HAS_MODELS && c->models.serve)
        error = buf_printf(out, "\n; hub: %s, its cache: %s\n", c->hub_endpoint, c->hub_cache);
    return error || c->is_alone ? error : dump_ollama(c, out);
}
