/* See runner.h. Its lines are slog's (slog.h). */
#include "supervisor/runner.h"

#include "supervisor/slog.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_BYTES = 1024, DIGEST_N = RUNNER_DIGEST_BYTES - 1, NUMBER_MAX = 1 << 30 };

void runner_init(struct runner *r)
{
    *r = (struct runner){.parallel = RUNNER_UNKNOWN, .context = RUNNER_UNKNOWN, .batch = RUNNER_UNKNOWN,
                         .has_mmap = RUNNER_UNKNOWN};
}

/* A positive number that ends with a blank, a brace or the text; else RUNNER_UNKNOWN. */
static long number_at(const char *at)
{
    char *end;
    if (!isdigit((unsigned char)*at))
        return RUNNER_UNKNOWN;
    long value = strtol(at, &end, 10);
    return (*end == '\0' || *end == ' ' || *end == '}') && value > 0 && value <= NUMBER_MAX ? value : RUNNER_UNKNOWN;
}

/* /…/models/blobs/sha256-HEX becomes folder and digest. */
static int take_path(struct runner *r, const char *path, size_t path_n)
{
    static const char before[] = "/blobs/sha256-";
    size_t tail_n = sizeof before - 1 + DIGEST_N;
    if (path_n <= tail_n || path[0] != '/' || path_n - tail_n >= sizeof r->folder)
        return 0;
    size_t folder_n = path_n - tail_n;
    const char *hex = path + path_n - DIGEST_N;
    if (memcmp(path + folder_n, before, sizeof before - 1) != 0 || strspn(hex, "0123456789abcdef") < DIGEST_N)
        return 0;
    snprintf(r->folder, sizeof r->folder, "%.*s", (int)folder_n, path);
    snprintf(r->digest, sizeof r->digest, "%.*s", (int)DIGEST_N, hex);
    return 1;
}

static int is_word(const char *at, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(at, word, n) == 0;
}

/* The options behind the model's path. */
static void take_options(struct runner *r, const char *at)
{
    r->has_mmap = !r->is_ollama_engine;
    while (*at) {
        at += strspn(at, " ");
        size_t n = strcspn(at, " ");
        const char *next = at + n + strspn(at + n, " ");
        if (is_word(at, n, "--parallel") || is_word(at, n, "-np"))
            r->parallel = number_at(next);
        else if (is_word(at, n, "--ctx-size") || is_word(at, n, "-c"))
            r->context = number_at(next);
        else if (is_word(at, n, "--batch-size") || is_word(at, n, "-b"))
            r->batch = number_at(next);
        else if (is_word(at, n, "--no-mmap") || (is_word(at, n, "--load-mode") && strncmp(next, "mmap", 4) != 0))
            r->has_mmap = 0;
        at = next;
    }
}

/* The command's words are joined by blanks without quotes (exec.Cmd.String), so a path ends where the next option is. */
static int take_command(struct runner *r, const char *command)
{
    static const char option[] = " --model ";
    struct runner fresh;
    const char *model = strstr(command, option);
    if (!model)
        return 0; /* a runner that only looks for GPUs */
    runner_init(&fresh);
    const char *engine = strstr(command, " --ollama-engine ");
    fresh.is_ollama_engine = engine && engine < model;
    model += sizeof option - 1;
    const char *end = strstr(model, " --");
    size_t path_n = end ? (size_t)(end - model) : strlen(model);
    if (!take_path(&fresh, model, path_n))
        return 0;
    take_options(&fresh, model + path_n);
    fresh.is_awaited = 1;
    *r = fresh;
    return 1;
}

/* All slots share the context that is said: a request has its part of it, as num_ctx says. */
static int complete(struct runner *r)
{
    if (r->parallel < 1 || r->context < r->parallel)
        return 0;
    r->context /= r->parallel;
    r->is_awaited = 0;
    return 1;
}

/* Go's %+v of llm.LoadRequest. A runner is loaded in several steps; the last one is the commit. */
static int take_load(struct runner *r, const char *request)
{
    static const char begin[] = "{Operation:commit ";
    if (!r->is_awaited || strncmp(request, begin, sizeof begin - 1) != 0)
        return 0;
    const char *parallel = strstr(request, " Parallel:"), *context = strstr(request, " KvSize:");
    const char *batch = strstr(request, " BatchSize:"), *mmap = strstr(request, " UseMmap:");
    r->parallel = parallel ? number_at(parallel + strlen(" Parallel:")) : RUNNER_UNKNOWN;
    r->context = context ? number_at(context + strlen(" KvSize:")) : RUNNER_UNKNOWN;
    r->batch = batch ? number_at(batch + strlen(" BatchSize:")) : RUNNER_UNKNOWN;
    r->has_mmap = mmap && !r->is_ollama_engine ? strncmp(mmap + strlen(" UseMmap:"), "true", 4) == 0 : 0;
    return complete(r);
}

static int take_mlx(struct runner *r, const char *name)
{
    struct runner fresh;
    runner_init(&fresh);
    fresh.is_mlx = 1;
    if (!*name || strlen(name) >= sizeof fresh.name || strpbrk(name, " \""))
        return 0;
    snprintf(fresh.name, sizeof fresh.name, "%.*s", (int)sizeof fresh.name - 1, name);
    *r = fresh;
    return 1;
}

static int is_one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(text, *list) == 0)
            return 1;
    return 0;
}

int runner_line(struct runner *r, const char *line)
{
    static const char *const starts[] = {"starting llama server", "starting runner", "starting llama-server", NULL};
    static const char *const mlx_starts[] = {"starting mlx runner subprocess",
                                             "starting ollama-mlx image runner subprocess", NULL};
    char message[VALUE_BYTES], value[VALUE_BYTES];
    if (strncmp(line, "time=", 5) != 0 || !strstr(line, " msg=") || !slog_find(line, "msg", message, sizeof message))
        return 0;
    if (is_one_of(message, starts))
        return slog_find(line, "cmd", value, sizeof value) && take_command(r, value) && complete(r);
    if (is_one_of(message, mlx_starts))
        return slog_find(line, "model", value, sizeof value) && take_mlx(r, value);
    return strcmp(message, "load") == 0 && slog_find(line, "request", value, sizeof value) && take_load(r, value);
}
