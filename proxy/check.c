/*
 * See check.h. Where the supervisor watches the backend, its page is the answer, at no cost, and of several the fleet's probes are; elsewhere the
 * backend is asked. Nothing here wakes or starts anything.
 */
#include "proxy/check.h"

#include "proxy/metrics.h"
#include "proxy/reply.h"
#include "proxy/serve/serve.h"

enum { HEALTH_LIMIT_BYTES = 1 << 20, METRICS_LIMIT_BYTES = 4 << 20 };

static const char no_store[] = "Cache-Control: no-store\r\n";

int check_write_health(const struct check_facts *f, enum health_api api, const char *reason, struct buf *out, int *status)
{
    struct health_input in = {.page = f->page, .api = api, .api_reason = reason, .uptime_ms = f->uptime_ms};
    struct serve_facts models;
    in.in_flight_n = atomic_load(&f->line->in_flight_n);
    in.held_n = atomic_load(&f->line->held_n);
    in.queued_n = f->queue->waiting_n + (f->fleet ? f->fleet->waiting_n : 0);
    in.loads = f->loads;
    in.cooldowns = f->cooldowns;
    in.pulls = f->pulls;
    in.upstreams = f->upstreams;
    in.fleet = f->fleet;
    in.optimizer = f->optimizer;
    in.served = serve_gather(f->serve, &models) ? &models : NULL;
    in.now_ms = f->now_ms;
    in.requests_n = atomic_load(&f->line->requests_n);
    in.repaired_n = atomic_load(&f->line->repaired_n);
    return health_write(out, &in, status);
}

static void answer_health(struct check *c, enum health_api api, const char *reason)
{
    struct buf out;
    int status = 503;
    buf_init(&out, HEALTH_LIMIT_BYTES);
    if (check_write_health(&c->facts, api, reason, &out, &status) < 0)
        reply_error(c->deliver, DIALECT_OLLAMA, 503, NULL, "out of memory", no_store);
    else
        reply_json(c->deliver, status, buf_data(&out), buf_size(&out), no_store);
    buf_fini(&out);
    c->fn(c->context);
}

/* 1 where it has answered. */
static int read_supervisor(const struct check *c, struct supervisor_facts *out)
{
    size_t n;
    const char *json = c->facts.overseer ? overseer_status(c->facts.overseer, &n) : NULL;
    return json && supervisor_facts_read(out, json, n) == 0;
}

static void answer_metrics(struct check *c, enum health_api api)
{
    struct metrics_input in = {.observe = c->facts.observe, .optimizer = c->facts.optimizer, .fleet = c->facts.fleet, .is_up = api == HEALTH_API_READY || api == HEALTH_API_ASLEEP};
    struct serve_facts models;
    struct buf out;
    in.served = serve_gather(c->facts.serve, &models) ? &models : NULL;
    memcpy(in.queued_n, c->facts.line_n, sizeof in.queued_n);
    struct supervisor_facts supervisor;
    in.page = c->facts.page;
    in.shown = c->facts.shown;
    in.supervisor = read_supervisor(c, &supervisor) ? &supervisor : NULL;
    buf_init(&out, METRICS_LIMIT_BYTES);
    if (metrics_write(&out, &in) < 0)
        reply_error(c->deliver, DIALECT_OLLAMA, 503, NULL, "out of memory", no_store);
    else
        reply_bytes(c->deliver, 200, METRICS_TYPE, buf_data(&out), buf_size(&out), no_store);
    buf_fini(&out);
    c->fn(c->context);
}

static void answer_api(struct check *c, enum health_api api, const char *reason)
{
    if (c->kind == ROUTE_METRICS)
        answer_metrics(c, api);
    else
        answer_health(c, api, reason);
}

static void on_ping(void *context, int is_answering, const char *why)
{
    answer_api(context, is_answering ? HEALTH_API_READY : HEALTH_API_SILENT, why);
}

static int is_watched(const struct check_facts *f)
{
    return f->page && f->is_backend_ours && contract_find_program(f->page, "ollama");
}

int check_knows_api(const struct check_facts *f, enum health_api *api, char why[CONTRACT_REASON_BYTES])
{
    why[0] = '\0';
    if (f->fleet) {
        *api = health_api_of_fleet(f->fleet, why);
    } else if (f->is_alone) {
        *api = HEALTH_API_READY;
    } else if (is_watched(f)) {
        const struct contract_program *ollama = contract_find_program(f->page, "ollama");
        *api = health_api_of_page(f->page, why);
        if (f->is_ollama_optional && atomic_load(&ollama->state) == CONTRACT_DOWN)
            *api = HEALTH_API_READY;
    } else {
        return 0;
    }
    return 1;
}

static void check_api(struct check *c, struct backend *backend)
{
    char why[CONTRACT_REASON_BYTES];
    enum health_api api;
    if (check_knows_api(&c->facts, &api, why)) {
        answer_api(c, api, why);
        c->facts.fleet = NULL; /* it was borrowed */
    } else if (ping_start(&c->ping, backend, on_ping, c, why, sizeof why) < 0) {
        answer_api(c, HEALTH_API_SILENT, why);
    }
}

static void answer_ok(struct check *c)
{
    static const char ok[] = "{\"status\":\"ok\"}\n";
    reply_json(c->deliver, 200, ok, sizeof ok - 1, no_store);
    c->fn(c->context);
}

static void check_ready(struct check *c)
{
    char reason[CONTRACT_REASON_BYTES] = "";
    int has_failed = is_watched(&c->facts) && health_api_of_page(c->facts.page, reason) == HEALTH_API_FAILED;
    if (!c->facts.is_draining && !has_failed) {
        answer_ok(c);
        return;
    }
    reply_error(c->deliver, DIALECT_OLLAMA, 503, NULL,
                c->facts.is_draining ? "the server is shutting down"
                : *reason            ? reason
                                     : "ollama has failed",
                no_store);
    c->fn(c->context);
}

void check_start(struct check *c, enum route_kind kind, const struct check_facts *facts, struct backend *backend,
                 struct deliver *deliver, check_fn *fn, void *context)
{
    *c = (struct check){.facts = *facts, .kind = kind, .deliver = deliver, .fn = fn, .context = context};
    switch (kind) {
    case ROUTE_HEALTH:
    case ROUTE_METRICS:
        check_api(c, backend);
        return;
    case ROUTE_READY:
        check_ready(c);
        return;
    case ROUTE_LIVE:
    case ROUTE_BACKEND:
    case ROUTE_STATUS: /* exchange_status.c's */
    case ROUTE_MEMBER:
    case ROUTE_SERVE: /* exchange_serve.h's */
    case ROUTE_UI: /* exchange_ui.c's */
        answer_ok(c);
        return;
    }
}

void check_fini(struct check *c)
{
    ping_fini(&c->ping);
    overseer_leave(&c->overseen);
    *c = (struct check){.fn = NULL};
}
