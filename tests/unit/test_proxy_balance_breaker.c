/* proxy/balance/breaker: the table of states and events; the one try of a half-open backend (proxy scenario 33); slow start. */
#include "proxy/balance/breaker.h"

#include "proxy/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { OPEN_MS = 30000, SLOW_MS = 10000 };

static const struct breaker_rules rules = {.rise_n = 2, .fall_n = 3, .failures_n = 5, .open_ms = OPEN_MS, .slow_start_ms = SLOW_MS};
static const struct breaker_rules at_once = {.rise_n = 1, .fall_n = 1, .failures_n = 1, .open_ms = OPEN_MS, .slow_start_ms = SLOW_MS};
static struct breaker b;
static int64_t now_ms;

static void begin(const struct breaker_rules *with)
{
    now_ms = 1000;
    breaker_init(&b, with, now_ms);
}

static void probes(int is_good, int n)
{
    while (n-- > 0)
        breaker_probed(&b, is_good, now_ms);
}

static void answer(enum breaker_outcome outcome)
{
    breaker_end(&b, breaker_begin(&b, now_ms), outcome, now_ms);
}

static void answers(enum breaker_outcome outcome, int n)
{
    while (n-- > 0)
        answer(outcome);
}

static void in(enum breaker_state state)
{
    assert_string_equal(breaker_state_name(b.state), breaker_state_name(state));
}

/* With the rules of at_once. */
static void reach(enum breaker_state state)
{
    begin(&at_once);
    if (state == BREAKER_DOWN)
        probes(0, 1);
    else if (state != BREAKER_UNKNOWN)
        probes(1, 1);
    if (state == BREAKER_OPEN || state == BREAKER_HALF_OPEN)
        answer(BREAKER_BAD);
    if (state == BREAKER_HALF_OPEN) {
        now_ms += OPEN_MS;
        assert_true(breaker_may(&b, now_ms));
    }
    in(state);
}

static void event(enum breaker_event e)
{
    static const enum breaker_outcome outcomes[] = {
        [BREAKER_ANSWER_GOOD] = BREAKER_GOOD, [BREAKER_ANSWER_BAD] = BREAKER_BAD, [BREAKER_ANSWER_NONE] = BREAKER_NOTHING};
    if (e == BREAKER_PROBE_GOOD || e == BREAKER_PROBE_BAD)
        breaker_probed(&b, e == BREAKER_PROBE_GOOD, now_ms);
    else if (e == BREAKER_TIME)
        breaker_may(&b, now_ms += OPEN_MS);
    else
        answer(outcomes[e]);
}

static void test_no_cell_of_the_table_is_empty(void **state)
{
    (void)state;
    for (int s = 0; s < BREAKER_STATES; s++)
        for (int e = 0; e < BREAKER_EVENTS; e++)
            assert_non_null(breaker_cell_name((enum breaker_state)s, (enum breaker_event)e));
}

#define SAME BREAKER_STATES

static void test_every_transition(void **state)
{
    (void)state;
    static const enum breaker_state to[BREAKER_STATES][BREAKER_EVENTS] = {
        /*                     PROBE_GOOD,     PROBE_BAD,    ANSWER_GOOD, ANSWER_BAD, ANSWER_NONE, TIME */
        [BREAKER_UNKNOWN] = {BREAKER_CLOSED, BREAKER_DOWN, SAME, SAME, SAME, SAME},
        [BREAKER_CLOSED] = {SAME, BREAKER_DOWN, SAME, BREAKER_OPEN, SAME, SAME},
        [BREAKER_OPEN] = {SAME, BREAKER_DOWN, SAME, SAME, SAME, BREAKER_HALF_OPEN},
        [BREAKER_HALF_OPEN] = {SAME, BREAKER_DOWN, BREAKER_CLOSED, BREAKER_OPEN, SAME, SAME},
        [BREAKER_DOWN] = {BREAKER_CLOSED, SAME, SAME, SAME, SAME, SAME},
    };
    for (int s = 0; s < BREAKER_STATES; s++) {
        for (int e = 0; e < BREAKER_EVENTS; e++) {
            enum breaker_state wanted = to[s][e] == SAME ? (enum breaker_state)s : to[s][e];
            reach((enum breaker_state)s);
            unsigned era = b.era;
            event((enum breaker_event)e);
            if (b.state != wanted)
                fail_msg("%s: event %d went to %s", breaker_state_name((enum breaker_state)s), e, breaker_state_name(b.state));
            assert_int_equal(b.era - era, to[s][e] == SAME ? 0 : 1);
        }
    }
}

static void test_requests_pass_where_it_is_up(void **state)
{
    (void)state;
    static const int may[BREAKER_STATES] = {[BREAKER_CLOSED] = 1, [BREAKER_HALF_OPEN] = 1};
    for (int s = 0; s < BREAKER_STATES; s++) {
        reach((enum breaker_state)s);
        assert_int_equal(breaker_may(&b, now_ms), may[s]);
    }
}

static void test_probes_fall_and_rise_in_a_row(void **state)
{
    (void)state;
    begin(&rules);
    probes(1, 1); /* the first decides alone */
    in(BREAKER_CLOSED);
    for (int i = 0; i < 4; i++) {
        probes(0, 2);
        probes(1, 1);
    }
    in(BREAKER_CLOSED);
    probes(0, 3);
    in(BREAKER_DOWN);
    for (int i = 0; i < 4; i++) {
        probes(1, 1);
        probes(0, 1);
    }
    in(BREAKER_DOWN);
    probes(1, 2);
    in(BREAKER_CLOSED);
}

static void test_who_answers_is_not_taken_for_down(void **state)
{
    (void)state;
    begin(&rules);
    probes(1, 1);
    probes(0, 2);
    answer(BREAKER_GOOD); /* too busy for probes */
    probes(0, 2);
    in(BREAKER_CLOSED);
    probes(0, 1);
    in(BREAKER_DOWN);
}

static void test_five_failures_in_a_row_open_it_proxy_scenario_33(void **state)
{
    (void)state;
    begin(&rules);
    probes(1, 1);
    for (int i = 0; i < 4; i++) {
        answers(BREAKER_BAD, 4);
        answer(BREAKER_NOTHING); /* says nothing: neither counts nor ends the row */
        in(BREAKER_CLOSED);
        answer(BREAKER_GOOD);
    }
    answers(BREAKER_BAD, 4);
    in(BREAKER_CLOSED);
    answer(BREAKER_BAD);
    in(BREAKER_OPEN);
    assert_false(breaker_may(&b, now_ms));
    assert_int_equal(breaker_due_ms(&b, 4, now_ms), now_ms + OPEN_MS);
    probes(1, 9); /* that its API answers is not enough */
    assert_false(breaker_may(&b, now_ms + OPEN_MS - 1));
    assert_true(breaker_may(&b, now_ms + OPEN_MS));
}

static void test_without_a_limit_failures_open_nothing(void **state)
{
    static const struct breaker_rules never = {.rise_n = 2, .fall_n = 3, .open_ms = OPEN_MS};
    (void)state;
    begin(&never);
    probes(1, 1);
    answers(BREAKER_BAD, 1000);
    in(BREAKER_CLOSED);
}

static void open_halfway(void)
{
    begin(&rules);
    probes(1, 1);
    answers(BREAKER_BAD, 5);
    now_ms += OPEN_MS;
    assert_true(breaker_may(&b, now_ms));
    in(BREAKER_HALF_OPEN);
}

static void test_half_open_lets_one_request_try_proxy_scenario_33(void **state)
{
    (void)state;
    open_halfway();
    assert_int_equal(breaker_slots(&b, 8, now_ms), 1);
    assert_int_equal(breaker_due_ms(&b, 8, now_ms), 0);
    unsigned era = breaker_begin(&b, now_ms);
    assert_false(breaker_may(&b, now_ms));
    assert_false(breaker_may(&b, now_ms + 100 * OPEN_MS)); /* however long it takes */
    breaker_end(&b, era, BREAKER_BAD, now_ms);
    in(BREAKER_OPEN);
    assert_int_equal(breaker_due_ms(&b, 8, now_ms), now_ms + OPEN_MS);
    now_ms += OPEN_MS;
    assert_true(breaker_may(&b, now_ms));
    answer(BREAKER_GOOD);
    in(BREAKER_CLOSED);
}

static void test_a_try_that_is_cancelled_is_given_back(void **state)
{
    (void)state;
    open_halfway();
    unsigned era = breaker_begin(&b, now_ms);
    breaker_end(&b, era, BREAKER_NOTHING, now_ms);
    in(BREAKER_HALF_OPEN);
    assert_true(breaker_may(&b, now_ms));
}

/* A process that died and is back within seconds is not shut out for as long as one that fails what it is asked. */
static void test_refused_connections_count_as_probes(void **state)
{
    (void)state;
    begin(&rules);
    probes(1, 1);
    answers(BREAKER_REFUSED, 2);
    in(BREAKER_CLOSED);
    unsigned late = breaker_begin(&b, now_ms);
    answer(BREAKER_REFUSED);
    in(BREAKER_DOWN);
    breaker_end(&b, late, BREAKER_REFUSED, now_ms); /* of an earlier era */
    probes(1, 2);
    in(BREAKER_CLOSED);
    open_halfway();
    for (int i = 0; i < 3; i++) {
        assert_true(breaker_may(&b, now_ms)); /* its try is given back */
        answer(BREAKER_REFUSED);
    }
    in(BREAKER_DOWN);
}

/* ABA: what was begun when it was up the last time, or the time before, ends while another request tries. */
static void test_a_late_result_of_an_earlier_era_is_ignored_proxy_scenario_33(void **state)
{
    static const enum breaker_outcome outcomes[] = {BREAKER_GOOD, BREAKER_BAD, BREAKER_NOTHING};
    (void)state;
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        begin(&rules);
        probes(1, 1);
        unsigned late = breaker_begin(&b, now_ms);
        answers(BREAKER_BAD, 5);
        breaker_end(&b, late, outcomes[i], now_ms); /* while it is open */
        in(BREAKER_OPEN);
        now_ms += OPEN_MS;
        unsigned first_try = breaker_begin(&b, now_ms);
        breaker_end(&b, late, outcomes[i], now_ms); /* while another one tries */
        in(BREAKER_HALF_OPEN);
        assert_false(breaker_may(&b, now_ms));
        breaker_end(&b, first_try, BREAKER_BAD, now_ms);
        now_ms += OPEN_MS;
        unsigned second_try = breaker_begin(&b, now_ms);
        breaker_end(&b, first_try, outcomes[i], now_ms); /* the same state by name, another one in time */
        in(BREAKER_HALF_OPEN);
        assert_false(breaker_may(&b, now_ms));
        breaker_end(&b, second_try, BREAKER_GOOD, now_ms);
        in(BREAKER_CLOSED);
        for (int k = 0; k < 10; k++)
            breaker_end(&b, late, BREAKER_BAD, now_ms); /* closed, as then, and not the same either */
        in(BREAKER_CLOSED);
    }
}

static void test_what_ended_in_its_last_moment_opens_it_no_longer(void **state)
{
    (void)state;
    begin(&rules);
    probes(1, 1);
    answers(BREAKER_BAD, 5);
    unsigned era = breaker_begin(&b, now_ms + OPEN_MS); /* nobody has looked since: time has passed all the same */
    in(BREAKER_HALF_OPEN);
    breaker_end(&b, era, BREAKER_GOOD, now_ms + OPEN_MS);
    in(BREAKER_CLOSED);
}

/* Asked at each due time its slots grow by one, from 1 to all; asked a millisecond earlier they don't. */
static void grows(size_t slots_n)
{
    int64_t began_ms = now_ms;
    for (size_t n = 1; n < slots_n; n++) {
        assert_int_equal(breaker_slots(&b, slots_n, now_ms), n);
        int64_t due_ms = breaker_due_ms(&b, slots_n, now_ms);
        assert_true(due_ms > now_ms);
        assert_int_equal(breaker_slots(&b, slots_n, due_ms - 1), n);
        now_ms = due_ms;
    }
    assert_int_equal(breaker_slots(&b, slots_n, now_ms), slots_n);
    assert_int_equal(breaker_due_ms(&b, slots_n, now_ms), 0);
    assert_true(slots_n == 1 || now_ms == began_ms + SLOW_MS);
}

static void test_who_comes_back_starts_slowly(void **state)
{
    static const size_t slots[] = {1, 2, 3, 7, 64, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        begin(&rules);
        probes(1, 1);
        assert_int_equal(breaker_slots(&b, slots[i], now_ms), slots[i]); /* there from the start */
        probes(0, 3);
        probes(1, 2);
        grows(slots[i]);
        open_halfway();
        answer(BREAKER_GOOD);
        grows(slots[i]);
    }
}

static void test_without_slow_start_all_slots_are_there_at_once(void **state)
{
    static const struct breaker_rules fast = {.rise_n = 1, .fall_n = 1, .failures_n = 1, .open_ms = OPEN_MS};
    (void)state;
    begin(&fast);
    probes(0, 1);
    probes(1, 1);
    assert_int_equal(breaker_slots(&b, 8, now_ms), 8);
    assert_int_equal(breaker_due_ms(&b, 8, now_ms), 0);
}

/* metrics_fleet.c is in builds, too, that have no breaker. */
static void test_metrics_know_each_state(void **state)
{
    (void)state;
    for (int s = 0; s < BREAKER_STATES; s++) {
        struct fleet_facts fleet = {.members_n = 1, .members = {{.name = "a", .state = breaker_state_name((enum breaker_state)s), .why = ""}}};
        char line[96];
        struct buf out;
        buf_init(&out, 1 << 20);
        assert_int_equal(metrics_write(&out, &(struct metrics_input){.fleet = &fleet}), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        snprintf(line, sizeof line, "\nsidecar_backend_breaker{backend=\"a\",state=\"%s\"} 1\n", fleet.members[0].state);
        assert_non_null(strstr(buf_data(&out), line));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_cell_of_the_table_is_empty),
        cmocka_unit_test(test_every_transition),
        cmocka_unit_test(test_requests_pass_where_it_is_up),
        cmocka_unit_test(test_probes_fall_and_rise_in_a_row),
        cmocka_unit_test(test_who_answers_is_not_taken_for_down),
        cmocka_unit_test(test_five_failures_in_a_row_open_it_proxy_scenario_33),
        cmocka_unit_test(test_without_a_limit_failures_open_nothing),
        cmocka_unit_test(test_half_open_lets_one_request_try_proxy_scenario_33),
        cmocka_unit_test(test_a_try_that_is_cancelled_is_given_back),
        cmocka_unit_test(test_refused_connections_count_as_probes),
        cmocka_unit_test(test_a_late_result_of_an_earlier_era_is_ignored_proxy_scenario_33),
        cmocka_unit_test(test_what_ended_in_its_last_moment_opens_it_no_longer),
        cmocka_unit_test(test_who_comes_back_starts_slowly),
        cmocka_unit_test(test_without_slow_start_all_slots_are_there_at_once),
        cmocka_unit_test(test_metrics_know_each_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
