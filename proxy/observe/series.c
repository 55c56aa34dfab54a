/* See series.h. */
#include "proxy/observe/series.h"

static struct series_step *at(struct series *s, int64_t number)
{
    return &s->steps[(uint64_t)number % SERIES_STEPS];
}

static struct series_step begin(const struct series *s)
{
    return (struct series_step){.in_flight_max_n = s->in_flight_n, .held_max_n = s->held_n};
}

void series_init(struct series *s, int64_t now_ms)
{
    s->number = now_ms / SERIES_STEP_MS;
}

struct series_step *series_now(struct series *s, int64_t now_ms)
{
    int64_t number = now_ms / SERIES_STEP_MS;
    if (number - s->number > SERIES_STEPS)
        s->number = number - SERIES_STEPS;
    while (s->number < number)
        *at(s, ++s->number) = begin(s);
    return at(s, s->number);
}

void series_in_flight(struct series *s, int64_t now_ms, size_t in_flight_n)
{
    struct series_step *step = series_now(s, now_ms);
    s->in_flight_n = (uint32_t)in_flight_n;
    if (step->in_flight_max_n < s->in_flight_n)
        step->in_flight_max_n = s->in_flight_n;
}

void series_held(struct series *s, int64_t now_ms, size_t held_n)
{
    struct series_step *step = series_now(s, now_ms);
    s->held_n = (uint32_t)held_n;
    if (step->held_max_n < s->held_n)
        step->held_max_n = s->held_n;
}

void series_tokens(struct series *s, int64_t now_ms, int64_t from_ms, int64_t to_ms, double tokens)
{
    struct series_step *latest = series_now(s, now_ms);
    int64_t oldest_ms = (s->number - (SERIES_STEPS - 1)) * SERIES_STEP_MS;
    if (to_ms <= from_ms) {
        latest->tokens += tokens;
        return;
    }
    double a_ms = tokens / (double)(to_ms - from_ms);
    for (int64_t t = from_ms > oldest_ms ? from_ms : oldest_ms; t < to_ms;) {
        int64_t number = t / SERIES_STEP_MS, end_ms = (number + 1) * SERIES_STEP_MS;
        end_ms = end_ms < to_ms ? end_ms : to_ms;
        at(s, number < s->number ? number : s->number)->tokens += a_ms * (double)(end_ms - t);
        t = end_ms;
    }
}

const struct series_step *series_at(const struct series *s, size_t i)
{
    return &s->steps[((uint64_t)s->number + 1 + i) % SERIES_STEPS];
}
