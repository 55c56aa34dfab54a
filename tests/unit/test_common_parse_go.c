/* common/parse_go: durations as Go's time.ParseDuration takes them; the expected values are those of its documentation and
 * of its tests' cases (time_test.go, parseDurationTests). */
#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S INT64_C(1000000000)

static void test_what_go_takes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } rows[] = {
        {"0", 0}, {"-0", 0}, {"+0", 0}, {"5s", 5 * S}, {"30s", 30 * S}, {"1478s", 1478 * S}, {"-5s", -5 * S}, {"+5s", 5 * S},
        {"5.0s", 5 * S}, {"5.6s", 5 * S + 600000000}, {"5.s", 5 * S}, {".5s", S / 2}, {"1.0040s", S + 4000000},
        {"100.00100s", 100 * S + 1000000}, {"10ns", 10}, {"11us", 11000}, {"12\xc2\xb5s", 12000}, {"12\xce\xbcs", 12000},
        {"13ms", 13000000}, {"15m", 900 * S}, {"16h", 57600 * S}, {"3h30m", 12600 * S}, {"10.5s4m", 250 * S + S / 2},
        {"-2m3.4s", -123400000000}, {"39h9m14.425s", 140954425000000}, {"52763797000ns", 52763797000},
        {"0.3333333333333333333h", 1200 * S}, {"9223372036854775807ns", INT64_MAX}, {"-9223372036854775808ns", INT64_MIN},
        {"0.100000000000000000000h", 360 * S}, {"1ns", 1}, {"-1ns", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns = 77;
        if (parse_go_duration_ns(rows[i].text, strlen(rows[i].text), &ns) != 0 || ns != rows[i].ns)
            fail_msg("%s: %lld", rows[i].text, (long long)ns);
    }
}

static void test_what_go_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "5 m", " 5m", "5m ", "1h-30m", "1e3s", "0x5s",
                                       "9223372036854775808ns", "9223372036854775.808us", "-9223372036854775809ns", "3000000h",
                                       "99999999999999999999ns", "1mm", "--5s"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t ns;
        if (parse_go_duration_ns(rows[i], strlen(rows[i]), &ns) != -EINVAL)
            fail_msg("\"%s\" was taken", rows[i]);
    }
}

static void test_only_what_belongs_to_it_is_read(void **state)
{
    (void)state;
    int64_t ns;
    assert_int_equal(parse_go_duration_ns("5ms", 2, &ns), 0);
    assert_int_equal(ns, 300 * S);
    assert_int_equal(parse_go_duration_ns("5s", 1, &ns), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_go_takes),
        cmocka_unit_test(test_what_go_refuses),
        cmocka_unit_test(test_only_what_belongs_to_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
