/*
 * Secrets: what may also be given as NAME_FILE, the path of a file that holds it, and what is never shown. A row is all
 * that another one takes. conf_secret_files.c reads them.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const secrets[] = {
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "OLLAMA_API_KEY",
};

enum {
    SECRETS_N = sizeof secrets / sizeof *secrets,
    MASKED_LENGTH_MIN = 8, /* what is shorter stands in too many a text that tells nothing */
};

const char *conf_secret(size_t at)
{
    return at < SECRETS_N ? secrets[at] : NULL;
}

void conf_secret_file(const char *secret, char out[CONF_SECRET_FILE_BYTES])
{
    snprintf(out, CONF_SECRET_FILE_BYTES, "%s_FILE", secret);
}

int conf_is_secret(const char *pair)
{
    size_t n = strcspn(pair, "=");
    for (size_t i = 0; i < SECRETS_N; i++)
        if (strlen(secrets[i]) == n && memcmp(secrets[i], pair, n) == 0)
            return 1;
    return 0;
}

const char *conf_known_secret(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->secrets.items_n; i++)
        if (strcmp(c->secrets.items[i].name, name) == 0)
            return c->secrets.items[i].value;
    return NULL;
}

/* Puts NAME=value in the place of NAME_FILE=path. */
static int replace(char **environment, const char *name, size_t at, const char *value)
{
    size_t name_n = strlen(name), kept_n = at + 1;
    char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value) < 0)
        return -ENOMEM;
    free(environment[at]);
    environment[at] = pair;
    for (size_t i = kept_n; environment[i]; i++) /* NAME, set and empty, counts as not set, and would be a second one */
        if (strncmp(environment[i], name, name_n) == 0 && environment[i][name_n] == '=')
            free(environment[i]);
        else
            environment[kept_n++] = environment[i];
    environment[kept_n] = NULL;
    return 0;
}

int conf_fill_in_secrets(const struct conf *c, char **environment)
{
    int error = 0;
    for (size_t k = 0; k < SECRETS_N && !error && c->secrets.items_n; k++) {
        char name_file[CONF_SECRET_FILE_BYTES];
        conf_secret_file(secrets[k], name_file);
        const char *file = conf_variable(environment, name_file), *value = conf_variable(environment, secrets[k]);
        if (!file || !*file || (value && *value))
            continue;
        char *path = conf_path(c, file);
        const char *content = path ? conf_known_secret(c, path) : NULL;
        size_t at = 0;
        while (environment[at] != file - strlen(name_file) - 1)
            at++;
        error = !path ? -ENOMEM : content ? replace(environment, secrets[k], at, content) : 0;
        free(path);
    }
    return error;
}

int conf_mask(const struct conf *c, const char *text, struct buf *out)
{
    int error = 0;
    while (*text && !error) {
        size_t secret_n = 0;
        for (size_t i = 0; i < c->secrets.items_n; i++) {
            const char *value = c->secrets.items[i].value;
            size_t n = strlen(value);
            if (n >= MASKED_LENGTH_MIN && n > secret_n && strncmp(text, value, n) == 0)
                secret_n = n;
        }
        error = secret_n ? buf_text(out, CONF_MASK) : buf_append(out, text, 1);
        text += secret_n ? secret_n : 1;
    }
    return error;
}
