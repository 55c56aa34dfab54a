/*
 * trace: requests that come to a fleet of machines that are played: when, with how long a prompt and answer, for which model. The same seed makes the same trace.
 */
#ifndef BENCH_BALANCE_TRACE_H
#define BENCH_BALANCE_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum { TRACE_BACKENDS = 8 };

/* The machines: one request at a time, and one model. */
struct fleet_row {
    const char *name;
    int backends_n;
    double speeds[TRACE_BACKENDS]; /* 1: 2 ms a token of the prompt, 25 ms a token of the answer */
    double later[TRACE_BACKENDS];  /* … in the second half of the trace; 0: as before */
    int models_n;
};

struct trace_request {
    int64_t at_ms;
    int prompt_tokens, output_tokens, model;
};

struct trace {
    size_t requests_n;
    int64_t half_ms; /* when its second half begins */
    struct trace_request *requests;
};

enum trace_arrivals { TRACE_POISSON, TRACE_BURSTS };

/* load: of what the machines can do, in the slower half; loads of models left out. Ends the program where there is no memory. */
void trace_make(struct trace *t, const struct fleet_row *fleet, enum trace_arrivals arrivals, double load, size_t requests_n, uint64_t seed);
void trace_free(struct trace *t);
/* What a request takes a machine of that speed, its model being loaded. */
int64_t trace_prefill_ms(const struct trace_request *r, double speed);
int64_t trace_decode_ms(const struct trace_request *r, double speed);

/* A number from 0 to 1, neither of them. */
double trace_chance(uint64_t *state);

#endif
