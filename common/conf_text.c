/*
 * Texts of a configuration: they live until the whole is freed, so that nobody has to own them one by one;
 * and what stands for something else in them, %(ENV_NAME)s.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Many texts: most are so short that memory of its own would cost more than the text. */
struct conf_chunk {
    struct conf_chunk *next;
    size_t used_n, room_n;
    char text[];
};

enum { CHUNK_BYTES = 1000 };

char *conf_text(struct conf *c, const char *text, size_t text_n)
{
    struct conf_chunk *chunk = c->chunks;
    if (!chunk || chunk->room_n - chunk->used_n <= text_n) {
        size_t room_n = text_n < CHUNK_BYTES ? CHUNK_BYTES : text_n + 1;
        chunk = malloc(sizeof *chunk + room_n);
        if (!chunk)
            return NULL;
        *chunk = (struct conf_chunk){.next = c->chunks, .room_n = room_n};
        c->chunks = chunk;
    }
    char *out = chunk->text + chunk->used_n;
    memcpy(out, text, text_n);
    out[text_n] = '\0';
    chunk->used_n += text_n + 1;
    return out;
}

void conf_text_free(struct conf *c)
{
    while (c->chunks) {
        struct conf_chunk *next = c->chunks->next;
        free(c->chunks);
        c->chunks = next;
    }
}

char *conf_path(const struct conf *c, const char *path)
{
    char *out = NULL;
    if (path[0] == '/')
        return strdup(path);
    return asprintf(&out, "%s/%s", c->base_dir, path) < 0 ? NULL : out;
}

const char *conf_variable(char *const *environment, const char *name)
{
    size_t name_n = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, name_n) == 0 && (*environment)[name_n] == '=')
            return *environment + name_n + 1;
    return NULL;
}

const char *conf_variable_said(char *const *environment, const char *name)
{
    const char *value = conf_variable(environment, name);
    return value && *value ? value : NULL;
}

const char *conf_env(const struct conf *c, const char *name)
{
    const char *value = conf_variable(c->environment_in, name);
    if (value && *value)
        return value;
    for (size_t i = 0; i < c->env_file.items_n; i++)
        if (strcmp(c->env_file.items[i].name, name) == 0 && *c->env_file.items[i].value)
            return c->env_file.items[i].value;
    return NULL;
}

int conf_variables_add(struct conf *c, struct conf_variables *v, const char *name, size_t name_n, const char *value,
                       int line)
{
    struct conf_variable *items = realloc(v->items, (v->items_n + 1) * sizeof *items);
    if (!items)
        return -ENOMEM;
    v->items = items;
    struct conf_variable item = {conf_text(c, name, name_n), conf_text(c, value, strlen(value)), line};
    if (!item.name || !item.value)
        return -ENOMEM;
    v->items[v->items_n++] = item;
    return 0;
}

/* What a variable in the file stands for, and, for the children to come, that it does; NULL where unset or empty. */
static const char *expanded(struct conf *c, const char *name, int *error)
{
    for (size_t i = 0; i < c->expanded.items_n; i++)
        if (strcmp(c->expanded.items[i].name, name) == 0)
            return c->expanded.items[i].value;
    const char *value = c->is_handed ? NULL : conf_env(c, name);
    *error = value ? conf_variables_add(c, &c->expanded, name, strlen(name), value, 0) : 0;
    return value;
}

/* Where a value stands, and what it may have in it. */
struct place {
    struct conf *c;
    const char *where;
    int line;
    int is_template; /* %(NAME)s that is no variable's stays, for conf_engines.c to judge */
    struct diag *d;
};

/* The variable of one %(ENV_NAME)s or %(ENV_NAME:-default)s; spec is what stands between the parentheses. */
static int expand_one(const struct place *at, struct buf *out, char *spec)
{
    char *fallback = strstr(spec, ":-");
    if (strncmp(spec, "ENV_", 4) != 0 && at->is_template)
        return buf_printf(out, "%%(%s)s", spec);
    if (fallback) {
        *fallback = '\0';
        fallback += 2;
    }
    if (strncmp(spec, "ENV_", 4) != 0 || spec[4] == '\0') {
        diag_add(at->d, DIAG_ERROR, at->where, at->line, "%%(%s)s is unknown: write %%(ENV_NAME)s, or %%%% for a percent sign", spec);
        return -EINVAL;
    }
    int error = 0;
    const char *value = expanded(at->c, spec + 4, &error);
    if (error)
        return error;
    if (!value)
        value = fallback;
    if (!value) {
        diag_add(at->d, DIAG_ERROR, at->where, at->line, "%s is not set in the environment: set it, or write %%(%s:-DEFAULT)s",
                 spec + 4, spec);
        return -EINVAL;
    }
    return buf_text(out, value);
}

static int expand_into(const struct place *at, struct buf *out, const char *value)
{
    int error = 0;
    while (*value && !error) {
        size_t plain_n = strcspn(value, "%");
        error = buf_append(out, value, plain_n);
        value += plain_n;
        if (*value == '\0' || error)
            break;
        const char *end = value[1] == '(' ? strstr(value, ")s") : NULL;
        if (value[1] == '%') {
            error = buf_text(out, "%");
            value += 2;
        } else if (end) {
            char spec[256];
            snprintf(spec, sizeof spec, "%.*s", (int)(end - value - 2), value + 2);
            error = expand_one(at, out, spec); /* what comes in is not expanded again */
            value = end + 2;
        } else {
            diag_add(at->d, DIAG_ERROR, at->where, at->line, "a lone %%: write %%%% for a percent sign, %%(ENV_NAME)s for a variable");
            error = -EINVAL;
        }
    }
    return error;
}

static int expand(const struct place *at, const char *value, char **out)
{
    struct buf text;
    buf_init(&text, 64 * 1024);
    int error = expand_into(at, &text, value);
    if (error == -EFBIG)
        diag_add(at->d, DIAG_ERROR, at->where, at->line, "the value is longer than 64 KB once its variables are filled in");
    *out = error ? NULL : conf_text(at->c, buf_data(&text), buf_size(&text));
    buf_fini(&text);
    return error == -ENOMEM || (!error && !*out) ? -ENOMEM : error ? -EINVAL : 0;
}

int conf_expand(struct conf *c, const char *value, const char *where, int line, struct diag *d, char **out)
{
    return expand(&(struct place){c, where, line, 0, d}, value, out);
}

int conf_expand_template(struct conf *c, const char *value, const char *where, int line, struct diag *d, char **out)
{
    return expand(&(struct place){c, where, line, 1, d}, value, out);
}
