/*
 * [models] serve and [engine:NAME]: the engines that are built in, what the rows say together, and where the hub and its cache are.
 */
#include "common/conf_internal.h"
#include "common/engine_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HUB_ENDPOINT "https://huggingface.co"

/* 1 but where it is a plain no: a variable's value is not known yet. */
static int may_be_yes(const char *text)
{
    char why[PARSE_WHY_BYTES];
    int value;
    return parse_bool(text, &value, why) < 0 || value;
}

/* 1 where the file has a section of an engine, or it or the environment may turn them on: else they cost no memory. */
static int is_asked_for(const struct conf *c, const struct conf_entries *entries)
{
    const char *variable = conf_env(c, "SIDECAR_MODELS_SERVE");
    for (size_t i = 0; i < entries->items_n; i++) {
        const struct conf_entry *e = &entries->items[i];
        if (strcmp(e->section, "engine") == 0)
            return 1;
        if (e->key && strcmp(e->section, "models") == 0 && strcmp(e->key, "serve") == 0 && may_be_yes(e->value))
            return 1;
    }
    return variable && may_be_yes(variable);
}

int conf_add_engines(struct conf *c, const struct conf_entries *entries, struct diag *d)
{
    static const char *const rows[][3] = {
        {"vllm", "command", "vllm serve %(path)s --served-model-name %(model)s --host 127.0.0.1 --port %(port)s --dtype bfloat16 --max-model-len %(length)s"},
        {"vllm", "quantize_flags", "--quantization bitsandbytes"},
        {"vllm", "gpu_flags", "--tensor-parallel-size %(gpus)s"},
        {"vllm", "remote_code_flags", "--trust-remote-code"},
        {"vllm", "environment", "HF_HUB_OFFLINE=1, VLLM_NO_USAGE_STATS=1"},
        /* By its name in the cache: it refuses requests for another name than the one it was started with. */
        {"transformers", "command", "transformers serve %(model)s --host 127.0.0.1 --port %(port)s"},
        {"transformers", "quantize_flags", "--quantization bnb-4bit"},
        {"transformers", "remote_code_flags", "--trust-remote-code"},
        {"transformers", "environment", "HF_HUB_OFFLINE=1"},
        {"llama", "command", "llama-server --model %(file)s --alias %(model)s --host 127.0.0.1 --port %(port)s --ctx-size %(length)s"},
        {"llama", "formats", "gguf"},
    };
    if (!is_asked_for(c, entries))
        return 0;
    return conf_set_built_ins(c, "engine", rows, sizeof rows / sizeof *rows, d);
}

/* Where huggingface_hub keeps what it pulled (its constants.py, 1.0): HF_HUB_CACHE, else in HF_HOME, which is in XDG_CACHE_HOME, else in the user's
 * .cache. Into *out, malloc'd: NULL: no memory. */
static char *find_cache(const struct conf *c, char *const *environment)
{
    static const struct {
        const char *variable, *below;
    } places[] = {
        {"HF_HUB_CACHE", ""}, {"HUGGINGFACE_HUB_CACHE", ""}, {"HF_HOME", "/hub"}, {"XDG_CACHE_HOME", "/huggingface/hub"}, {"HOME", "/.cache/huggingface/hub"},
    };
    const char *home = conf_variable_said(environment, "HOME"), *folder = c->supervisor.state_dir, *below = "/huggingface/hub";
    char *path = NULL, *absolute;
    for (size_t i = sizeof places / sizeof *places; i-- > 0;) {
        const char *value = conf_variable_said(environment, places[i].variable);
        folder = value ? value : folder;
        below = value ? places[i].below : below;
    }
    int is_of_home = home && folder[0] == '~' && (folder[1] == '/' || folder[1] == '\0');
    size_t folder_n = strlen(folder);
    while (folder_n > 1 && folder[folder_n - 1] == '/')
        folder_n--;
    if (asprintf(&path, "%s%.*s%s", is_of_home ? home : "", (int)folder_n - is_of_home, folder + is_of_home, below) < 0)
        return NULL;
    absolute = conf_path(c, path);
    free(path);
    return absolute;
}

/* What the jobs that go there are told by their environment, which is the preloader's. 0 or -ENOMEM. */
static int find_hub(struct conf *c)
{
    char **environment = conf_environment(c, conf_program(c, "preload"), NULL);
    char *cache = environment ? find_cache(c, environment) : NULL;
    const char *endpoint = environment ? conf_variable_said(environment, "HF_ENDPOINT") : NULL;
    size_t endpoint_n = strlen(endpoint ? endpoint : HUB_ENDPOINT);
    while (endpoint && endpoint_n > 0 && endpoint[endpoint_n - 1] == '/')
        endpoint_n--;
    c->hub_cache = cache ? conf_text(c, cache, strlen(cache)) : NULL;
    c->hub_endpoint = cache ? conf_text(c, endpoint ? endpoint : HUB_ENDPOINT, endpoint_n) : NULL;
    free(cache);
    conf_environment_free(environment);
    return c->hub_cache && c->hub_endpoint ? 0 : -ENOMEM;
}

static void mistake(const struct conf *c, const struct conf_engine *e, const char *key, struct diag *d, const char *what)
{
    conf_mistake(c, (const struct conf_head *)e, "engine", key, d, what);
}

/* Which placeholders are in the words of a row; one that is unknown is told. */
static int check_words(const struct conf *c, const struct conf_engine *e, const char *key, const struct list *words, struct diag *d)
{
    char why[PARSE_WHY_BYTES];
    int all = 0;
    for (size_t i = 0; i < words->items_n; i++) {
        int bits = engine_placeholders(words->items[i], why);
        if (bits < 0)
            mistake(c, e, key, d, why);
        all |= bits < 0 ? 0 : bits;
    }
    return all;
}

/* Asked by the supervisor, at an engine that it has started: on this machine, at the port that it was given. */
static void check_ready(const struct conf *c, const struct conf_engine *e, struct diag *d)
{
    enum { SOME_PORT = 65432 };
    struct address a;
    char url[ENGINE_URL_BYTES], path[ENGINE_URL_BYTES], why[PARSE_WHY_BYTES];
    int bits = engine_placeholders(e->ready, why);
    if (bits < 0)
        mistake(c, e, "ready", d, why);
    else if (bits != ENGINE_PORT || engine_ready(e, SOME_PORT, url) < 0)
        mistake(c, e, "ready", d, "write http://127.0.0.1:%(port)s/PATH, and no other of the engine's placeholders");
    else if (parse_http_url(url, &a, path, sizeof path, why) < 0)
        mistake(c, e, "ready", d, why);
    else if (!address_is_loopback(&a) || a.port != SOME_PORT)
        mistake(c, e, "ready", d, "an engine listens on this machine alone: write http://127.0.0.1:%(port)s/PATH");
}

static void check_engine(const struct conf *c, const struct conf_engine *e, struct diag *d)
{
    int in_command = check_words(c, e, "command", &e->command, d), in_environment = check_words(c, e, "environment", &e->environment, d);
    int in_flags = check_words(c, e, "quantize_flags", &e->quantize_flags, d) | check_words(c, e, "gpu_flags", &e->gpu_flags, d) |
                   check_words(c, e, "remote_code_flags", &e->remote_code_flags, d);
    int told = in_command | in_environment;
    if (e->command.items_n == 0)
        mistake(c, e, "command", d, "there is none: write what is to be run");
    else if (!(told & ENGINE_PORT))
        mistake(c, e, "command", d, "%(port)s is not in it, and it could not know where to listen");
    else if (!(told & (ENGINE_PATH | ENGINE_FILE | ENGINE_MODEL)))
        mistake(c, e, "command", d, "neither %(path)s, %(file)s nor %(model)s is in it, and it could not know which model is wanted");
    if (((told | in_flags) & ENGINE_FILE) && e->formats != CONF_FORMAT_GGUF)
        mistake(c, e, "formats", d, "%(file)s is for formats = gguf: other models are whole folders, %(path)s");
    for (size_t i = 0; i < e->environment.items_n; i++)
        if (!strchr(e->environment.items[i], '=') || e->environment.items[i][0] == '=')
            mistake(c, e, "environment", d, "write NAME=value, with commas between them");
    check_ready(c, e, d);
}

/* The names in [models] engines. */
static void check_order(const struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->models;
    const struct list *order = &c->models.engines;
    const char *names[CONF_ENGINES_MAX + 1] = {NULL};
    char why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < c->engines_n; i++)
        names[i] = c->engines[i].name;
    for (size_t i = 0; i < order->items_n; i++) {
        const char *name = order->items[i], *nearest = conf_engine(c, name) ? NULL : diag_nearest(name, names);
        size_t first = 0;
        while (strcmp(order->items[first], name) != 0)
            first++;
        if (!conf_engine(c, name))
            snprintf(why, sizeof why, "there is no engine \"%.60s\": %s%s%s", name, nearest ? "did you mean " : "it needs a section [engine:NAME]",
                     nearest ? nearest : "", nearest ? "?" : "");
        else if (first < i)
            snprintf(why, sizeof why, "\"%.60s\" stands twice", name);
        else
            continue;
        conf_mistake(c, at, "models", "engines", d, why);
    }
    if (order->items_n == 0 && c->models.serve)
        conf_mistake(c, at, "models", "engines", d, "there is none, and nothing could serve a model: write vllm, transformers, llama, or one of yours");
}

/* Patterns of paths below a model's folder. */
static void check_patterns(const struct conf *c, const char *key, const struct list *patterns, struct diag *d)
{
    for (size_t i = 0; i < patterns->items_n; i++)
        if (patterns->items[i][0] == '/')
            conf_mistake(c, (const struct conf_head *)&c->models, "models", key, d, "a pattern that begins with / fits no file: they start at the model's folder");
}

static void check_endpoint(const struct conf *c, struct diag *d)
{
    struct url url;
    char why[PARSE_WHY_BYTES];
    if (parse_url(c->hub_endpoint, &url, why) < 0)
        diag_add(d, DIAG_ERROR, "HF_ENDPOINT", 0, "this is no hub's URL: write https://HOST or http://HOST:PORT, with a path where it has one, and nothing else");
}

const struct conf_engine *conf_engine(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->engines_n; i++)
        if (strcmp(c->engines[i].name, name) == 0)
            return &c->engines[i];
    return NULL;
}

int conf_check_engines(struct conf *c, struct diag *d)
{
    int error = c->models.serve || c->reader == CONF_READER_ANY ? find_hub(c) : 0;
    if (error)
        return error;
    for (size_t i = 0; i < c->engines_n; i++)
        check_engine(c, &c->engines[i], d);
    if (c->engines_n > 0)
        check_order(c, d);
    check_patterns(c, "allow", &c->models.allow, d);
    check_patterns(c, "ignore", &c->models.ignore, d);
    if (c->models.serve)
        check_endpoint(c, d);
    return 0;
}
