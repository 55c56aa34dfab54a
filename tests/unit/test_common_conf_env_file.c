/* common/conf: an env_file that need not be there. What is in one: test_common_conf_environment.c. */
#include "tests/unit/conf_each.h"

static const char ini[] = "[supervisor]\nenv_file = -vars.env\n[program:x]\ncommand = x\nenv_file = -x.env\n[proxy]\nmax_queue = %(ENV_QUEUE:-3)s\n";

/* .env, which is the owner's, and not there where nothing is set. */
static void test_one_with_a_minus_need_not_be_there(void **state)
{
    (void)state;
    conf_case_load(&k, ini, NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->proxy.max_queue, 3);
    scratch_text(&k.scratch, "vars.env", "QUEUE=7\n");
    scratch_text(&k.scratch, "x.env", "A=of-x\n");
    conf_case_load(&k, ini, NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->proxy.max_queue, 7);
    char **environment = conf_environment(k.conf, conf_program(k.conf, "x"), NULL);
    assert_string_equal(conf_variable(environment, "A"), "of-x");
    conf_environment_free(environment);
}

static void test_one_that_is_there_must_be_good(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    scratch_path(&k.scratch, "vars.env", path);
    scratch_text(&k.scratch, "vars.env", "A=1\nB\n");
    conf_case_load(&k, ini, NULL);
    assert_true(conf_case_has(&k, "error", path, 2, "is not NAME=value"));
    conf_case_load(&k, "[supervisor]\nenv_file = -.\n", NULL);
    conf_case_told(&k, 2, "can't be read"); /* a folder */
    conf_case_load(&k, "[program:x]\ncommand = x\nenv_file = -.\n", NULL);
    conf_case_told(&k, 3, "can't be read");
    conf_case_load(&k, "[program:x]\ncommand = x\nenv_file = x.env\n", NULL);
    conf_case_told(&k, 3, "can't be read: No such file");
}

static void test_a_variable_of_ours_that_is_misspelt_is_told(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "vars.env", "SIDECAR_BALANCER_RISEE=3\nSIDECAR_PROXY_MAX_CLIENTS=9\nRISEE=3\n");
    conf_case_load(&k, ini, NULL);
    conf_case_good(&k);
    assert_int_equal(k.diag.warnings_n, 1);
    conf_case_told_of(&k, "warning", "SIDECAR_BALANCER_RISEE", "did you mean SIDECAR_BALANCER_RISE?");
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_one_with_a_minus_need_not_be_there),
        CASE(test_one_that_is_there_must_be_good),
        CASE(test_a_variable_of_ours_that_is_misspelt_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
