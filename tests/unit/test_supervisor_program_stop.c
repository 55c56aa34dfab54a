/* supervisor/program: starts that fail, stops, restarts, budgets. */
#include "tests/unit/program_world.h"

/* scenario 40 */
static void test_a_start_that_takes_too_long_counts_as_a_failure(void **state)
{
    (void)state;
    event(PROGRAM_START);
    wait_for_deadline();
    in(CONTRACT_STOPPING);
    assert_int_equal(w.signals_n, 1);
    assert_int_equal(w.signals[0], SIGTERM);
    assert_string_equal(w.program.reason, "not ready within 60000 ms");
    exits(SIGTERM);
    in(CONTRACT_STARTING); /* the first restart, at once */
    assert_int_equal(w.program.restarts_n, 1);
    wait_for_deadline();
    exits(code(0));
    in(CONTRACT_BACKOFF);
    assert_int_equal(w.program.restarts_n, 2);
    assert_string_equal(w.program.reason, "not ready within 60000 ms");
}

static void test_a_command_that_cannot_be_started(void **state)
{
    (void)state;
    w.next_pid = -ENOENT;
    event(PROGRAM_START);
    in(CONTRACT_BACKOFF);
    assert_int_equal(w.spawns_n, 2); /* the first restart is at once here too */
    assert_string_equal(w.program.reason, "thingd can't be started: No such file or directory");
    wait_for_deadline();
    in(CONTRACT_BACKOFF);
    wait_for_deadline();
    in(CONTRACT_FAILED);
    assert_string_equal(w.program.reason,
                        "thingd can't be started: No such file or directory; 3 restarts within 300s were not enough");
}

/* scenarios 30, 31: what the machine is short of is waited for, and is no reason to give up. */
static void test_a_shortage_is_waited_for_and_never_given_up_for(void **state)
{
    static const int shortages[] = {-EAGAIN, -ENOMEM, -EMFILE, -ENFILE, -ENOBUFS};
    (void)state;
    w.next_pid = -EAGAIN;
    event(PROGRAM_START);
    in(CONTRACT_BACKOFF);
    int64_t first_ms = w.deadline_ms - w.now_ms, last_ms = 0;
    assert_in_range(first_ms, 1, w.conf.backoff_max_ms);
    for (int i = 0; i < 50; i++) {
        w.next_pid = shortages[i % 5];
        wait_for_deadline();
        in(CONTRACT_BACKOFF);
        last_ms = w.deadline_ms - w.now_ms;
        assert_in_range(last_ms, first_ms, w.conf.backoff_max_ms + w.conf.backoff_max_ms / 10);
    }
    assert_true(last_ms >= w.conf.backoff_max_ms);
    assert_int_equal(w.program.restarts_n, 0);
    assert_string_equal(w.program.reason, "thingd can't be started: No buffer space available");
    w.next_pid = 100;
    wait_for_deadline();
    assert_true(program_is_alive(&w.program));
    assert_int_equal(w.program.shortages_n, 0);
    assert_int_equal(w.program.backoff.exits_n, 0);
}

/* scenarios 23, 27 */
static void test_stopping_asks_asks_again_and_kills(void **state)
{
    (void)state;
    w.conf.stop_signal = SIGINT;
    up();
    event(PROGRAM_STOP);
    in(CONTRACT_STOPPING);
    assert_int_equal(w.deadline_ms, 1000 + 5000 - 300);
    event(PROGRAM_STOP); /* twice is as good as once */
    assert_int_equal(w.signals_n, 1);
    wait_for_deadline();
    assert_int_equal(w.deadline_ms, 6000);
    wait_for_deadline();
    assert_int_equal(w.deadline_ms, 7000);
    wait_for_deadline(); /* a group that will not die is killed again and again */
    assert_int_equal(w.signals_n, 4);
    static const int wanted[] = {SIGINT, SIGINT, SIGKILL, SIGKILL};
    assert_memory_equal(w.signals, wanted, sizeof wanted);
    exits(SIGKILL);
    in(CONTRACT_DOWN);
    assert_int_equal(w.deadline_ms, -1);
    assert_int_equal(w.program.restarts_n, 0);
    assert_string_equal(w.program.reason, "");
}

static void test_a_short_stop_timeout_kills_without_asking_twice(void **state)
{
    (void)state;
    w.conf.stop_timeout_ms = 0;
    up();
    event(PROGRAM_STOP);
    assert_int_equal(w.deadline_ms, w.now_ms);
    wait_for_deadline();
    assert_int_equal(w.signals_n, 2);
    assert_int_equal(w.signals[1], SIGKILL);
}

/* scenario 26 */
static void test_a_stop_during_backoff_starts_nothing(void **state)
{
    (void)state;
    reach(CONTRACT_BACKOFF);
    unsigned spawns_n = w.spawns_n;
    event(PROGRAM_STOP);
    in(CONTRACT_DOWN);
    assert_int_equal(w.deadline_ms, -1);
    event(PROGRAM_TIMER); /* one that was already on its way */
    in(CONTRACT_DOWN);
    assert_int_equal(w.spawns_n, spawns_n);
}

static void test_a_start_while_stopping_starts_when_it_is_gone(void **state)
{
    (void)state;
    up();
    event(PROGRAM_STOP);
    event(PROGRAM_START);
    in(CONTRACT_STOPPING);
    assert_int_equal(w.spawns_n, 1);
    exits(code(0));
    in(CONTRACT_STARTING);
    assert_int_equal(w.program.restarts_n, 0);
    event(PROGRAM_STOP);
    event(PROGRAM_START);
    event(PROGRAM_STOP); /* the last word counts */
    exits(code(0));
    in(CONTRACT_DOWN);
}

static void test_a_planned_restart_is_not_counted(void **state)
{
    (void)state;
    up();
    for (int i = 0; i < 20; i++) {
        event(PROGRAM_RESTART);
        in(CONTRACT_STOPPING);
        exits(SIGTERM);
        in(CONTRACT_STARTING);
        event(PROGRAM_BECAME_READY);
    }
    assert_int_equal(w.program.restarts_n, 0);
    exits(SIGSEGV);
    in(CONTRACT_STARTING); /* the first crash is still the first */
}

static void test_a_restart_hands_over_where_it_can(void **state)
{
    (void)state;
    w.program.is_handed_over = 1;
    up();
    event(PROGRAM_RESTART);
    in(CONTRACT_STARTING);
    assert_int_equal(w.hand_overs_n, 1);
    assert_int_equal(w.signals_n, 0);
    assert_int_equal(w.program.pid, 101);
    w.hand_over_error = -EBUSY;
    event(PROGRAM_RESTART);
    in(CONTRACT_STOPPING);
    assert_int_equal(w.signals_n, 1);
}

static void test_stopping_within_a_budget(void **state)
{
    (void)state;
    up();
    program_stop_by(&w.program, 3000, 4000, w.now_ms);
    in(CONTRACT_STOPPING);
    assert_int_equal(w.program.is_wanted, 0);
    assert_int_equal(w.deadline_ms, 3000);
    program_stop_by(&w.program, 5000, 6000, w.now_ms); /* later: no */
    assert_int_equal(w.deadline_ms, 3000);
    program_stop_by(&w.program, 1500, 2000, w.now_ms); /* earlier: yes */
    assert_int_equal(w.deadline_ms, 1500);
    wait_for_deadline();
    assert_int_equal(w.deadline_ms, 2000);
    program_stop_by(&w.program, 1600, 1700, w.now_ms); /* it was asked twice: only the kill is left */
    assert_int_equal(w.deadline_ms, 1700);
    wait_for_deadline();
    assert_int_equal(w.signals_n, 3);
    assert_int_equal(w.signals[2], SIGKILL);
    program_stop_by(&w.program, 0, 0, w.now_ms);
    exits(SIGKILL);
    in(CONTRACT_DOWN);
}

static void test_a_budget_ends_what_was_to_be_restarted(void **state)
{
    (void)state;
    up();
    event(PROGRAM_RESTART);
    program_stop_by(&w.program, 2000, 3000, w.now_ms);
    exits(SIGTERM);
    in(CONTRACT_DOWN);
    assert_int_equal(w.spawns_n, 1);
    event(PROGRAM_START);
    w.now_ms = w.deadline_ms;
    event(PROGRAM_TIMER); /* start_timeout: it would have failed, and been restarted */
    program_stop_by(&w.program, w.now_ms, w.now_ms, w.now_ms);
    exits(SIGTERM);
    in(CONTRACT_DOWN);
}

static void test_a_budget_for_what_has_no_process(void **state)
{
    (void)state;
    static const enum contract_state states[] = {CONTRACT_DOWN, CONTRACT_DONE, CONTRACT_FAILED, CONTRACT_BACKOFF};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        reach(states[i]);
        program_stop_by(&w.program, 1, 2, w.now_ms);
        in(states[i] == CONTRACT_BACKOFF ? CONTRACT_DOWN : states[i]);
        assert_int_equal(w.program.is_wanted, 0);
        assert_int_equal(w.signals_n, 0);
        assert_int_equal(w.deadline_ms, -1);
    }
}

static void test_when_everything_stops_nothing_is_started_again(void **state)
{
    (void)state;
    up();
    program_end(&w.program, w.now_ms);
    in(CONTRACT_READY); /* it may go on until it is asked */
    assert_int_equal(w.signals_n, 0);
    exits(code(1));
    in(CONTRACT_DOWN);
    assert_int_equal(w.spawns_n, 1);
    reach(CONTRACT_BACKOFF);
    program_end(&w.program, w.now_ms);
    in(CONTRACT_DOWN);
    assert_int_equal(w.deadline_ms, -1);
    reach(CONTRACT_READY);
    event(PROGRAM_RESTART);
    program_end(&w.program, w.now_ms);
    exits(SIGTERM);
    in(CONTRACT_DOWN);
    assert_int_equal(w.spawns_n, 1);
    assert_int_equal(w.program.is_wanted, 0);
}

static void test_at_the_end_of_all_nothing_is_started_again(void **state)
{
    (void)state;
    static const enum contract_state states[] = {CONTRACT_STARTING, CONTRACT_READY, CONTRACT_STOPPING, CONTRACT_BACKOFF};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        reach(states[i]);
        unsigned spawns_n = w.spawns_n;
        if (states[i] == CONTRACT_STOPPING)
            event(PROGRAM_START); /* to be restarted */
        program_end(&w.program, w.now_ms);
        assert_int_equal(w.program.is_wanted, 0);
        assert_int_equal(program_is_alive(&w.program), states[i] != CONTRACT_BACKOFF);
        if (states[i] != CONTRACT_BACKOFF)
            exits(code(1));
        in(CONTRACT_DOWN);
        assert_int_equal(w.deadline_ms, -1);
        assert_int_equal(w.spawns_n, spawns_n);
    }
}

static void test_another_configuration_keeps_the_past(void **state)
{
    (void)state;
    up();
    exits(code(1));
    struct conf_program other = w.conf;
    struct backoff fresh;
    assert_int_equal(program_backoff(&fresh, &other), 0);
    program_reconfigure(&w.program, &other, &fresh);
    exits(code(1));
    in(CONTRACT_BACKOFF); /* the second exit */
    other.max_restarts = 1;
    assert_int_equal(program_backoff(&fresh, &other), 0);
    program_reconfigure(&w.program, &other, &fresh);
    in(CONTRACT_BACKOFF);
    assert_int_equal(w.program.rule.max_restarts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_start_that_takes_too_long_counts_as_a_failure),
        CASE(test_a_command_that_cannot_be_started),
        CASE(test_a_shortage_is_waited_for_and_never_given_up_for),
        CASE(test_stopping_asks_asks_again_and_kills),
        CASE(test_a_short_stop_timeout_kills_without_asking_twice),
        CASE(test_a_stop_during_backoff_starts_nothing),
        CASE(test_a_start_while_stopping_starts_when_it_is_gone),
        CASE(test_a_planned_restart_is_not_counted),
        CASE(test_a_restart_hands_over_where_it_can),
        CASE(test_stopping_within_a_budget),
        CASE(test_a_budget_ends_what_was_to_be_restarted),
        CASE(test_a_budget_for_what_has_no_process),
        CASE(test_when_everything_stops_nothing_is_started_again),
        CASE(test_at_the_end_of_all_nothing_is_started_again),
        CASE(test_another_configuration_keeps_the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
