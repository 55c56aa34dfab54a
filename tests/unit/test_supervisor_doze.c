/* supervisor/doze: Ollama's sleep as the page tells of it, and who comes in the moment in which it begins. */
#include "supervisor/doze.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OLLAMA, PROXY, CHILDREN_N };

static struct supervisor s;
static struct conf conf;
static struct conf_program confs[CHILDREN_N];
static int signals_n;
static uint32_t page_when_signalled;

static void on_signal(struct program *p, int signal_number)
{
    (void)p;
    (void)signal_number;
    signals_n++;
    page_when_signalled = atomic_load(&s.board.page->sleep);
}

static void on_deadline(struct program *p, int64_t at_ms)
{
    (void)p;
    (void)at_ms;
}

/* As supervisor.c does it. */
static void on_changed(struct program *p, enum contract_state from, const char *cause)
{
    (void)from;
    (void)cause;
    (void)doze_look(&s);
    atomic_store(&s.board.page->programs[OLLAMA].state, (uint32_t)p->state);
}

static const struct program_ops ops = {.signal = on_signal, .deadline = on_deadline, .changed = on_changed};

static void nothing(void *context)
{
    (void)context;
}

static int setup(void **state)
{
    static const char *const names[CHILDREN_N] = {"ollama", "proxy"};
    (void)state;
    memset(&s, 0, sizeof s);
    memset(&conf, 0, sizeof conf);
    conf.supervisor.idle_action = CONF_IDLE_STOP;
    conf.supervisor.idle_timeout_ms = 1000;
    conf.supervisor.state_dir = (char *)"/dev/null";
    conf.is_backend_ours = 1;
    s.conf = &conf;
    s.keeper.pid = 1; /* somebody writes: nothing is written now */
    if (board_init(&s.board) < 0 || loop_init(&s.loop) < 0)
        return -1;
    s.evaluation = (struct deferred){.fn = nothing, .context = &s};
    s.children_n = CHILDREN_N;
    for (size_t i = 0; i < CHILDREN_N; i++) {
        confs[i] = (struct conf_program){.name = (char *)names[i], .stop_timeout_ms = 5000, .stop_signal = SIGTERM};
        s.children[i].program = (struct program){.conf = &confs[i], .ops = &ops, .is_wanted = 1, .state = CONTRACT_READY, .pid = 10 + (pid_t)i};
        s.children[i].channel.fd = -1;
        board_name_program(&s.board, i, names[i]);
        atomic_store(&s.board.page->programs[i].state, CONTRACT_READY);
    }
    s.children[PROXY].launch.has_contract = 1;
    signals_n = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_fini(&s.board);
    loop_fini(&s.loop);
    return 0;
}

static uint32_t page_sleep(void)
{
    return atomic_load(&s.board.page->sleep);
}

static void test_the_page_says_so_before_it_is_told_to_stop(void **state)
{
    (void)state;
    assert_int_equal(doze_begin(&s), 1);
    assert_int_equal(signals_n, 1);
    assert_int_equal(page_when_signalled, CONTRACT_ASLEEP);
    assert_int_equal(s.children[OLLAMA].program.state, CONTRACT_STOPPING);
    assert_int_equal(s.children[OLLAMA].program.is_wanted, 0);
    assert_int_equal(s.slept.how, SLEPT_STOP);
    assert_int_equal(doze_look(&s), 0); /* it is on its way down, and nobody wants it */
    assert_int_equal(page_sleep(), CONTRACT_ASLEEP);
}

static void test_who_was_counted_in_that_moment_keeps_it_awake(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct contract_line *line = &s.board.page->lines[3];
        atomic_store(i ? &line->held_n : &line->in_flight_n, 1);
        assert_int_equal(doze_begin(&s), 0);
        assert_int_equal(signals_n, 0);
        assert_int_equal(page_sleep(), CONTRACT_AWAKE);
        assert_int_equal(atomic_load(&s.board.page->programs[OLLAMA].state), CONTRACT_READY);
        atomic_store(&line->held_n, 0);
        atomic_store(&line->in_flight_n, 0);
    }
    assert_int_equal(doze_begin(&s), 1);
}

static void test_what_nobody_could_wake_stays_up(void **state)
{
    (void)state;
    s.children[PROXY].program.state = CONTRACT_BACKOFF;
    assert_int_equal(doze_begin(&s), 0);
    s.children[PROXY].program.state = CONTRACT_READY;
    s.children[PROXY].launch.has_contract = 0; /* another program in its place */
    assert_int_equal(doze_begin(&s), 0);
    s.children[PROXY].launch.has_contract = 1;
    conf.is_backend_ours = 0;
    assert_int_equal(doze_begin(&s), 0);
    conf.is_backend_ours = 1;
    s.children[OLLAMA].program.state = CONTRACT_DOWN;
    assert_int_equal(doze_begin(&s), 0);
    assert_int_equal(page_sleep(), CONTRACT_AWAKE);
    assert_int_equal(signals_n, 0);
}

static void test_it_wakes_for_who_wants_it_also_on_its_way_down(void **state)
{
    (void)state;
    struct program *ollama = &s.children[OLLAMA].program;
    assert_int_equal(doze_begin(&s), 1);
    state_want(&s, "ollama");
    assert_int_equal(doze_look(&s), 0);
    assert_int_equal(page_sleep(), CONTRACT_WAKING);
    assert_int_equal(s.slept.wakes_n, 1);
    ollama->state = CONTRACT_STARTING;
    assert_int_equal(doze_look(&s), 0);
    ollama->state = CONTRACT_BACKOFF; /* it died at its start, and is tried again */
    assert_int_equal(doze_look(&s), 0);
    assert_int_equal(page_sleep(), CONTRACT_WAKING);
    ollama->state = CONTRACT_READY;
    assert_int_equal(doze_look(&s), 1);
    assert_int_equal(page_sleep(), CONTRACT_AWAKE);
    assert_int_equal(doze_look(&s), 0); /* once */
}

static void test_one_that_does_not_come_is_not_asleep_either(void **state)
{
    (void)state;
    static const enum contract_state ends[] = {CONTRACT_FAILED, CONTRACT_DOWN};
    struct program *ollama = &s.children[OLLAMA].program;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        ollama->state = CONTRACT_READY;
        ollama->is_wanted = 1;
        assert_int_equal(doze_begin(&s), 1);
        state_want(&s, "ollama");
        assert_int_equal(doze_look(&s), 0);
        ollama->state = ends[i];
        ollama->is_wanted = 0; /* given up, or stopped by its owner */
        assert_int_equal(doze_look(&s), 1);
        assert_int_equal(page_sleep(), CONTRACT_AWAKE);
    }
}

static void test_a_reload_that_takes_the_sleep_away_wakes_it(void **state)
{
    (void)state;
    assert_int_equal(doze_begin(&s), 1);
    doze_reloaded(&s);
    assert_int_equal(s.children[OLLAMA].program.is_wanted, 0);
    conf.supervisor.idle_timeout_ms = 0;
    doze_reloaded(&s);
    assert_int_equal(s.children[OLLAMA].program.is_wanted, 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_page_says_so_before_it_is_told_to_stop),
        CASE(test_who_was_counted_in_that_moment_keeps_it_awake),
        CASE(test_what_nobody_could_wake_stays_up),
        CASE(test_it_wakes_for_who_wants_it_also_on_its_way_down),
        CASE(test_one_that_does_not_come_is_not_asleep_either),
        CASE(test_a_reload_that_takes_the_sleep_away_wakes_it),
    };
    return cmocka_run_group_tests_name("supervisor/doze", tests, NULL, NULL);
}
