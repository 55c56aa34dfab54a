/*
 * See gate.h. The page is another process's memory: every number is checked before it is used, and nothing is
 * remembered longer than one look. The line is in order of arrival; releasing it may make callers enter or leave
 * it, so the walk keeps its place in the gate itself.
 */
#include "proxy/gate.h"

#include <string.h>

static enum contract_state checked_state(uint32_t state)
{
    return state < CONTRACT_STATE_COUNT ? (enum contract_state)state : CONTRACT_DOWN;
}

static int is_missing(uint32_t state)
{
    return state == CONTRACT_MODEL_PENDING || state == CONTRACT_MODEL_PULLING;
}

static void look_at_models(struct gate_view *view, const struct contract_page *page)
{
    for (size_t i = 0; i < CONTRACT_MODELS; i++) {
        const struct contract_model *row = &page->models[i];
        struct contract_model_view model;
        if (!is_missing(atomic_load_explicit(&row->state, memory_order_relaxed)))
            continue;
        contract_model_read(row, &model);
        if (is_missing(model.state))
            memcpy(view->missing[view->missing_n++], model.name, sizeof model.name);
    }
}

void gate_look(struct gate_view *view, const struct contract_page *page, int is_backend_ours)
{
    view->is_supervised = page != NULL;
    view->is_api_watched = view->is_stopping = view->is_shut = view->is_stalled = 0;
    view->ollama_pid = 0;
    view->ollama_restarts_n = 0;
    view->has = NULL;
    view->ollama = CONTRACT_READY;
    view->phase = CONTRACT_PHASE_NONE;
    view->reason[0] = '\0';
    view->missing_n = 0;
    if (!page)
        return;
    uint32_t phase = atomic_load_explicit(&page->phase, memory_order_acquire);
    view->phase = phase <= CONTRACT_PHASE_DONE ? (enum contract_phase)phase : CONTRACT_PHASE_NONE;
    view->is_stopping = atomic_load_explicit(&page->is_stopping, memory_order_relaxed) != 0;
    const struct contract_program *ollama = is_backend_ours ? contract_find_program(page, "ollama") : NULL;
    if (ollama) {
        view->is_api_watched = 1;
        view->ollama = checked_state(atomic_load_explicit(&ollama->state, memory_order_acquire));
        view->ollama_pid = atomic_load_explicit(&ollama->pid, memory_order_relaxed);
        view->ollama_restarts_n = atomic_load_explicit(&ollama->restarts_n, memory_order_relaxed);
        if (view->ollama != CONTRACT_READY)
            contract_program_read_reason(ollama, view->reason);
    }
    if (view->phase == CONTRACT_PHASE_LISTED)
        look_at_models(view, page);
}

int gate_asks_model(const struct gate_view *view)
{
    return view->phase == CONTRACT_PHASE_WAITING || view->phase == CONTRACT_PHASE_LISTED;
}

static int is_listed_missing(const struct gate_view *view, const char *model)
{
    size_t model_n = strlen(model);
    for (size_t i = 0; i < view->missing_n && model_n > 0; i++)
        if (model_name_equal(view->missing[i], strlen(view->missing[i]), model, model_n))
            return 1;
    return 0;
}

/* Nobody waits until the last of several has it. */
static int is_model_missing(const struct gate_view *view, const char *model)
{
    if (view->phase != CONTRACT_PHASE_WAITING && !is_listed_missing(view, model))
        return 0;
    return !(view->has && view->has(view->has_context, model));
}

enum gate_verdict gate_decide(const struct gate_view *view, int needs_model, const char *model)
{
    if (view->is_api_watched && view->ollama == CONTRACT_FAILED)
        return GATE_FAILED;
    if (view->is_api_watched && view->ollama != CONTRACT_READY)
        return view->is_stopping ? GATE_STOPPING : GATE_WAIT_API;
    if (needs_model && view->is_shut && !view->is_stopping)
        return GATE_WAIT_API;
    if (needs_model && view->is_stalled)
        return view->is_stopping ? GATE_STOPPING : GATE_WAIT_API;
    if (needs_model && is_model_missing(view, model))
        return view->is_stopping ? GATE_STOPPING : GATE_WAIT_MODEL;
    return GATE_PASS;
}

void gate_init(struct gate *g, const struct contract_page *page, int is_backend_ours, struct waiting *waiting)
{
    *g = (struct gate){.page = page, .is_backend_ours = is_backend_ours, .waiting = waiting};
    gate_look(&g->view, page, is_backend_ours);
}

void gate_refresh(struct gate *g)
{
    gate_look(&g->view, g->page, g->is_backend_ours);
    g->view.is_stopping |= g->is_orphaned;
    g->view.is_shut = g->is_shut;
    g->view.is_stalled = g->is_stalled;
    g->view.has = g->has;
    g->view.has_context = g->has_context;
}

enum gate_verdict gate_enter(struct gate *g, struct gate_ticket *t)
{
    if (g->first && !g->cursor)
        gate_review(g);
    else
        gate_refresh(g);
    enum gate_verdict verdict = gate_decide(&g->view, t->needs_model, t->model);
    if (!gate_is_waiting(verdict))
        return verdict;
    if (!t->is_accepted && waiting_is_full(g->waiting))
        return GATE_FULL;
    t->is_waiting = 1;
    t->next = NULL;
    t->previous = g->last;
    *(g->last ? &g->last->next : &g->first) = t;
    g->last = t;
    g->waiting_n++;
    g->waiting->now_n++;
    return verdict;
}

void gate_leave(struct gate *g, struct gate_ticket *t)
{
    if (!t->is_waiting)
        return;
    if (g->cursor == t)
        g->cursor = t->next;
    *(t->previous ? &t->previous->next : &g->first) = t->next;
    *(t->next ? &t->next->previous : &g->last) = t->previous;
    t->previous = t->next = NULL;
    t->is_waiting = 0;
    g->waiting_n--;
    g->waiting->now_n--;
}

void gate_review(struct gate *g)
{
    gate_refresh(g);
    struct gate_ticket *end = g->last; /* who comes back to the line waits for the next look */
    for (g->cursor = g->first; g->cursor;) {
        struct gate_ticket *t = g->cursor;
        int is_end = t == end;
        enum gate_verdict verdict = gate_decide(&g->view, t->needs_model, t->model);
        g->cursor = t->next;
        if (!gate_is_waiting(verdict)) {
            gate_leave(g, t);
            t->fn(t->context, verdict);
        }
        if (is_end)
            break;
    }
    g->cursor = NULL;
}
