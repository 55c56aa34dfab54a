/* See metrics.h. All families, each of which knows whether there is anything to tell. */
#include "proxy/metrics.h"

#include "proxy/observe/metrics_families.h"

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

static void build(struct metrics_writer *w)
{
    metrics_labelled(w, "version", SIDECAR_VERSION, 1);
}

static const struct metric rows[] = {
    {"sidecar_build_info gauge 1; its label tells the version.", build, 0},
};

static const struct metrics_family metrics_build = METRICS_FAMILY(rows, NULL);

static const struct metrics_family *const families[] = {
    &metrics_build, &metrics_requests, &metrics_overseer, &metrics_supervisor, &metrics_preload, &metrics_optimizer,
#ifdef WITH_BALANCER
    &metrics_fleet,
#endif
#ifdef WITH_MODELS
    &metrics_served,
#endif
};

int metrics_write(struct buf *out, const struct metrics_input *in)
{
    struct metrics_writer w = {.out = out, .in = in};
    size_t before_n = buf_size(out);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        metrics_family_write(&w, families[i]);
    if (w.error)
        buf_truncate(out, before_n);
    return w.error;
}
