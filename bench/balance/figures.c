/* See figures.h. */
#include "bench/balance/figures.h"

#include <math.h>

enum { TRACES_MOST = 1000 };

const struct fleet_row figures_fleets[FIGURES_FLEETS] = {
    [FLEET_EQUAL] = {"3 equal", 3, {1, 1, 1}, {0}, 1},
    [FLEET_MIXED] = {"1:1:5", 3, {1, 1, 5}, {0}, 1},
    [FLEET_SLOWS_DOWN] = {"one of 3 slows to 1/4", 3, {1, 1, 1}, {0, 0, 0.25}, 1},
    [FLEET_TWO_MODELS] = {"3 equal, 2 models", 3, {1, 1, 1}, {0}, 2},
};
const double figures_loads[FIGURES_LOADS] = {0.5, 0.8, 0.9};

static struct figure figure_of(const double *values, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - mean) * (values[i] - mean);
    return (struct figure){mean, n > 1 ? 1.96 * sqrt(squares / (double)(n - 1) / (double)n) : 0};
}

/* Nothing is as good as nothing. */
static double ratio(double a, double b)
{
    return b > 0 ? a / b : a > 0 ? INFINITY : 1;
}

static void add(struct played *sum, const struct played *p, double by)
{
    sum->wait_p50 += p->wait_p50 * by;
    sum->wait_p95 += p->wait_p95 * by;
    sum->wait_mean += p->wait_mean * by;
    sum->whole_p50 += p->whole_p50 * by;
    sum->whole_p95 += p->whole_p95 * by;
    sum->whole_mean += p->whole_mean * by;
    sum->makespan += p->makespan * by;
    sum->loads += p->loads * by;
}

void figures_make(struct figures *out, enum figures_fleet fleet, enum trace_arrivals arrivals, double load, size_t traces_n, size_t requests_n)
{
    static double of_least[TRACES_MOST], of_told[TRACES_MOST], whole[TRACES_MOST];
    traces_n = traces_n < TRACES_MOST ? traces_n : TRACES_MOST;
    *out = (struct figures){0};
    for (size_t i = 0; i < traces_n; i++) {
        struct trace trace;
        struct played played[POLICIES];
        trace_make(&trace, &figures_fleets[fleet], arrivals, load, requests_n, i + 1);
        for (int p = 0; p < POLICIES; p++) {
            play(&trace, &figures_fleets[fleet], (enum policy)p, i + 1, &played[p]);
            add(&out->means[p], &played[p], 1 / (double)traces_n);
        }
        of_least[i] = ratio(played[POLICY_OURS].wait_p95, played[POLICY_LEAST].wait_p95);
        of_told[i] = ratio(played[POLICY_OURS].wait_p95, played[POLICY_TOLD].wait_p95);
        whole[i] = ratio(played[POLICY_OURS].whole_mean, played[POLICY_LEAST].whole_mean);
        trace_free(&trace);
    }
    out->of_least = figure_of(of_least, traces_n);
    out->of_told = figure_of(of_told, traces_n);
    out->whole_of_least = figure_of(whole, traces_n);
}

/* In bursts all machines are busy, whoever distributes: to wait in one line instead of three gains less there. */
double figures_most_of_least(enum figures_fleet fleet, enum trace_arrivals arrivals, double load)
{
    if (fleet == FLEET_MIXED)
        return 0.7;
    return fleet == FLEET_EQUAL && arrivals == TRACE_POISSON && load <= 0.8 ? 0.9 : 1.0;
}

double figures_most_of_told(void)
{
    return 1.25;
}
