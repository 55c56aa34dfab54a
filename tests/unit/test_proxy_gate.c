/* proxy/gate: what a request waits for, and the order in which those who wait are let go. */
#include "proxy/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct contract_page *page_new(enum contract_state ollama, enum contract_phase phase)
{
    struct contract_page *page = aligned_alloc(64, (sizeof *page + 63) / 64 * 64);
    assert_non_null(page);
    memset(page, 0, sizeof *page);
    page->version = CONTRACT_VERSION;
    strcpy(page->programs[0].name, "ollama");
    atomic_store(&page->programs[0].state, (uint32_t)ollama);
    atomic_store(&page->phase, (uint32_t)phase);
    return page;
}

static enum gate_verdict decide(const struct contract_page *page, int is_ours, int needs_model, const char *model)
{
    struct gate_view view;
    gate_look(&view, page, is_ours);
    return gate_decide(&view, needs_model, model);
}

static void test_without_a_supervisor_the_gate_is_open(void **state)
{
    (void)state;
    assert_int_equal(decide(NULL, 1, 1, "a"), GATE_PASS);
}

static void test_who_needs_a_model_waits_while_it_is_shut(void **state)
{
    (void)state;
    struct waiting waiting = {.limit_n = 4};
    struct gate g;
    gate_init(&g, NULL, 1, &waiting);
    g.is_shut = 1;
    gate_refresh(&g);
    assert_int_equal(gate_decide(&g.view, 1, "m"), GATE_WAIT_API);
    assert_int_equal(gate_decide(&g.view, 0, ""), GATE_PASS);
    g.view.is_stopping = 1; /* no other Ollama will come */
    assert_int_equal(gate_decide(&g.view, 1, "m"), GATE_PASS);
    g.is_shut = 0;
    gate_refresh(&g);
    assert_int_equal(gate_decide(&g.view, 1, "m"), GATE_PASS);
}

static int has_a(void *context, const char *model)
{
    int *asked_n = context;
    ++*asked_n;
    return strcmp(model, "a") == 0;
}

/* The list goes to several: who has it first serves. */
static void test_a_model_that_one_of_several_has_is_not_waited_for(void **state)
{
    (void)state;
    struct waiting waiting = {.limit_n = 4};
    struct gate g;
    int asked_n = 0;
    struct contract_page *page = page_new(CONTRACT_DOWN, CONTRACT_PHASE_LISTED);
    contract_model_write(&page->models[0], CONTRACT_MODEL_PULLING, "a:latest", "");
    contract_model_write(&page->models[1], CONTRACT_MODEL_PENDING, "b:latest", "");
    gate_init(&g, page, 0, &waiting);
    g.has = has_a;
    g.has_context = &asked_n;
    gate_refresh(&g);
    assert_int_equal(gate_decide(&g.view, 1, "a"), GATE_PASS);
    assert_int_equal(gate_decide(&g.view, 1, "b"), GATE_WAIT_MODEL);
    assert_int_equal(asked_n, 2);
    assert_int_equal(gate_decide(&g.view, 1, "c"), GATE_PASS); /* it is not on the list: nobody is asked */
    assert_int_equal(gate_decide(&g.view, 0, ""), GATE_PASS);
    assert_int_equal(asked_n, 2);
    atomic_store(&page->phase, (uint32_t)CONTRACT_PHASE_WAITING); /* of another preloader, behind a reload */
    gate_refresh(&g);
    assert_int_equal(gate_decide(&g.view, 1, "a"), GATE_PASS);
    assert_int_equal(gate_decide(&g.view, 1, "c"), GATE_WAIT_MODEL);
    free(page);
}

static void test_the_api_is_waited_for(void **state)
{
    (void)state;
    static const enum gate_verdict verdicts[CONTRACT_STATE_COUNT] = {
        [CONTRACT_DOWN] = GATE_WAIT_API,    [CONTRACT_STARTING] = GATE_WAIT_API, [CONTRACT_READY] = GATE_PASS,
        [CONTRACT_BACKOFF] = GATE_WAIT_API, [CONTRACT_STOPPING] = GATE_WAIT_API, [CONTRACT_DONE] = GATE_WAIT_API,
        [CONTRACT_FAILED] = GATE_FAILED,
    };
    for (int s = 0; s < CONTRACT_STATE_COUNT; s++) {
        struct contract_page *page = page_new((enum contract_state)s, CONTRACT_PHASE_NONE);
        assert_int_equal(decide(page, 1, 0, ""), verdicts[s]);
        assert_int_equal(decide(page, 0, 0, ""), GATE_PASS); /* another's backend is not on the page */
        atomic_store(&page->is_stopping, 1u);
        if (verdicts[s] == GATE_WAIT_API)
            assert_int_equal(decide(page, 1, 0, ""), GATE_STOPPING);
        free(page);
    }
}

static void test_only_its_own_model_is_waited_for(void **state)
{
    (void)state;
    struct contract_page *page = page_new(CONTRACT_READY, CONTRACT_PHASE_WAITING);
    assert_int_equal(decide(page, 1, 1, "a"), GATE_WAIT_MODEL);
    assert_int_equal(decide(page, 1, 0, ""), GATE_PASS);
    contract_model_write(&page->models[0], CONTRACT_MODEL_PENDING, "Pending:latest", "");
    contract_model_write(&page->models[1], CONTRACT_MODEL_PULLING, "pulling:1b", "");
    contract_model_write(&page->models[2], CONTRACT_MODEL_READY, "ready", "");
    contract_model_write(&page->models[CONTRACT_MODELS - 1], CONTRACT_MODEL_FAILED, "failed", "no");
    atomic_store(&page->phase, (uint32_t)CONTRACT_PHASE_LISTED);
    assert_int_equal(decide(page, 1, 1, "pending"), GATE_WAIT_MODEL);
    assert_int_equal(decide(page, 1, 1, "pulling:1b"), GATE_WAIT_MODEL);
    assert_int_equal(decide(page, 0, 1, "pulling:1b"), GATE_WAIT_MODEL); /* pulled into another's backend as well */
    assert_int_equal(decide(page, 1, 1, "pulling"), GATE_PASS);
    assert_int_equal(decide(page, 1, 1, "ready"), GATE_PASS);
    assert_int_equal(decide(page, 1, 1, "failed"), GATE_PASS);
    assert_int_equal(decide(page, 1, 1, "unknown"), GATE_PASS);
    assert_int_equal(decide(page, 1, 1, ""), GATE_PASS);
    assert_int_equal(decide(page, 1, 0, "pending"), GATE_PASS);
    atomic_store(&page->phase, (uint32_t)CONTRACT_PHASE_DONE);
    assert_int_equal(decide(page, 1, 1, "pending"), GATE_PASS);
    free(page);
}

/* The page is another process's memory. */
static void test_nonsense_on_the_page_is_survived(void **state)
{
    (void)state;
    struct contract_page *page = page_new(CONTRACT_READY, CONTRACT_PHASE_LISTED);
    for (size_t i = 0; i < CONTRACT_MODELS; i++) {
        memset(page->models[i].name, 'x', sizeof page->models[i].name);
        atomic_store(&page->models[i].state, (uint32_t)CONTRACT_MODEL_PULLING);
    }
    atomic_store(&page->models_n, 0xffffffffu);
    (void)decide(page, 1, 1, "a");
    atomic_store(&page->phase, 77u);
    atomic_store(&page->programs[0].state, 4711u);
    assert_int_equal(decide(page, 1, 1, "a"), GATE_WAIT_API);
    free(page);
}

struct waiter {
    struct gate_ticket ticket;
    struct gate *gate;
    int *order, *order_n;
    struct waiter *takes_along; /* leaves when this one is let go */
    enum gate_verdict verdict;
    int number;
};

static void on_release(void *context, enum gate_verdict verdict)
{
    struct waiter *w = context;
    w->verdict = verdict;
    w->order[(*w->order_n)++] = w->number;
    if (w->takes_along)
        gate_leave(w->gate, &w->takes_along->ticket);
}

static void set_up(struct waiter *w, int n, struct gate *g, int *order, int *order_n)
{
    for (int i = 0; i < n; i++) {
        w[i] = (struct waiter){.gate = g, .order = order, .order_n = order_n, .number = i};
        w[i].ticket = (struct gate_ticket){.model = "", .fn = on_release, .context = &w[i]};
    }
}

static void test_first_come_first_served_and_bounded(void **state)
{
    (void)state;
    struct contract_page *page = page_new(CONTRACT_STARTING, CONTRACT_PHASE_LISTED);
    struct waiter w[5];
    struct gate g;
    struct waiting waiting = {.limit_n = 4};
    int order[5], order_n = 0;
    gate_init(&g, page, 1, &waiting);
    set_up(w, 5, &g, order, &order_n);
    contract_model_write(&page->models[0], CONTRACT_MODEL_PULLING, "slow", "");
    w[1].ticket.needs_model = 1;
    w[1].ticket.model = "slow";
    for (int i = 0; i < 4; i++)
        assert_int_equal(gate_enter(&g, &w[i].ticket), GATE_WAIT_API);
    assert_int_equal(gate_enter(&g, &w[4].ticket), GATE_FULL);
    waiting.now_n--; /* one who waits for a slot is counted by the queue */
    assert_int_equal(gate_enter(&g, &w[4].ticket), GATE_WAIT_API);
    gate_leave(&g, &w[4].ticket);
    waiting.now_n++;
    w[4].ticket.is_accepted = 1; /* Ollama was lost under it */
    assert_int_equal(gate_enter(&g, &w[4].ticket), GATE_WAIT_API);
    gate_leave(&g, &w[4].ticket);
    gate_review(&g);
    assert_int_equal(order_n, 0);
    w[0].takes_along = &w[2]; /* a client that leaves while the line is walked */
    atomic_store(&page->programs[0].state, (uint32_t)CONTRACT_READY);
    gate_review(&g);
    assert_int_equal(order_n, 2);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 3);
    assert_int_equal(g.waiting_n, 1);
    contract_model_write(&page->models[0], CONTRACT_MODEL_READY, "slow", "");
    assert_int_equal(gate_enter(&g, &w[4].ticket), GATE_PASS); /* but who waited goes first */
    assert_int_equal(order_n, 3);
    assert_int_equal(order[2], 1);
    assert_int_equal(g.waiting_n, 0);
    assert_int_equal(waiting.now_n, 0);
    assert_null(g.first);
    assert_null(g.last);
    free(page);
}

static void test_a_failure_is_told_to_all_who_wait(void **state)
{
    (void)state;
    struct contract_page *page = page_new(CONTRACT_BACKOFF, CONTRACT_PHASE_NONE);
    struct waiter w[2];
    struct gate g;
    struct waiting waiting = {.limit_n = 4};
    int order[2], order_n = 0;
    gate_init(&g, page, 1, &waiting);
    set_up(w, 2, &g, order, &order_n);
    assert_int_equal(gate_enter(&g, &w[0].ticket), GATE_WAIT_API);
    assert_int_equal(gate_enter(&g, &w[1].ticket), GATE_WAIT_API);
    contract_program_reason(&page->programs[0], "too many restarts");
    atomic_store(&page->programs[0].state, (uint32_t)CONTRACT_FAILED);
    gate_review(&g);
    assert_int_equal(w[0].verdict, GATE_FAILED);
    assert_int_equal(w[1].verdict, GATE_FAILED);
    assert_string_equal(g.view.reason, "too many restarts");
    free(page);
}

static void test_without_its_supervisor_nothing_more_will_come(void **state)
{
    (void)state;
    struct contract_page *page = page_new(CONTRACT_STARTING, CONTRACT_PHASE_NONE);
    struct waiter w[1];
    struct gate g;
    struct waiting waiting = {.limit_n = 4};
    int order[1], order_n = 0;
    gate_init(&g, page, 1, &waiting);
    set_up(w, 1, &g, order, &order_n);
    assert_int_equal(gate_enter(&g, &w[0].ticket), GATE_WAIT_API);
    g.is_orphaned = 1;
    gate_review(&g);
    assert_int_equal(w[0].verdict, GATE_STOPPING);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_supervisor_the_gate_is_open),
        cmocka_unit_test(test_who_needs_a_model_waits_while_it_is_shut),
        cmocka_unit_test(test_a_model_that_one_of_several_has_is_not_waited_for),
        cmocka_unit_test(test_the_api_is_waited_for),
        cmocka_unit_test(test_only_its_own_model_is_waited_for),
        cmocka_unit_test(test_nonsense_on_the_page_is_survived),
        cmocka_unit_test(test_first_come_first_served_and_bounded),
        cmocka_unit_test(test_a_failure_is_told_to_all_who_wait),
        cmocka_unit_test(test_without_its_supervisor_nothing_more_will_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
