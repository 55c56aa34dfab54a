/*
 * See instances.h. A place of the table is a row of the page. What a child's states mean for its row is decided once a turn where the child
 * has ended by itself, as it may be for no more than a port.
 */
#include "supervisor/instances/instances.h"

#include "common/log.h"
#include "supervisor/instances/places.h"
#include "supervisor/instances/port.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KILLED_RECENTLY_MS = 5000 };

static struct contract_instance *row_of(const struct supervisor *s, const struct instance *i)
{
    return &s->board.page->instances[i - s->instances->items];
}

/* The row says what `told` says, and everybody looks. */
static void tell(struct supervisor *s, const struct instance *i)
{
    contract_instance_write(row_of(s, i), &i->told);
    state_tell_all(s, CONTRACT_STATE_CHANGED);
    state_evaluate_soon(s);
}

static void fail(struct supervisor *s, struct instance *i, const char *reason)
{
    i->told.state = CONTRACT_FAILED;
    i->told.pid = 0;
    snprintf(i->told.reason, sizeof i->told.reason, "%s", reason);
    log_event(LOG_WARNING, "engine_failed", "model=%s engine=%s reason=\"%s\"", i->told.model, i->told.engine, i->told.reason);
    tell(s, i);
}

/* ---- its child ---- */

static void instance_changed(void *context, struct child *c)
{
    struct supervisor *s = context;
    struct instance *i = (struct instance *)c;
    const struct program *p = &c->program;
    if (p->state == CONTRACT_FAILED || p->state == CONTRACT_DONE || p->state == CONTRACT_BACKOFF) { /* instances_look() says what comes of it */
        i->has_ended = 1;
        state_evaluate_soon(s);
        return;
    }
    if (i->has_ended)
        return;
    i->is_late = p->state == CONTRACT_STOPPING && p->after == PROGRAM_AFTER_FAILURE;
    i->told.state = i->is_late ? i->told.state : p->state; /* who wants it is told of a failure, not of a stop */
    i->told.pid = p->pid;
    if (p->state == CONTRACT_READY) {
        i->told.was_ready = 1;
        i->told.ready_at_ms = loop_monotonic_ms(&s->loop);
    }
    tell(s, i);
}

/* Engines have no channel, and what they complain of is in the log. */
static void heard_nothing(void *context, struct child *c, const struct contract_message *m, int fd)
{
    (void)context;
    (void)c;
    (void)m;
    (void)fd;
}

static void complained(void *context, const struct child *c, const char *line, enum log_level level)
{
    (void)context;
    (void)c;
    (void)line;
    (void)level;
}

/* ---- a start ---- */

/* With a port of its own, the next one where it had one before. */
static void launch(struct supervisor *s, struct instance *i)
{
    struct instances *in = s->instances;
    const struct conf_engine *engine = conf_engine(s->conf, i->told.engine);
    char why[CONTRACT_REASON_BYTES];
    if (!engine) { /* it went in a reload, and its port was taken before */
        fail(s, i, "its engine is not in the configuration any more");
        return;
    }
    int port = port_choose(places_is_spoken_for, in);
    if (port < 0) {
        snprintf(why, sizeof why, "there is no free port on 127.0.0.1: %s", strerror(-port));
        fail(s, i, why);
        return;
    }
    i->told.port = (uint16_t)port;
    i->ports_n++;
    if (instance_make(i, &in->site, engine, why) < 0) {
        fail(s, i, why);
        return;
    }
    program_event(&i->child.program, PROGRAM_START, loop_now_ms(&s->loop));
}

/* 0, or -EINVAL with words. */
static int check_start(const struct supervisor *s, const struct contract_message *m, struct start_request *r, char why[CONTRACT_REASON_BYTES])
{
    char reason[START_REQUEST_WHY_BYTES];
    if (start_request_parse(m->detail, r, reason) < 0)
        snprintf(why, CONTRACT_REASON_BYTES, "what is to be started can't be read: %s", reason);
    else if (!conf_engine(s->conf, r->engine))
        snprintf(why, CONTRACT_REASON_BYTES, "[engine:%s] is not in the configuration, or not any more", r->engine);
    else
        return 0;
    return -EINVAL;
}

static void start(struct supervisor *s, const struct contract_message *m)
{
    struct instances *in = s->instances;
    struct start_request request = {.length_n = 0};
    char name_why[PARSE_WHY_BYTES], why[CONTRACT_REASON_BYTES];
    if (parse_hub_name(m->name, name_why) < 0 || s->is_stopping) { /* nobody could wait for a row of this name */
        log_event(LOG_WARNING, "engine_refused", "reason=\"%s\"", s->is_stopping ? "everything is being stopped" : name_why);
        return;
    }
    struct instance *i = places_find(in, m->name) ? NULL : places_free(in, m->name);
    if (!i || places_taken_n(in) > (unsigned)s->conf->models.max_cache_models)
        return; /* it is there; or there is no place, not even that of one that is about to go: who wants it finds that on the page */
    int error = check_start(s, m, &request, why);
    i->told = (struct contract_instance_view){.state = CONTRACT_STARTING, .number = ++in->number, .is_quantized = request.is_quantized,
                                              .started_at_ms = loop_monotonic_ms(&s->loop)};
    snprintf(i->told.model, sizeof i->told.model, "%s", m->name);
    snprintf(i->told.engine, sizeof i->told.engine, "%s", request.engine);
    i->request = request;
    atomic_store(&row_of(s, i)->holds, 0);
    i->ports_n = 0;
    i->has_ended = i->is_late = 0;
    if (error)
        fail(s, i, why);
    else
        launch(s, i);
}

static void stop(struct supervisor *s, const char *model)
{
    instances_look(s); /* what has ended is not stopped */
    struct instance *i = places_find(s->instances, model);
    if (!i)
        return;
    atomic_store(&row_of(s, i)->state, CONTRACT_STOPPING); /* who says from here on that he uses it looks, and finds that he does not */
    if (contract_holds_beside(atomic_load(&row_of(s, i)->holds), CONTRACT_LINES) & CONTRACT_HOLD_USED)
        tell(s, i);
    else
        program_event(&i->child.program, PROGRAM_STOP, loop_now_ms(&s->loop));
}

int instances_heard(struct supervisor *s, const struct contract_message *m, int fd)
{
    int is_serving = s->instances && s->conf->models.serve;
    if (m->kind != CONTRACT_ENGINE_START && m->kind != CONTRACT_ENGINE_STOP && m->kind != CONTRACT_HUB)
        return 0;
    if (m->kind == CONTRACT_HUB && fd < 0)
        return 0;
    if (m->kind == CONTRACT_HUB && (!is_serving || s->is_stopping))
        hub_jobs_refuse(fd, s->is_stopping ? "everything is being stopped" : "the supervisor serves no models: set [models] serve = yes");
    else if (m->kind == CONTRACT_HUB)
        hub_jobs_begin(&s->instances->hub, &s->launch_site, fd);
    else if (is_serving && m->kind == CONTRACT_ENGINE_START)
        start(s, m);
    else if (is_serving)
        stop(s, m->name);
    return 1;
}

/* Its requests wait for engines still. */
static void asked_by_draining(void *context, const struct contract_message *m, int fd)
{
    (void)instances_heard(context, m, fd);
}

/* ---- an end ---- */

static void look_at(struct supervisor *s, struct instance *i)
{
    struct program *p = &i->child.program;
    char why[CONTRACT_REASON_BYTES], killed[MEMORY_WHY_BYTES] = "";
    if (s->instances->killed_at_ms && loop_now_ms(&s->loop) - s->instances->killed_at_ms <= KILLED_RECENTLY_MS)
        snprintf(killed, sizeof killed, "%s", s->instances->killed_limit);
    instance_why(i, killed, why);
    int is_port = i->told.state == CONTRACT_STARTING && !i->is_late && port_is_taken_said(i->child.output.last.text);
    if (p->state == CONTRACT_BACKOFF) /* for want of processes or memory: who wants it may ask again */
        program_event(p, PROGRAM_STOP, loop_now_ms(&s->loop));
    i->has_ended = 0;
    if (!is_port || i->ports_n >= INSTANCE_PORTS_MAX || s->is_stopping) {
        fail(s, i, why);
        return;
    }
    log_event(LOG_INFO, "engine_port", "model=%s engine=%s port=%u reason=\"it was taken before the engine had it\"", i->told.model, i->told.engine, i->told.port);
    launch(s, i);
}

void instances_look(struct supervisor *s)
{
    for (size_t n = 0; s->instances && n < CONTRACT_INSTANCES; n++)
        if (s->instances->items[n].has_ended)
            look_at(s, &s->instances->items[n]);
}

void instances_killed(struct supervisor *s, const char *limit)
{
    if (!s->instances)
        return;
    s->instances->killed_at_ms = loop_now_ms(&s->loop);
    snprintf(s->instances->killed_limit, sizeof s->instances->killed_limit, "%s", *limit ? limit : "whose limit is not known");
}

int instances_reaped(struct supervisor *s, pid_t pid, int status)
{
    return s->instances && hub_jobs_reaped(&s->instances->hub, pid, status);
}

int instances_are_pulling(const struct supervisor *s)
{
    return s->instances && hub_jobs_n(&s->instances->hub) > 0;
}

/* Who comes finds no row that is ready from here on; who came before has been counted, and has them go on. */
void instances_doze(struct supervisor *s)
{
    struct board_activity activity;
    struct instances *in = s->instances;
    instances_look(s);
    for (size_t n = 0; in && n < CONTRACT_INSTANCES; n++)
        if (in->items[n].told.state == CONTRACT_READY)
            atomic_store(&row_of(s, &in->items[n])->state, CONTRACT_STOPPING);
    board_activity(&s->board, loop_monotonic_ms(&s->loop), &activity);
    int is_needed = activity.in_flight_n > 0 || activity.held_n > 0;
    for (size_t n = 0; in && n < CONTRACT_INSTANCES; n++) {
        struct instance *i = &in->items[n];
        if (i->told.state == CONTRACT_READY && is_needed)
            tell(s, i);
        else if (i->told.state == CONTRACT_READY)
            program_event(&i->child.program, PROGRAM_STOP, loop_now_ms(&s->loop));
    }
}

void instances_end(struct supervisor *s)
{
    struct instances *in = s->instances;
    for (size_t n = 0; in && n < CONTRACT_INSTANCES; n++)
        if (in->items[n].is_made)
            program_end(&in->items[n].child.program, loop_now_ms(&s->loop));
    if (in)
        hub_jobs_end(&in->hub);
}

/* ---- the table ---- */

int instances_prepare(struct supervisor *s, const struct conf *conf)
{
    if (s->instances || !conf->models.serve)
        return 0;
    s->instances = calloc(1, sizeof *s->instances);
    if (!s->instances)
        return -ENOMEM;
    s->instances->site = s->child_site;
    s->instances->site.changed = instance_changed;
    s->instances->site.heard = heard_nothing;
    s->instances->site.complained = complained;
    s->draining.asked = asked_by_draining;
    s->draining.context = s;
    return 0;
}

void instances_fini(struct supervisor *s)
{
    for (size_t n = 0; s->instances && n < CONTRACT_INSTANCES; n++)
        instance_drop(&s->instances->items[n]);
    if (s->instances)
        hub_jobs_fini(&s->instances->hub);
    free(s->instances);
    s->instances = NULL;
}

int instances_plan(struct supervisor *s, const struct launch_site *site, unsigned *kept)
{
    *kept = 0;
    instances_look(s);
    for (size_t n = 0; s->instances && site->conf->models.serve && n < CONTRACT_INSTANCES; n++) {
        struct instance *i = &s->instances->items[n];
        const struct conf_engine *engine = conf_engine(site->conf, i->told.engine);
        if (!place_is_taken(i) || !i->is_made || !engine)
            continue;
        int is_same = instance_is_as(i, site, engine);
        if (is_same < 0)
            return is_same;
        *kept |= (unsigned)is_same << n;
    }
    return 0;
}

void instances_reloaded(struct supervisor *s, unsigned kept)
{
    for (size_t n = 0; s->instances && n < CONTRACT_INSTANCES; n++) {
        struct instance *i = &s->instances->items[n];
        const struct conf_engine *engine = conf_engine(s->conf, i->told.engine);
        if (!place_is_taken(i) || !i->is_made)
            continue;
        if (kept >> n & 1) {
            instance_keep(i, engine);
            continue;
        }
        log_event(LOG_INFO, engine ? "changed" : "removed", "program=%s", i->name);
        program_event(&i->child.program, PROGRAM_STOP, loop_now_ms(&s->loop));
    }
}

static int write_one(const struct supervisor *s, const struct instance *i, const struct usage *usage, struct buf *out)
{
    const struct contract_instance_view *v = &i->told;
    struct usage_sum sum = usage_of(usage, v->pid);
    int64_t now_ms = loop_monotonic_ms(&s->loop);
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, v->model, strlen(v->model));
    error = error ? error : buf_text(out, ",\"engine\":");
    error = error ? error : buf_json_string(out, i->told.engine, strlen(i->told.engine));
    error = error ? error : buf_printf(out, ",\"state\":\"%s\",\"pid\":%d,\"port\":%u,\"quantized\":%s,\"uptime_s\":%lld", contract_state_name(v->state),
                                       (int)v->pid, v->port, v->is_quantized ? "true" : "false",
                                       v->pid > 0 ? (long long)((now_ms - v->started_at_ms) / 1000) : 0);
    error = error ? error : v->ready_at_ms ? buf_printf(out, ",\"load_ms\":%lld", (long long)(v->ready_at_ms - v->started_at_ms))
                                           : buf_text(out, ",\"load_ms\":null");
    if (!error && sum.processes_n)
        error = buf_printf(out, ",\"rss_bytes\":%lld,\"cpu_ms\":%lld", (long long)sum.rss_bytes, (long long)sum.cpu_ms);
    else if (!error)
        error = buf_text(out, ",\"rss_bytes\":null,\"cpu_ms\":null");
    const char *reason = v->state == CONTRACT_STARTING && i->is_made ? i->child.probe.why : v->reason;
    error = error ? error : buf_text(out, ",\"reason\":");
    error = error ? error : buf_json_string(out, reason, strlen(reason));
    return error ? error : buf_text(out, "}");
}

int instances_write(const struct supervisor *s, const struct usage *usage, struct buf *out)
{
    int error = buf_text(out, "["), has_one = 0;
    for (size_t n = 0; s->instances && n < CONTRACT_INSTANCES && !error; n++) {
        const struct instance *i = &s->instances->items[n];
        if (!i->told.number || i->told.state == CONTRACT_DOWN)
            continue;
        error = buf_text(out, has_one ? "," : "");
        error = error ? error : write_one(s, i, usage, out);
        has_one = 1;
    }
    return error ? error : buf_text(out, "]");
}
