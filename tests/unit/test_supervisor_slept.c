/* supervisor/slept: what is kept of sleeps, and the cooldown. */
#include "supervisor/slept.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTE = 60000 };

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    struct slept s = {.awake_ms = 12345678, .asleep_ms = 99000, .cold_starts_n = 3, .wakes_n = 2, .since_realtime_ms = INT64_C(1790000000000),
                      .how = SLEPT_EXIT, .cooldown = 2}, back;
    char text[SLEPT_BYTES];
    slept_add_boot(&s, &(struct boot){.after_ms = {5, 180, 181, 900, BOOT_NOT_YET}});
    slept_add_boot(&s, &(struct boot){.after_ms = {6, 200, BOOT_NOT_YET, 1000, 1100}});
    size_t n = slept_write(&s, text);
    assert_string_equal(text, "awake_s=12345\nasleep_s=99\ncold_starts=3\nwakes=2\ncooldown=2\nhow=exit\nsince_ms=1790000000000\n"
                              "exec_n=2\nexec_ms=11\napi_n=2\napi_ms=380\nmodels_n=1\nmodels_ms=181\nload_n=2\nload_ms=1900\n"
                              "first_token_n=1\nfirst_token_ms=1100\n");
    assert_int_equal(slept_read(&back, text, n), 0);
    assert_int_equal(back.awake_ms, 12345000);
    assert_int_equal(back.asleep_ms, 99000);
    assert_int_equal(back.cold_starts_n, 3);
    assert_int_equal(back.wakes_n, 2);
    assert_int_equal(back.since_realtime_ms, s.since_realtime_ms);
    assert_int_equal(back.how, SLEPT_EXIT);
    assert_int_equal(back.cooldown, 2);
    assert_memory_equal(back.parts, s.parts, sizeof s.parts);
}

static void test_anything_else_is_nothing(void **state)
{
    (void)state;
#define GOOD "awake_s=1\nasleep_s=2\ncold_starts=3\nwakes=4\ncooldown=1\nhow=stop\n"
    static const char *const texts[] = {
        "", "\n", "garbage", "{\"awake_s\":1}\n", GOOD, /* since is missing */
        GOOD "since_ms=5",                                 /* cut off */
        GOOD "since_ms=-5\n", GOOD "since_ms=99999999999999999999\n", GOOD "since_ms=\n", GOOD "since_ms=1e3\n",
        "awake_s=1\nasleep_s=2\ncold_starts=3\nwakes=4\ncooldown=4\nhow=stop\nsince_ms=5\n",
        "awake_s=1\nasleep_s=2\ncold_starts=3\nwakes=4\ncooldown=1\nhow=drugged\nsince_ms=5\n",
        "awake_s=1000000000000001\nasleep_s=2\ncold_starts=3\nwakes=4\ncooldown=1\nhow=stop\nsince_ms=5\n",
        GOOD "since_ms=5\nno value\n",
        GOOD "since_ms=5\nload_ms=-1\n",
    };
    struct slept s;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        s.wakes_n = 9;
        assert_int_equal(slept_read(&s, texts[i], strlen(texts[i])), -EINVAL);
        assert_int_equal(s.wakes_n, 0);
    }
    assert_int_equal(slept_read(&s, GOOD "since_ms=5\n\0", sizeof GOOD "since_ms=5\n"), -EINVAL);
    assert_int_equal(slept_read(&s, GOOD "since_ms=5\nmood=good\n", strlen(GOOD "since_ms=5\nmood=good\n")), 0); /* a later version's */
    assert_int_equal(s.wakes_n, 4);
    assert_int_equal(s.parts[BOOT_EXEC].n, 0);
}

static void test_which_clock_tells(void **state)
{
    (void)state;
    assert_int_equal(slept_duration_ms(SLEPT_STOP, 5000, 90000), 5000); /* the calendar was set */
    assert_int_equal(slept_duration_ms(SLEPT_STOP, 5000, -90000), 5000);
    assert_int_equal(slept_duration_ms(SLEPT_SUSPEND, 5000, 90000), 90000); /* restored from a snapshot */
    assert_int_equal(slept_duration_ms(SLEPT_SUSPEND, 5000, -90000), 5000);
    assert_int_equal(slept_duration_ms(SLEPT_SUSPEND, 5000, INT64_MAX), 5000);
    assert_int_equal(slept_duration_ms(SLEPT_EXIT, 0, 90000), 90000);
    assert_int_equal(slept_duration_ms(SLEPT_EXIT, 0, -1), -1);
    assert_int_equal(slept_duration_ms(SLEPT_EXIT, 0, INT64_MAX), -1);
}

static void test_woken_soon_it_stays_awake_longer_each_time(void **state)
{
    (void)state;
    struct slept s = {.how = SLEPT_AWAKE};
    static const int64_t idle_ms[] = {2 * MINUTE, 4 * MINUTE, 8 * MINUTE, 8 * MINUTE};
    assert_int_equal(slept_timeout_ms(&s, MINUTE), MINUTE);
    for (size_t i = 0; i < sizeof idle_ms / sizeof *idle_ms; i++) {
        slept_begin(&s, SLEPT_STOP, 10, 1000);
        slept_end(&s, MINUTE - 1, MINUTE);
        assert_int_equal(slept_timeout_ms(&s, MINUTE), idle_ms[i]);
    }
    slept_begin(&s, SLEPT_EXIT, 10, 1000);
    slept_end(&s, -1, MINUTE); /* nobody knows */
    assert_int_equal(slept_timeout_ms(&s, MINUTE), 8 * MINUTE);
    slept_begin(&s, SLEPT_STOP, 10, 1000);
    slept_end(&s, MINUTE, MINUTE); /* a sleep that was worth it */
    assert_int_equal(slept_timeout_ms(&s, MINUTE), MINUTE);
    assert_int_equal(s.wakes_n, 6);
    assert_int_equal(s.awake_ms, 60);
    assert_int_equal(s.asleep_ms, 4 * (MINUTE - 1) + MINUTE);
    assert_int_equal(slept_timeout_ms(&s, 0), 0);
}

static void test_sums_have_an_end(void **state)
{
    (void)state;
    struct slept s = {.how = SLEPT_AWAKE};
    for (int i = 0; i < 3; i++) {
        slept_begin(&s, SLEPT_STOP, INT64_MAX, -5);
        assert_int_equal(s.since_realtime_ms, 0);
        slept_end(&s, INT64_MAX, 0);
    }
    assert_int_equal(s.awake_ms, INT64_C(1000000000000000000));
    assert_int_equal(s.asleep_ms, INT64_C(1000000000000000000));
    for (int i = 0; i < 3; i++)
        slept_add_boot(&s, &(struct boot){.after_ms = {INT64_C(900000000000000), INT64_MAX, 0, 0, 0}});
    assert_int_equal(s.parts[BOOT_EXEC].n, 1);
    assert_int_equal(s.parts[BOOT_API].n, 0);
    assert_int_equal(s.parts[BOOT_LOAD].n, 3);
    char text[SLEPT_BYTES];
    assert_int_equal(slept_read(&s, text, slept_write(&s, text)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_anything_else_is_nothing),
        cmocka_unit_test(test_which_clock_tells),
        cmocka_unit_test(test_woken_soon_it_stays_awake_longer_each_time),
        cmocka_unit_test(test_sums_have_an_end),
    };
    return cmocka_run_group_tests_name("supervisor/slept", tests, NULL, NULL);
}
