/* common/conf of a build with BALANCER=no and MODELS=no: whoever asks for several Ollamas, for Redis, or for a model server, is told what to build,
 * each at his line. */
#include "tests/unit/conf_case.h"

#include "common/conf_internal.h"

static struct conf_case k;

static int begin(void **state)
{
    (void)state;
    conf_case_begin(&k);
    return 0;
}

static int end(void **state)
{
    (void)state;
    conf_case_end(&k);
    return 0;
}

static void test_what_needs_the_balancer_is_refused_at_its_line(void **state)
{
    (void)state;
    if (CONF_HAS_BALANCER)
        skip(); /* lane one-ollama runs it */
    conf_case_load(&k, "[proxy]\ncontainers = nowhere.json\n[backend:a]\nurl = http://a\napi = ollama\n[redis]\nurl = redis://r\n", NULL);
    conf_case_told(&k, 2, "[proxy] containers: " CONF_NO_BALANCER);
    conf_case_told(&k, 5, "[backend:a] api: " CONF_NO_BALANCER);
    conf_case_told(&k, 7, "[redis] url: " CONF_NO_BALANCER);
    assert_int_equal(k.diag.errors_n, 3);
}

static void test_what_needs_the_model_server_is_refused_at_its_line(void **state)
{
    (void)state;
    char variable[] = "SIDECAR_MODELS_SERVE=yes", *environment[] = {variable, NULL};
    if (CONF_HAS_MODELS)
        skip();
    conf_case_load(&k, "[models]\nserve = yes\nengines = llama\nload_cooldown = 1m\n[engine:llama]\nslots = 1\n", NULL);
    conf_case_told(&k, 2, "[models] serve: " CONF_NO_MODELS);
    conf_case_told(&k, 3, "[models] engines: " CONF_NO_MODELS);
    conf_case_told(&k, 5, "[engine:NAME]: " CONF_NO_MODELS);
    assert_int_equal(k.diag.errors_n, 3);
    conf_case_load(&k, "", environment);
    conf_case_told_of(&k, "error", "SIDECAR_MODELS_SERVE", CONF_NO_MODELS);
    conf_case_load(&k, "[models]\nserve = no\n", NULL);
    conf_case_good(&k);
}

static void test_a_backend_of_another_api_needs_none(void **state)
{
    (void)state;
    conf_case_load(&k, "[proxy]\ncontainers = none\n[backend:a]\nurl = http://a\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->is_fleet, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_needs_the_balancer_is_refused_at_its_line, begin, end),
        cmocka_unit_test_setup_teardown(test_what_needs_the_model_server_is_refused_at_its_line, begin, end),
        cmocka_unit_test_setup_teardown(test_a_backend_of_another_api_needs_none, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
