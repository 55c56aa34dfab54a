/* See settings.h. */
#include "preload/hub/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { PATH_BYTES = 4096, STALL_MS = 60 * 1000 };

static int is_true(const char *value)
{
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "on") == 0 || strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0);
}

/* It becomes a line of a request's head: whatever else is in it would be another line. */
static int take_token(struct settings *s, const char *text, const char *where, struct trouble *t)
{
    size_t n = strcspn(text, " \t\r\n");
    if (text[n + strspn(text + n, " \t\r\n")] != '\0' || n >= sizeof s->token)
        return trouble_set(t, TROUBLE_UNAUTHORIZED, "the token of %s is none: it is one word of at most %d characters", where, SETTINGS_TOKEN_BYTES - 1);
    for (size_t i = 0; i < n; i++)
        if (text[i] < '!' || text[i] > '~')
            return trouble_set(t, TROUBLE_UNAUTHORIZED, "the token of %s is none: it has letters, digits and '_'", where);
    memcpy(s->token, text, n);
    s->token[n] = '\0';
    return 0;
}

/* is_asked_for: somebody named the file, so it is to be there. */
static int read_token(struct settings *s, const char *path, int is_asked_for, struct trouble *t)
{
    char *text = NULL;
    size_t n = 0;
    int error = sys_read_file(path, 4096, &text, &n);
    if (error)
        return error == -ENOENT && !is_asked_for ? 0 : trouble_system(t, error, "reading the token", path);
    error = take_token(s, text, path, t);
    free(text);
    return error;
}

/* HF_TOKEN, else a file that is named, else the one that `hf auth login` writes, in HF_HOME. */
static int find_token(struct settings *s, char *const *environment, struct trouble *t)
{
    static const char *const variables[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}, *const files[] = {"HF_TOKEN_FILE", "HF_TOKEN_PATH"};
    char path[PATH_BYTES];
    for (size_t i = 0; i < 2; i++)
        if (conf_variable_said(environment, variables[i]))
            return take_token(s, conf_variable_said(environment, variables[i]), variables[i], t);
    for (size_t i = 0; i < 2; i++)
        if (conf_variable_said(environment, files[i]))
            return read_token(s, conf_variable_said(environment, files[i]), 1, t);
    const char *home = conf_variable_said(environment, "HF_HOME");
    int n = snprintf(path, sizeof path, home ? "%s/token" : "%s/../token", home ? home : s->cache);
    return n < PATH_BYTES ? read_token(s, path, 0, t) : 0;
}

/* Those of the engines that are used, in their order; both where nothing is said of engines. */
static void find_formats(struct settings *s, const struct conf *conf)
{
    const struct list *engines = &conf->models.engines;
    for (size_t i = 0; i < engines->items_n; i++)
        for (size_t k = 0; k < conf->engines_n; k++)
            if (strcmp(conf->engines[k].name, engines->items[i]) == 0 && s->formats_n < SETTINGS_FORMATS)
                s->formats[s->formats_n++] = (enum conf_format)conf->engines[k].formats;
    if (s->formats_n == 0) {
        s->formats[s->formats_n++] = CONF_FORMAT_SAFETENSORS;
        s->formats[s->formats_n++] = CONF_FORMAT_GGUF;
    }
}

int settings_init(struct settings *s, const struct conf *conf, struct trouble *t)
{
    const struct conf_program *program = conf_program(conf, "preload");
    char **environment = conf_environment(conf, program, NULL);
    *s = (struct settings){.cache = conf->hub_cache, .endpoint = conf->hub_endpoint, .allow = &conf->models.allow, .ignore = &conf->models.ignore,
                           .downloads_n = conf->models.downloads, .retries = conf->preload.retries, .q4_threshold_bytes = conf->models.q4_threshold_bytes,
                           .may_run_code = conf->models.remote_code, .stall_ms = STALL_MS};
    if (!environment || !s->cache || !s->endpoint) {
        conf_environment_free(environment);
        return trouble_set(t, TROUBLE_SYSTEM, "[models] serve = no in supervisor.ini: the hub's models are not served here");
    }
    if (program && program->stall_timeout_ms > 0 && program->stall_timeout_ms < s->stall_ms)
        s->stall_ms = program->stall_timeout_ms;
    s->is_offline = is_true(conf_variable_said(environment, "HF_HUB_OFFLINE")) || is_true(conf_variable_said(environment, "TRANSFORMERS_OFFLINE"));
    find_formats(s, conf);
    int error = find_token(s, environment, t);
    conf_environment_free(environment);
    return error;
}
