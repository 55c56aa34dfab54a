/*
 * estimate: how much memory a runner of Ollama's will take for a model, on a machine without a GPU. Pure.
 *
 * The terms, as Ollama 0.9.5 and its llama.cpp have them. N: the context of all requests at once, num_ctx times
 * OLLAMA_NUM_PARALLEL, as far as the model was trained for it (server/sched.go, llm/server.go NewLlamaServer). b: tokens at once,
 * the least of N, num_batch times OLLAMA_NUM_PARALLEL, and 512 (runner/llamarunner, llama-context.cpp n_ubatch).
 *
 *   KV cache   N x elements of a key and a value in all layers x bytes of OLLAMA_KV_CACHE_TYPE (fs/ggml/ggml.go GraphSize,
 *              llama-kv-cache.cpp); resident from the start, as it is cleared
 *   buffers    the scores of attention: 4 x b x N x (heads + 1), and their copy as f16: 2 x b x N x heads (ggml-cpu.c
 *              ggml_graph_plan); 16 x b x embedding; or a feed-forward layer, where that is more. With a prompt that fills the
 *              context all of it is touched. Scores are not kept with flash attention.
 *   weights    all tensors, where the model is not mapped
 *   base       of a runner without a model, and the vocabulary; both measured (docs/memory.md)
 *
 * What is not known for certain is left out, or counted as little: a model that might fit is to be tried.
 */
#ifndef PROXY_ESTIMATE_H
#define PROXY_ESTIMATE_H

#include "proxy/load_options.h"

enum {
    ESTIMATE_CACHE_F16 = 64, /* bytes of 32 elements of the KV cache, by OLLAMA_KV_CACHE_TYPE */
    ESTIMATE_CACHE_Q8 = 34,
    ESTIMATE_CACHE_Q4 = 18,
    ESTIMATE_NUM_MAX = 1 << 30, /* what is larger is none of a model's numbers */
};

/* What a model says of itself. 0: not known. */
struct model_shape {
    int64_t layers_n, embedding_n, feed_forward_n, heads_n, heads_kv_n, key_n, value_n, vocabulary_n;
    int64_t context_n;       /* it was trained for */
    int64_t window_n;        /* most layers look at so many tokens only */
    int64_t cached_n;        /* elements of a token's keys and values in all layers, by the tensors' shapes */
    int64_t weights_bytes;
    int is_encoder;          /* it keeps nothing of a token */
    int is_embedder;         /* requests are served one at a time */
    struct load_options own; /* its own parameters */
};

/* What the server adds. */
struct estimate_server {
    int64_t context_n;     /* of who names none */
    int64_t parallel_n;    /* at least 1 */
    int64_t cache_bytes;   /* of 32 elements, where flash attention is on */
    int is_flash;          /* flash attention may be on */
};

struct estimate {
    int64_t num_ctx;       /* that was counted with, of one request */
    int64_t cache_bytes, buffers_bytes, base_bytes;
    int64_t weights_bytes; /* in memory */
    int64_t mapped_bytes;  /* weights that may be read again from the file */
    int64_t total_bytes;   /* without mapped_bytes */
};

/* asked: the load's options; what it does not name is the model's own, then the server's. 0, or -ENODATA where too little is known
 * of the model. */
int estimate_make(struct estimate *out, const struct model_shape *s, const struct load_options *asked,
                  const struct estimate_server *server) WARN_UNUSED;

/* The largest num_ctx, in steps of 256, with which it takes no more than limit_bytes; 0: none does. */
int64_t estimate_fitting_num_ctx(const struct model_shape *s, const struct load_options *asked, const struct estimate_server *server,
                                 int64_t limit_bytes);

/* An option in force: asked for, else the model's own, else `otherwise`. */
int64_t estimate_option(const struct model_shape *s, const struct load_options *asked, enum load_option option, int64_t otherwise);

#endif
