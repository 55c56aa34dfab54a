/* See serve_state.h. By which engines a model can be loaded, and what the supervisor is told. */
#include "common/human.h"
#include "proxy/fit.h"
#include "proxy/serve/serve_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PATH as the supervisor starts it with: its own environment's, else that of all programs, which is ours. */
static const char *path_of(const struct conf_engine *e)
{
    const char *path = getenv("PATH");
    for (size_t i = 0; i < e->environment.items_n; i++)
        if (strncmp(e->environment.items[i], "PATH=", 5) == 0)
            path = e->environment.items[i] + 5;
    return path && *path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static int is_in_path(const char *word, const char *at)
{
    char path[4096];
    while (*at) {
        size_t n = strcspn(at, ":");
        int length = snprintf(path, sizeof path, "%.*s/%s", (int)n, at, word);
        if (n > 0 && length > 0 && (size_t)length < sizeof path && sys_access_exec(path) == 0)
            return 1;
        at += n + (at[n] == ':');
    }
    return 0;
}

int serve_is_installed(const struct conf_engine *e, char *why)
{
    const char *word = e->command.items_n > 0 ? e->command.items[0] : "";
    int is_there = strchr(word, '%') || (strchr(word, '/') ? sys_access_exec(word) == 0 : is_in_path(word, path_of(e)));
    snprintf(why, CONTRACT_REASON_BYTES, is_there ? "" : "it is not installed: there is no program %.120s%s", word, strchr(word, '/') ? "" : " in PATH");
    return is_there;
}

/* What the weights take: those in 4 bits half of their files, as embeddings and norms stay what they are and the cache of a context comes on top; -1: not
 * known, as of a folder that has several GGUF files. */
static int64_t need_bytes(const struct shelf_model *m, int is_quantized)
{
    if (m->size_bytes < 0 || (m->format == SHELF_GGUF && m->files_n > 1))
        return -1;
    return is_quantized && m->format == SHELF_SAFETENSORS ? m->size_bytes / 2 : m->size_bytes;
}

/* [supervisor] memory_check; with a GPU nobody knows which memory it will be. */
static int fits(const struct serve *s, const struct shelf_model *m, int is_quantized, char *why)
{
    const struct contract_page *page = s->env->page;
    char needs[HUMAN_BYTES], limit[HUMAN_BYTES];
    uint64_t limit_bytes = page ? atomic_load(&page->memory_limit_bytes) : 0;
    int64_t bytes = need_bytes(m, is_quantized);
    if (!s->env->conf->supervisor.memory_check || limit_bytes == 0 || bytes < 0 || (uint64_t)bytes <= limit_bytes || fit_has_gpu_device())
        return 1;
    human_bytes(needs, bytes);
    human_bytes(limit, (int64_t)limit_bytes);
    snprintf(why, CONTRACT_REASON_BYTES, "its weights need about %s of memory, the limit is %s, and there is no GPU ([supervisor] memory_check)", needs, limit);
    return 0;
}

static void add(const struct serve *s, const struct shelf_model *m, const struct conf_engine *e, int is_quantized, struct engines_try *tries, size_t *n)
{
    struct engines_try *t = &tries[*n];
    *t = (struct engines_try){.engine = (unsigned)(e - s->env->conf->engines), .is_quantized = is_quantized};
    t->is_absent = !serve_is_installed(e, t->why);
    if (!t->is_absent)
        (void)fits(s, m, is_quantized, t->why);
    (*n)++;
}

static int takes(const struct conf_engine *e, const struct shelf_model *m)
{
    return e->formats == CONF_FORMAT_GGUF ? m->format == SHELF_GGUF && *m->file : m->format != SHELF_GGUF;
}

/* Four bits are a preference: an engine that fails so is asked to load it as it is. A GGUF file is what it is. */
size_t serve_find_ways(void *context, const char *model, struct engines_try tries[ENGINES_TRIES_MAX])
{
    const struct serve *s = context;
    const struct conf *conf = s->env->conf;
    const struct shelf_model *m = shelf_find(s->list.shelf, model);
    size_t n = 0;
    for (size_t i = 0; m && i < conf->models.engines.items_n && n + 2 <= ENGINES_TRIES_MAX; i++) {
        const struct conf_engine *e = conf_engine(conf, conf->models.engines.items[i]);
        if (!e || !takes(e, m))
            continue;
        if (m->format == SHELF_GGUF) {
            add(s, m, e, m->is_preferred_quantized, tries, &n);
            continue;
        }
        if (m->is_preferred_quantized && e->quantize_flags.items_n > 0)
            add(s, m, e, 1, tries, &n);
        add(s, m, e, 0, tries, &n);
    }
    return n;
}

static int64_t length_of(const struct serve *s, const struct shelf_model *m)
{
    int64_t most_n = s->env->conf->models.max_length;
    return m->context_n > 0 && m->context_n < most_n ? m->context_n : most_n;
}

int serve_start(void *context, const char *model, const struct engines_try *with)
{
    const struct serve *s = context;
    const struct shelf_model *m = shelf_find(s->list.shelf, model);
    char detail[CONTRACT_DETAIL_BYTES];
    if (!m)
        return -ENOENT;
    int n = snprintf(detail, sizeof detail, "%s %s %lld %s%s%s", s->engines.rules.names[with->engine], m->revision, (long long)length_of(s, m), with->is_quantized ? "q4" : "full",
                     m->format == SHELF_GGUF ? " " : "", m->format == SHELF_GGUF ? m->file : "");
    if (n < 0 || (size_t)n >= sizeof detail)
        return -ENAMETOOLONG;
    return contract_send_detail(s->env->channel_fd, CONTRACT_ENGINE_START, 0, model, detail);
}

int serve_tell_stop(void *context, const char *model)
{
    const struct serve *s = context;
    return contract_send(s->env->channel_fd, CONTRACT_ENGINE_STOP, 0, model);
}
