/* See status.h. */
#include "proxy/observe/status.h"

#include "common/hash.h"
#include "common/json_read.h"
#include "proxy/check.h"
#include "proxy/exchange_fleet.h"
#include "proxy/observe/catalog.h"
#include "proxy/observe/feed.h"
#include "proxy/observe/observe.h"
#include "proxy/observe/status_narrow.h"
#include "proxy/upstreams.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

enum { HEALTH_BYTES = 1 << 20 };

static void write_text(struct json_write *w, const char *before, const char *text)
{
    status_write_text(w, before, text ? text : "", text ? strlen(text) : 0);
}

/* RFC 3339 */
static void write_time(struct json_write *w, const char *before, int64_t realtime_ms)
{
    char day[24], text[40];
    time_t at = (time_t)(realtime_ms / 1000);
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%03dZ", day, (int)(realtime_ms % 1000));
    write_text(w, before, text);
}

/* With one decimal; null: less than 0. */
static void write_decimal(struct json_write *w, const char *before, double number)
{
    json_write_text(w, before);
    if (number < 0)
        json_write_text(w, "null");
    else if (!w->error)
        w->error = buf_printf(w->out, "%.1f", number);
}

static void write_live_one(struct json_write *w, const struct live_facts *f)
{
    write_text(w, "{\"id\":", f->id);
    status_write_text(w, ",\"method\":", f->method, f->method_n);
    status_write_text(w, ",\"path\":", f->path, f->path_n);
    write_text(w, ",\"model\":", f->model);
    write_text(w, ",\"client\":", f->client);
    write_text(w, ",\"key\":", f->key);
    write_text(w, ",\"backend\":", f->backend);
    write_text(w, ",\"phase\":", live_phase_name(f->phase));
    json_write_named_number(w, ",\"phase_ms\":", f->phase_ms);
    json_write_named_number(w, ",\"age_ms\":", f->age_ms);
    json_write_named_number(w, ",\"wait_ms\":", f->wait_ms);
    json_write_named_number(w, ",\"queue_ms\":", f->queue_ms);
    json_write_named_number(w, ",\"load_ms\":", f->load_ms);
    json_write_named_number(w, ",\"first_token_ms\":", f->first_token_ms);
    json_write_named_number(w, ",\"tokens\":", f->tokens_n);
    json_write_named_number(w, ",\"priority\":", f->priority);
    json_write_named_number(w, ",\"place\":", f->place > 0 ? (int64_t)f->place : -1);
    json_write_text(w, "}");
}

static void write_live(const struct env *env, const struct list *shown, struct json_write *w)
{
    struct live_facts facts;
    size_t told_n = 0, all_n = 0;
    json_write_text(w, ",\"live\":[");
    for (const struct live *one = env->observe->live.first; one; one = one->next) {
        exchange_tell_live(one->exchange, &facts);
        if (!status_may_name(shown, facts.model) || all_n++ >= STATUS_LIVE_MAX)
            continue;
        json_write_text(w, told_n++ ? "," : "");
        write_live_one(w, &facts);
    }
    json_write_named_number(w, "],\"more\":", (int64_t)(all_n - told_n));
}

static void write_ended(struct json_write *w, const struct ended *e)
{
    write_text(w, "{\"id\":", ended_text(e, ENDED_ID));
    write_time(w, ",\"at\":", e->at_ms);
    write_text(w, ",\"method\":", ended_text(e, ENDED_METHOD));
    write_text(w, ",\"path\":", ended_text(e, ENDED_PATH));
    write_text(w, ",\"model\":", ended_text(e, ENDED_MODEL));
    write_text(w, ",\"client\":", ended_text(e, ENDED_CLIENT));
    write_text(w, ",\"key\":", ended_text(e, ENDED_KEY));
    write_text(w, ",\"backend\":", ended_text(e, ENDED_BACKEND));
    json_write_named_number(w, ",\"status\":", e->status > 0 ? e->status : -1);
    write_text(w, ",\"ended\":", access_end_name(e->how));
    write_text(w, ",\"code\":", e->code);
    write_text(w, ",\"error\":", ended_text(e, ENDED_ERROR));
    json_write_named_number(w, ",\"wait_ms\":", e->wait_ms);
    json_write_named_number(w, ",\"queue_ms\":", e->queue_ms);
    json_write_named_number(w, ",\"load_ms\":", e->load_ms);
    json_write_named_number(w, ",\"first_token_ms\":", e->first_token_ms);
    json_write_named_number(w, ",\"total_ms\":", e->total_ms);
    json_write_named_number(w, ",\"prompt_tokens\":", e->prompt_tokens_n);
    json_write_named_number(w, ",\"tokens\":", e->tokens_n);
    write_decimal(w, ",\"tokens_per_s\":", e->tokens_per_s);
    json_write_text(w, "}");
}

static void write_recent(const struct env *env, const struct list *shown, struct json_write *w)
{
    const struct ended *e;
    size_t told_n = 0;
    json_write_text(w, ",\"recent\":[");
    for (size_t i = 0; told_n < STATUS_RECENT_MAX && (e = recent_ended(&env->observe->recent, i)); i++) {
        if (!status_may_name(shown, ended_text(e, ENDED_MODEL)))
            continue;
        json_write_text(w, told_n++ ? "," : "");
        write_ended(w, e);
    }
    json_write_text(w, "]");
}

void status_write_requests(struct env *env, const struct list *shown, struct json_write *w)
{
    size_t line_n[LIVE_PRIORITIES];
    json_write_named_number(w, "{\"in_flight\":", atomic_load(&env->line->in_flight_n));
    json_write_named_number(w, ",\"held\":", atomic_load(&env->line->held_n));
    json_write_named_number(w, ",\"queued\":", (int64_t)exchange_count_line(env, line_n));
    write_live(env, shown, w);
    write_recent(env, shown, w);
    json_write_text(w, "}");
}

/* Who may name some models only is told of none, as they may be about another. */
static void write_errors(const struct env *env, const struct list *shown, struct json_write *w)
{
    const struct recent *r = &env->observe->recent;
    json_write_text(w, ",\"errors\":[");
    for (size_t i = 0; i < r->errors_n && !shown; i++) {
        const struct error_note *e = &r->errors[i];
        json_write_text(w, i ? ",{" : "{");
        write_time(w, "\"at\":", e->at_ms);
        write_text(w, ",\"from\":", error_from_name(e->from));
        write_text(w, ",\"what\":", e->what);
        write_text(w, ",\"do\":", e->what_to_do);
        write_text(w, ",\"id\":", e->id);
        json_write_named_number(w, ",\"times\":", e->times_n);
        json_write_text(w, "}");
    }
    json_write_text(w, "]");
}

enum column { SERIES_TOKENS, SERIES_REQUESTS, SERIES_ERRORS, SERIES_FIRST_TOKEN, SERIES_IN_FLIGHT, SERIES_HELD, SERIES_COLUMNS };

static double column_of(const struct series_step *s, enum column column)
{
    switch (column) {
    case SERIES_TOKENS:
        return s->tokens;
    case SERIES_REQUESTS:
        return s->requests_n;
    case SERIES_ERRORS:
        return s->errors_n;
    case SERIES_FIRST_TOKEN:
        return s->first_tokens_n ? (double)(s->first_token_ms_sum / s->first_tokens_n) : -1;
    case SERIES_IN_FLIGHT:
        return s->in_flight_max_n;
    case SERIES_HELD:
        return s->held_max_n;
    case SERIES_COLUMNS:
        break;
    }
    return -1;
}

static void write_series(struct env *env, struct json_write *w)
{
    static const char *const names[] = {",\"tokens\":[", "],\"requests\":[", "],\"errors\":[", "],\"first_token_ms\":[", "],\"in_flight\":[", "],\"held\":["};
    struct series series;
    exchange_tell_series(env, &series);
    json_write_named_number(w, ",\"series\":{\"step_s\":", SERIES_STEP_MS / 1000);
    for (int column = 0; column < SERIES_COLUMNS; column++) {
        json_write_text(w, names[column]);
        for (size_t i = 0; i < SERIES_STEPS; i++) {
            double value = column_of(series_at(&series, i), (enum column)column);
            if (column == SERIES_TOKENS)
                write_decimal(w, i ? "," : "", value);
            else
                json_write_named_number(w, i ? "," : "", (int64_t)value);
        }
    }
    json_write_text(w, "]}");
}

static void write_backends(const struct env *env, const struct list *shown, struct json_write *w)
{
    static const char *const states[] = {[UPSTREAMS_UNKNOWN] = "unknown", [UPSTREAMS_GOOD] = "up", [UPSTREAMS_FAILED] = "down"};
    const struct upstreams *all = env->upstreams;
    json_write_text(w, ",\"backends\":[");
    int told_n = env->fleet ? fleet_write_members(env->fleet, shown, w) : 0; /* as GET /status has them */
    for (size_t i = 1; all && i < all->rows_n; i++) {
        const struct upstreams_row *row = &all->rows[i];
        write_text(w, told_n++ ? ",{\"name\":" : "{\"name\":", row->conf->name);
        json_write_text(w, ",\"api\":\"openai\"");
        write_text(w, ",\"url\":", strchr(row->conf->url, '@') ? "" : row->conf->url);
        write_text(w, ",\"state\":", states[row->state]);
        json_write_named_number(w, ",\"slots\":", row->queue.slots_n > 0 ? (int64_t)row->queue.slots_n : -1);
        json_write_named_number(w, ",\"used\":", (int64_t)row->queue.serving_n);
        write_text(w, ",\"why\":", row->why);
        json_write_text(w, "}");
    }
    json_write_text(w, "]");
}

static void write_queue(const struct env *env, struct json_write *w)
{
    size_t n[LIVE_PRIORITIES];
    char name[24];
    int is_first = 1;
    json_write_named_number(w, ",\"queue\":{\"waiting\":", (int64_t)exchange_count_line(env, n));
    json_write_text(w, ",\"by_priority\":{");
    for (int i = 0; i < LIVE_PRIORITIES; i++) {
        if (n[i] == 0)
            continue;
        snprintf(name, sizeof name, "%s\"%d\":", is_first ? "" : ",", i);
        json_write_named_number(w, name, (int64_t)n[i]);
        is_first = 0;
    }
    json_write_text(w, "}}");
}

/* The object of GET /health, without asking anybody: of an Ollama that nobody watches, as it has answered last. is_still: without what changes with
 * time, or with each request for whatever. */
static void append_health(struct env *env, int is_still, struct buf *out, int *error)
{
    static const struct contract_line none;
    struct check_facts facts;
    struct fleet_facts fleet;
    char why[CONTRACT_REASON_BYTES] = "";
    enum health_api api = env->catalog->is_silent ? HEALTH_API_SILENT : HEALTH_API_READY;
    int status;
    exchange_gather(env, &facts, &fleet);
    if (is_still) {
        facts.uptime_ms = 0;
        facts.line = &none;
    }
    if (!check_knows_api(&facts, &api, why))
        snprintf(why, sizeof why, "%s", env->catalog->why);
    *error = *error ? *error : check_write_health(&facts, api, why, out, &status);
    if (!*error)
        buf_truncate(out, buf_size(out) - 1); /* the line's end */
}

static void write_health(struct env *env, const struct list *shown, struct json_write *w)
{
    struct buf all;
    buf_init(&all, HEALTH_BYTES);
    append_health(env, 0, &all, &w->error);
    if (shown)
        status_narrow_health(w, shown, buf_data(&all), buf_size(&all));
    else
        json_write_bytes(w, buf_data(&all), buf_size(&all));
    buf_fini(&all);
}

static void write_supervisor(const struct env *env, const struct list *shown, struct json_write *w)
{
    size_t n;
    const char *status = overseer_status(&env->overseer, &n);
    if (!status)
        json_write_text(w, "null");
    else if (shown)
        status_narrow_supervisor(w, shown, status, n);
    else
        json_write_bytes(w, status, n);
}

void status_write(struct env *env, const struct list *shown, struct json_write *w)
{
    write_text(w, "\"version\":", SIDECAR_VERSION);
    write_time(w, ",\"at\":", sys_realtime_ms());
    json_write_named_number(w, ",\"uptime_s\":", (loop_now_ms(env->loop) - env->started_at_ms) / 1000);
    json_write_text(w, ",\"health\":");
    write_health(env, shown, w);
    json_write_text(w, ",\"supervisor\":");
    write_supervisor(env, shown, w);
    json_write_text(w, ",\"requests\":");
    status_write_requests(env, shown, w);
    write_errors(env, shown, w);
    write_series(env, w);
    write_backends(env, shown, w);
    write_queue(env, w);
    json_write_text(w, ",\"models\":");
    status_write_models(env, shown, w);
    json_write_text(w, ",\"pulls\":");
    status_write_pulls(env, shown, w);
}

int status_write_event(void *env, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    json_write_text(&w, "event: status\ndata: {");
    status_write(env, NULL, &w);
    json_write_text(&w, "}\n\n");
    return json_write_end(&w);
}

/* What may have changed what Ollama has, or has loaded: another number then. While a request streams it stays. */
static uint64_t look_at_causes(struct env *env)
{
    const struct recent *r = &env->observe->recent;
    struct buf health;
    int error = 0;
    buf_init(&health, HEALTH_BYTES);
    append_health(env, 1, &health, &error);
    uint64_t hash = hash_bytes(HASH_START, buf_data(&health), buf_size(&health));
    buf_fini(&health);
    hash = hash_add(hash, r->ended_n);
    hash = hash_add(hash, env->observe->live.n);
    return hash_add(hash, r->errors_n > 0 ? (uint64_t)r->errors[0].at_ms : 0);
}

uint64_t status_look(void *context)
{
    struct env *env = context;
    uint64_t hash = look_at_causes(env);
    size_t n;
    int64_t asked_ms = env->catalog->asked_ms;
    (void)catalog_refresh(env->catalog, hash != env->catalog->seen ? CATALOG_FRESH_MS : CATALOG_OLD_MS, NULL);
    if (env->catalog->asked_ms != asked_ms) /* else what has changed since is to be asked for yet */
        env->catalog->seen = hash;
    (void)!overseer_refresh(&env->overseer, &env->catalog->overseer);
    const char *loaded = catalog_answer(env->catalog, CATALOG_PS, &n);
    hash = hash_add(hash, env->observe->live.n > 0 ? (uint64_t)loop_now_ms(env->loop) : 0); /* they go on */
    return hash_bytes(hash, loaded, n);
}
