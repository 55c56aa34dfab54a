/* See stall.h. Doubt means that it works: what can't be read, what has become less as a process has ended. */
#include "supervisor/stall.h"

void stall_begin(struct stall *s)
{
    *s = (struct stall){.has_sample = 0};
}

static int has_grown(int64_t before, int64_t now, int64_t least)
{
    return now < before || now - before > least;
}

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int has_moved(const struct stall *s, const struct stall_sample *now, int64_t now_ms)
{
    const struct stall_sample *before = &s->sample;
    int64_t passed_ms = now_ms - s->sampled_ms, still_ms = now_ms - s->since_ms;
    return now->gpu_percent >= STALL_GPU_PERCENT ||
           has_grown(before->cpu_ms, now->cpu_ms, at_least(STALL_CPU_LEAST_MS, passed_ms * STALL_CPU_PERCENT / 100)) ||
           has_grown(s->since_cpu_ms, now->cpu_ms, at_least(STALL_CPU_CREEPS_MS, still_ms * STALL_CPU_PERCENT / 100)) ||
           has_grown(before->read_bytes, now->read_bytes, at_least(passed_ms, 1000) * STALL_READ_BYTES_A_SECOND / 1000) ||
           has_grown(before->gpu_ms, now->gpu_ms, passed_ms * STALL_GPU_PERCENT / 100);
}

enum stall_verdict stall_judge(struct stall *s, const struct stall_sample *sample, uint64_t progress, int64_t limit_ms, int64_t now_ms)
{
    int moves = !s->has_sample || !sample->is_known || progress != s->progress || has_moved(s, sample, now_ms);
    s->has_sample = sample->is_known;
    s->sample = *sample;
    s->sampled_ms = now_ms;
    s->progress = progress;
    if (moves) {
        s->since_ms = now_ms;
        s->since_cpu_ms = sample->cpu_ms;
        return STALL_MOVES;
    }
    return now_ms - s->since_ms >= limit_ms ? STALL_HUNG : STALL_STILL;
}
