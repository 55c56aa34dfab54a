/* See metrics_families.h. What the supervisor tells of programs, memory, sleep and starts; and the list of models, from its page. What nobody knows is not told. */
#include "proxy/metrics.h"
#include "proxy/observe/metrics_families.h"

static void known(struct metrics_writer *w, double value)
{
    if (value >= 0)
        metrics_plain(w, value);
}

static void up(struct metrics_writer *w)
{
    metrics_plain(w, w->in->supervisor != NULL);
}

static void memory_limit(struct metrics_writer *w)
{
    known(w, w->in->supervisor->memory_limit_bytes);
}

static void memory_used(struct metrics_writer *w)
{
    known(w, w->in->supervisor->memory_used_bytes);
}

static void memory_cache(struct metrics_writer *w)
{
    known(w, w->in->supervisor->memory_cache_bytes);
}

static void oom_kills(struct metrics_writer *w)
{
    known(w, w->in->supervisor->oom_kills_n);
}

static void awake(struct metrics_writer *w)
{
    known(w, w->in->supervisor->awake_s);
}

static void asleep(struct metrics_writer *w)
{
    known(w, w->in->supervisor->asleep_s);
}

static void cold_starts(struct metrics_writer *w)
{
    known(w, w->in->supervisor->cold_starts_n);
}

static void wakes(struct metrics_writer *w)
{
    known(w, w->in->supervisor->wakes_n);
}

/* Of each phase that is known. per_unit: so many of them are one of the metric's. */
static void of_phases(struct metrics_writer *w, const double values[SUPERVISOR_PHASES], double per_unit)
{
    for (size_t i = 0; i < SUPERVISOR_PHASES; i++)
        if (values[i] >= 0)
            metrics_labelled(w, "phase", supervisor_phase_name(i), values[i] / per_unit);
}

static void boot_phases(struct metrics_writer *w)
{
    of_phases(w, w->in->supervisor->boot_ms, 1000);
}

static void cold_seconds(struct metrics_writer *w)
{
    of_phases(w, w->in->supervisor->cold_ms, 1000);
}

static void cold_n(struct metrics_writer *w)
{
    of_phases(w, w->in->supervisor->cold_n, 1);
}

static void of_programs(struct metrics_writer *w, double (*value)(const struct program_fact *p))
{
    const struct supervisor_facts *s = w->in->supervisor;
    for (size_t i = 0; i < s->programs_n; i++)
        if (value(&s->programs[i]) >= 0)
            metrics_labelled(w, "program", s->programs[i].name, value(&s->programs[i]));
}

static double is_ready(const struct program_fact *p)
{
    return p->state == CONTRACT_READY;
}

static double restarts(const struct program_fact *p)
{
    return p->restarts_n;
}

static double last_exit(const struct program_fact *p)
{
    return p->last_exit_code;
}

static double memory(const struct program_fact *p)
{
    return p->memory_bytes;
}

static double cpu_s(const struct program_fact *p)
{
    return p->cpu_ms / 1000;
}

static void programs_up(struct metrics_writer *w)
{
    of_programs(w, is_ready);
}

static void programs_restarts(struct metrics_writer *w)
{
    of_programs(w, restarts);
}

static void programs_exits(struct metrics_writer *w)
{
    of_programs(w, last_exit);
}

static void programs_memory(struct metrics_writer *w)
{
    of_programs(w, memory);
}

static void programs_cpu(struct metrics_writer *w)
{
    of_programs(w, cpu_s);
}

static void programs_states(struct metrics_writer *w)
{
    const struct supervisor_facts *s = w->in->supervisor;
    for (size_t i = 0; i < s->programs_n; i++) {
        for (int state = 0; state < CONTRACT_STATE_COUNT; state++) {
            struct metrics_label labels[] = {{"program", s->programs[i].name}, {"state", contract_state_name((enum contract_state)state)}};
            metrics_sample(w, labels, 2, s->programs[i].state == state);
        }
    }
}

static const struct metric of_all[] = {
    {"sidecar_supervisor_up gauge 1 where the supervisor has just told what follows; 0 where it did not answer.", up, 0},
};

static const struct metric of_supervisor[] = {
    {"sidecar_program_up gauge 1 while the program is ready; else 0.", programs_up, 0},
    {"sidecar_program_state gauge 1 for the state that the program has, 0 for all others.", programs_states, 0},
    {"sidecar_program_restarts_total counter Times that the program was started again.", programs_restarts, 0},
    {"sidecar_program_last_exit_code gauge How its last process ended: the exit code, or 128 and the signal's number; none where none has ended.", programs_exits, 0},
    {"sidecar_program_memory_bytes gauge Resident memory of the program and its children.", programs_memory, 0},
    {"sidecar_program_cpu_seconds_total counter Processor time of the program and its children.", programs_cpu, 0},
    {"sidecar_memory_limit_bytes gauge Memory that all may have together: the limit of the cgroup, or what the machine has.", memory_limit, 0},
    {"sidecar_memory_used_bytes gauge Memory that is used of the limit.", memory_used, 0},
    {"sidecar_memory_cache_bytes gauge Pages of files among it, which the kernel takes back when memory is short.", memory_cache, 0},
    {"sidecar_oom_kills_total counter Processes that the kernel killed for want of memory, since the supervisor started.", oom_kills, 0},
    {"sidecar_awake_seconds_total counter How long it was awake, over all sleeps.", awake, 0},
    {"sidecar_asleep_seconds_total counter How long it slept, as nobody needed it.", asleep, 0},
    {"sidecar_cold_starts_total counter Starts of Ollama, but for those after a crash or a restart.", cold_starts, 0},
    {"sidecar_wakes_total counter Times that a sleep has ended.", wakes, 0},
    {"sidecar_boot_phase_seconds gauge From the beginning of the last start of Ollama to the end of each phase that has come.", boot_phases, 0},
    {"sidecar_cold_start_phase_seconds_total counter From the beginning of a cold start to the end of each phase, of all of them together.", cold_seconds, 0},
    {"sidecar_cold_start_phases_total counter Cold starts that have come to the end of each phase.", cold_n, 0},
};

/* ---- the list of models ---- */

/* A row that has a name which none before it has: 1 and *view, or 0. */
static int read_row(const struct contract_page *page, size_t i, struct contract_model_view *view)
{
    struct contract_model_view before;
    contract_model_read(&page->models[i], view);
    if (view->state == CONTRACT_MODEL_EMPTY || !*view->name)
        return 0;
    for (size_t j = 0; j < i; j++) {
        contract_model_read(&page->models[j], &before);
        if (before.state != CONTRACT_MODEL_EMPTY && strcmp(before.name, view->name) == 0)
            return 0;
    }
    return 1;
}

static void of_rows(struct metrics_writer *w, double (*value)(const struct contract_model_view *row))
{
    struct contract_model_view row;
    for (size_t i = 0; i < CONTRACT_MODELS; i++)
        if (read_row(w->in->page, i, &row))
            metrics_labelled(w, "model", row.name, value(&row));
}

static double completed(const struct contract_model_view *row)
{
    return (double)row->completed_bytes;
}

static double total(const struct contract_model_view *row)
{
    return (double)row->total_bytes;
}

static void preload_bytes(struct metrics_writer *w)
{
    of_rows(w, completed);
}

static void preload_total(struct metrics_writer *w)
{
    of_rows(w, total);
}

static void preload_models(struct metrics_writer *w)
{
    static const struct {
        enum contract_model_state state;
        const char *name;
    } states[] = {{CONTRACT_MODEL_PENDING, "pending"}, {CONTRACT_MODEL_PULLING, "pulling"}, {CONTRACT_MODEL_READY, "ready"}, {CONTRACT_MODEL_FAILED, "failed"}};
    struct contract_model_view row;
    for (size_t s = 0; s < sizeof states / sizeof *states; s++) {
        size_t n = 0;
        for (size_t i = 0; i < CONTRACT_MODELS; i++)
            n += read_row(w->in->page, i, &row) && row.state == states[s].state;
        metrics_labelled(w, "state", states[s].name, (double)n);
    }
}

static const struct metric of_preload[] = {
    {"sidecar_preload_bytes gauge Bytes of the model of the preload list that are there.", preload_bytes, 0},
    {"sidecar_preload_total_bytes gauge Bytes that it has; 0 while that is not known.", preload_total, 0},
    {"sidecar_preload_models gauge Models of the preload list, by what became of them.", preload_models, 0},
};

static int is_supervised(const struct metrics_input *in)
{
    return in->page != NULL;
}

static int has_answered(const struct metrics_input *in)
{
    return in->supervisor != NULL;
}

const struct metrics_family metrics_overseer = METRICS_FAMILY(of_all, is_supervised);
const struct metrics_family metrics_supervisor = METRICS_FAMILY(of_supervisor, has_answered);
const struct metrics_family metrics_preload = METRICS_FAMILY(of_preload, is_supervised);
