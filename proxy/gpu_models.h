/*
 * gpu_models: which models are on a GPU, by what GET /api/ps says, and whether one that was is not any more behind a gap in our
 * time: after a suspend a driver may be gone, and Ollama loads to the CPU from then on, without a word (ollama#5464). Pure.
 */
#ifndef PROXY_GPU_MODELS_H
#define PROXY_GPU_MODELS_H

#include "common/contract.h"

enum { GPU_MODELS = 16, GPU_SEEN = 32 }; /* that are known; that one answer has */

struct gpu_model {
    char name[CONTRACT_NAME_BYTES];
    uint64_t vram_bytes; /* when it was seen last; never 0 of one that is known */
    int is_older;        /* … which was before the last gap */
};

struct gpu_models {
    struct gpu_model known[GPU_MODELS]; /* the latest last */
    size_t known_n;
};

/* There was a gap. */
void gpu_models_gap(struct gpu_models *m);
/* Nothing is known: of this model (as it is to be on the CPU), of all. */
void gpu_models_forget(struct gpu_models *m, const char *name);
void gpu_models_forget_all(struct gpu_models *m);

/* An answer to GET /api/ps (api.ProcessResponse, v0.9.5). 1 where a model that was on a GPU before a gap is not now, and no model is:
 * *lost, and nothing is known any more. 0 where all is well; -EINVAL where this is no such answer. */
int gpu_models_see(struct gpu_models *m, const char *json, size_t json_n, struct gpu_model *lost) WARN_UNUSED;

#endif
