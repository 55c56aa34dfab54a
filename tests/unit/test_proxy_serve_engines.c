/* proxy/serve/engines: who is started, stopped and waited for, one rule after the other. */
#include "tests/unit/engines_world.h"

static void set_row(const char *model, enum contract_state state, const char *why)
{
    struct engines_row *row = row_of(model);
    assert_non_null(row);
    row->was_ready = row->was_ready || row->state == CONTRACT_READY;
    row->state = state;
    row->reason = why;
    row->load_ms = state == CONTRACT_READY ? 700 : row->load_ms;
    settle();
}

/* Loads a model; nobody uses it then. */
static void load(const char *model)
{
    struct wanter *w = &wanters[WANTERS - 1];
    want(w, model);
    settle();
    set_row(model, CONTRACT_READY, "");
    assert_int_equal(w->verdict, ENGINES_GO);
    leave(w);
    settle();
    now_ms += 10;
}

static void test_all_who_want_it_share_one_start(void **state)
{
    (void)state;
    world_begin(2);
    for (int i = 0; i < 5; i++) {
        want(&wanters[i], "a");
        assert_int_equal(wanters[i].verdict, ENGINES_WAIT);
        settle();
    }
    assert_int_equal(starts_n, 1);
    assert_int_equal(next_ms, now_ms + ENGINES_ASK_AGAIN_MS); /* that it is ready may not be told */
    set_row("a", CONTRACT_READY, "");
    for (int i = 0; i < 5; i++)
        assert_int_equal(wanters[i].verdict, ENGINES_GO);
    assert_int_equal(engines_find(&e, "a")->users_n, 5);
    assert_int_equal(engines_find(&e, "a")->load_ms, 700);
    assert_int_equal(loads_n, 1);
    want(&wanters[5], "a");
    assert_int_equal(wanters[5].verdict, ENGINES_GO);
    world_end();
}

static void test_the_least_recently_used_makes_room(void **state)
{
    (void)state;
    world_begin(2);
    load("a");
    load("b");
    want(&wanters[0], "a");
    leave(&wanters[0]);
    want(&wanters[1], "c");
    settle();
    assert_string_equal(last_stop, "b");
    assert_int_equal(starts_n, 2); /* its place is b's until that has ended */
    set_row("b", CONTRACT_DOWN, "");
    assert_int_equal(starts_n, 3);
    set_row("c", CONTRACT_READY, "");
    assert_int_equal(wanters[1].verdict, ENGINES_GO);
    world_end();
}

static void test_one_that_answers_is_drained_after_its_turn(void **state)
{
    (void)state;
    world_begin(1);
    want(&wanters[0], "a");
    settle();
    set_row("a", CONTRACT_READY, "");
    want(&wanters[1], "b");
    settle();
    assert_int_equal(stops_n, 0);
    assert_int_equal(next_ms, now_ms + 2 * 700);
    want(&wanters[2], "a"); /* it has its turn still */
    assert_int_equal(wanters[2].verdict, ENGINES_GO);
    now_ms = next_ms;
    settle();
    want(&wanters[3], "a"); /* … and now no more */
    assert_int_equal(wanters[3].verdict, ENGINES_WAIT);
    leave(&wanters[0]);
    settle();
    assert_int_equal(stops_n, 0);
    leave(&wanters[2]);
    settle();
    assert_string_equal(last_stop, "a");
    set_row("a", CONTRACT_DOWN, "");
    set_row("b", CONTRACT_READY, "");
    assert_int_equal(wanters[1].verdict, ENGINES_GO);
    leave(&wanters[1]);
    settle(); /* nobody uses it: it goes at once */
    set_row("b", CONTRACT_DOWN, "");
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[3].verdict, ENGINES_GO);
    world_end();
}

static void test_who_was_drained_for_leaves_and_nothing_is_stopped(void **state)
{
    (void)state;
    world_begin(1);
    want(&wanters[0], "a");
    settle();
    set_row("a", CONTRACT_READY, "");
    want(&wanters[1], "b");
    now_ms += 10000;
    settle();
    want(&wanters[2], "a");
    assert_int_equal(wanters[2].verdict, ENGINES_WAIT);
    leave(&wanters[1]);
    settle();
    assert_int_equal(wanters[2].verdict, ENGINES_GO);
    assert_int_equal(stops_n, 0);
    world_end();
}

static void test_the_next_engine_is_tried_then_the_model_rests(void **state)
{
    char why[200];
    (void)state;
    world_begin(2);
    want(&wanters[0], "a");
    settle();
    assert_string_equal(last_start, "a 0");
    set_row("a", CONTRACT_FAILED, "no memory");
    assert_int_equal(wanters[0].verdict, ENGINES_WAIT);
    assert_string_equal(last_start, "a 1");
    want(&wanters[1], "a");
    set_row("a", CONTRACT_FAILED, "exit 1");
    assert_int_equal(wanters[0].verdict, ENGINES_FAIL);
    assert_int_equal(wanters[1].verdict, ENGINES_FAIL);
    engines_why(&e, engines_find(&e, "a"), why, sizeof why);
    assert_string_equal(why, "vllm (q4): no memory; other: exit 1");
    want(&wanters[2], "a");
    assert_int_equal(wanters[2].verdict, ENGINES_FAIL); /* at once */
    assert_int_equal(engines_find(&e, "a")->rest_until_ms, now_ms + COOLDOWN_MS);
    assert_int_equal(starts_n, 2);
    assert_int_equal(rests_n, 1);
    now_ms += COOLDOWN_MS;
    want(&wanters[2], "a");
    settle();
    assert_string_equal(last_start, "a 0"); /* from the first on */
    assert_int_equal(wanters[2].verdict, ENGINES_WAIT);
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[2].verdict, ENGINES_GO);
    world_end();
}

static void test_the_first_engines_failure_is_known_while_the_second_serves(void **state)
{
    char why[200];
    (void)state;
    world_begin(2);
    want(&wanters[0], "a");
    settle();
    set_row("a", CONTRACT_FAILED, "no CUDA");
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    assert_int_equal(engines_find(&e, "a")->engine, BAD);
    engines_why(&e, engines_find(&e, "a"), why, sizeof why);
    assert_string_equal(why, "vllm (q4): no CUDA");
    world_end();
}

static void test_without_a_cooldown_each_who_waited_is_told_once(void **state)
{
    (void)state;
    world_begin(1);
    e.rules.cooldown_ms = 0;
    want(&wanters[0], "a");
    settle();
    set_row("a", CONTRACT_FAILED, "x");
    set_row("a", CONTRACT_FAILED, "y");
    assert_int_equal(wanters[0].verdict, ENGINES_FAIL);
    leave(&wanters[0]);
    want(&wanters[1], "a");
    assert_int_equal(wanters[1].verdict, ENGINES_WAIT);
    world_end();
}

static void test_what_no_engine_can_try_fails_at_once(void **state)
{
    char why[200];
    (void)state;
    world_begin(1);
    refused = "not installed";
    want(&wanters[0], "a");
    assert_int_equal(wanters[0].verdict, ENGINES_FAIL);
    settle();
    assert_int_equal(starts_n, 0);
    assert_true(engines_find(&e, "a")->is_hopeless);
    engines_why(&e, engines_find(&e, "a"), why, sizeof why);
    assert_string_equal(why, "vllm (q4): not installed; other: not installed");
    refused = NULL;
    now_ms += ENGINES_HOPELESS_MS;
    want(&wanters[1], "a");
    assert_int_equal(wanters[1].verdict, ENGINES_WAIT);
    world_end();
}

static void test_a_crash_is_its_own_affair(void **state)
{
    (void)state;
    world_begin(2);
    load("a");
    load("b");
    want(&wanters[0], "a");
    want(&wanters[1], "b");
    set_row("a", CONTRACT_FAILED, "killed by signal 9");
    assert_false(engines_holds(&wanters[0].lease));
    assert_true(engines_holds(&wanters[1].lease));
    want(&wanters[0], "a"); /* asked again: it is loaded again, by the first engine */
    assert_int_equal(wanters[0].verdict, ENGINES_WAIT);
    settle();
    assert_string_equal(last_start, "a 0");
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    assert_int_equal(engines_find(&e, "a")->users_n, 1);
    world_end();
}

static void test_who_is_idle_is_stopped(void **state)
{
    (void)state;
    world_begin(2);
    load("a");
    assert_int_equal(next_ms, now_ms - 10 + IDLE_MS);
    want(&wanters[0], "a");
    now_ms += 2 * IDLE_MS;
    settle();
    assert_int_equal(stops_n, 0); /* somebody uses it */
    leave(&wanters[0]);
    settle();
    assert_int_equal(stops_n, 0);
    now_ms += IDLE_MS;
    settle();
    assert_string_equal(last_stop, "a");
    want(&wanters[0], "a"); /* it is on its way out: another one */
    assert_int_equal(wanters[0].verdict, ENGINES_WAIT);
    settle();
    assert_int_equal(starts_n, 1);
    set_row("a", CONTRACT_DOWN, "");
    assert_int_equal(starts_n, 2);
    world_end();
}

static void test_what_is_stopped_by_hand(void **state)
{
    (void)state;
    world_begin(2);
    assert_int_equal(engines_stop(&e, "a", now_ms), -ENOENT);
    load("a");
    want(&wanters[0], "a");
    assert_int_equal(engines_stop(&e, "a", now_ms), -EBUSY);
    leave(&wanters[0]);
    assert_int_equal(engines_stop(&e, "a", now_ms), 0);
    assert_string_equal(last_stop, "a");
    settle();
    set_row("a", CONTRACT_DOWN, "");
    assert_int_equal(starts_n, 1);
    assert_null(engines_find(&e, "a"));
    world_end();
}

static void test_messages_may_be_lost(void **state)
{
    (void)state;
    world_begin(2);
    is_deaf = EAGAIN;
    want(&wanters[0], "a");
    settle();
    assert_int_equal(next_ms, now_ms + ENGINES_SOON_MS);
    is_deaf = 0;
    now_ms = next_ms;
    settle();
    assert_int_equal(starts_n, 1);
    *row_of("a") = (struct engines_row){.model = "", .reason = ""}; /* it has not come */
    engines_fini(&e);
    world_begin(2);
    want(&wanters[0], "a");
    engines_review(&e, now_ms);
    memset(rows, 0, sizeof rows);
    for (int i = 0; i < ROWS; i++)
        rows[i].model = rows[i].reason = "";
    settle();
    assert_int_equal(starts_n, 1);
    now_ms = next_ms;
    settle();
    assert_int_equal(starts_n, 2);
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    world_end();
}

static void test_a_start_that_is_not_possible_is_a_failure(void **state)
{
    char why[200];
    (void)state;
    world_begin(2);
    is_deaf = ENOENT;
    want(&wanters[0], "a");
    settle();
    assert_int_equal(wanters[0].verdict, ENGINES_FAIL);
    engines_why(&e, engines_find(&e, "a"), why, sizeof why);
    assert_string_equal(why, "vllm (q4): it is not in the hub's cache any more; other: it is not in the hub's cache any more");
    world_end();
}

/* … and before the list of the cache had come. */
static void test_what_was_taken_over_while_it_starts_may_fail(void **state)
{
    (void)state;
    world_begin(2);
    is_unlisted = 1;
    rows[0] = (struct engines_row){.state = CONTRACT_STARTING, .number = 7, .engine = BAD, .model = "a", .reason = ""};
    number = 7;
    settle();
    is_unlisted = 0;
    want(&wanters[0], "a");
    assert_int_equal(wanters[0].verdict, ENGINES_WAIT);
    set_row("a", CONTRACT_FAILED, "x");
    assert_int_equal(wanters[0].verdict, ENGINES_WAIT);
    assert_string_equal(last_start, "a 0");
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    world_end();
}

/* One that drains asks for an engine that a reload has taken away. */
static void test_a_failure_of_what_another_proxy_asked_for_is_not_ours(void **state)
{
    (void)state;
    world_begin(2);
    want(&wanters[0], "a");
    (void)engines_review(&e, now_ms);
    struct engines_row ours = *row_of("a");
    *row_of("a") = (struct engines_row){.state = CONTRACT_FAILED, .number = ours.number, .engine = 2, .model = ours.model, .reason = "not in the configuration"};
    settle();
    assert_int_equal(wanters[0].verdict, ENGINES_WAIT);
    assert_int_equal(engines_find(&e, "a")->state, ENGINES_ASKED);
    ours.number = ++number;
    *row_of("a") = ours;
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    assert_int_equal(starts_n, 1);
    world_end();
}

/* As it would be behind a restart of the proxy. */
static void test_what_runs_is_taken_over(void **state)
{
    (void)state;
    world_begin(2);
    rows[0] = (struct engines_row){.state = CONTRACT_READY, .number = 7, .engine = BAD, .was_ready = 1, .load_ms = 90, .model = "a", .reason = ""};
    rows[1] = (struct engines_row){.state = CONTRACT_STARTING, .number = 8, .engine = GOOD, .model = "b", .reason = ""};
    rows[2] = (struct engines_row){.state = CONTRACT_FAILED, .number = 6, .model = "c", .reason = "long ago"};
    number = 8;
    rows[0].elsewhere = CONTRACT_HOLD_USED;
    rows[1].elsewhere = CONTRACT_HOLD_WANTED;
    settle();
    assert_int_equal(loads_n, 0);
    want(&wanters[0], "a");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    leave(&wanters[0]);
    want(&wanters[1], "c");
    settle();
    assert_int_equal(stops_n, 0); /* the one before us has a use for both of them */
    assert_int_equal(engines_stop(&e, "b", now_ms), -EBUSY);
    rows[1].elsewhere = 0;
    settle();
    assert_int_equal(stops_n, 1);
    assert_string_equal(last_stop, "b");
    set_row("b", CONTRACT_DOWN, "");
    set_row("c", CONTRACT_READY, "");
    assert_int_equal(wanters[1].verdict, ENGINES_GO);
    world_end();
}

static void test_who_leaves_for_good_stops_nothing_that_the_next_one_may_use(void **state)
{
    (void)state;
    world_begin(1);
    load("a");
    e.is_leaving = 1;
    now_ms += IDLE_MS;
    settle();
    assert_int_equal(stops_n, 0);
    want(&wanters[0], "b"); /* but one of ours waits for its place */
    settle();
    assert_string_equal(last_stop, "a");
    world_end();
}

/* Two proxies want a model each, and there is one place. */
static void test_another_proxy_has_its_turn_too(void **state)
{
    (void)state;
    world_begin(1);
    load("a");
    row_of("a")->elsewhere = CONTRACT_HOLD_USED;
    want(&wanters[0], "b");
    now_ms += ENGINES_TURN_MAX_MS;
    settle();
    assert_int_equal(engines_holding(engines_find(&e, "a")), CONTRACT_HOLD_DRAINED); /* it is told so by that */
    row_of("a")->elsewhere = CONTRACT_HOLD_WANTED;
    settle();
    assert_string_equal(last_stop, "a");
    row_of("a")->state = CONTRACT_READY; /* the supervisor has refused it */
    row_of("a")->elsewhere = CONTRACT_HOLD_USED;
    settle();
    assert_int_equal(engines_find(&e, "a")->state, ENGINES_READY);
    row_of("a")->elsewhere = 0;
    settle();
    set_row("a", CONTRACT_DOWN, "");
    set_row("b", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    assert_int_equal(engines_holding(engines_find(&e, "b")), CONTRACT_HOLD_USED);
    row_of("b")->elsewhere = CONTRACT_HOLD_DRAINED; /* now the other one's has waited for long enough */
    settle();
    want(&wanters[1], "b");
    assert_int_equal(wanters[1].verdict, ENGINES_WAIT);
    assert_int_equal(engines_holding(engines_find(&e, "b")), CONTRACT_HOLD_USED | CONTRACT_HOLD_WANTED);
    row_of("b")->elsewhere = 0; /* they have left */
    settle();
    assert_int_equal(wanters[1].verdict, ENGINES_GO);
    world_end();
}

/* Both have asked at the same time. */
static void test_a_start_that_found_no_place_waits_in_line_again(void **state)
{
    (void)state;
    world_begin(1);
    want(&wanters[0], "a");
    (void)engines_review(&e, now_ms);
    *row_of("a") = (struct engines_row){.state = CONTRACT_READY, .number = 9, .was_ready = 1, .elsewhere = CONTRACT_HOLD_USED, .model = "b", .reason = ""};
    number = 9;
    now_ms += ENGINES_ASK_AGAIN_MS;
    settle();
    assert_int_equal(engines_find(&e, "a")->state, ENGINES_WANTED);
    row_of("b")->elsewhere = 0;
    now_ms += ENGINES_ASKED_MAX_MS;
    settle();
    assert_string_equal(last_stop, "b");
    set_row("b", CONTRACT_DOWN, "");
    set_row("a", CONTRACT_READY, "");
    assert_int_equal(wanters[0].verdict, ENGINES_GO);
    assert_int_equal(rests_n, 0);
    world_end();
}

static void test_fewer_places_than_before(void **state)
{
    (void)state;
    world_begin(3);
    load("a");
    load("b");
    load("c");
    e.rules.models_max = 1;
    settle();
    assert_int_equal(stops_n, 2);
    assert_int_equal(row_of("c")->state, CONTRACT_READY);
    world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_who_want_it_share_one_start),
        cmocka_unit_test(test_the_least_recently_used_makes_room),
        cmocka_unit_test(test_one_that_answers_is_drained_after_its_turn),
        cmocka_unit_test(test_who_was_drained_for_leaves_and_nothing_is_stopped),
        cmocka_unit_test(test_the_next_engine_is_tried_then_the_model_rests),
        cmocka_unit_test(test_the_first_engines_failure_is_known_while_the_second_serves),
        cmocka_unit_test(test_without_a_cooldown_each_who_waited_is_told_once),
        cmocka_unit_test(test_what_no_engine_can_try_fails_at_once),
        cmocka_unit_test(test_a_crash_is_its_own_affair),
        cmocka_unit_test(test_who_is_idle_is_stopped),
        cmocka_unit_test(test_what_is_stopped_by_hand),
        cmocka_unit_test(test_messages_may_be_lost),
        cmocka_unit_test(test_a_start_that_is_not_possible_is_a_failure),
        cmocka_unit_test(test_a_failure_of_what_another_proxy_asked_for_is_not_ours),
        cmocka_unit_test(test_what_runs_is_taken_over),
        cmocka_unit_test(test_what_was_taken_over_while_it_starts_may_fail),
        cmocka_unit_test(test_who_leaves_for_good_stops_nothing_that_the_next_one_may_use),
        cmocka_unit_test(test_another_proxy_has_its_turn_too),
        cmocka_unit_test(test_a_start_that_found_no_place_waits_in_line_again),
        cmocka_unit_test(test_fewer_places_than_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
