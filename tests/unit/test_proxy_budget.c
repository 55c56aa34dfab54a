/* proxy/budget: what all bodies may take together, and that it comes back. */
#include "proxy/budget.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FREE = BUDGET_FREE_BYTES };

static void test_the_first_bytes_are_free(void **state)
{
    (void)state;
    struct budget b = {.limit_bytes = 0};
    struct budget_share s = {0};
    assert_int_equal(budget_grow(&b, &s, FREE), 0);
    assert_int_equal(budget_grow(&b, &s, FREE + 1), -ENOBUFS);
    assert_int_equal(b.used_bytes, 0);
}

static void test_growing_counts_what_is_new(void **state)
{
    (void)state;
    struct budget b = {.limit_bytes = 1000};
    struct budget_share s = {0}, other = {0};
    assert_int_equal(budget_grow(&b, &s, FREE + 400), 0);
    assert_int_equal(budget_grow(&b, &s, FREE + 600), 0);
    assert_int_equal(budget_grow(&b, &s, FREE + 600), 0);
    assert_int_equal(b.used_bytes, 600);
    assert_true(budget_has_room(&b, &other, FREE + 400));
    assert_false(budget_has_room(&b, &other, FREE + 401));
    assert_int_equal(budget_grow(&b, &other, FREE + 401), -ENOBUFS);
    assert_int_equal(b.used_bytes, 600);
    assert_int_equal(budget_grow(&b, &other, FREE + 400), 0);
    assert_int_equal(b.used_bytes, 1000);
    assert_true(budget_has_room(&b, &s, FREE + 600)); /* what it has already */
    assert_false(budget_has_room(&b, &s, FREE + 601));
}

static void test_what_is_given_back_can_be_had_again(void **state)
{
    (void)state;
    struct budget b = {.limit_bytes = 1000};
    struct budget_share shares[3] = {{0}};
    for (int round = 0; round < 100; round++) {
        assert_int_equal(budget_grow(&b, &shares[0], FREE + 999), 0);
        assert_int_equal(budget_grow(&b, &shares[1], FREE + 1), 0);
        assert_int_equal(budget_grow(&b, &shares[2], FREE + 1), -ENOBUFS);
        for (int i = 0; i < 3; i++) {
            budget_give_back(&b, &shares[i]);
            budget_give_back(&b, &shares[i]);
        }
        assert_int_equal(b.used_bytes, 0);
    }
}

static void test_it_is_told_when_much_less_is_used(void **state)
{
    (void)state;
    struct budget b = {.limit_bytes = UINT64_MAX};
    struct budget_share s = {0}, other = {0};
    assert_int_equal(budget_grow(&b, &s, FREE + BUDGET_MUCH_BYTES - 1), 0);
    budget_give_back(&b, &s);
    assert_false(budget_has_shrunk(&b)); /* that was not much */
    assert_int_equal(budget_grow(&b, &s, FREE + BUDGET_MUCH_BYTES), 0);
    assert_int_equal(budget_grow(&b, &other, FREE + BUDGET_MUCH_BYTES + 1), 0);
    assert_false(budget_has_shrunk(&b));
    budget_give_back(&b, &other);
    assert_true(budget_has_shrunk(&b));
    budget_forget_most(&b);
    assert_false(budget_has_shrunk(&b));
    budget_give_back(&b, &s);
    assert_true(budget_has_shrunk(&b));
}

static void test_absurd_lengths_do_not_wrap_around(void **state)
{
    (void)state;
    struct budget b = {.limit_bytes = UINT64_MAX};
    struct budget_share s = {0}, other = {0};
    assert_int_equal(budget_grow(&b, &s, UINT64_MAX), 0);
    assert_int_equal(budget_grow(&b, &other, UINT64_MAX), -ENOBUFS);
    b.limit_bytes = 5; /* smaller than what is used, as a reload might make it */
    assert_false(budget_has_room(&b, &other, FREE + 1));
    assert_true(budget_has_room(&b, &other, FREE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_bytes_are_free),
        cmocka_unit_test(test_growing_counts_what_is_new),
        cmocka_unit_test(test_what_is_given_back_can_be_had_again),
        cmocka_unit_test(test_it_is_told_when_much_less_is_used),
        cmocka_unit_test(test_absurd_lengths_do_not_wrap_around),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
