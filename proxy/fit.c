/* See fit.h. */
#include "proxy/fit.h"

#include "common/human.h"
#include "common/parse.h"
#include "proxy/model_shape.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* By one of these Ollama, an engine, or a library that it loads, reaches a GPU: NVIDIA, also on Jetson and WSL; AMD; by Vulkan. */
int fit_has_gpu_device(void)
{
    static const char *const paths[] = {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/dxg", "/dev/kfd", "/dev/dri"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int fd = sys_open(paths[i], O_PATH | O_CLOEXEC, 0);
        sys_close(fd);
        if (fd >= 0)
            return 1;
    }
    return 0;
}

void fit_init(struct fit *f, const struct conf *conf, const struct contract_page *page)
{
    const struct conf_ollama_memory *m = &conf->ollama_memory;
    *f = (struct fit){.limit_bytes = 0};
    if (!page || !conf->supervisor.memory_check || !conf->is_backend_ours || !conf_program(conf, "ollama")->autostart)
        return;
    uint64_t limit_bytes = atomic_load(&page->memory_limit_bytes);
    f->limit_bytes = limit_bytes <= INT64_MAX ? (int64_t)limit_bytes : 0;
    f->is_gpu_possible = m->is_gpu_asked || fit_has_gpu_device();
    f->server = (struct estimate_server){.context_n = m->context_n, .cache_bytes = m->cache_bytes, .is_flash = m->is_flash};
    f->server.parallel_n = conf->ollama_parallel > 0 ? conf->ollama_parallel : 1;
}

static struct fit_model *find(struct fit *f, const char *model)
{
    for (size_t i = 0; i < FIT_MODELS; i++) {
        struct fit_model *row = &f->rows[i];
        if (row->model[0] && model_name_equal(row->model, strlen(row->model), model, strlen(model))) {
            row->used = ++f->uses;
            return row;
        }
    }
    return NULL;
}

static struct fit_model *row_of(struct fit *f, const char *model)
{
    struct fit_model *row = find(f, model);
    if (row)
        return row;
    row = f->rows;
    for (size_t i = 1; i < FIT_MODELS && row->model[0]; i++)
        if (f->rows[i].used < row->used)
            row = &f->rows[i];
    *row = (struct fit_model){.used = ++f->uses};
    snprintf(row->model, sizeof row->model, "%s", model);
    return row;
}

static int64_t room_bytes(const struct fit *f)
{
    return f->limit_bytes > FIT_RESERVE_BYTES ? f->limit_bytes - FIT_RESERVE_BYTES : 0;
}

/* Layers on a GPU need no memory of the system: how many, only Ollama knows. */
static int is_perhaps_on_gpu(const struct fit *f, const struct fit_model *row, const struct load_options *options)
{
    static const struct model_shape nothing;
    return f->is_gpu_possible && estimate_option(row ? &row->shape : &nothing, options, LOAD_NUM_GPU, -1) != 0;
}

/* Begins as Ollama's own, which clients may know. */
static void explain(const struct fit *f, const struct fit_model *row, const struct load_options *options, const struct estimate *e,
                    char text[FIT_TEXT_BYTES])
{
    char total[HUMAN_BYTES], room[HUMAN_BYTES], cache[HUMAN_BYTES], buffers[HUMAN_BYTES], weights[HUMAN_BYTES], limit[HUMAN_BYTES], smaller[64] = "";
    human_bytes(total, e->total_bytes);
    human_bytes(room, room_bytes(f));
    human_bytes(cache, e->cache_bytes);
    human_bytes(buffers, e->buffers_bytes);
    human_bytes(weights, e->weights_bytes);
    human_bytes(limit, f->limit_bytes);
    int64_t fits_n = estimate_fitting_num_ctx(&row->shape, options, &f->server, room_bytes(f));
    if (fits_n > 0)
        snprintf(smaller, sizeof smaller, "; a num_ctx of up to %lld would fit", (long long)fits_n);
    snprintf(text, FIT_TEXT_BYTES, "model requires more system memory (%s) than is available (%s): %s for the KV cache of num_ctx %lld, "
             "%s for buffers, %s for weights%s%s; the limit on memory is %s", total, room, cache, (long long)e->num_ctx, buffers, weights,
             smaller, e->weights_bytes > 0 ? "; use_mmap true leaves the weights in their file" : "", limit);
}

/* Once for each model, as long as it is what it is. */
static void warn(const struct fit *f, struct fit_model *row, const struct estimate *e)
{
    char mapped[HUMAN_BYTES], total[HUMAN_BYTES], limit[HUMAN_BYTES];
    if (row->is_warned || e->mapped_bytes <= room_bytes(f) - e->total_bytes)
        return;
    row->is_warned = 1;
    human_bytes(mapped, e->mapped_bytes);
    human_bytes(total, e->total_bytes);
    human_bytes(limit, f->limit_bytes);
    log_event(LOG_WARNING, "memory_tight", "model=%s mapped=\"%s\" needs=\"%s\" limit=\"%s\" hint=\"its weights do not stay in memory: they are read from the disk again and again. A smaller num_ctx leaves more room, a smaller model answers faster\"",
              row->model, mapped, total, limit);
}

enum fit_verdict fit_judge(struct fit *f, const char *model, const struct load_options *options, char text[FIT_TEXT_BYTES])
{
    struct estimate e;
    if (f->limit_bytes == 0)
        return FIT_WELL;
    struct fit_model *row = find(f, model);
    if (is_perhaps_on_gpu(f, row, options))
        return FIT_WELL;
    if (!row)
        return FIT_UNKNOWN;
    if (estimate_make(&e, &row->shape, options, &f->server) < 0)
        return FIT_WELL;
    log_event(LOG_DEBUG, "memory_estimate", "model=%s num_ctx=%lld cache=%lld buffers=%lld weights=%lld mapped=%lld base=%lld total=%lld", row->model,
              (long long)e.num_ctx, (long long)e.cache_bytes, (long long)e.buffers_bytes, (long long)e.weights_bytes,
              (long long)e.mapped_bytes, (long long)e.base_bytes, (long long)e.total_bytes);
    if (e.total_bytes <= room_bytes(f)) {
        warn(f, row, &e);
        return FIT_WELL;
    }
    explain(f, row, options, &e, text);
    return FIT_NOT;
}

void fit_learn(struct fit *f, const char *model, const char *json, size_t json_n)
{
    struct model_shape shape;
    if (!json || model_shape_read(&shape, json, json_n) < 0)
        return;
    row_of(f, model)->shape = shape;
}

void fit_tell(struct fit *f, const char *model, const struct load_options *options, const char *text)
{
    struct fit_model *row = find(f, model);
    int is_told = row && row->is_told && load_options_equal(&row->refused, options);
    log_event(is_told ? LOG_DEBUG : LOG_WARNING, "memory_refused", "model=%s reason=\"%s\"", model, text);
    if (!row)
        return;
    row->is_told = 1;
    row->refused = *options;
}

void fit_forget(struct fit *f)
{
    for (size_t i = 0; i < FIT_MODELS; i++)
        if (f->rows[i].model[0]) /* memory that was never written to is none */
            f->rows[i] = (struct fit_model){.used = 0};
}
