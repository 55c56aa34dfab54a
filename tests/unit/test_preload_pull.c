/* preload/pull and preload/models: whole preloads, played without a network, with the page and the channel real. */
#include "tests/unit/preload_scene.h"

static void test_no_cell_is_empty(void **state)
{
    (void)state;
    for (int i = 0; i < PULL_STATE_COUNT; i++)
        for (int j = 0; j < PULL_EVENT_COUNT; j++)
            assert_true(pull_has_action((enum pull_state)i, (enum pull_event)j));
}

static void test_rows_are_pending_before_anything_else(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    assert_int_equal(s->page->phase, CONTRACT_PHASE_LISTED);
    assert_int_equal(s->page->models_n, 2);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_PENDING);
    assert_int_equal(row_state(s, 1), CONTRACT_MODEL_PENDING);
    assert_string_equal(s->page->models[1].name, "big:7b");
    assert_int_equal(messages(s), 1);
    scene_free(s);
}

static void test_what_is_there_costs_no_pull(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    list_models(s, "{\"models\":[{\"name\":\"big:7b\"},{\"name\":\"Tiny:latest\"}]}");
    assert_int_equal(s->pull.state, PULL_ENDED);
    assert_int_equal(s->pull.ask, PULL_ASK_NOTHING);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_READY);
    assert_int_equal(row_state(s, 1), CONTRACT_MODEL_READY);
    assert_int_equal(s->page->phase, CONTRACT_PHASE_DONE);
    scene_free(s);
}

static void test_missing_models_are_pulled_in_order_and_verified(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    list_models(s, nothing);
    assert_string_equal(s->pull.current->name, "tiny:latest");
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_PULLING);
    assert_int_equal(s->contract.line->in_flight_n, 1);
    assert_false(pull_may_sleep(&s->pull));
    say(s, "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100}\n");
    say(s, "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"compl");
    say(s, "eted\":40}\n");
    assert_int_equal(s->page->models[0].completed_bytes, 40);
    assert_int_equal(s->page->models[0].total_bytes, 100);
    assert_int_equal(s->contract.line->progress_bytes, 40);
    answer_pull(s, "{\"status\":\"success\"}");
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_PULLING);
    list_models(s, has_tiny);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_READY);
    assert_string_equal(s->pull.current->name, "big:7b");
    answer_pull(s, success);
    list_models(s, "{\"models\":[{\"name\":\"tiny\"},{\"name\":\"big:7b\"}]}");
    assert_int_equal(s->pull.state, PULL_ENDED);
    assert_int_equal(s->contract.line->in_flight_n, 0);
    assert_int_equal(s->page->phase, CONTRACT_PHASE_DONE);
    scene_free(s);
}

static void test_success_without_the_model_is_a_failure(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    list_models(s, nothing);
    answer_pull(s, success);
    list_models(s, nothing);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
    assert_string_equal(row_reason(s, 0), "Ollama says success, but the model is not listed");
    assert_string_equal(s->pull.current->name, "big:7b");
    scene_free(s);
}

static void test_final_failures_are_not_retried_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    list_models(s, nothing);
    answer_pull(s, "{\"error\":\"pull model manifest: file does not exist\"}");
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
    answer_pull(s, "{\"status\":\"pulling manifest\"}\n{\"error\":\"write x: no space left on device\"}\n");
    assert_int_equal(row_state(s, 1), CONTRACT_MODEL_FAILED);
    assert_int_equal(strncmp(row_reason(s, 1), "the disk is full", 16), 0);
    assert_int_equal(s->pull.state, PULL_ENDED);
    scene_free(s);
}

static void test_passing_failures_are_retried_so_often(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 2);
    int tries_n = 0;
    for (; s->pull.state != PULL_ENDED; pass(s, 5000)) {
        if (s->pull.ask == PULL_ASK_TAGS)
            list_models(s, nothing);
        if (s->pull.ask == PULL_ASK_PULL && ++tries_n)
            answer_pull(s, "{\"error\":\"dial tcp: lookup x: no such host\"}");
        if (tries_n < 3) {
            assert_int_equal(s->pull.state, PULL_PAUSING);
            assert_int_equal(row_state(s, 0), CONTRACT_MODEL_PENDING);
            assert_true(row_reason(s, 0)[0] != '\0');
            assert_false(pull_may_sleep(&s->pull));
        }
    }
    assert_int_equal(tries_n, 3);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
    scene_free(s);
}

static void test_lines_without_bytes_stall(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    list_models(s, nothing);
    unsigned ask_n = s->pull.ask_n;
    for (int i = 0; i < 59; i++) {
        say(s, "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"completed\":7}\n");
        pass(s, 1000);
        assert_int_equal(s->pull.state, PULL_PULLING);
    }
    pass(s, 1000);
    assert_int_equal(s->pull.state, PULL_PAUSING);
    assert_true(s->pull.ask_n != ask_n);
    assert_int_equal(s->pull.ask, PULL_ASK_NOTHING);
    scene_free(s);
}

static void test_being_frozen_is_no_stall(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    list_models(s, nothing);
    pass(s, 30000);
    s->now_ms += 3600 * 1000;
    pull_time(&s->pull, s->now_ms);
    assert_int_equal(s->pull.state, PULL_PULLING);
    pass(s, 29000);
    assert_int_equal(s->pull.state, PULL_PULLING);
    pass(s, 1000);
    assert_int_equal(s->pull.state, PULL_PAUSING);
    scene_free(s);
}

/* What Ollama said meanwhile is read first, and may be no progress. */
static void test_being_frozen_is_no_stall_whatever_is_read_first(void **state)
{
    static const char same[] = "{\"status\":\"pulling a\",\"digest\":\"sha256:a\",\"total\":100,\"completed\":7}\n";
    (void)state;
    struct scene *s = scene_new(one, 5);
    list_models(s, nothing);
    say(s, same);
    pass(s, 30000);
    s->now_ms += 3600 * 1000;
    say(s, same);
    pull_time(&s->pull, s->now_ms);
    assert_int_equal(s->pull.state, PULL_PULLING);
    pass(s, 29000);
    assert_int_equal(s->pull.state, PULL_PULLING);
    pass(s, 1000);
    assert_int_equal(s->pull.state, PULL_PAUSING);
    scene_free(s);
}

static void test_garbage_in_place_of_progress(void **state)
{
    (void)state;
    static const char *const garbage[] = {"<html><body>sign in</body></html>", "\n\n[]\n17", "{\"status\":", "{}"};
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        struct scene *s = scene_new(one, 0);
        list_models(s, nothing);
        answer_pull(s, garbage[i]);
        assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
        assert_int_equal(s->models.items[0].failure, FAILURE_GARBAGE);
        assert_int_equal(s->pull.state, PULL_ENDED);
        scene_free(s);
    }
}

static void test_a_clean_end_without_success_is_a_failure(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 0);
    list_models(s, nothing);
    answer_pull(s, "{\"status\":\"pulling manifest\"}\n");
    assert_int_equal(s->models.items[0].failure, FAILURE_CUT);
    scene_free(s);
}

static void test_an_error_after_success_counts(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 0);
    list_models(s, nothing);
    answer_pull(s, "{\"status\":\"success\"}\n{\"error\":\"digest mismatch\"}\n");
    assert_int_equal(s->models.items[0].failure, FAILURE_CORRUPT);
    scene_free(s);
}

static void test_half_a_line_does_not_reach_the_next_try(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    list_models(s, nothing);
    say(s, "{\"status\":\"pull");
    pass(s, 60000);
    assert_int_equal(s->pull.state, PULL_PAUSING);
    pass(s, RETRY_FIRST_MS * 3 / 2);
    list_models(s, nothing);
    answer_pull(s, success);
    list_models(s, has_tiny);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_READY);
    scene_free(s);
}

static void test_losing_ollama_waits_for_it_and_costs_no_try(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 0);
    list_models(s, nothing);
    for (int i = 0; i < RETRY_LOSSES_FREE; i++) {
        assert_int_equal(s->pull.ask, PULL_ASK_PULL);
        lose(s);
        assert_int_equal(s->pull.state, PULL_WAITING);
        assert_int_equal(row_state(s, 0), CONTRACT_MODEL_PENDING);
        pass(s, 500);
        lose(s);
        pass(s, 1000);
        list_models(s, nothing);
    }
    lose(s);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
    assert_int_equal(s->models.items[0].failure, FAILURE_GONE);
    scene_free(s);
}

static void test_an_ollama_that_answers_now_is_asked_at_once(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 0);
    lose(s);
    assert_int_equal(s->pull.state, PULL_WAITING);
    assert_int_equal(s->pull.ask, PULL_ASK_NOTHING);
    pull_hurry(&s->pull, s->now_ms);
    assert_int_equal(s->pull.ask, PULL_ASK_TAGS);
    unsigned ask_n = s->pull.ask_n;
    pull_hurry(&s->pull, s->now_ms);
    assert_int_equal(s->pull.ask_n, ask_n); /* it is being asked */
    list_models(s, nothing);
    assert_int_equal(s->pull.ask, PULL_ASK_PULL);
    ask_n = s->pull.ask_n;
    pull_hurry(&s->pull, s->now_ms);
    assert_int_equal(s->pull.ask_n, ask_n);
    scene_free(s);
}

static void test_losing_ollama_while_verifying(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 0);
    list_models(s, nothing);
    answer_pull(s, success);
    lose(s);
    assert_int_equal(s->pull.state, PULL_WAITING);
    pass(s, 500);
    list_models(s, has_tiny);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_READY);
    assert_int_equal(s->pull.state, PULL_ENDED);
    scene_free(s);
}

static void test_waiting_for_ollama_has_an_end(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    int64_t started_ms = s->now_ms;
    while (s->pull.state != PULL_ENDED) {
        if (s->pull.ask == PULL_ASK_TAGS)
            lose(s);
        assert_true(s->pull.state == PULL_ENDED || pull_may_sleep(&s->pull));
        pass(s, 500);
        assert_true(s->now_ms < started_ms + 700 * 1000);
    }
    assert_true(s->now_ms >= started_ms + 600 * 1000);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
    assert_int_equal(row_state(s, 1), CONTRACT_MODEL_FAILED);
    assert_int_equal(s->page->phase, CONTRACT_PHASE_DONE);
    scene_free(s);
}

static void test_an_ollama_that_failed_for_good_is_not_waited_for(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    snprintf(s->page->programs[0].name, sizeof s->page->programs[0].name, "ollama");
    s->page->programs[0].state = CONTRACT_FAILED;
    lose(s);
    pass(s, 500);
    assert_int_equal(s->pull.state, PULL_ENDED);
    assert_int_equal(s->models.items[0].failure, FAILURE_NO_ANSWER);
    scene_free(s);
}

static void test_a_list_that_hangs_or_is_none(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    pass(s, 11000);
    assert_string_equal(s->pull.why, "GET /api/tags had no answer in time");
    while (s->pull.ask != PULL_ASK_TAGS)
        pass(s, 50);
    say(s, "<html>");
    end(s, 200);
    assert_int_equal(s->pull.state, PULL_WAITING);
    while (s->pull.ask != PULL_ASK_TAGS)
        pass(s, 50);
    list_models(s, has_tiny);
    assert_int_equal(s->pull.state, PULL_ENDED);
    scene_free(s);
}

static void test_an_empty_list_needs_no_ollama(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    struct scene *s = scene_new(none, 5);
    assert_int_equal(s->pull.state, PULL_ENDED);
    assert_int_equal(s->page->phase, CONTRACT_PHASE_DONE);
    scene_free(s);
}

/* One of several: it waits for its turn, looks each second, and gives it back when it has pulled. */
static void test_whoever_has_no_turn_waits_for_one(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    struct pull_turns turns = {.used_n = 1, .most_n = 1};
    s->pull.setup.turns = &turns;
    list_models(s, nothing);
    assert_int_equal(s->pull.state, PULL_PAUSING);
    pass(s, 1000);
    list_models(s, nothing);
    assert_int_equal(s->pull.state, PULL_PAUSING);
    assert_int_equal(s->models.items[0].retry.total_n, 0); /* that was no try */
    turns.used_n = 0;
    pass(s, 1000);
    list_models(s, nothing);
    assert_int_equal(s->pull.state, PULL_PULLING);
    assert_int_equal(turns.used_n, 1);
    answer_pull(s, success);
    assert_int_equal(turns.used_n, 0);
    list_models(s, has_tiny);
    assert_int_equal(s->pull.state, PULL_ENDED);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_cell_is_empty),
        cmocka_unit_test(test_rows_are_pending_before_anything_else),
        cmocka_unit_test(test_what_is_there_costs_no_pull),
        cmocka_unit_test(test_missing_models_are_pulled_in_order_and_verified),
        cmocka_unit_test(test_success_without_the_model_is_a_failure),
        cmocka_unit_test(test_final_failures_are_not_retried_and_the_rest_goes_on),
        cmocka_unit_test(test_passing_failures_are_retried_so_often),
        cmocka_unit_test(test_lines_without_bytes_stall),
        cmocka_unit_test(test_being_frozen_is_no_stall),
        cmocka_unit_test(test_being_frozen_is_no_stall_whatever_is_read_first),
        cmocka_unit_test(test_garbage_in_place_of_progress),
        cmocka_unit_test(test_a_clean_end_without_success_is_a_failure),
        cmocka_unit_test(test_an_error_after_success_counts),
        cmocka_unit_test(test_half_a_line_does_not_reach_the_next_try),
        cmocka_unit_test(test_losing_ollama_waits_for_it_and_costs_no_try),
        cmocka_unit_test(test_an_ollama_that_answers_now_is_asked_at_once),
        cmocka_unit_test(test_losing_ollama_while_verifying),
        cmocka_unit_test(test_waiting_for_ollama_has_an_end),
        cmocka_unit_test(test_an_ollama_that_failed_for_good_is_not_waited_for),
        cmocka_unit_test(test_a_list_that_hangs_or_is_none),
        cmocka_unit_test(test_an_empty_list_needs_no_ollama),
        cmocka_unit_test(test_whoever_has_no_turn_waits_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
