/*
 * gpu_watch: asks our Ollama by GET /api/ps which models are on a GPU, a moment after each load and behind each gap, and has it
 * restarted where one fell to the CPU (gpu_models.h): once a gap, and when nobody is being answered. Who asks meanwhile waits at the
 * gate, for a while.
 */
#ifndef PROXY_GPU_WATCH_H
#define PROXY_GPU_WATCH_H

#include "proxy/gate.h"
#include "proxy/gpu_models.h"
#include "proxy/loads.h"
#include "proxy/own_request.h"

/* What it looks at; all borrowed. */
struct gpu_watch_site {
    struct backend *backend;
    const struct tell *tell;
    struct gate *gate;
    const struct loads *loads;
    int channel_fd; /* -1: nobody would restart it, and nothing is asked */
    void (*reopened)(void *context); /* who waits at the gate may go on */
    void *context;
};

struct gpu_watch {
    struct gpu_watch_site site;
    struct gpu_models models;
    enum gpu_watch_state { GPU_REST, GPU_DUE, GPU_ASKING, GPU_LOST, GPU_TOLD } state;
    struct timer timer; /* of the state */
    struct own_request request;
    int is_due_again;             /* a load or a gap, while it was asked */
    int is_gap_within;            /* … a gap: the answer may be from before it */
    int32_t pid;                  /* of the Ollama that the models are known of; 0: none */
    unsigned none_n;              /* answers in a row without any model on a GPU */
    int64_t shut_until_ms;
    struct gpu_model lost;
};

void gpu_watch_init(struct gpu_watch *g, const struct gpu_watch_site *site);
void gpu_watch_fini(struct gpu_watch *g);
/* This model has been loaded. */
void gpu_watch_loaded(struct gpu_watch *g, const struct load *load);
/* There was a gap. */
void gpu_watch_resumed(struct gpu_watch *g);
/* This Ollama is ready; 0: none is. */
void gpu_watch_see_backend(struct gpu_watch *g, int32_t pid);

#endif
