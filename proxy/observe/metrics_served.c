/* See metrics_families.h. Models of a hub: each that an engine has, or that somebody waits for. */
#include "proxy/metrics.h"
#include "proxy/observe/metrics_families.h"

static void of_models(struct metrics_writer *w, double (*value)(const struct serve_fact *m))
{
    for (size_t i = 0; i < w->in->served->models_n; i++)
        metrics_labelled(w, "model", w->in->served->models[i].model, value(&w->in->served->models[i]));
}

static double is_ready_of(const struct serve_fact *m)
{
    return m->is_ready != 0;
}

static double in_use_of(const struct serve_fact *m)
{
    return m->in_use_n;
}

static double waiting_of(const struct serve_fact *m)
{
    return m->waiting_n;
}

static double load_s_of(const struct serve_fact *m)
{
    return (double)m->load_ms / 1000;
}

static void ready(struct metrics_writer *w)
{
    of_models(w, is_ready_of);
}

static void used(struct metrics_writer *w)
{
    of_models(w, in_use_of);
}

static void waited_for(struct metrics_writer *w)
{
    of_models(w, waiting_of);
}

static void load(struct metrics_writer *w)
{
    of_models(w, load_s_of);
}

static const struct metric rows[] = {
    {"sidecar_instance_ready gauge 1 while an engine answers for the model; 0 while it is waited for, starts or stops.", ready, 0},
    {"sidecar_instance_used gauge Requests that it has.", used, 0},
    {"sidecar_instance_waiting gauge Requests that wait until it is loaded.", waited_for, 0},
    {"sidecar_instance_load_seconds gauge How long its load took; 0 before it is known.", load, 0},
};

static int is_told(const struct metrics_input *in)
{
    return in->served != NULL;
}

const struct metrics_family metrics_served = METRICS_FAMILY(rows, is_told);
