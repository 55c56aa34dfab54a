/* supervisor/program: the table of states and events; crashes, exit codes, giving up. */
#include "tests/unit/program_world.h"

static void test_no_cell_of_the_table_is_empty(void **state)
{
    (void)state;
    for (int s = 0; s < CONTRACT_STATE_COUNT; s++)
        for (int e = 0; e < PROGRAM_EVENT_COUNT; e++)
            assert_non_null(program_cell_name((enum contract_state)s, (enum program_event)e));
    for (int e = 0; e < PROGRAM_EVENT_COUNT; e++)
        assert_non_null(program_event_name((enum program_event)e));
}


#define SAME CONTRACT_STATE_COUNT

static void test_every_transition(void **state)
{
    (void)state;
    static const enum contract_state to[CONTRACT_STATE_COUNT][PROGRAM_EVENT_COUNT] = {
        /*                      START,             STOP,              RESTART,           READY, HUNG, EXITED, TIMER */
        [CONTRACT_DOWN] = {CONTRACT_STARTING, SAME, CONTRACT_STARTING, SAME, SAME, SAME, SAME},
        [CONTRACT_STARTING] = {SAME, CONTRACT_STOPPING, CONTRACT_STOPPING, CONTRACT_READY, SAME, CONTRACT_STARTING,
                               CONTRACT_STOPPING},
        [CONTRACT_READY] = {SAME, CONTRACT_STOPPING, CONTRACT_STOPPING, SAME, CONTRACT_STOPPING, CONTRACT_STARTING,
                            SAME},
        [CONTRACT_BACKOFF] = {CONTRACT_STARTING, CONTRACT_DOWN, CONTRACT_STARTING, SAME, SAME, SAME, CONTRACT_STARTING},
        [CONTRACT_STOPPING] = {SAME, SAME, SAME, SAME, SAME, CONTRACT_DOWN, SAME},
        [CONTRACT_DONE] = {CONTRACT_STARTING, CONTRACT_DOWN, CONTRACT_STARTING, SAME, SAME, SAME, SAME},
        [CONTRACT_FAILED] = {CONTRACT_STARTING, CONTRACT_DOWN, CONTRACT_STARTING, SAME, SAME, SAME, SAME},
    };
    for (int s = 0; s < CONTRACT_STATE_COUNT; s++) {
        for (int e = 0; e < PROGRAM_EVENT_COUNT; e++) {
            enum contract_state wanted = to[s][e] == SAME ? (enum contract_state)s : to[s][e];
            reach((enum contract_state)s);
            if (e == PROGRAM_EXITED)
                w.program.pid = 0;
            unsigned changes_n = w.changes_n;
            event((enum program_event)e);
            if (w.program.state != wanted)
                fail_msg("%s on %s went to %s", contract_state_name((enum contract_state)s),
                         program_event_name((enum program_event)e), contract_state_name(w.program.state));
            if (to[s][e] == SAME)
                assert_int_equal(w.changes_n, changes_n); /* nothing is told that did not happen */
        }
    }
}

static void test_start_and_ready_by_notification(void **state)
{
    (void)state;
    event(PROGRAM_START);
    in(CONTRACT_STARTING);
    assert_int_equal(w.program.pid, 100);
    assert_int_equal(w.deadline_ms, 61000);
    w.now_ms = 2000;
    event(PROGRAM_BECAME_READY);
    in(CONTRACT_READY);
    assert_int_equal(w.deadline_ms, -1);
    assert_int_equal(w.program.state_since_ms, 2000);
    event(PROGRAM_START); /* it is up: nothing to do */
    assert_int_equal(w.spawns_n, 1);
}

static void test_without_readiness_it_is_ready_at_once(void **state)
{
    (void)state;
    w.conf.ready = word_none;
    event(PROGRAM_START);
    in(CONTRACT_READY);
    assert_int_equal(w.deadline_ms, -1);
}

static void test_a_task_is_done_when_it_has_exited_well(void **state)
{
    (void)state;
    static const enum conf_restart restarts[] = {CONF_RESTART_ALWAYS, CONF_RESTART_ON_FAILURE, CONF_RESTART_NEVER};
    for (size_t i = 0; i < sizeof restarts / sizeof *restarts; i++) {
        teardown(NULL);
        assert_int_equal(setup(NULL), 0);
        w.conf.ready = word_exit;
        w.conf.restart = restarts[i];
        w.conf.start_timeout_ms = 0; /* no limit */
        w.program.is_task = 1;
        event(PROGRAM_START);
        in(CONTRACT_STARTING);
        assert_int_equal(w.deadline_ms, -1);
        exits(code(0));
        in(CONTRACT_DONE);
        assert_string_equal(w.program.reason, "");
    }
}

static void test_a_task_that_fails_is_tried_again_or_never(void **state)
{
    (void)state;
    w.conf.ready = word_exit;
    w.program.is_task = 1;
    event(PROGRAM_START);
    exits(code(4));
    in(CONTRACT_STARTING);
    assert_int_equal(w.program.restarts_n, 1);
    w.conf.restart = CONF_RESTART_NEVER;
    exits(code(4));
    in(CONTRACT_FAILED);
    assert_string_equal(w.program.reason, "exit code 4");
}

static void test_a_task_may_have_a_limit(void **state)
{
    (void)state;
    w.conf.ready = word_exit;
    w.program.is_task = 1;
    event(PROGRAM_START);
    wait_for_deadline();
    in(CONTRACT_STOPPING);
    assert_string_equal(w.program.reason, "not done within 60000 ms");
}

/* scenarios 42, 44 */
static void test_a_program_that_hangs_is_replaced(void **state)
{
    (void)state;
    up();
    program_hung(&w.program, "hung: it says nothing", w.now_ms);
    in(CONTRACT_STOPPING);
    assert_string_equal(w.cause, "hung");
    assert_int_equal(w.signals[0], SIGTERM);
    assert_string_equal(w.program.reason, "hung: it says nothing");
    wait_for_deadline();
    wait_for_deadline();
    assert_int_equal(w.signals[2], SIGKILL); /* as it does, TERM alone may not reach it */
    exits(SIGKILL);
    in(CONTRACT_STARTING);
    assert_int_equal(w.program.restarts_n, 1);
    assert_string_equal(w.program.reason, "hung: it says nothing");
    event(PROGRAM_BECAME_READY);
    assert_string_equal(w.program.reason, "");
}

/* scenarios 43, 45 */
static void test_only_what_is_ready_can_hang(void **state)
{
    (void)state;
    reach(CONTRACT_STARTING);
    program_hung(&w.program, "hung", w.now_ms);
    in(CONTRACT_STARTING);
    reach(CONTRACT_BACKOFF);
    char before[CONTRACT_REASON_BYTES];
    memcpy(before, w.program.reason, sizeof before);
    program_hung(&w.program, "hung", w.now_ms);
    in(CONTRACT_BACKOFF);
    assert_string_equal(w.program.reason, before);
}

static void test_what_hangs_and_is_never_restarted_has_failed(void **state)
{
    (void)state;
    w.conf.restart = CONF_RESTART_NEVER;
    up();
    program_hung(&w.program, "hung: it says nothing", w.now_ms);
    exits(SIGTERM);
    in(CONTRACT_FAILED);
    assert_string_equal(w.program.reason, "hung: it says nothing");
    assert_int_equal(w.spawns_n, 1);
}

static void test_what_is_never_restarted_and_cant_be_started_has_failed(void **state)
{
    (void)state;
    w.conf.restart = CONF_RESTART_NEVER;
    w.next_pid = -ENOENT;
    event(PROGRAM_START);
    in(CONTRACT_FAILED);
    assert_string_equal(w.program.reason, "thingd can't be started: No such file or directory");
    assert_int_equal(w.spawns_n, 1);
}

static void test_a_start_may_be_extended(void **state)
{
    (void)state;
    event(PROGRAM_START);
    assert_int_equal(w.deadline_ms, 61000);
    w.now_ms = 2000;
    program_extend(&w.program, 10000, w.now_ms); /* that is sooner than the limit */
    assert_int_equal(w.deadline_ms, 61000);
    w.now_ms = 60000;
    program_extend(&w.program, 30000, w.now_ms);
    assert_int_equal(w.deadline_ms, 90000);
    wait_for_deadline();
    assert_string_equal(w.program.reason, "not ready within 89000 ms");
    exits(SIGTERM);
    event(PROGRAM_BECAME_READY);
    program_extend(&w.program, 30000, w.now_ms);
    assert_int_equal(w.deadline_ms, -1); /* nothing runs against it */
}

static void test_a_stop_may_be_extended_but_not_that_of_everything(void **state)
{
    (void)state;
    up();
    event(PROGRAM_STOP);
    assert_int_equal(w.deadline_ms, 5700);
    program_extend(&w.program, 20000, w.now_ms);
    assert_int_equal(w.deadline_ms, 20700);
    wait_for_deadline();
    assert_int_equal(w.deadline_ms, 21000);
    program_extend(&w.program, 1000, w.now_ms);
    assert_int_equal(w.deadline_ms, 21700);
    wait_for_deadline(); /* killed: no more extensions */
    int64_t again_ms = w.deadline_ms;
    program_extend(&w.program, 100000, w.now_ms);
    assert_int_equal(w.deadline_ms, again_ms);
    reach(CONTRACT_READY);
    program_end(&w.program, w.now_ms);
    program_stop_by(&w.program, 1500, 2000, w.now_ms);
    program_extend(&w.program, 100000, w.now_ms);
    assert_int_equal(w.deadline_ms, 1500);
}

/* scenario 32 */
static void test_a_crash_is_restarted_at_once_then_later_then_given_up(void **state)
{
    (void)state;
    up();
    w.now_ms = 5000;
    exits(9); /* killed */
    in(CONTRACT_STARTING);
    assert_int_equal(w.program.pid, 101);
    assert_string_equal(w.cause, "restart");
    assert_string_equal(w.program.reason, "killed by signal 9 (Killed)");
    event(PROGRAM_BECAME_READY);
    assert_string_equal(w.program.reason, "");
    program_exited(&w.program, code(3), "disk on fire", w.now_ms);
    in(CONTRACT_BACKOFF);
    assert_int_equal(w.deadline_ms, 5500);
    assert_string_equal(w.program.reason, "exit code 3: disk on fire");
    wait_for_deadline();
    in(CONTRACT_STARTING);
    exits(code(3));
    in(CONTRACT_BACKOFF);
    assert_int_equal(w.deadline_ms, w.now_ms + 1000);
    wait_for_deadline();
    program_exited(&w.program, code(3), "disk still on fire", w.now_ms);
    in(CONTRACT_FAILED);
    assert_int_equal(w.deadline_ms, -1);
    assert_int_equal(w.program.is_wanted, 0);
    assert_int_equal(w.program.restarts_n, 3);
    assert_string_equal(w.program.reason, "exit code 3: disk still on fire; 3 restarts within 300s were not enough");
    event(PROGRAM_START); /* the owner tries again: from the beginning */
    in(CONTRACT_STARTING);
    exits(code(1));
    in(CONTRACT_STARTING);
}

/* scenario 33: what needs not become ready is so at once each time, and yet each death counts */
static void test_without_readiness_it_is_given_up_all_the_same(void **state)
{
    (void)state;
    w.conf.ready = word_none;
    event(PROGRAM_START);
    for (int i = 0; i < 3; i++) {
        in(CONTRACT_READY);
        exits(code(0));
        if (i > 0) { /* the first is started again at once */
            in(CONTRACT_BACKOFF);
            wait_for_deadline();
        }
    }
    in(CONTRACT_READY);
    exits(code(0));
    in(CONTRACT_FAILED);
    assert_int_equal(w.spawns_n, 4);
    assert_string_equal(w.cause, "too_many_restarts");
}

static void test_a_long_last_line_is_cut_and_the_reason_ends(void **state)
{
    (void)state;
    char line[4000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    w.conf.restart = CONF_RESTART_NEVER;
    up();
    program_exited(&w.program, code(1), line, w.now_ms);
    in(CONTRACT_FAILED);
    assert_true(strlen(w.program.reason) < CONTRACT_REASON_BYTES);
    assert_memory_equal(w.program.reason, "exit code 1: xxx", 16);
    w.conf.restart = CONF_RESTART_ALWAYS;
    w.program.rule.max_restarts = 0;
    w.program.backoff.room_n = 0;
    up();
    program_exited(&w.program, code(1), line, w.now_ms);
    in(CONTRACT_FAILED);
    assert_non_null(strstr(w.program.reason, "; 0 restarts within 300s were not enough"));
}

/* scenario 35 */
static void test_what_exits_mean(void **state)
{
    (void)state;
    static const struct {
        enum conf_restart restart;
        int status;
        enum contract_state then;
    } cases[] = {
        {CONF_RESTART_ALWAYS, 0, CONTRACT_STARTING},     {CONF_RESTART_ALWAYS, 1 << 8, CONTRACT_STARTING},
        {CONF_RESTART_ALWAYS, 100 << 8, CONTRACT_STARTING}, {CONF_RESTART_ON_FAILURE, 0, CONTRACT_DONE},
        {CONF_RESTART_ON_FAILURE, 1 << 8, CONTRACT_STARTING}, {CONF_RESTART_ON_FAILURE, SIGSEGV, CONTRACT_STARTING},
        {CONF_RESTART_NEVER, 0, CONTRACT_DONE},          {CONF_RESTART_NEVER, 255 << 8, CONTRACT_FAILED},
        {CONF_RESTART_NEVER, SIGKILL, CONTRACT_FAILED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reach(CONTRACT_READY);
        w.conf.restart = cases[i].restart;
        exits(cases[i].status);
        in(cases[i].then);
    }
}

static void test_final_exits_of_our_own_programs(void **state)
{
    (void)state;
    static const struct {
        char *name;
        int is_built_in, exit_code, is_final;
    } cases[] = {
        {word_proxy, 1, 100, 1},   {word_proxy, 1, 1, 0},     {word_proxy, 1, 111, 0},  {word_preload, 1, 100, 1},
        {word_preload, 1, 1, 1},   {word_preload, 1, 2, 0},   {word_ollama, 1, 100, 0}, {word_proxy, 0, 100, 0},
        {word_preload, 0, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reach(CONTRACT_READY);
        w.conf.name = cases[i].name;
        w.program.is_built_in = cases[i].is_built_in;
        program_exited(&w.program, code(cases[i].exit_code), "no", w.now_ms);
        in(cases[i].is_final ? CONTRACT_FAILED : CONTRACT_STARTING);
        if (cases[i].is_final)
            assert_non_null(strstr(w.program.reason, ": no"));
        assert_int_equal(w.program.restarts_n, !cases[i].is_final);
    }
}

static void test_every_exit_code_and_signal_is_said_in_words(void **state)
{
    (void)state;
    char how[64], wanted[64];
    program_last_exit(&w.program, how, sizeof how);
    assert_string_equal(how, "");
    assert_int_equal(program_last_code(&w.program), -1);
    w.program.has_exited = 1;
    for (int c = 0; c < 256; c++) {
        w.program.last_status = code(c);
        program_last_exit(&w.program, how, sizeof how);
        snprintf(wanted, sizeof wanted, "exit code %d", c);
        assert_string_equal(how, wanted);
        assert_int_equal(program_last_code(&w.program), c);
    }
    for (int s = 1; s < 64; s++) {
        w.program.last_status = s;
        program_last_exit(&w.program, how, sizeof how);
        snprintf(wanted, sizeof wanted, "killed by signal %d (", s);
        assert_memory_equal(how, wanted, strlen(wanted));
        assert_int_equal(program_last_code(&w.program), 128 + s);
    }
    w.program.last_status = SIGSEGV | 0x80; /* with a core */
    program_last_exit(&w.program, how, sizeof how);
    assert_non_null(strstr(how, "killed by signal 11"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_cell_of_the_table_is_empty),
        CASE(test_every_transition),
        CASE(test_start_and_ready_by_notification),
        CASE(test_without_readiness_it_is_ready_at_once),
        CASE(test_a_task_is_done_when_it_has_exited_well),
        CASE(test_a_task_that_fails_is_tried_again_or_never),
        CASE(test_a_task_may_have_a_limit),
        CASE(test_a_program_that_hangs_is_replaced),
        CASE(test_only_what_is_ready_can_hang),
        CASE(test_what_hangs_and_is_never_restarted_has_failed),
        CASE(test_what_is_never_restarted_and_cant_be_started_has_failed),
        CASE(test_a_start_may_be_extended),
        CASE(test_a_stop_may_be_extended_but_not_that_of_everything),
        CASE(test_a_crash_is_restarted_at_once_then_later_then_given_up),
        CASE(test_without_readiness_it_is_given_up_all_the_same),
        CASE(test_a_long_last_line_is_cut_and_the_reason_ends),
        CASE(test_what_exits_mean),
        CASE(test_final_exits_of_our_own_programs),
        CASE(test_every_exit_code_and_signal_is_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
