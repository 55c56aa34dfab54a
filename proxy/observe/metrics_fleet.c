/* See metrics_families.h. Several Ollamas, each by its name. */
#include "proxy/metrics.h"
#include "proxy/observe/metrics_families.h"

/* Of proxy/balance/breaker.h, which not every build has. */
static const char *const states[] = {"unknown", "up", "open", "half_open", "down"};

static void of_backends(struct metrics_writer *w, double (*value)(const struct fleet_fact *m))
{
    for (size_t i = 0; i < w->in->fleet->members_n; i++)
        metrics_labelled(w, "backend", w->in->fleet->members[i].name, value(&w->in->fleet->members[i]));
}

static double is_up_of(const struct fleet_fact *m)
{
    return m->is_up != 0;
}

static double slots_of(const struct fleet_fact *m)
{
    return (double)m->slots_n;
}

static double used_of(const struct fleet_fact *m)
{
    return (double)m->used_n;
}

static double is_drained_of(const struct fleet_fact *m)
{
    return m->is_drained != 0;
}

static void up(struct metrics_writer *w)
{
    of_backends(w, is_up_of);
}

static void slots(struct metrics_writer *w)
{
    of_backends(w, slots_of);
}

static void used(struct metrics_writer *w)
{
    of_backends(w, used_of);
}

static void drained(struct metrics_writer *w)
{
    of_backends(w, is_drained_of);
}

static void breaker(struct metrics_writer *w)
{
    const struct fleet_facts *f = w->in->fleet;
    for (size_t i = 0; i < f->members_n; i++) {
        for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
            struct metrics_label labels[] = {{"backend", f->members[i].name}, {"state", states[s]}};
            metrics_sample(w, labels, 2, strcmp(states[s], f->members[i].state) == 0);
        }
    }
}

static void speed(struct metrics_writer *w)
{
    const struct fleet_facts *f = w->in->fleet;
    for (size_t i = 0; i < f->speeds_n; i++) {
        struct metrics_label labels[] = {{"backend", f->speeds[i].backend}, {"model", f->speeds[i].model}};
        metrics_sample(w, labels, 2, f->speeds[i].tokens_per_s);
    }
}

static void waiting(struct metrics_writer *w)
{
    metrics_plain(w, (double)w->in->fleet->waiting_n);
}

static const struct metric rows[] = {
    {"sidecar_backend_up gauge 1 while the backend is given requests; else 0.", up, 0},
    {"sidecar_backend_slots gauge Requests that it is given at once, at the most.", slots, 0},
    {"sidecar_backend_used gauge Requests that it has.", used, 0},
    {"sidecar_backend_drained gauge 1 while its owner wants it to get no new ones.", drained, 0},
    {"sidecar_backend_breaker gauge 1 for the state that it is in, by its probes and answers; 0 for all others.", breaker, 0},
    {"sidecar_backend_speed_tokens_per_second gauge Tokens that it generates in a second, as learnt of a model that it has loaded.", speed, 0},
    {"sidecar_queue_waiting gauge Requests that stand in line for a backend, at this proxy.", waiting, 0},
};

static int is_told(const struct metrics_input *in)
{
    return in->fleet != NULL;
}

const struct metrics_family metrics_fleet = METRICS_FAMILY(rows, is_told);
