/* common/growing: the first pause, those that follow, and where it ends. */
#include "common/growing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_it_grows_up_to_the_longest(void **state)
{
    static const int64_t lengths_ms[] = {10000, 30000, 90000, 270000, 300000, 300000};
    int64_t pause_ms = 0;
    (void)state;
    for (size_t i = 0; i < sizeof lengths_ms / sizeof *lengths_ms; i++) {
        pause_ms = growing_next_ms(pause_ms, 10000, 3, 300000);
        assert_int_equal(pause_ms, lengths_ms[i]);
    }
}

static void test_the_longest_may_be_short_or_none_at_all(void **state)
{
    (void)state;
    assert_int_equal(growing_next_ms(0, 10000, 3, 50), 50);
    assert_int_equal(growing_next_ms(50, 10000, 3, 50), 50);
    assert_int_equal(growing_next_ms(INT64_MAX / 2, 10000, 3, INT64_MAX), INT64_MAX);
    assert_int_equal(growing_next_ms(100000, 10000, 3, 50), 50); /* a reload has made it shorter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_grows_up_to_the_longest),
        cmocka_unit_test(test_the_longest_may_be_short_or_none_at_all),
    };
    return cmocka_run_group_tests_name("common/growing", tests, NULL, NULL);
}
