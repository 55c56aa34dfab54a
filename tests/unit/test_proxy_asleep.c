/* proxy/asleep: when what is known of Ollama is told in its place, and where nothing is kept. */
#include "proxy/asleep.h"
#include "tests/unit/conf_each.h"

struct world {
    struct loop loop;
    struct backend backend;
    struct contract_page *page;
    struct waiting waiting;
    struct tell tell;
    struct gate gate;
    struct asleep asleep;
    char ini[SCRATCH_PATH_BYTES + 200];
};

static struct world w;

static void begin(const char *action, int has_page, int is_ours)
{
    char why[128];
    struct address at;
    snprintf(w.ini, sizeof w.ini, "[supervisor]\nidle_timeout = 1m\nidle_action = %s\nstate_dir = %s/state\n", action, k.scratch.dir);
    conf_case_load(&k, w.ini, NULL);
    conf_case_good(&k);
    w.page = aligned_alloc(64, (sizeof *w.page + 63) / 64 * 64);
    assert_non_null(w.page);
    memset(w.page, 0, sizeof *w.page);
    snprintf(w.page->programs[0].name, sizeof w.page->programs[0].name, "ollama");
    assert_int_equal(parse_address("127.0.0.1:1", &at, why), 0);
    assert_int_equal(loop_init(&w.loop), 0);
    assert_int_equal(backend_init(&w.backend, &w.loop, &at, why, sizeof why), 0);
    tell_init(&w.tell, 1, 0);
    gate_init(&w.gate, has_page ? w.page : NULL, is_ours, &w.waiting);
    asleep_init(&w.asleep, k.conf, &w.gate, &w.backend, &w.tell);
}

static void end(void)
{
    asleep_fini(&w.asleep);
    backend_fini(&w.backend);
    loop_fini(&w.loop);
    free(w.page);
    memset(&w, 0, sizeof w);
}

static enum contract_sleep state_with(uint32_t sleep, enum contract_state ollama)
{
    atomic_store(&w.page->sleep, sleep);
    atomic_store(&w.page->programs[0].state, (uint32_t)ollama);
    gate_refresh(&w.gate);
    return asleep_state(&w.asleep, &w.gate.view);
}

static void test_the_page_says_who_sleeps(void **state)
{
    (void)state;
    begin("stop", 1, 1);
    assert_int_equal(state_with(CONTRACT_AWAKE, CONTRACT_DOWN), CONTRACT_AWAKE);
    assert_int_equal(state_with(CONTRACT_AWAKE, CONTRACT_STARTING), CONTRACT_AWAKE);
    assert_int_equal(state_with(CONTRACT_ASLEEP, CONTRACT_READY), CONTRACT_ASLEEP); /* on its way down */
    assert_int_equal(state_with(CONTRACT_ASLEEP, CONTRACT_STOPPING), CONTRACT_ASLEEP);
    assert_int_equal(state_with(CONTRACT_ASLEEP, CONTRACT_DOWN), CONTRACT_ASLEEP);
    assert_int_equal(state_with(CONTRACT_WAKING, CONTRACT_DOWN), CONTRACT_WAKING);
    assert_int_equal(state_with(CONTRACT_WAKING, CONTRACT_BACKOFF), CONTRACT_WAKING);
    assert_int_equal(state_with(CONTRACT_WAKING, CONTRACT_READY), CONTRACT_AWAKE);
    assert_int_equal(state_with(CONTRACT_WAKING, CONTRACT_FAILED), CONTRACT_AWAKE); /* that it has failed is told */
    assert_int_equal(state_with(77, CONTRACT_DOWN), CONTRACT_AWAKE);
    end();
}

static void test_a_backend_elsewhere_and_a_proxy_alone_never_sleep(void **state)
{
    (void)state;
    begin("stop", 1, 0);
    assert_int_equal(state_with(CONTRACT_ASLEEP, CONTRACT_DOWN), CONTRACT_AWAKE);
    assert_null(w.asleep.known);
    end();
    begin("stop", 0, 1);
    assert_int_equal(state_with(CONTRACT_ASLEEP, CONTRACT_DOWN), CONTRACT_AWAKE);
    assert_null(w.asleep.known);
    end();
}

static void count_complete(void *context, int is_complete)
{
    *(int *)context += is_complete;
}

/* The supervisor asks whether it may stop what else there is, as engines. */
static void test_a_backend_elsewhere_is_asked_for_nothing(void **state)
{
    int complete_n = 0;
    (void)state;
    begin("stop", 1, 0);
    asleep_prepare(&w.asleep, 1000, count_complete, &complete_n);
    assert_int_equal(complete_n, 1); /* at once */
    assert_null(w.asleep.known);
    end();
}

static void test_memory_is_for_who_stops_ollama_alone(void **state)
{
    (void)state;
    static const char *const actions[] = {"exit", "none", "suspend"};
    struct known_key key = {.kind = KNOWN_SHOW, .name = "m"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        begin(actions[i], 1, 1);
        assert_null(w.asleep.known);
        asleep_note(&w.asleep, &key);
        assert_null(asleep_answer(&w.asleep, &key));
        end();
    }
    begin("stop", 1, 1);
    assert_non_null(w.asleep.known);
    end();
}

static void test_what_is_known_from_another_sleep_is_told_in_none_that_follows(void **state)
{
    (void)state;
    struct known_key key = {.kind = KNOWN_PATH, .name = "/api/tags"};
    begin("stop", 1, 1);
    known_begin_round(w.asleep.known);
    for (struct known_entry *e; (e = known_next(w.asleep.known));)
        known_take(w.asleep.known, e, "text/plain", "x", 1);
    (void)state_with(CONTRACT_ASLEEP, CONTRACT_DOWN);
    asleep_doubt(&w.asleep);
    assert_non_null(asleep_answer(&w.asleep, &key));
    (void)state_with(CONTRACT_WAKING, CONTRACT_STARTING);
    asleep_doubt(&w.asleep);
    assert_non_null(asleep_answer(&w.asleep, &key));
    (void)state_with(CONTRACT_AWAKE, CONTRACT_READY);
    asleep_doubt(&w.asleep);
    assert_null(asleep_answer(&w.asleep, &key));
    end();
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_the_page_says_who_sleeps),
        EACH(test_a_backend_elsewhere_and_a_proxy_alone_never_sleep),
        EACH(test_a_backend_elsewhere_is_asked_for_nothing),
        EACH(test_what_is_known_from_another_sleep_is_told_in_none_that_follows),
        EACH(test_memory_is_for_who_stops_ollama_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
