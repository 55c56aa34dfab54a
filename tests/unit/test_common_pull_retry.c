/* common/pull_retry: pauses grow, progress resets them, and there is always an end. */
#include "common/pull_retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_pauses_double_up_to_a_minute(void **state)
{
    (void)state;
    static const int64_t plain_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    static const uint32_t randoms[] = {0, 1, 12345, UINT32_MAX};
    for (size_t r = 0; r < sizeof randoms / sizeof *randoms; r++) {
        struct retry retry = {0};
        for (size_t i = 0; i < sizeof plain_ms / sizeof *plain_ms; i++) {
            int64_t pause_ms = retry_after_failure(&retry, 100, 0, randoms[r]);
            assert_in_range(pause_ms, plain_ms[i] * 3 / 4 - 4000 * (plain_ms[i] == 60000), RETRY_LONGEST_MS);
            assert_true(pause_ms <= plain_ms[i] * 5 / 4);
        }
    }
}

static void test_gives_up_after_the_configured_number(void **state)
{
    (void)state;
    for (int64_t retries = 0; retries <= 5; retries++) {
        struct retry retry = {0};
        for (int64_t i = 0; i < retries; i++)
            assert_true(retry_after_failure(&retry, retries, 0, 7) > 0);
        assert_int_equal(retry_after_failure(&retry, retries, 0, 7), -1);
    }
}

static void test_progress_resets_the_pause(void **state)
{
    (void)state;
    struct retry retry = {0};
    for (int i = 0; i < 4; i++)
        assert_true(retry_after_failure(&retry, 5, 0, 0) > 0);
    assert_in_range(retry_after_failure(&retry, 5, 1, 0), 750, 1250);
    for (int i = 0; i < 4; i++)
        assert_true(retry_after_failure(&retry, 5, 0, 0) > 0);
    assert_int_equal(retry_after_failure(&retry, 5, 0, 0), -1);
}

static void test_even_with_progress_there_is_an_end(void **state)
{
    (void)state;
    struct retry retry = {0};
    int tries_n = 0;
    while (retry_after_failure(&retry, 5, 1, 99) >= 0)
        assert_true(++tries_n <= 5 * RETRY_ROUNDS_MAX);
    assert_int_equal(tries_n, 5 * RETRY_ROUNDS_MAX);
}

static void test_losing_ollama_is_free_only_so_often(void **state)
{
    (void)state;
    struct retry retry = {0};
    for (int i = 0; i < RETRY_LOSSES_FREE; i++)
        assert_true(retry_is_loss_free(&retry));
    assert_false(retry_is_loss_free(&retry));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pauses_double_up_to_a_minute),
        cmocka_unit_test(test_gives_up_after_the_configured_number),
        cmocka_unit_test(test_progress_resets_the_pause),
        cmocka_unit_test(test_even_with_progress_there_is_an_end),
        cmocka_unit_test(test_losing_ollama_is_free_only_so_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
