/*
 * simulate: how long requests wait, by proxy/balance and by other ways to distribute them, on machines that are played. See bench/README.md.
 *
 * usage: simulate [TRACES [REQUESTS]]
 */
#include "bench/balance/figures.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRACES = 20, REQUESTS = 3000 };

static const char *const arrivals_names[] = {[TRACE_POISSON] = "Poisson", [TRACE_BURSTS] = "bursts"};

/* 1: what is to be reached is. */
static int print_ratios(const struct figures *f, enum figures_fleet fleet, enum trace_arrivals arrivals, double load)
{
    double most = figures_most_of_least(fleet, arrivals, load);
    int is_reached = f->of_least.mean <= most && f->of_told.mean <= figures_most_of_told();
    printf("| %s | %s | %.1f | %.2f ± %.2f | %.1f | %.2f ± %.2f | %.2f ± %.2f | %s |\n", figures_fleets[fleet].name, arrivals_names[arrivals], load, f->of_least.mean,
           f->of_least.error, most, f->of_told.mean, f->of_told.error, f->whole_of_least.mean, f->whole_of_least.error, is_reached ? "yes" : "NO");
    return is_reached;
}

static void print_seconds(const struct figures *f, enum figures_fleet fleet, enum trace_arrivals arrivals, double load)
{
    for (int p = 0; p < POLICIES; p++) {
        const struct played *m = &f->means[p];
        printf("| %s | %s | %.1f | %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f | %.0f |\n", figures_fleets[fleet].name, arrivals_names[arrivals], load, policy_names[p],
               m->wait_p50 / 1000, m->wait_p95 / 1000, m->wait_mean / 1000, m->whole_p50 / 1000, m->whole_p95 / 1000, m->whole_mean / 1000, m->makespan / 1000, m->loads);
    }
}

int main(int argc, char **argv)
{
    static struct figures all[FIGURES_FLEETS][2][FIGURES_LOADS];
    long traces_n = argc > 1 ? strtol(argv[1], NULL, 10) : TRACES, requests_n = argc > 2 ? strtol(argv[2], NULL, 10) : REQUESTS;
    int are_reached = 1;
    if (argc > 3 || traces_n <= 0 || requests_n <= 0) {
        fprintf(stderr, "usage: simulate [TRACES [REQUESTS]]\n");
        return 100;
    }
    printf("%ld traces of %ld requests each. p95 of waits: ours, of least-conn's and of what ours has where it is told before what each request will take; and the mean until an answer is "
           "complete, of least-conn's. ±: 95 %% confidence.\n\n| machines | arrivals | load | p95 of least-conn's | at most | of told's | complete | reached |\n|---|---|---|---|---|---|---|---|\n",
           traces_n, requests_n);
    for (int f = 0; f < FIGURES_FLEETS; f++)
        for (int a = TRACE_POISSON; a <= TRACE_BURSTS; a++)
            for (int l = 0; l < FIGURES_LOADS; l++) {
                figures_make(&all[f][a][l], (enum figures_fleet)f, (enum trace_arrivals)a, figures_loads[l], (size_t)traces_n, (size_t)requests_n);
                are_reached &= print_ratios(&all[f][a][l], (enum figures_fleet)f, (enum trace_arrivals)a, figures_loads[l]);
            }
    printf("\nSeconds.\n\n| machines | arrivals | load | by | wait p50 | p95 | mean | complete p50 | p95 | mean | makespan | loads |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (int f = 0; f < FIGURES_FLEETS; f++)
        for (int a = TRACE_POISSON; a <= TRACE_BURSTS; a++)
            for (int l = 0; l < FIGURES_LOADS; l++)
                print_seconds(&all[f][a][l], (enum figures_fleet)f, (enum trace_arrivals)a, figures_loads[l]);
    return !are_reached;
}
