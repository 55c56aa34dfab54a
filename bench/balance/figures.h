/*
 * figures: one row of what simulate prints: a fleet and a kind of load, by every way to distribute, over several traces.
 */
#ifndef BENCH_BALANCE_FIGURES_H
#define BENCH_BALANCE_FIGURES_H

#include "bench/balance/play.h"

/* Of all traces: the mean, and half of its confidence interval of 95 %. */
struct figure {
    double mean, error;
};

struct figures {
    struct played means[POLICIES];
    struct figure of_least, of_told; /* our p95 of waits, of that of each */
    struct figure whole_of_least;    /* our mean until an answer is complete */
};

enum { FIGURES_FLEETS = 4, FIGURES_LOADS = 3 };
enum figures_fleet { FLEET_EQUAL, FLEET_MIXED, FLEET_SLOWS_DOWN, FLEET_TWO_MODELS };

extern const struct fleet_row figures_fleets[FIGURES_FLEETS];
extern const double figures_loads[FIGURES_LOADS];

void figures_make(struct figures *out, enum figures_fleet fleet, enum trace_arrivals arrivals, double load, size_t traces_n, size_t requests_n);
/* What is to be reached there, of our p95 by that of least-conn. */
double figures_most_of_least(enum figures_fleet fleet, enum trace_arrivals arrivals, double load);
/* … and by that of ours, told before what each request will take. */
double figures_most_of_told(void);

#endif
