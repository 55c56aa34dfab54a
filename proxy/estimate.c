/* See estimate.h. Sums are doubles: what a file claims may be beyond any integer. */
#include "proxy/estimate.h"

#include <errno.h>

enum {
    BASE_BYTES = 33 << 20,      /* a runner's anonymous memory with a model of half a megabyte */
    TOKEN_BYTES = 225,          /* of each token of the vocabulary: its text, twice, and where it is found */
    UBATCH_MAX = 512,           /* llama_context_default_params */
    BATCH_LEAST = 64,           /* GGML_KQ_MASK_PAD */
    BATCH = 512, CONTEXT_LEAST = 4, /* api.DefaultOptions; server/sched.go */
    CACHE_STEP = 32,            /* a cache's length is padded to it */
    WINDOWED_OF = 6,            /* of so many layers all but one have a window, at the most (gemma3) */
    STEP = 256,
};

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

int64_t estimate_option(const struct model_shape *s, const struct load_options *asked, enum load_option option, int64_t otherwise)
{
    if (asked->set >> option & 1)
        return asked->values[option];
    return s->own.set >> option & 1 ? s->own.values[option] : otherwise;
}

static int64_t whole(double bytes)
{
    return bytes < 9e18 ? (int64_t)bytes : INT64_MAX / 2;
}

/* By the keys; by the tensors where these are fewer, as not each layer keeps something, or where the keys don't say. */
static double cached_elements(const struct model_shape *s)
{
    double head = s->heads_n ? (double)s->embedding_n / (double)s->heads_n : 0;
    double key = s->key_n ? (double)s->key_n : head, value = s->value_n ? (double)s->value_n : head;
    double by_keys = (double)s->layers_n * (double)s->heads_kv_n * (key + value), by_tensors = (double)s->cached_n;
    if (by_keys <= 0)
        return by_tensors;
    return by_tensors > 0 ? least(by_keys, by_tensors) : by_keys;
}

struct sizes {
    double parallel, num_ctx, context, batch;
};

static struct sizes sizes_of(const struct model_shape *s, const struct load_options *asked, const struct estimate_server *server)
{
    struct sizes z = {.parallel = s->is_embedder ? 1 : (double)server->parallel_n};
    z.num_ctx = most((double)estimate_option(s, asked, LOAD_NUM_CTX, server->context_n), CONTEXT_LEAST);
    if (s->context_n)
        z.num_ctx = least(z.num_ctx, (double)s->context_n);
    z.context = z.num_ctx * z.parallel;
    double batch = most((double)estimate_option(s, asked, LOAD_NUM_BATCH, BATCH), 1) * z.parallel;
    z.batch = least(most(s->is_encoder ? batch : least(batch, z.context), BATCH_LEAST), UBATCH_MAX);
    return z;
}

static double cache_bytes(const struct model_shape *s, const struct sizes *z, const struct estimate_server *server)
{
    double length = z->context + CACHE_STEP - 1, window = (double)s->window_n * z->parallel + z->batch;
    double bytes = (double)(server->is_flash ? server->cache_bytes : ESTIMATE_CACHE_F16) / 32;
    length -= (double)((int64_t)length % CACHE_STEP);
    if (s->is_encoder)
        return 0;
    if (s->window_n && window < length)
        length = (length + (WINDOWED_OF - 1) * window) / WINDOWED_OF;
    return length * cached_elements(s) * bytes;
}

static double buffers_bytes(const struct model_shape *s, const struct sizes *z, const struct estimate_server *server)
{
    double heads = server->is_flash ? 0 : (double)s->heads_n;
    double length = s->is_encoder ? z->batch : z->context;
    double attention = 4 * z->batch * (length * (heads + 1) + 4 * (double)s->embedding_n) + 2 * z->batch * length * heads;
    double forward = 4 * z->batch * (2 * (double)s->feed_forward_n + 2 * (double)s->embedding_n);
    return most(attention, forward);
}

int estimate_make(struct estimate *out, const struct model_shape *s, const struct load_options *asked,
                  const struct estimate_server *server)
{
    struct sizes z = sizes_of(s, asked, server);
    *out = (struct estimate){.num_ctx = (int64_t)z.num_ctx};
    if (!s->is_encoder && cached_elements(s) <= 0)
        return -ENODATA;
    int is_mapped = estimate_option(s, asked, LOAD_USE_MMAP, 0) != 0; /* who says nothing has it read: llm/server.go */
    out->cache_bytes = whole(cache_bytes(s, &z, server));
    out->buffers_bytes = whole(buffers_bytes(s, &z, server));
    out->base_bytes = whole(BASE_BYTES + TOKEN_BYTES * (double)s->vocabulary_n);
    *(is_mapped ? &out->mapped_bytes : &out->weights_bytes) = s->weights_bytes;
    out->total_bytes = whole((double)out->cache_bytes + (double)out->buffers_bytes + (double)out->base_bytes + (double)out->weights_bytes);
    return 0;
}

int64_t estimate_fitting_num_ctx(const struct model_shape *s, const struct load_options *asked, const struct estimate_server *server,
                                 int64_t limit_bytes)
{
    int64_t fits_n = 0, fails_n = ESTIMATE_NUM_MAX / STEP;
    while (fails_n - fits_n > 1) {
        int64_t middle_n = fits_n + (fails_n - fits_n) / 2;
        struct load_options tried = *asked;
        struct estimate e;
        load_options_set(&tried, LOAD_NUM_CTX, middle_n * STEP);
        if (estimate_make(&e, s, &tried, server) == 0 && e.total_bytes <= limit_bytes)
            fits_n = middle_n;
        else
            fails_n = middle_n;
    }
    return fits_n * STEP;
}
