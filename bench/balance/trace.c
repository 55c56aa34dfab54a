/* See trace.h. */
#include "bench/balance/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double prefill_ms = 2, decode_ms = 25;        /* a token, at speed 1 */
static const double burst_ms = 15000, calm_ms = 30000;     /* how long they last, on average */
static const double burst_rate = 2, calm_rate = 0.5;       /* of the mean rate */
static const double prompt_median = 250, prompt_sigma = 1; /* lognormal */
static const double output_median = 120, output_sigma = 1;
static const double pareto_least = 60, pareto_alpha = 1.5; /* where they come in bursts: a mean of 180 without its end */
static const double output_most = 4096, prompt_most = 16384;

/* splitmix64 (Steele, Lea, Flood, 2014). */
double trace_chance(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ z >> 31) >> 11) + 0.5) / 9007199254740992.0;
}

static double exponential(uint64_t *state, double mean)
{
    return -log(trace_chance(state)) * mean;
}

/* Box and Muller. */
static double lognormal(uint64_t *state, double median, double sigma)
{
    double r = sqrt(-2 * log(trace_chance(state)));
    return median * exp(sigma * r * cos(2 * 3.14159265358979 * trace_chance(state)));
}

static int tokens(double n, double most)
{
    return (int)(n < 1 ? 1 : n > most ? most : n);
}

static int draw_output(uint64_t *state, enum trace_arrivals arrivals)
{
    double n = arrivals == TRACE_BURSTS ? pareto_least / pow(trace_chance(state), 1 / pareto_alpha) : lognormal(state, output_median, output_sigma);
    return tokens(n, output_most);
}

int64_t trace_prefill_ms(const struct trace_request *r, double speed)
{
    return (int64_t)((50 + r->prompt_tokens * prefill_ms) / speed);
}

int64_t trace_decode_ms(const struct trace_request *r, double speed)
{
    return (int64_t)(r->output_tokens * decode_ms / speed);
}

/* What all machines do together, in units of speed 1. */
static double capacity(const struct fleet_row *fleet)
{
    double sum = 0;
    for (int i = 0; i < fleet->backends_n; i++)
        sum += fleet->later[i] > 0 ? fleet->later[i] : fleet->speeds[i];
    return sum;
}

/* When the next one comes, of a process that is fast for a while and slow for a while (Markov-modulated Poisson). */
struct phase {
    int is_burst;
    double ends_ms;
};

static double after_gap(uint64_t *state, struct phase *phase, double at_ms, double gap_ms)
{
    double left = exponential(state, gap_ms); /* at the mean rate */
    for (;;) {
        double rate = phase->is_burst ? burst_rate : calm_rate;
        if (at_ms + left / rate <= phase->ends_ms)
            return at_ms + left / rate;
        left -= (phase->ends_ms - at_ms) * rate;
        at_ms = phase->ends_ms;
        phase->is_burst = !phase->is_burst;
        phase->ends_ms += exponential(state, phase->is_burst ? burst_ms : calm_ms);
    }
}

void trace_make(struct trace *t, const struct fleet_row *fleet, enum trace_arrivals arrivals, double load, size_t requests_n, uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
    double work_ms = 0, at_ms = 0;
    struct phase phase = {.is_burst = 1};
    *t = (struct trace){.requests_n = requests_n, .requests = calloc(requests_n, sizeof *t->requests)};
    if (!t->requests) {
        perror("simulate");
        exit(111);
    }
    for (size_t i = 0; i < requests_n; i++) {
        struct trace_request *r = &t->requests[i];
        r->prompt_tokens = tokens(lognormal(&state, prompt_median, prompt_sigma), prompt_most);
        r->output_tokens = draw_output(&state, arrivals);
        r->model = (int)(trace_chance(&state) * fleet->models_n);
        work_ms += (double)(trace_prefill_ms(r, 1) + trace_decode_ms(r, 1));
    }
    double gap_ms = work_ms / (double)requests_n / capacity(fleet) / load;
    for (size_t i = 0; i < requests_n; i++) {
        at_ms = arrivals == TRACE_BURSTS ? after_gap(&state, &phase, at_ms, gap_ms) : at_ms + exponential(&state, gap_ms);
        t->requests[i].at_ms = (int64_t)at_ms;
    }
    t->half_ms = t->requests[requests_n / 2].at_ms;
}

void trace_free(struct trace *t)
{
    free(t->requests);
    *t = (struct trace){0};
}
