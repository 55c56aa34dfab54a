/*
 * See exchange.h. Brings the rooms together: admit, gate, fetch, deliver. It knows neither the client's
 * socket nor the backend's. Here is its way from the request's head and body to the gate.
 */
#include "proxy/exchange.h"

#include "proxy/exchange_fleet.h"
#include "proxy/exchange_observe.h"
#include "proxy/exchange_serve.h"
#include "proxy/map.h"
#include "proxy/observe/observe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_checked(void *context)
{
    exchange_finish(context, EXCHANGE_CLEAN);
}

static void check(void *context)
{
    struct exchange *x = context;
    struct check_facts facts;
    struct fleet_facts fleet;
    exchange_gather(x->env, &facts, &fleet);
    facts.shown = exchange_key_models(x);
    check_start(x->check, x->admission.route->kind, &facts, x->env->backend, &x->deliver, on_checked, x);
}

/* GET /metrics tells also what the supervisor knows, which is asked for first. */
static void begin_check(struct exchange *x)
{
    x->check = calloc(1, sizeof *x->check);
    if (!x->check) {
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    }
    exchange_enter(x, EXCHANGE_CHECK);
    x->check->overseen = (struct overseer_waiter){.fn = check, .context = x};
    if (x->admission.route->kind != ROUTE_METRICS || overseer_refresh(&x->env->overseer, &x->check->overseen))
        check(x);
}

/* 1, and it has ended. */
static int refuse_unserved(struct exchange *x)
{
    const char *why = x->admission.route->kind == ROUTE_SERVE ? exchange_why_unserved(x) : NULL;
    if (why)
        exchange_fail(x, 501, "not_served", why);
    return why != NULL;
}

/* Of what is there, and of what is not: a refusal is not kept either. */
static int is_sidecars(const struct exchange *x)
{
    static const char head[] = "/sidecar/";
    const struct message *m = x->request;
    return x->admission.route ? route_is_sidecars(x->admission.route)
                              : m->path.n >= sizeof head - 1 && memcmp(message_at(m, m->path), head, sizeof head - 1) == 0;
}

static void start(struct exchange *x, const struct peer *peer)
{
    struct admission *a = &x->admission;
    const struct env *env = x->env;
    struct admit_rules rules = {&env->trust, &env->tell, env->conf->proxy.max_body_bytes, &env->keys, env->backend->host};
    atomic_fetch_add(&x->env->line->requests_n, 1);
    admit(&rules, x->request, peer, a);
    if (is_sidecars(x))
        x->deliver.vary = EXCHANGE_OBSERVE_LINES;
    if (admit_cors_lines(a, x->request, &x->deliver.extra) < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
        return;
    }
    if (a->status) {
        exchange_fail_with(x, a->status, a->code, a->text, a->lines);
        return;
    }
    x->deliver.shown = a->key ? exchange_shown_models(x) : NULL;
    if (a->route->kind == ROUTE_STATUS || a->route->kind == ROUTE_MEMBER) {
        exchange_answer_status(x);
        return;
    }
    if (a->route->kind == ROUTE_UI) {
        exchange_answer_ui(x);
        return;
    }
    if (a->route->kind != ROUTE_BACKEND && a->route->kind != ROUTE_SERVE) {
        begin_check(x);
        return;
    }
    if (x->request->method == METHOD_OPTIONS) {
        exchange_answer_options(x);
        return;
    }
    if (refuse_unserved(x) || exchange_pass_limits(x) < 0)
        return;
    observe_begin(x->env->observe, &x->live, x, x->began_ms);
    exchange_count_activity(x, 1);
    if (exchange_is_streamed(x))
        exchange_pass_gate(x);
    else if (x->request->length_bytes > 0 &&
             !budget_has_room(&x->env->bodies, &x->body_share, (uint64_t)x->request->length_bytes))
        exchange_fail_for_bodies(x);
    else
        (void)!exchange_begin_upload(x);
}

int exchange_new(struct exchange **out, struct env *env, const struct message *request,
                 const struct peer *peer, const struct exchange_sink *sink)
{
    int error = exchange_make(out, env, request, sink);
    if (error)
        return error;
    admit_id(request, env->next_id++, (*out)->deliver.request_id);
    start(*out, peer);
    return 0;
}

int exchange_wants_body(const struct exchange *x)
{
    if (x->state == EXCHANGE_END)
        return 1;
    if (!exchange_is_streamed(x))
        return x->state == EXCHANGE_BODY;
    return (x->state == EXCHANGE_FETCH || x->state == EXCHANGE_RELAY) && !fetch_is_full(&x->relay.fetch);
}

void exchange_body(struct exchange *x, const char *bytes, size_t bytes_n)
{
    if (x->state == EXCHANGE_END)
        return;
    int error = exchange_is_streamed(x) ? fetch_send(&x->relay.fetch, bytes, bytes_n)
                : x->state == EXCHANGE_BODY ? exchange_take_body(x, bytes, bytes_n) : 0;
    if (error == -ENOBUFS)
        exchange_fail_for_bodies(x);
    else if (error == -EFBIG)
        exchange_fail(x, 413, "body_too_large", "the body is larger than [proxy] max_body");
    else if (error)
        exchange_abort(x, ACCESS_FAILED, "out of memory");
}

/* Its body is what the backend is to get. */
static void ask_backend(struct exchange *x)
{
    exchange_read_body(x);
    exchange_expect_answer(x);
    exchange_find_wish(x);
    exchange_pass_gate(x);
}

static void reduce(struct exchange *x)
{
    if (exchange_apply_plan(x) == 0)
        ask_backend(x);
}

void exchange_prepare(struct exchange *x)
{
    if (exchange_read_priority(x) < 0 || exchange_generate(x) < 0 || exchange_check_key(x, 1) < 0 || exchange_translate(x) != 0)
        return;
    if (x->plan && x->plan->step == PLAN_MAP)
        exchange_begin_map(x, reduce);
    else
        ask_backend(x);
}

static void find_way(struct exchange *x)
{
    x->is_optimised = 1; /* it may be refused as one */
    int is_optimised = exchange_is_optimised(x);
    if (is_optimised > 0) {
        exchange_expect_answer(x);
        if (exchange_read_priority(x) == 0)
            exchange_listen(x);
    } else if (is_optimised == 0) {
        x->is_optimised = 0;
        if (exchange_choose(x, exchange_prepare))
            exchange_prepare(x);
    }
}

void exchange_body_end(struct exchange *x)
{
    x->is_body_complete = 1;
    if (x->state == EXCHANGE_BODY) {
        if (exchange_end_upload(x) < 0 || exchange_check_key(x, 0) < 0)
            return;
        if (exchange_is_hubs(x))
            exchange_begin_hub(x);
        else
            find_way(x);
    } else if (exchange_is_streamed(x) && fetch_send_end(&x->relay.fetch) < 0) {
        exchange_abort(x, ACCESS_FAILED, "out of memory");
    }
}

void exchange_drained(struct exchange *x)
{
    if (x->state == EXCHANGE_RELAY)
        relay_drained(&x->relay);
    else if (x->state == EXCHANGE_LISTEN)
        exchange_listen_on(x);
    else if (x->state == EXCHANGE_LOOK)
        exchange_show_more(x);
}

void exchange_abort(struct exchange *x, enum access_end ended, const char *text)
{
    exchange_break_off(x, ended, text);
}

void exchange_refuse(struct exchange *x, int status, const char *code, const char *text)
{
    if (x->state != EXCHANGE_END && !x->deliver.is_begun)
        exchange_fail(x, status, code, text);
    else
        exchange_break_off(x, access_end_of(status, code), text);
}

int exchange_spares_backend(const struct exchange *x)
{
    return !x->is_counted && x->state != EXCHANGE_RELAY;
}

int exchange_is_onlooker(const struct exchange *x)
{
    return x->state == EXCHANGE_LOOK;
}

void exchange_end_onlooker(struct exchange *x)
{
    exchange_end_look(x);
}

int exchange_is_kept(const struct exchange *x)
{
    return x->deliver.is_kept;
}

static void report_making(struct exchange *maker, struct access *out)
{
    exchange_count_time(maker);
    if (maker->plan && maker->plan->strategy) {
        out->optimised.strategy = maker->plan->strategy->name;
        out->optimised.tokens_received_n = maker->plan->received.tokens_n;
        out->optimised.tokens_saved_n = maker->plan->saved_tokens_n;
        out->optimised.parts_n = maker->map ? maker->map->parts_n : 0;
        out->optimised.parts_failed_n = maker->map ? maker->map->lost_n : 0;
    }
    out->repaired_n = (int64_t)maker->answer.translation.repaired_n;
    out->wait_ms = maker->wait_ms;
    out->load_ms = maker->load_ms;
    out->queue_ms = maker->queue_ms;
    ending_read(&maker->ending, &out->facts);
}

/* The words of an error of the backend's that its client has as they came. */
static char *passed_error(const struct exchange *maker)
{
    char body[ENDING_TAIL_BYTES], text[ANSWER_TEXT_BYTES];
    size_t n = maker->ending.form == ENDING_ERROR ? ending_whole(&maker->ending, body) : 0;
    return n > 0 && answer_words(body, n, text) ? strndup(text, ACCESS_ERROR_BYTES) : NULL;
}

void exchange_report(struct exchange *x, struct access *out)
{
    struct exchange *maker = exchange_maker(x);
    const char *backend = exchange_backend_name(maker ? maker : x);
    access_copy(out->id, sizeof out->id, x->deliver.request_id);
    out->route = x->admission.route;
    out->is_stream = exchange_streams(x);
    out->is_made_inside = x->generation != NULL;
    if (!x->error && maker && x->deliver.status >= 400)
        x->error = passed_error(maker);
    if (x->error) {
        free(out->error);
        out->error = x->error;
        x->error = NULL;
    }
    if (x->admission.sender.client)
        access_copy(out->client, sizeof out->client, x->admission.sender.client);
    out->key = x->admission.key ? x->admission.key->name : NULL;
    access_copy(out->model, sizeof out->model, maker && *exchange_model(maker) ? exchange_model(maker) : x->ask.model);
    out->status = x->told_status ? x->told_status : x->deliver.status;
    if (x->answer.quiet_bytes > 0) /* a heartbeat is no byte of an answer */
        out->first_byte_ms = x->answer.first_ms;
    out->ended = x->ended;
    out->code = x->code;
    free(out->backend);
    out->backend = backend ? strdup(backend) : NULL;
    out->asleep = x->asleep;
    out->optimised.is_shared = x->is_joiner;
    exchange_report_cache(x, &out->optimised);
    out->wait_ms = x->wait_ms; /* for the list of models, before anybody was to make it */
    if (maker)
        report_making(maker, out);
}

int exchange_has_told_all(struct exchange *x)
{
    return exchange_told_all(x);
}

enum deliver_framing exchange_framing(const struct exchange *x)
{
    return x->deliver.framing;
}
