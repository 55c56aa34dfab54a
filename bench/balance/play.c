/* See play.h. */
#include "bench/balance/play.h"

#include "proxy/balance/balance.h"
#include "proxy/balance/speeds.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOAD_MS = 8000, BARREN = -1 };

const char *const policy_names[POLICIES] = {"ours", "told", "least-conn", "round-robin", "random"};
static const char *const models[] = {"a", "b", "c", "d"};
static const struct balance_rules rules = {.ageing_ms = 15000, .min_residency_ms = 10000, .fair_max_ms = 600000};

struct job {
    const struct trace_request *request;
    int64_t start_ms, end_ms, prefill_ms, decode_ms, load_ms;
    struct job *next; /* in a machine's line */
    struct balance_ticket ticket;
    struct balance_way ways[BALANCE_BACKENDS];
};

struct machine {
    int model; /* loaded; BARREN: none yet */
    struct job *now, *first, *last;
    size_t line_n; /* with the one that it works at */
};

struct stage {
    const struct trace *trace;
    const struct fleet_row *fleet;
    enum policy policy;
    uint64_t chance;
    size_t loads_n;
    int turn; /* the machine after the one that was chosen last */
    struct machine machines[TRACE_BACKENDS];
    struct job *jobs;
    /* ours */
    struct waiting waiting;
    struct balance *balance;
    struct speeds *speeds;
    int64_t again_ms;
};

static void *or_die(void *p)
{
    if (!p) {
        perror("simulate");
        exit(111);
    }
    return p;
}

static double speed_at(const struct stage *s, int machine, int64_t now_ms)
{
    double later = s->fleet->later[machine];
    return later > 0 && now_ms >= s->trace->half_ms ? later : s->fleet->speeds[machine];
}

static void work(struct stage *s, int machine, struct job *j, int64_t now_ms)
{
    struct machine *m = &s->machines[machine];
    double speed = speed_at(s, machine, now_ms);
    j->load_ms = m->model == j->request->model ? 0 : LOAD_MS;
    s->loads_n += m->model != j->request->model;
    m->model = j->request->model;
    m->now = j;
    j->prefill_ms = trace_prefill_ms(j->request, speed);
    j->decode_ms = trace_decode_ms(j->request, speed);
    j->start_ms = now_ms + j->load_ms;
    j->end_ms = j->start_ms + j->prefill_ms + j->decode_ms;
}

/* ---- a request goes to a machine at once ---- */

static int choose(struct stage *s)
{
    int n = s->fleet->backends_n, chosen = s->turn;
    if (s->policy == POLICY_RANDOM)
        chosen = (int)(trace_chance(&s->chance) * n);
    for (int i = 0; s->policy == POLICY_LEAST && i < n; i++) {
        int other = (s->turn + i) % n;
        if (s->machines[other].line_n < s->machines[chosen].line_n)
            chosen = other;
    }
    s->turn = (chosen + 1) % n;
    return chosen;
}

static void dispatch(struct stage *s, struct job *j, int64_t now_ms)
{
    int chosen = choose(s);
    struct machine *m = &s->machines[chosen];
    m->line_n++;
    if (!m->now) {
        work(s, chosen, j, now_ms);
        return;
    }
    *(m->last ? &m->last->next : &m->first) = j;
    m->last = j;
}

static void take_next(struct stage *s, int machine, int64_t now_ms)
{
    struct machine *m = &s->machines[machine];
    m->line_n--;
    struct job *j = m->first;
    if (!j)
        return;
    m->first = j->next;
    m->last = m->first ? m->last : NULL;
    work(s, machine, j, now_ms);
}

/* ---- ours ---- */

static void expect(struct stage *s, struct job *j, int64_t now_ms)
{
    const struct trace_request *r = j->request;
    for (int i = 0; i < BALANCE_BACKENDS; i++)
        j->ways[i] = (struct balance_way){.run_ms = BALANCE_NO_WAY};
    for (int i = 0; i < s->fleet->backends_n; i++) {
        double speed = speed_at(s, i, now_ms);
        if (s->policy == POLICY_TOLD)
            j->ways[i] = (struct balance_way){.run_ms = (int32_t)(trace_prefill_ms(r, speed) + trace_decode_ms(r, speed)), .load_ms = LOAD_MS};
        else
            speeds_expect(s->speeds, i, &(struct speeds_ask){.model = models[r->model], .prompt_tokens = r->prompt_tokens}, now_ms, &j->ways[i]);
    }
}

static void stand_in_line(struct stage *s, struct job *j, int64_t now_ms)
{
    expect(s, j, now_ms);
    j->ticket = (struct balance_ticket){.priority = BALANCE_PRIORITY, .ways = j->ways, .context = j};
    (void)balance_enter(s->balance, &j->ticket, models[j->request->model], 0, now_ms);
}

static void grant(struct stage *s, int64_t now_ms)
{
    for (struct balance_ticket *t; (t = balance_next(s->balance, now_ms, &s->again_ms));)
        work(s, t->backend, t->context, now_ms);
}

static void learn(struct stage *s, int machine, struct job *j, int64_t now_ms)
{
    struct speeds_sample sample = {.prompt_tokens = j->request->prompt_tokens, .prompt_ms = j->prefill_ms, .output_tokens = j->request->output_tokens,
                                   .output_ms = j->decode_ms, .load_ms = j->load_ms};
    speeds_learn(s->speeds, machine, models[j->request->model], &sample, now_ms);
    balance_leave(s->balance, &j->ticket);
}

/* ---- what happens next ---- */

static int is_ours(const struct stage *s)
{
    return s->policy == POLICY_OURS || s->policy == POLICY_TOLD;
}

static void end_jobs(struct stage *s, int64_t now_ms)
{
    for (int i = 0; i < s->fleet->backends_n; i++) {
        struct job *j = s->machines[i].now;
        if (!j || j->end_ms > now_ms)
            continue;
        s->machines[i].now = NULL;
        if (is_ours(s))
            learn(s, i, j, now_ms);
        else
            take_next(s, i, now_ms);
    }
}

static int64_t earliest(const struct stage *s, size_t next)
{
    int64_t at_ms = next < s->trace->requests_n ? s->trace->requests[next].at_ms : INT64_MAX;
    if (s->again_ms > 0 && s->again_ms < at_ms)
        at_ms = s->again_ms;
    for (int i = 0; i < s->fleet->backends_n; i++)
        if (s->machines[i].now && s->machines[i].now->end_ms < at_ms)
            at_ms = s->machines[i].now->end_ms;
    return at_ms;
}

static void run(struct stage *s)
{
    int64_t now_ms;
    for (size_t next = 0; (now_ms = earliest(s, next)) < INT64_MAX;) {
        s->again_ms = 0;
        end_jobs(s, now_ms);
        for (; next < s->trace->requests_n && s->trace->requests[next].at_ms <= now_ms; next++) {
            struct job *j = &s->jobs[next];
            j->request = &s->trace->requests[next];
            if (is_ours(s))
                stand_in_line(s, j, now_ms);
            else
                dispatch(s, j, now_ms);
        }
        if (is_ours(s))
            grant(s, now_ms);
    }
}

/* ---- figures ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(double *values, size_t n, double *p50, double *p95, double *mean)
{
    double sum = 0;
    qsort(values, n, sizeof *values, compare);
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    *p50 = values[n / 2];
    *p95 = values[n * 95 / 100];
    *mean = sum / (double)n;
}

static void measure(const struct stage *s, struct played *out)
{
    size_t n = s->trace->requests_n;
    double *values = or_die(calloc(n, sizeof *values));
    out->makespan = 0;
    out->loads = (double)s->loads_n;
    for (size_t i = 0; i < n; i++) {
        values[i] = (double)(s->jobs[i].start_ms - s->trace->requests[i].at_ms);
        out->makespan = (double)s->jobs[i].end_ms > out->makespan ? (double)s->jobs[i].end_ms : out->makespan;
    }
    summarise(values, n, &out->wait_p50, &out->wait_p95, &out->wait_mean);
    for (size_t i = 0; i < n; i++)
        values[i] = (double)(s->jobs[i].end_ms - s->trace->requests[i].at_ms);
    summarise(values, n, &out->whole_p50, &out->whole_p95, &out->whole_mean);
    free(values);
}

void play(const struct trace *trace, const struct fleet_row *fleet, enum policy policy, uint64_t seed, struct played *out)
{
    struct stage s = {.trace = trace, .fleet = fleet, .policy = policy, .chance = seed, .waiting = {.limit_n = SIZE_MAX}};
    s.jobs = or_die(calloc(trace->requests_n, sizeof *s.jobs));
    s.balance = or_die(balance_new(&rules, &s.waiting));
    s.speeds = or_die(speeds_new());
    for (int i = 0; i < fleet->backends_n; i++) {
        s.machines[i].model = BARREN;
        speeds_set_backend(s.speeds, i, 1);
        balance_set_backend(s.balance, i, 1, 1, 1);
    }
    run(&s);
    measure(&s, out);
    speeds_free(&s.speeds);
    balance_free(&s.balance);
    free(s.jobs);
}
