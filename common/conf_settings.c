/*
 * The configuration in force as JSON: what each setting is, and who has said so.
 */
#include "common/conf_internal.h"

#include <stdio.h>
#include <string.h>

static int write_text(struct buf *out, const char *before, const char *text)
{
    int error = buf_text(out, before);
    return error ? error : buf_json_string(out, text, strlen(text));
}

/* The words of docs/status-api.md, by struct conf_origin's kind. */
static const char *const sources[] = {"default", "file", "environment", "built in", "containers"};

/* A place of a file as editors take it, a variable, or null. */
static int write_where(const struct conf *c, const struct conf_origin *o, struct buf *out)
{
    char place[512];
    const char *file = o->kind == CONF_FROM_CONTAINERS ? c->proxy.containers : c->file;
    if (o->kind == CONF_FROM_ENVIRONMENT)
        return write_text(out, ",\"where\":", o->variable);
    if ((o->kind != CONF_FROM_FILE && o->kind != CONF_FROM_CONTAINERS) || !file)
        return buf_text(out, ",\"where\":null");
    snprintf(place, sizeof place, "%.480s:%d", file, o->line);
    return write_text(out, ",\"where\":", place);
}

static int begin_row(struct buf *out, const char *section, const char *name, const char *key)
{
    char both[CONF_NAME_N + 32];
    snprintf(both, sizeof both, "%s%s%s", section, name ? ":" : "", name ? name : "");
    int error = buf_size(out) > 0 && buf_data(out)[buf_size(out) - 1] == '}' ? buf_text(out, ",") : 0;
    error = error ? error : write_text(out, "{\"section\":", both);
    return error ? error : write_text(out, ",\"key\":", key);
}

static int end_row(const struct conf *c, const struct conf_origin *o, const char *value, struct buf *out)
{
    int error = write_text(out, ",\"value\":", value);
    error = error ? error : write_text(out, ",\"source\":", sources[o->kind]);
    return error ? error : write_where(c, o, out);
}

/* What a hash is of could be guessed. */
static int is_hash(const struct conf_param *p)
{
    return strcmp(conf_param_key(p), "secret_hash") == 0;
}

static int write_param(const struct conf *c, const struct conf_head *at, const struct conf_param *p, struct buf *out)
{
    const struct conf_section *s = conf_param_section(p);
    const struct conf_origin *o = &at->origins[p - s->params];
    struct buf value;
    int is_masked;
    buf_init(&value, 0);
    int error = conf_mask_param(c, at, p, &value, &is_masked);
    error = error ? error : begin_row(out, s->name, at->name, conf_param_key(p));
    error = error ? error : end_row(c, o, is_hash(p) && *buf_data(&value) ? CONF_MASK : buf_data(&value), out);
    error = error ? error : write_text(out, ",\"default\":", conf_param_default(p));
    buf_fini(&value);
    return error ? error : buf_text(out, "}");
}

static int write_instances(const struct conf *c, const struct conf_section *s, struct buf *out)
{
    const struct conf_head *at;
    int error = 0;
    for (size_t nth = 0; !error && (at = conf_nth_instance(c, s, nth)); nth++)
        for (size_t i = 0; i < s->params_n && !error; i++)
            error = write_param(c, at, &s->params[i], out);
    return error;
}

static int write_variable(const struct conf *c, const struct conf_variable *v, struct buf *out)
{
    const struct conf_origin origin = {.kind = CONF_FROM_FILE, .line = v->line};
    struct buf pair;
    buf_init(&pair, 0);
    int error = conf_mask_pair(c, v->name, v->value, &pair);
    error = error ? error : begin_row(out, "environment", NULL, v->name);
    error = error ? error : end_row(c, &origin, buf_data(&pair) + strlen(v->name) + 1, out);
    buf_fini(&pair);
    return error ? error : buf_text(out, ",\"default\":null}");
}

int conf_settings(const struct conf *c, struct buf *out)
{
    int error = buf_text(out, "[");
    for (size_t i = 0; i < conf_sections_n && !error; i++)
        error = write_instances(c, &conf_sections[i], out);
    for (size_t i = 0; i < c->environment.items_n && !error; i++)
        error = write_variable(c, &c->environment.items[i], out);
    return error ? error : buf_text(out, "]");
}
