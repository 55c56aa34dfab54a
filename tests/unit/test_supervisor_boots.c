/* supervisor/boots, and what of the page goes into it: the phases of each start of Ollama. */
#include "supervisor/board.h"
#include "supervisor/boots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct boots b;

static void assert_boot(unsigned age, const char *cause, const char *text)
{
    char got[BOOT_TEXT_BYTES];
    const struct boot *boot = boots_get(&b, age);
    assert_non_null(boot);
    assert_string_equal(boot->cause, cause);
    boots_text(boot, got);
    assert_string_equal(got, text);
}

/* A start that comes as far as the API. */
static void start_at(int64_t exec_ms, int64_t api_ms)
{
    (void)boots_follow(&b, CONTRACT_STARTING, "start", 0, exec_ms);
    (void)boots_follow(&b, CONTRACT_READY, "ready", 0, api_ms);
}

static void test_a_boot_has_its_phases_since_it_began(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    assert_boot(0, "start", "");
    start_at(1004, 1180);
    assert_int_equal(boots_note(&b, BOOT_MODELS, 1185), 1);
    assert_int_equal(boots_note(&b, BOOT_LOAD, 1300), 1);
    assert_int_equal(boots_note(&b, BOOT_FIRST_TOKEN, 1336), 1);
    assert_boot(0, "start", " exec_ms=4 api_ms=180 models_ms=185 load_ms=300 first_token_ms=336");
    assert_null(boots_get(&b, 1));
}

static void test_a_phase_counts_once(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    start_at(1001, 1100);
    assert_int_equal(boots_note(&b, BOOT_LOAD, 1200), 1);
    assert_int_equal(boots_note(&b, BOOT_LOAD, 1150), 0);
    assert_int_equal(boots_note(&b, BOOT_LOAD, 1900), 0);
    assert_boot(0, "start", " exec_ms=1 api_ms=100 load_ms=200");
}

static void test_what_was_before_the_boot_or_its_api_does_not_count(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    assert_int_equal(boots_note(&b, BOOT_LOAD, 999), 0);
    assert_int_equal(boots_note(&b, BOOT_LOAD, INT64_MIN + 2000), 0);
    start_at(1001, 1100);
    assert_int_equal(boots_note(&b, BOOT_FIRST_TOKEN, 1099), 0);
    assert_int_equal(boots_note(&b, BOOT_FIRST_TOKEN, 1100), 1);
}

static void test_an_ollama_that_is_not_ours_has_no_api_to_wait_for(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    assert_int_equal(boots_note(&b, BOOT_MODELS, 1010), 1);
    assert_int_equal(boots_note(&b, BOOT_FIRST_TOKEN, 1500), 1);
    assert_boot(0, "start", " models_ms=10 first_token_ms=500");
}

static void test_tries_that_fail_are_one_boot(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    assert_int_equal(boots_follow(&b, CONTRACT_STARTING, "start", 0, 1001), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_BACKOFF, "crash", 0, 1050), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_STARTING, "start", 0, 1550), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_STOPPING, "hung", 0, 9000), 0); /* it took too long */
    assert_int_equal(boots_follow(&b, CONTRACT_BACKOFF, "crash", 0, 9100), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_STARTING, "start", 0, 9500), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_READY, "start", 0, 9600), 0);
    assert_boot(0, "start", " exec_ms=8500 api_ms=8600");
}

static void test_a_crash_begins_another_one(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    start_at(1001, 1100);
    assert_int_equal(boots_follow(&b, CONTRACT_BACKOFF, "crash", 0, 5000), 1);
    start_at(5500, 5700);
    assert_boot(0, "crash", " exec_ms=500 api_ms=700");
    assert_boot(1, "start", " exec_ms=1 api_ms=100");
}

static void test_a_restart_begins_another_one(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    start_at(1001, 1100);
    assert_int_equal(boots_follow(&b, CONTRACT_STOPPING, "restart", 0, 5000), 1);
    start_at(5020, 5200);
    assert_boot(0, "restart", " exec_ms=20 api_ms=200");
}

static void test_a_stop_begins_none_and_the_next_start_does(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    start_at(1001, 1100);
    assert_int_equal(boots_follow(&b, CONTRACT_STOPPING, "restart", 1, 5000), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_DOWN, "start", 0, 5100), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_STARTING, "start", 0, 8000), 1);
    assert_int_equal(boots_follow(&b, CONTRACT_STOPPING, "restart", 1, 8100), 0); /* before it was ready */
    assert_int_equal(boots_follow(&b, CONTRACT_DOWN, "start", 0, 8200), 0);
    assert_int_equal(boots_follow(&b, CONTRACT_STARTING, "start", 0, 9000), 1);
    assert_boot(0, "start", " exec_ms=0");
}

static void test_one_without_readiness_is_ready_when_it_is_started(void **state)
{
    (void)state;
    boots_init(&b, 1000);
    assert_int_equal(boots_follow(&b, CONTRACT_READY, "start", 0, 1003), 0);
    assert_boot(0, "start", " exec_ms=3 api_ms=3");
    assert_int_equal(boots_follow(&b, CONTRACT_BACKOFF, "crash", 0, 2000), 1);
    assert_int_equal(boots_follow(&b, CONTRACT_READY, "start", 0, 2500), 0);
    assert_boot(0, "crash", " exec_ms=500 api_ms=500");
}

static void test_the_last_eight_are_kept(void **state)
{
    (void)state;
    struct buf out;
    boots_init(&b, 1000);
    for (int i = 0; i < 20; i++) {
        start_at(1000 + i * 1000, 1100 + i * 1000 + i);
        (void)boots_follow(&b, CONTRACT_BACKOFF, "crash", 0, 1500 + i * 1000);
    }
    assert_boot(0, "crash", "");
    assert_boot(7, "crash", " exec_ms=500 api_ms=613");
    assert_null(boots_get(&b, 8));
    buf_init(&out, 0);
    assert_int_equal(boots_write(&b, 30500, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_non_null(strstr(buf_data(&out), "[{\"cause\":\"crash\",\"ago_s\":17,\"exec_ms\":500,\"api_ms\":613,\"models_ms\":null,"));
    assert_non_null(strstr(buf_data(&out), "{\"cause\":\"crash\",\"ago_s\":10,\"exec_ms\":null,\"api_ms\":null,\"models_ms\":null,\"load_ms\":null,\"first_token_ms\":null}]"));
    buf_fini(&out);
}

static void test_the_longest_text_has_room(void **state)
{
    (void)state;
    char text[BOOT_TEXT_BYTES];
    struct boot boot = {.cause = "start"};
    for (int i = 0; i < BOOT_PHASE_COUNT; i++)
        boot.after_ms[i] = INT64_MAX;
    boots_text(&boot, text);
    assert_string_equal(text + strlen(text) - 35, " first_token_ms=9223372036854775807");
}

static void test_writers_marks_are_the_earliest_within_bounds(void **state)
{
    (void)state;
    struct board board;
    struct board_marks marks;
    static const int64_t told_ms[] = {0, 999, -5, INT64_MAX, INT64_MIN, 2001, 1700, 1500, 1600};
    assert_int_equal(board_init(&board), 0);
    board_marks(&board, 1000, 2000, &marks);
    assert_true(marks.loaded_at_ms == 0 && marks.first_token_at_ms == 0);
    for (size_t i = 0; i < sizeof told_ms / sizeof *told_ms; i++)
        atomic_store(&board.page->lines[i].loaded_at_ms, told_ms[i]);
    atomic_store(&board.page->lines[3].first_token_at_ms, 2000);
    board_marks(&board, 1000, 2000, &marks);
    assert_int_equal(marks.loaded_at_ms, 1500);
    assert_int_equal(marks.first_token_at_ms, 2000);
    board_free_line(&board, 7, 3000);
    board_marks(&board, 1000, 2000, &marks);
    assert_int_equal(marks.loaded_at_ms, 1600);
    board_fini(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_boot_has_its_phases_since_it_began),
        cmocka_unit_test(test_a_phase_counts_once),
        cmocka_unit_test(test_what_was_before_the_boot_or_its_api_does_not_count),
        cmocka_unit_test(test_an_ollama_that_is_not_ours_has_no_api_to_wait_for),
        cmocka_unit_test(test_tries_that_fail_are_one_boot),
        cmocka_unit_test(test_a_crash_begins_another_one),
        cmocka_unit_test(test_a_restart_begins_another_one),
        cmocka_unit_test(test_a_stop_begins_none_and_the_next_start_does),
        cmocka_unit_test(test_one_without_readiness_is_ready_when_it_is_started),
        cmocka_unit_test(test_the_last_eight_are_kept),
        cmocka_unit_test(test_the_longest_text_has_room),
        cmocka_unit_test(test_writers_marks_are_the_earliest_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
