/*
 * bench: how long this machine takes to the first token, and how many it makes a second.
 */
#ifndef CTL_BENCH_H
#define CTL_BENCH_H

#include "ctl/ctl.h"

#include "common/buf.h"

#include <stdint.h>

enum { BENCH_ROUNDS_MAX = 100 };

/* What one answer told, and what was seen of it; below zero: not known. */
struct bench_round {
    int64_t first_token_ms, total_ms;       /* seen, from the request on */
    int64_t load_ms, tokens_n, prompt_n;    /* told */
    double tokens_per_s, prompt_per_s;      /* of what is told: without network and queue */
};

/* The verb. Returns the exit code. */
int bench_run(const struct ctl *ctl) WARN_UNUSED;

/* A line of Ollama's POST /api/generate that came at at_ms, where the request went at asked_at_ms. 0, 1: it was the last one, or -EINVAL where it is an
 * error or none of Ollama's lines. */
int bench_take(struct bench_round *round, const char *line, size_t line_n, int64_t asked_at_ms, int64_t at_ms) WARN_UNUSED;

/* The median of each figure, of those rounds that have it. */
struct bench_round bench_median(const struct bench_round *rounds, size_t rounds_n);

#endif
