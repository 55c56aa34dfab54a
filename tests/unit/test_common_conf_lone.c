/* common/conf: one duration from the environment alone, for who reads no configuration. */
#include "common/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char variable[64];
static char *environment[] = {variable, NULL};

static int read_it(const char *pair, int64_t *out_ms, char *mistake, size_t mistake_n)
{
    struct diag d;
    diag_init(&d);
    snprintf(variable, sizeof variable, "%s", pair);
    int error = conf_lone_duration_ms("supervisor", "shutdown_timeout", environment, out_ms, &d);
    snprintf(mistake, mistake_n, "%.*s", (int)buf_size(&d.text), buf_data(&d.text));
    assert_int_equal(d.errors_n, error ? 1 : 0);
    diag_fini(&d);
    return error;
}

static void test_the_default_is_that_of_the_table(void **state)
{
    (void)state;
    static const char *const unset[] = {"OTHER=1", "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT=", "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUTS=1s"};
    char mistake[512];
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) {
        int64_t ms = -1;
        assert_int_equal(read_it(unset[i], &ms, mistake, sizeof mistake), 0);
        assert_int_equal(ms, 8000);
        assert_string_equal(mistake, "");
    }
}

static void test_the_environment_wins(void **state)
{
    (void)state;
    int64_t ms = -1;
    char mistake[512];
    assert_int_equal(read_it("SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT=1500ms", &ms, mistake, sizeof mistake), 0);
    assert_int_equal(ms, 1500);
}

static void test_mistakes_name_the_variable(void **state)
{
    (void)state;
    static const char *const bad[] = {"SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT=8", "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT=0",
                                      "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT=99d", "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT=-1s"};
    char mistake[512];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t ms;
        assert_int_equal(read_it(bad[i], &ms, mistake, sizeof mistake), -EINVAL);
        assert_non_null(strstr(mistake, "SIDECAR_SUPERVISOR_SHUTDOWN_TIMEOUT: error: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_default_is_that_of_the_table),
        cmocka_unit_test(test_the_environment_wins),
        cmocka_unit_test(test_mistakes_name_the_variable),
    };
    return cmocka_run_group_tests_name("common_conf_lone", tests, NULL, NULL);
}
