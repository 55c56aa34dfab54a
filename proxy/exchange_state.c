/* See exchange_state.h. The state, and what is counted of it. */
#include "proxy/exchange_fleet.h"
#include "proxy/priority.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {"body", "choose", "map", "gate", "pull", "show", "load", "queue", "pause", "listen", "fetch", "relay", "check", "hub", "look", "why", "end"};
_Static_assert(sizeof state_names / sizeof *state_names == EXCHANGE_STATE_COUNT, "a name for each state");

void exchange_count_time(struct exchange *x)
{
    int64_t now_ms = loop_now_ms(x->env->loop), passed_ms = now_ms - x->since_ms;
    x->since_ms = now_ms;
    if (passed_ms == 0)
        return;
    if (x->state == EXCHANGE_QUEUE)
        x->queue_ms += passed_ms;
    else if (x->state == EXCHANGE_LOAD)
        x->load_ms += passed_ms;
    else if (x->state == EXCHANGE_GATE || x->state == EXCHANGE_PULL || x->state == EXCHANGE_SHOW || x->state == EXCHANGE_PAUSE)
        x->wait_ms += passed_ms;
    else
        return;
    exchange_tell_times(x);
}

/* One that has no room is left out. */
static void PRINTF_LIKE(3, 4) tell_line(char *lines, size_t *n, const char *format, ...)
{
    size_t room_n = DELIVER_LINES_BYTES - *n;
    va_list args;
    va_start(args, format);
    int more_n = vsnprintf(lines + *n, room_n, format, args);
    va_end(args);
    if (more_n < 0 || (size_t)more_n >= room_n)
        lines[*n] = '\0';
    else
        *n += (size_t)more_n;
}

void exchange_tell_times(struct exchange *x)
{
    char *lines = x->deliver.lines;
    const char *backend = exchange_backend_name(x);
    size_t n = 0;
    lines[0] = '\0';
    if (backend)
        tell_line(lines, &n, "X-Sidecar-Backend: %s\r\n", backend);
    if (x->fleet && x->fleet->place && (x->queue_ms > 0 || !x->member)) /* it has stood there, or does */
        tell_line(lines, &n, "X-Sidecar-Queue-Place: %zu\r\nX-Sidecar-Estimate-Ms: %lld\r\n", x->fleet->place, (long long)x->fleet->expected_ms);
    if (x->priority != BALANCE_PRIORITY)
        tell_line(lines, &n, "X-Sidecar-Priority: %u\r\n", x->priority);
    if (x->plan && x->plan->strategy)
        tell_line(lines, &n, "X-Sidecar-Strategy: %s\r\nX-Sidecar-Tokens: %llu\r\n", x->plan->strategy->name,
                  (unsigned long long)x->plan->received.tokens_n);
    if (x->plan && x->plan->saved_tokens_n > 0)
        tell_line(lines, &n, "X-Sidecar-Tokens-Saved: %llu\r\n", (unsigned long long)x->plan->saved_tokens_n);
    if (x->wait_ms > 0)
        tell_line(lines, &n, "X-Sidecar-Wait-Ms: %lld\r\n", (long long)x->wait_ms);
    if (x->load_ms > 0)
        tell_line(lines, &n, "X-Sidecar-Load-Ms: %lld\r\n", (long long)x->load_ms);
    if (x->queue_ms > 0)
        tell_line(lines, &n, "X-Sidecar-Queue-Ms: %lld\r\n", (long long)x->queue_ms);
}

const char *exchange_lines(const struct deliver *d, const char *more, struct buf *room)
{
    buf_init(room, 0);
    int error = more ? buf_text(room, more) : 0;
    error = error ? error : buf_append(room, buf_data(&d->extra), buf_size(&d->extra));
    error = error ? error : buf_text(room, d->lines);
    error = error ? error : buf_append(room, "", 1);
    return error ? "" : buf_data(room);
}

void exchange_enter(struct exchange *x, enum exchange_state state)
{
    exchange_count_time(x);
    if (log_is_on(LOG_DEBUG))
        log_event(LOG_DEBUG, "exchange", "id=%s from=%s to=%s", x->deliver.request_id, state_names[x->state],
                  state_names[state]);
    x->state = state;
    x->entered_ms = x->since_ms;
}

int exchange_is_waiting(const struct exchange *x)
{
    return x->state == EXCHANGE_GATE || x->state == EXCHANGE_PULL || x->state == EXCHANGE_SHOW || x->state == EXCHANGE_LOAD ||
           x->state == EXCHANGE_QUEUE || x->state == EXCHANGE_PAUSE;
}

static int64_t earlier_ms(int64_t a_ms, int64_t b_ms)
{
    return a_ms && (!b_ms || a_ms < b_ms) ? a_ms : b_ms;
}

void exchange_arm(struct exchange *x)
{
    int64_t at_ms = x->state == EXCHANGE_END ? 0 : earlier_ms(x->end_by_ms, x->beat_at_ms);
    if (exchange_is_waiting(x))
        at_ms = earlier_ms(x->hold_until_ms, at_ms);
    if (x->state == EXCHANGE_PAUSE || x->state == EXCHANGE_WHY)
        at_ms = earlier_ms(x->pause_until_ms, at_ms);
    if (!at_ms)
        loop_disarm(x->env->loop, &x->timer);
    else if (!timer_is_armed(&x->timer) || x->timer.at_ms != at_ms)
        loop_arm(x->env->loop, &x->timer, at_ms);
}

int exchange_hold(struct exchange *x, const char *bytes, size_t bytes_n)
{
    if (bytes_n > buf_left(&x->body))
        return -EFBIG;
    int error = budget_grow(&x->env->bodies, &x->body_share, buf_size(&x->body) + bytes_n);
    return error ? error : buf_append(&x->body, bytes, bytes_n);
}

void exchange_drop_form(struct exchange *x)
{
    free(x->form);
    x->form = NULL;
}

void exchange_drop_body(struct exchange *x)
{
    exchange_drop_form(x);
    buf_release(&x->body);
    buf_release(&x->asked_body);
    env_body_gone(x->env, &x->body_share);
}

void exchange_count_activity(struct exchange *x, int is_under_way)
{
    const struct route *route = x->admission.route;
    if (!route || !route->is_activity || x->is_counted == is_under_way)
        return;
    x->is_counted = is_under_way;
    env_count_activity(x->env, is_under_way);
}

void exchange_count_held(struct exchange *x, int is_held)
{
    if (x->is_held == is_held)
        return;
    x->is_held = is_held;
    env_count_held(x->env, is_held);
}

int exchange_is_streamed(const struct exchange *x)
{
    return admit_is_streamed(&x->admission, x->request);
}

int exchange_read_path(const struct exchange *x, char *out, size_t out_n)
{
    const struct message *m = x->request;
    size_t start_n = strlen(x->admission.route->path) - 1;
    return route_decode(message_at(m, m->path) + start_n, m->path.n - start_n, out, out_n);
}

int exchange_is_cors_ours(const struct exchange *x)
{
    return x->admission.trust.origin != TRUST_ORIGIN_NONE;
}

void exchange_note_asked(struct exchange *x)
{
    x->asked_at_ms = loop_monotonic_ms(x->env->loop);
    x->asked_pid = x->env->gate.view.ollama_pid;
}

void exchange_is_answered(struct exchange *x)
{
    struct loads *loads = &exchange_loader(x)->loads;
    if (x->upstream) /* all of this is about Ollama */
        return;
    x->is_with_backend = 1;
    if (x->admission.route->needs_model)
        asked_enter(&x->env->asked, &x->asked);
    if (x->model == MODEL_NEEDED || x->model == MODEL_LEFT)
        x->answered_by = loads_answer(loads, x->ask.model, loop_now_ms(x->env->loop));
    else if (x->model == MODEL_OTHERS)
        loads_doubt_all(loads);
}

static void others_changed(struct exchange *x)
{
    struct loader *loader = exchange_loader(x);
    loads_doubt_all(&loader->loads);
    if (x->admission.route->right != RIGHT_MANAGE)
        return;
    loader_models_changed(loader);
    puller_models_changed(&x->env->puller);
    if (exchange_is_fleets(x))
        exchange_changed_member(x);
}

void exchange_was_answered(struct exchange *x, enum load_answer how)
{
    if (!x->is_with_backend)
        return;
    struct loads *loads = &exchange_loader(x)->loads;
    x->is_with_backend = 0;
    asked_leave(&x->env->asked, &x->asked);
    if (x->answered_by)
        loads_answered(loads, x->answered_by, &x->load.wish, how, loop_now_ms(x->env->loop));
    else if (x->model == MODEL_OTHERS)
        others_changed(x);
    else if (x->model == MODEL_UNLOADS)
        loads_forget(loads, x->ask.model);
    x->answered_by = NULL;
}

void exchange_lost_backend(struct exchange *x)
{
    if (x->upstream)
        return;
    exchange_was_answered(x, LOAD_ANSWER_BAD);
    loads_forget_all(&exchange_loader(x)->loads);
}

struct exchange *exchange_maker(struct exchange *x)
{
    return x->generation ? x->generation->inner : x;
}

int exchange_told_all(struct exchange *x)
{
    struct ending_facts facts;
    const struct exchange *maker = exchange_maker(x);
    size_t unread_n = 0;
    if ((x->state != EXCHANGE_RELAY && x->state != EXCHANGE_LISTEN) || !maker)
        return 0;
    if (x->state == EXCHANGE_LISTEN)
        share_unread(&x->generation->share, &x->reader, &unread_n);
    ending_read(&maker->ending, &facts);
    return facts.is_done && unread_n == 0;
}

const char *exchange_model(const struct exchange *x)
{
    return x->plan && x->plan->model ? x->plan->model : x->ask.model;
}

/* What comes of it is done at the end of the turn: we may be within a call of the inner exchange's. */
void exchange_stop_listening(struct exchange *x)
{
    if (!x->reader.share)
        return;
    share_leave(&x->generation->share, &x->reader);
    loop_defer(x->env->loop, &x->generation->work);
}

void exchange_leave_generation(struct exchange *x)
{
    if (!x->generation)
        return;
    x->generation->users_n--;
    loop_defer(x->env->loop, &x->generation->work);
    x->generation = NULL;
}

void exchange_tell_progress(const struct exchange *x, const char *text)
{
    const struct inner_sink *to = &x->inner->to;
    if (to->progress)
        to->progress(to->context, text);
}

void exchange_leave_queue(struct exchange *x)
{
    const struct upstream *u = x->upstream;
    if (exchange_is_fleets(x))
        exchange_leave_member(x);
    if (!u) {
        env_leave_queue(x->env, &x->place);
        return;
    }
    if (!u->queue) /* it has no engine yet, or any more */
        return;
    queue_leave(u->queue, &x->place, loop_now_ms(x->env->loop));
    if (queue_is_due(u->queue))
        loop_defer(x->env->loop, u->queue_work);
}
