/* proxy/observe/notice: what goes wrong on the supervisor's page is told once for each change, in the words of sidecarctl why. */
#include "proxy/observe/notice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_MS = 90000, REALTIME_MS = 5000000 };

static struct world {
    struct contract_page page;
    struct notice notice;
    struct recent recent;
} w;

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    return 0;
}

static void look(void)
{
    notice_page(&w.notice, &w.page, &w.recent, NOW_MS, REALTIME_MS);
}

static void set_program(size_t i, const char *name, enum contract_state state, uint32_t restarts_n, const char *reason)
{
    struct contract_program *p = &w.page.programs[i];
    snprintf(p->name, sizeof p->name, "%s", name);
    atomic_store(&p->state, (uint32_t)state);
    atomic_store(&p->restarts_n, restarts_n);
    contract_program_reason(p, reason);
}

static void is_last(enum error_from from, const char *what, unsigned times_n)
{
    assert_true(w.recent.errors_n > 0);
    assert_int_equal(w.recent.errors[0].from, from);
    assert_string_equal(w.recent.errors[0].what, what);
    assert_int_equal(w.recent.errors[0].times_n, times_n);
}

static void test_a_page_on_which_all_is_well_says_nothing(void **state)
{
    (void)state;
    set_program(0, "ollama", CONTRACT_READY, 3, "");
    set_program(1, "proxy", CONTRACT_STARTING, 0, "");
    set_program(2, "preload", CONTRACT_DONE, 0, "");
    contract_model_write(&w.page.models[0], CONTRACT_MODEL_READY, "m:latest", "");
    look();
    assert_int_equal(w.recent.errors_n, 0);
}

static void test_a_program_is_told_of_once_for_each_end(void **state)
{
    (void)state;
    set_program(4, "mine", CONTRACT_BACKOFF, 0, "exit code 3");
    look();
    look();
    is_last(ERROR_OF_PROGRAM, "mine has ended: exit code 3", 1);
    assert_int_equal(w.recent.errors[0].at_ms, REALTIME_MS);
    assert_non_null(strstr(w.recent.errors[0].what_to_do, "sidecarctl tail"));
    set_program(4, "mine", CONTRACT_STARTING, 1, "exit code 3");
    look();
    is_last(ERROR_OF_PROGRAM, "mine has ended: exit code 3", 1);
    set_program(4, "mine", CONTRACT_BACKOFF, 1, "exit code 3");
    look();
    is_last(ERROR_OF_PROGRAM, "mine has ended: exit code 3", 2);
    set_program(4, "mine", CONTRACT_FAILED, 1, "");
    look();
    is_last(ERROR_OF_PROGRAM, "mine has failed: no reason is known", 1);
    set_program(4, "mine", CONTRACT_READY, 1, "");
    look();
    set_program(4, "mine", CONTRACT_FAILED, 1, "");
    look();
    is_last(ERROR_OF_PROGRAM, "mine has failed: no reason is known", 2);
    assert_int_equal(w.recent.errors_n, 2);
}

static void test_trouble_is_told_with_its_time_and_not_twice(void **state)
{
    (void)state;
    contract_trouble_write(&w.page.trouble, "ollama has ended: signal 9", NOW_MS - 4000);
    set_program(0, "ollama", CONTRACT_BACKOFF, 0, "signal 9");
    look();
    look();
    is_last(ERROR_OF_PROGRAM, "ollama has ended: signal 9", 1);
    assert_int_equal(w.recent.errors_n, 1);
    assert_int_equal(w.recent.errors[0].at_ms, REALTIME_MS - 4000);
    contract_trouble_write(&w.page.trouble, "ollama has ended: signal 9", NOW_MS);
    look();
    is_last(ERROR_OF_PROGRAM, "ollama has ended: signal 9", 2);
}

static void test_models_and_engines_that_fail(void **state)
{
    struct contract_instance_view engine = {.state = CONTRACT_FAILED, .number = 7, .model = "org/name", .reason = "exit code 1", .engine = "vllm"};
    (void)state;
    contract_model_write(&w.page.models[63], CONTRACT_MODEL_FAILED, "m:7b", "no such model");
    look();
    look();
    is_last(ERROR_OF_PRELOAD, "the model m:7b is not there: no such model", 1);
    assert_non_null(w.recent.errors[0].what_to_do);
    contract_model_write(&w.page.models[63], CONTRACT_MODEL_PULLING, "m:7b", "");
    look();
    contract_model_write(&w.page.models[63], CONTRACT_MODEL_FAILED, "m:7b", "no such model");
    look();
    is_last(ERROR_OF_PRELOAD, "the model m:7b is not there: no such model", 2);
    contract_instance_write(&w.page.instances[CONTRACT_INSTANCES - 1], &engine);
    look();
    look();
    is_last(ERROR_OF_ENGINE, "org/name has failed: exit code 1", 1);
    engine.number = 8; /* another start of it */
    contract_instance_write(&w.page.instances[CONTRACT_INSTANCES - 1], &engine);
    look();
    is_last(ERROR_OF_ENGINE, "org/name has failed: exit code 1", 2);
}

static void test_texts_without_an_end_do_no_harm(void **state)
{
    (void)state;
    struct contract_program *p = &w.page.programs[CONTRACT_PROGRAMS - 1];
    memset(p->name, 'n', sizeof p->name);
    memset(p->reason, 'r', sizeof p->reason);
    atomic_store(&p->state, CONTRACT_FAILED);
    memset(w.page.trouble.text, 't', sizeof w.page.trouble.text);
    atomic_store(&w.page.trouble.at_ms, NOW_MS + 1000); /* ahead of us */
    look();
    assert_int_equal(w.recent.errors_n, 2);
    assert_int_equal(strlen(w.recent.errors[0].what), RECENT_TEXT_BYTES - 1);
    assert_int_equal(w.recent.errors[1].at_ms, REALTIME_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_page_on_which_all_is_well_says_nothing, set_up),
        cmocka_unit_test_setup(test_a_program_is_told_of_once_for_each_end, set_up),
        cmocka_unit_test_setup(test_trouble_is_told_with_its_time_and_not_twice, set_up),
        cmocka_unit_test_setup(test_models_and_engines_that_fail, set_up),
        cmocka_unit_test_setup(test_texts_without_an_end_do_no_harm, set_up),
    };
    return cmocka_run_group_tests_name("proxy/observe/notice", tests, NULL, NULL);
}
