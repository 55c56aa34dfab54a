/*
 * Secrets that stand in rows: secret of [key:NAME], key of [backend:NAME], password and url of [redis], or the files that are named in their place. They are
 * masked in a dump, quoted by no mistake, and handed to children with the text (conf_handed.c), as these may not be allowed to
 * read the files.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_SECRET_BYTES_MAX = 4096, ROW_NAME_BYTES = 96 };

int conf_has_secret_rows(const char *section)
{
    return section && (strcmp(section, "key") == 0 || strcmp(section, "backend") == 0 || strcmp(section, "redis") == 0);
}

int conf_is_secret_row(const struct conf_param *p)
{
    static const char *const rows[][2] = {{"key", "secret"}, {"backend", "key"}, {"redis", "password"}, {"redis", "url"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(conf_param_section(p)->name, rows[i][0]) == 0 && strcmp(conf_param_key(p), rows[i][1]) == 0)
            return 1;
    return 0;
}

int conf_mask_row(const struct conf_param *p, const char *text, struct buf *out, int *is_masked)
{
    const char *host = strrchr(text, '@');
    int is_url = strcmp(conf_param_key(p), "url") == 0;
    *is_masked = is_url ? host != NULL : *text != '\0';
    if (!*is_masked)
        return buf_text(out, text);
    const char *scheme = is_url ? strstr(text, "://") : NULL;
    return buf_printf(out, "%.*s" CONF_MASK "%s", scheme && scheme < host ? (int)(scheme + 3 - text) : 0, text, is_url ? host : "");
}

/* As it is called in c->expanded and c->secrets, where no variable and no path has such a name. */
static void row_name(const struct conf_head *at, const char *section, char out[ROW_NAME_BYTES])
{
    snprintf(out, ROW_NAME_BYTES, "%s:%s", section, at->name ? at->name : "");
}

static const char *handed(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->expanded.items_n; i++)
        if (strcmp(c->expanded.items[i].name, name) == 0)
            return c->expanded.items[i].value;
    return "";
}

/* From its file; the path is not shown, as some write the secret itself there. 0 or -ENOMEM. */
static int read_file(struct conf *c, const struct conf_head *at, const char *section, const char *file_key, const char *file,
                     const char **value, struct diag *d)
{
    const char *why = NULL;
    char *path = conf_path(c, file), what[PARSE_WHY_BYTES];
    if (!path)
        return -ENOMEM;
    int error = conf_read_secret(c, path, value, &why);
    free(path);
    if (why) {
        int is_relative = file[0] != '/';
        snprintf(what, sizeof what, "the file %s%s%.120s%s", strncmp(why, "is ", 3) == 0 || strncmp(why, "has ", 4) == 0 ? "" : "can't be read: ",
                 why, is_relative ? "; its path starts at " : "", is_relative ? c->base_dir : "");
        conf_mistake(c, at, section, file_key, d, what);
    }
    if (!*value)
        *value = "";
    return error;
}

/* What a header can have in it as a key: RFC 7235's token68 is narrower, RFC 9110's field values wider. */
static const char *what_is_wrong(const char *value)
{
    size_t n = strlen(value);
    if (n > ROW_SECRET_BYTES_MAX)
        return "it has more than 4096 bytes";
    for (const unsigned char *c = (const unsigned char *)value; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return "it has a blank, a line end or another character that no header can carry as part of a key: take letters, digits and marks";
    return NULL;
}

int conf_take_row_secret(struct conf *c, struct conf_head *at, const char *section, const char *key, const char *file_key,
                         const char **value, struct diag *d)
{
    const struct conf_section *s = conf_find_section(section);
    char **own = (char **)((char *)at + conf_find_param(s, key)->offset);
    const char *file = *(char **)((char *)at + conf_find_param(s, file_key)->offset), *from = *own[0] ? key : file_key;
    char name[ROW_NAME_BYTES];
    int error = 0;
    row_name(at, section, name);
    *value = *own;
    if (**own && *file)
        conf_mistake(c, at, section, file_key, d, "the key stands in the section, too: one of them is enough");
    else if (*file && c->reader == CONF_READER_CHILD)
        *value = handed(c, name);
    else if (*file && c->reader != CONF_READER_ASKER)
        error = read_file(c, at, section, file_key, file, value, d);
    const char *what = error ? NULL : what_is_wrong(*value);
    if (what)
        conf_mistake(c, at, section, from, d, what);
    if (!error && **value)
        error = conf_variables_add(c, &c->secrets, name, strlen(name), *value, 0);
    if (!error && !(*own = conf_text(c, *value, strlen(*value))))
        error = -ENOMEM;
    return error;
}

int conf_hand_row_secrets(const struct conf *c, struct buf *out)
{
    int error = 0;
    for (size_t i = 0; i < c->keys_n && !error; i++)
        if (*c->keys[i].secret_file)
            error = buf_printf(out, "key:%s=%s%c", c->keys[i].name, c->keys[i].secret, '\0');
    for (size_t i = 0; i < c->backends_n && !error; i++)
        if (*c->backends[i].key_file)
            error = buf_printf(out, "backend:%s=%s%c", c->backends[i].name, c->backends[i].key, '\0');
    if (*c->redis.password_file && !error)
        error = buf_printf(out, "redis:=%s%c", c->redis.password, '\0');
    return error;
}
