/* supervisor/program: the table of states and events, with fake processes and a fake clock. */
#include "supervisor/program.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIGNALS_MAX = 16 };

/* What the table asked for. */
static struct world {
    struct conf_program conf;
    char *words[2];
    struct program program;
    pid_t next_pid;   /* what spawn returns, or -errno */
    unsigned spawns_n;
    int signals[SIGNALS_MAX];
    unsigned signals_n;
    int hand_over_error;
    unsigned hand_overs_n;
    int64_t deadline_ms; /* -1: none */
    enum contract_state from;
    char cause[64];
    unsigned changes_n;
    int64_t now_ms;
} w;

static pid_t fake_spawn(struct program *p)
{
    assert_ptr_equal(p, &w.program);
    w.spawns_n++;
    return w.next_pid < 0 ? w.next_pid : w.next_pid++;
}

static void fake_signal(struct program *p, int signal_number)
{
    assert_true(p->pid > 0);
    assert_true(w.signals_n < SIGNALS_MAX);
    w.signals[w.signals_n++] = signal_number;
}

static int fake_hand_over(struct program *p)
{
    (void)p;
    w.hand_overs_n++;
    return w.hand_over_error;
}

static void fake_deadline(struct program *p, int64_t at_ms)
{
    (void)p;
    w.deadline_ms = at_ms;
}

static void fake_changed(struct program *p, enum contract_state from, const char *cause)
{
    (void)p;
    w.from = from;
    w.changes_n++;
    snprintf(w.cause, sizeof w.cause, "%s", cause);
}

static uint32_t fake_random(struct program *p)
{
    (void)p;
    return 0;
}

static const struct program_ops ops = {fake_spawn,    fake_signal,  fake_hand_over,
                                       fake_deadline, fake_changed, fake_random};

static char word_none[] = "none", word_notify[] = "notify", word_name[] = "thing", word_command[] = "thingd";
static char word_proxy[] = "proxy", word_preload[] = "preload", word_ollama[] = "ollama";

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    w.words[0] = word_command;
    w.conf = (struct conf_program){.name = word_name, .ready = word_notify, .autostart = 1, .restart = CONF_RESTART_ALWAYS,
                                   .start_timeout_ms = 60000, .stop_signal = SIGTERM, .stop_timeout_ms = 5000,
                                   .backoff_min_ms = 500, .backoff_max_ms = 30000, .max_restarts = 3,
                                   .restart_window_ms = 300000};
    w.conf.command = (struct list){w.words, 1};
    w.next_pid = 100;
    w.deadline_ms = -1;
    w.now_ms = 1000;
    return program_init(&w.program, &w.conf, &ops, NULL);
}

static int teardown(void **state)
{
    (void)state;
    program_fini(&w.program);
    return 0;
}

static void event(enum program_event e)
{
    program_event(&w.program, e, w.now_ms);
}

static void in(enum contract_state state)
{
    if (w.program.state != state)
        fail_msg("in %s, not in %s (cause %s)", contract_state_name(w.program.state), contract_state_name(state), w.cause);
    assert_int_equal(w.program.pid > 0, state == CONTRACT_STARTING || state == CONTRACT_READY || state == CONTRACT_STOPPING);
    assert_int_equal(program_is_alive(&w.program) != 0, w.program.pid > 0);
}

static int code(int exit_code)
{
    return exit_code << 8;
}

static void exits(int status)
{
    program_exited(&w.program, status, "", w.now_ms);
}

/* The deadline has come. */
static void wait_for_deadline(void)
{
    assert_true(w.deadline_ms >= w.now_ms);
    w.now_ms = w.deadline_ms;
    event(PROGRAM_TIMER);
}

static void up(void)
{
    event(PROGRAM_START);
    event(PROGRAM_BECAME_READY);
    in(CONTRACT_READY);
}

static void test_no_cell_of_the_table_is_empty(void **state)
{
    (void)state;
    for (int s = 0; s < CONTRACT_STATE_COUNT; s++)
        for (int e = 0; e < PROGRAM_EVENT_COUNT; e++)
            assert_non_null(program_cell_name((enum contract_state)s, (enum program_event)e));
    for (int e = 0; e < PROGRAM_EVENT_COUNT; e++)
        assert_non_null(program_event_name((enum program_event)e));
}

/* Brings a fresh program into a state. */
static void reach(enum contract_state s)
{
    teardown(NULL);
    assert_int_equal(setup(NULL), 0);
    switch (s) {
    case CONTRACT_STARTING:
        event(PROGRAM_START);
        break;
    case CONTRACT_READY:
        up();
        break;
    case CONTRACT_BACKOFF:
        up();
        exits(code(1));
        exits(code(1));
        break;
    case CONTRACT_STOPPING:
        up();
        event(PROGRAM_STOP);
        break;
    case CONTRACT_DONE:
        w.conf.restart = CONF_RESTART_ON_FAILURE;
        up();
        exits(code(0));
        break;
    case CONTRACT_FAILED:
        w.conf.restart = CONF_RESTART_NEVER;
        up();
        exits(code(1));
        break;
    case CONTRACT_DOWN:
    case CONTRACT_STATE_COUNT:
        break;
    }
    in(s);
}

#define SAME CONTRACT_STATE_COUNT

static void test_every_transition(void **state)
{
    (void)state;
    static const enum contract_state to[CONTRACT_STATE_COUNT][PROGRAM_EVENT_COUNT] = {
        /*                      START,             STOP,              RESTART,           READY, EXITED, TIMER */
        [CONTRACT_DOWN] = {CONTRACT_STARTING, SAME, CONTRACT_STARTING, SAME, SAME, SAME},
        [CONTRACT_STARTING] = {SAME, CONTRACT_STOPPING, CONTRACT_STOPPING, CONTRACT_READY, CONTRACT_STARTING,
                               CONTRACT_STOPPING},
        [CONTRACT_READY] = {SAME, CONTRACT_STOPPING, CONTRACT_STOPPING, SAME, CONTRACT_STARTING, SAME},
        [CONTRACT_BACKOFF] = {CONTRACT_STARTING, CONTRACT_DOWN, CONTRACT_STARTING, SAME, SAME, CONTRACT_STARTING},
        [CONTRACT_STOPPING] = {SAME, SAME, SAME, SAME, CONTRACT_DOWN, SAME},
        [CONTRACT_DONE] = {CONTRACT_STARTING, CONTRACT_DOWN, CONTRACT_STARTING, SAME, SAME, SAME},
        [CONTRACT_FAILED] = {CONTRACT_STARTING, CONTRACT_DOWN, CONTRACT_STARTING, SAME, SAME, SAME},
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

static void test_a_task_has_no_start_timeout_and_is_done(void **state)
{
    (void)state;
    w.conf.ready = word_none;
    w.conf.restart = CONF_RESTART_ON_FAILURE;
    w.program.is_task = 1;
    event(PROGRAM_START);
    in(CONTRACT_STARTING);
    assert_int_equal(w.deadline_ms, -1);
    exits(code(0));
    in(CONTRACT_DONE);
    assert_string_equal(w.program.reason, "");
}

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
    w.program.has_exited = 1;
    for (int c = 0; c < 256; c++) {
        w.program.last_status = code(c);
        program_last_exit(&w.program, how, sizeof how);
        snprintf(wanted, sizeof wanted, "exit code %d", c);
        assert_string_equal(how, wanted);
    }
    for (int s = 1; s < 64; s++) {
        w.program.last_status = s;
        program_last_exit(&w.program, how, sizeof how);
        snprintf(wanted, sizeof wanted, "killed by signal %d (", s);
        assert_memory_equal(how, wanted, strlen(wanted));
    }
    w.program.last_status = SIGSEGV | 0x80; /* with a core */
    program_last_exit(&w.program, how, sizeof how);
    assert_non_null(strstr(how, "killed by signal 11"));
}

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

static void test_another_configuration_keeps_the_past(void **state)
{
    (void)state;
    up();
    exits(code(1));
    struct conf_program other = w.conf;
    assert_int_equal(program_reconfigure(&w.program, &other), 0);
    exits(code(1));
    in(CONTRACT_BACKOFF); /* the second exit */
    other.max_restarts = 1;
    assert_int_equal(program_reconfigure(&w.program, &other), 0);
    in(CONTRACT_BACKOFF);
    assert_int_equal(w.program.rule.max_restarts, 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_cell_of_the_table_is_empty),
        CASE(test_every_transition),
        CASE(test_start_and_ready_by_notification),
        CASE(test_without_readiness_it_is_ready_at_once),
        CASE(test_a_task_has_no_start_timeout_and_is_done),
        CASE(test_a_crash_is_restarted_at_once_then_later_then_given_up),
        CASE(test_a_long_last_line_is_cut_and_the_reason_ends),
        CASE(test_what_exits_mean),
        CASE(test_final_exits_of_our_own_programs),
        CASE(test_every_exit_code_and_signal_is_said_in_words),
        CASE(test_a_start_that_takes_too_long_counts_as_a_failure),
        CASE(test_a_command_that_cannot_be_started),
        CASE(test_stopping_asks_asks_again_and_kills),
        CASE(test_a_short_stop_timeout_kills_without_asking_twice),
        CASE(test_a_stop_during_backoff_starts_nothing),
        CASE(test_a_start_while_stopping_starts_when_it_is_gone),
        CASE(test_a_planned_restart_is_not_counted),
        CASE(test_a_restart_hands_over_where_it_can),
        CASE(test_stopping_within_a_budget),
        CASE(test_a_budget_ends_what_was_to_be_restarted),
        CASE(test_a_budget_for_what_has_no_process),
        CASE(test_another_configuration_keeps_the_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
