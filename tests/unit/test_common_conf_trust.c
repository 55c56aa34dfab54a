/* common/conf: the lists of [proxy] that say whom to believe, and who may ask. */
#include "tests/unit/conf_each.h"

static void test_lists_that_are_good(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[proxy]\ntrusted_proxies = 10.0.0.0/8, 192.0.2.1, 2001:db8::/32, ::1, loopback, private, ::ffff:10.1.0.0/112\n",
        "[proxy]\ntrusted_proxies =\nallowed_hosts =\ncors_origins =\n",
        "[proxy]\nallowed_hosts = box.example.com, *.example.com, a_b, xn--bcher-kva.example\n",
        "[proxy]\ncors_origins = https://a.example, http://localhost:*, https://*.example.com, *, null, app://obsidian.md\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        conf_case_load(&k, texts[i], NULL);
        conf_case_good(&k);
    }
}

static void test_each_mistake_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *told;
    } rows[] = {
        {"[proxy]\ntrusted_proxies = nginx\n", 2, "names are not looked up"},
        {"[proxy]\ntrusted_proxies = loopback, 10.0.0.1/8\n", 2, "write 10.0.0.0/8"},
        {"[proxy]\n\ntrusted_proxies = 127.0.0.1:80\n", 3, "write the address alone"},
        {"[proxy]\nallowed_hosts = https://box.example.com\n", 2, "without scheme, port and path"},
        {"[proxy]\nallowed_hosts = box.example.com:11434\n", 2, "without scheme, port and path"},
        {"[proxy]\nallowed_hosts = *\n", 2, "is no host name"},
        {"[proxy]\nallowed_hosts = b*x.example.com\n", 2, "is no host name"},
        {"[proxy]\nallowed_hosts = .example.com\n", 2, "is no host name"},
        {"[proxy]\nallowed_hosts = a..b\n", 2, "is no host name"},
        {"[proxy]\nallowed_hosts = *.\n", 2, "is no host name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf_case_load(&k, rows[i].text, NULL);
        conf_case_told(&k, rows[i].line, rows[i].told);
    }
}

static void test_all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    conf_case_load(&k, "[proxy]\ntrusted_proxies = nginx, 10.0.0.0/40, 10.0.0.0/8, [::1]\nallowed_hosts = a:1, b/c\n", NULL);
    assert_int_equal(k.diag.errors_n, 5);
    assert_true(conf_case_has(&k, "error", k.file, 2, "\"nginx\""));
    assert_true(conf_case_has(&k, "error", k.file, 2, "\"10.0.0.0/40\""));
    assert_true(conf_case_has(&k, "error", k.file, 2, "\"[::1]\""));
    assert_true(conf_case_has(&k, "error", k.file, 3, "\"a:1\""));
    assert_true(conf_case_has(&k, "error", k.file, 3, "\"b/c\""));
}

static void test_the_environment_s_lists_are_looked_at_too(void **state)
{
    (void)state;
    static char variable[] = "SIDECAR_PROXY_TRUSTED_PROXIES=nginx";
    char *environment[] = {variable, NULL};
    conf_case_load(&k, "", environment);
    assert_int_equal(k.diag.errors_n, 1);
    assert_true(conf_case_has(&k, "error", "SIDECAR_PROXY_TRUSTED_PROXIES", 0, "names are not looked up"));
}

static void test_what_believes_everybody_or_matches_nobody_is_warned_of(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"[proxy]\ntrusted_proxies = 0.0.0.0/0\n", "everybody is believed"},
        {"[proxy]\ntrusted_proxies = ::/0\n", "everybody is believed"},
        {"[proxy]\ncors_origins = app.example.com\n", "write SCHEME://HOST"},
        {"[proxy]\ncors_origins = https://app.example.com/\n", "no slash at its end"},
        {"[proxy]\ncors_origins = https://*.example.com:*\n", "only one * is understood"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf_case_load(&k, rows[i].text, NULL);
        assert_int_equal(k.error, 0);
        if (!conf_case_has(&k, "warning", k.file, 2, rows[i].told))
            fail_msg("%s: %.*s", rows[i].text, (int)buf_size(&k.diag.text), buf_data(&k.diag.text));
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_lists_that_are_good),
        CASE(test_each_mistake_is_told_with_its_line),
        CASE(test_all_mistakes_are_told_at_once),
        CASE(test_the_environment_s_lists_are_looked_at_too),
        CASE(test_what_believes_everybody_or_matches_nobody_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
