/*
 * See exchange_fleet.h. Where it waits is the fleet's line; its place is kept from the first try on. A try that fails before the first byte of an
 * answer goes on with another member, each once: then its client is told. Where none of them took a connection it waits until one does.
 */
#include "proxy/exchange_fleet.h"

#include "proxy/balance/fleet.h"
#include "proxy/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 512, NAMES_BYTES = 4096 };

int exchange_named_backend(const struct exchange *x, const char **name, size_t *name_n)
{
    int place = message_find(x->request, "x-sidecar-backend", 0);
    if (place < 0)
        return 0;
    struct span value = x->request->fields[place].value;
    *name = message_at(x->request, value);
    *name_n = value.n;
    return 1;
}

static void fail_with_names(struct exchange *x, int status, const char *code, const char *what)
{
    struct buf text;
    buf_init(&text, NAMES_BYTES);
    int error = buf_text(&text, what);
    struct buf names;
    buf_init(&names, NAMES_BYTES / 2);
    (void)!fleet_names(x->env->fleet, &names); /* too many of them: the first ones */
    error = error ? error : buf_printf(&text, "; the backends are %.*s", (int)buf_size(&names), buf_data(&names));
    error = error ? error : buf_append(&text, "", 1);
    exchange_fail(x, status, code, error ? what : buf_data(&text));
    buf_fini(&names);
    buf_fini(&text);
}

/* What changes models does so at one member: it has to be said at which, unless there is one only. To load one is to find it a place, and it is
 * unloaded wherever it is. */
static int must_be_named(const struct exchange *x)
{
    const struct route *route = x->admission.route;
    return route->right == RIGHT_MANAGE && !route->needs_model && fleet_members_n(x->env->fleet) > 1;
}

int exchange_check_backend(struct exchange *x)
{
    const char *name;
    size_t name_n;
    char what[NAME_BYTES];
    if (!exchange_named_backend(x, &name, &name_n)) {
        if (!must_be_named(x))
            return 0;
        snprintf(what, sizeof what, "%s changes one backend: say which by the header X-Sidecar-Backend", x->admission.route->path);
        fail_with_names(x, 400, "backend_not_named", what);
        return -1;
    }
    size_t named_n = members_count(fleet_members(x->env->fleet), name, name_n);
    if (named_n == 1 || (named_n > 1 && !must_be_named(x)))
        return 0;
    snprintf(what, sizeof what, "X-Sidecar-Backend: %s \"%.*s\"", named_n ? "one is changed at a time, and several are" : "there is no backend",
             name_n < 100 ? (int)name_n : 100, name);
    fail_with_names(x, 400, "backend_not_found", what);
    return -1;
}

/* Nothing that it waits for at its member comes to it any more. */
static void stop_asking(struct exchange *x)
{
    fetch_cancel(&x->relay.fetch);
    loads_leave(&exchange_loader(x)->loads, &x->load);
    capabilities_leave(&x->capable);
}

/* Its body is held still, and no byte of an answer has come. */
static int may_be_sent_again(const struct exchange *x)
{
    return x->fleet && x->fleet->ticket.member && !x->is_sent_once && x->relay.fetch.sent_body_bytes == 0;
}

/* Its connection may last for ever, and another member is there. */
static void leave_hung(struct exchange *x)
{
    char why[MEMBER_WHY_BYTES];
    int is_waiting = x->state == EXCHANGE_SHOW || x->state == EXCHANGE_LOAD || x->state == EXCHANGE_FETCH;
    if (!is_waiting || !may_be_sent_again(x))
        return;
    snprintf(why, sizeof why, "%s", x->member->why);
    stop_asking(x);
    exchange_lost_backend(x);
    (void)!exchange_go_elsewhere(x, FAILURE_OF_ANSWER, why);
}

/* A slot may be had by now, or can't be any more. */
static void on_fleet(void *context, enum fleet_why why)
{
    struct exchange *x = context;
    if (why == FLEET_HUNG) {
        leave_hung(x);
        return;
    }
    if (why == FLEET_LOST) {
        log_event(LOG_WARNING, "slot_lost", "id=%s hint=\"this proxy stood still for longer than [redis] lease: the request waits again\"", x->deliver.request_id);
        stop_asking(x);
        exchange_was_answered(x, LOAD_ANSWER_LEFT);
        x->member = NULL;
    }
    x->way->again(x);
}

/* 0 or -1: the exchange has ended. */
static int begin(struct exchange *x)
{
    static const char exposed[] = "Access-Control-Expose-Headers: X-Sidecar-Backend, X-Sidecar-Priority, X-Sidecar-Queue-Place, X-Sidecar-Estimate-Ms\r\n";
    if (x->fleet)
        return 0;
    x->fleet = calloc(1, sizeof *x->fleet);
    if (!x->fleet) {
        exchange_fail(x, 500, NULL, "out of memory");
        return -1;
    }
    x->fleet->ticket.fn = on_fleet;
    x->fleet->ticket.context = x;
    if (exchange_is_cors_ours(x))
        (void)!buf_text(&x->deliver.extra, exposed); /* memory is short: without it */
    x->fleet->extra_bytes = buf_size(&x->deliver.extra);
    return 0;
}

static void ask_of(struct exchange *x, struct fleet_ask *ask)
{
    exchange_describe(x, ask);
    (void)!exchange_named_backend(x, &ask->backend, &ask->backend_n);
}

static void use(struct exchange *x, struct member *m)
{
    x->member = m;
    snprintf(x->fleet->name, sizeof x->fleet->name, "%s", m->name);
    x->relay.fetch.backend = &m->backend;
    exchange_tell_times(x);
}

static void fail_without_model(struct exchange *x)
{
    char text[CONTRACT_NAME_BYTES + NAME_BYTES];
    const struct fleet_ask *ask = &x->fleet->ticket.ask;
    if (ask->backend)
        snprintf(text, sizeof text, "model \"%s\" not found: the backend %.*s does not have it", x->ask.model,
                 ask->backend_n < 100 ? (int)ask->backend_n : 100, ask->backend);
    else
        snprintf(text, sizeof text, "model \"%s\" not found: none of the %zu backends has it", x->ask.model, fleet_members_n(x->env->fleet));
    exchange_fail(x, 404, "model_not_found", text);
}

static int take_slot(struct exchange *x)
{
    struct fleet_ticket *t = &x->fleet->ticket;
    if (!t->is_in)
        ask_of(x, &t->ask);
    switch (fleet_enter(x->env->fleet, t)) {
    case FLEET_GO:
        use(x, t->member);
        return 1;
    case FLEET_WAIT:
        exchange_note_place(x);
        return 0;
    case FLEET_FULL:
        exchange_fail_full(x, fleet_longest_wait_ms(x->env->fleet));
        return -1;
    case FLEET_NO_MODEL:
        fail_without_model(x);
        return -1;
    case FLEET_NO_MORE:
        exchange_fail(x, 502, "backend_error", "each backend that has its model has failed this request");
        return -1;
    case FLEET_NO_MEMORY:
        exchange_fail(x, 500, NULL, "out of memory");
        return -1;
    }
    return -1;
}

static int take_any(struct exchange *x)
{
    const char *name = NULL;
    size_t name_n = 0;
    char text[128];
    if (x->member)
        return 1;
    (void)!exchange_named_backend(x, &name, &name_n);
    int is_about_one = x->admission.route->api == API_SHOW && exchange_read_shown(x) == 0;
    struct member *m = is_about_one ? fleet_any(x->env->fleet, name, name_n, x->ask.model) : NULL;
    if (!m) /* who does not have it says so */
        m = fleet_any(x->env->fleet, name, name_n, NULL);
    if (!m) {
        snprintf(text, sizeof text, "each of the %zu backends does not answer, or is drained: see GET /status", fleet_members_n(x->env->fleet));
        exchange_fail_for_now(x, "backend_failed", name ? "the backend that X-Sidecar-Backend names does not answer, or is drained: see GET /status" : text);
        return -1;
    }
    member_use(m);
    use(x, m);
    return 1;
}

int exchange_take_member(struct exchange *x)
{
    if (begin(x) < 0)
        return -1;
    return x->ticket.needs_model && x->ask.model[0] ? take_slot(x) : take_any(x);
}

int exchange_go_elsewhere(struct exchange *x, enum exchange_failure failure, const char *why)
{
    static const enum breaker_outcome outcomes[] = {
        [FAILURE_OF_MODEL] = BREAKER_NOTHING, [FAILURE_OF_ANSWER] = BREAKER_BAD, [FAILURE_TO_CONNECT] = BREAKER_REFUSED};
    struct fleet *fleet = x->env->fleet;
    struct fleet_ticket *t = x->fleet ? &x->fleet->ticket : NULL;
    if (!may_be_sent_again(x))
        return 0;
    int is_left = fleet_may_go_elsewhere(fleet, t);
    if (failure == FAILURE_OF_ANSWER)
        x->hold_until_ms = 0; /* what was waited for came; it is waited for anew */
    x->fleet->refused_n += failure == FAILURE_TO_CONNECT;
    x->fleet->tries_n++;
    if (!is_left && x->fleet->refused_n < x->fleet->tries_n)
        return 0;
    log_event(is_left ? LOG_INFO : LOG_DEBUG, "retry", "id=%s backend=%s cause=\"%s\"", x->deliver.request_id, x->member->name, why);
    buf_truncate(&x->deliver.extra, x->fleet->extra_bytes); /* what that member has added to the head */
    fleet_fail(fleet, t, outcomes[failure], why);
    x->member = NULL;
    if (is_left) {
        x->way->again(x);
        return 1;
    }
    t->tried = 0;
    x->fleet->refused_n = x->fleet->tries_n = 0;
    x->way->again_soon(x);
    return 1;
}

/* GET /api/ps: what all of them have loaded. The rest of what is read of models is in upstreams' lists, or any member's. */
int exchange_answer_for_fleet(struct exchange *x)
{
    struct buf out;
    if (strcmp(x->admission.route->path, "/api/ps") != 0)
        return 0;
    buf_init(&out, 0);
    exchange_answer_json(x, members_write_ps(fleet_members(x->env->fleet), &out), &out);
    buf_fini(&out);
    return 1;
}
