/* proxy/health: what is waited for, in words. */
#include "proxy/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What /health says where the list's one model is pulled, and has come so far. */
static void assert_waits_for(uint64_t completed_bytes, uint64_t total_bytes, const char *words)
{
    static struct contract_page page;
    struct buf out;
    int status = 0;
    char needle[128];
    memset(&page, 0, sizeof page);
    page.version = CONTRACT_VERSION;
    page.phase = CONTRACT_PHASE_LISTED;
    page.models_n = 1;
    page.models[0].state = CONTRACT_MODEL_PULLING;
    page.models[0].completed_bytes = completed_bytes;
    page.models[0].total_bytes = total_bytes;
    snprintf(page.models[0].name, sizeof page.models[0].name, "m");
    buf_init(&out, 64 * 1024);
    assert_int_equal(health_write(&out, &(struct health_input){.page = &page, .api = HEALTH_API_READY, .api_reason = ""}, &status), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    snprintf(needle, sizeof needle, "\"waiting_for\":[\"model m: %s\"]", words);
    if (!strstr(buf_data(&out), needle))
        fail_msg("no %s in %s", needle, buf_data(&out));
    assert_int_equal(status, 503);
    buf_fini(&out);
}

static void test_a_pull_is_told_in_percent(void **state)
{
    (void)state;
    assert_waits_for(0, 0, "0 %");
    assert_waits_for(0, 200, "0 %");
    assert_waits_for(33, 200, "16 %");
    assert_waits_for(200, 200, "100 %");
    assert_waits_for(300, 200, "100 %"); /* more has come than was told: the log says the same */
}

static const struct fleet_fact well = {.name = "a", .state = "up", .why = "", .is_up = 1, .is_asked = 1, .slots_n = 2, .used_n = 1, .models_n = 3};
static const struct fleet_fact down = {.name = "b/\"", .state = "down", .why = "it takes \"too\" long", .is_asked = 1, .slots_n = 1};
static const struct fleet_fact drained = {.name = "c", .state = "up", .why = "", .is_drained = 1, .is_asked = 1, .slots_n = 1};
static const struct fleet_fact new = {.name = "d", .state = "unknown", .why = "", .slots_n = 1};

static void says(const struct fleet_fact *first, const struct fleet_fact *second, int wanted_status, const char *words)
{
    struct fleet_facts facts = {.members_n = 2, .members = {*first, *second}};
    char reason[CONTRACT_REASON_BYTES];
    struct buf out;
    int status = 0;
    struct health_input in = {.api = health_api_of_fleet(&facts, reason), .api_reason = reason, .fleet = &facts};
    buf_init(&out, 64 * 1024);
    assert_int_equal(health_write(&out, &in, &status), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    if (!strstr(buf_data(&out), words))
        fail_msg("no %s in %s", words, buf_data(&out));
    assert_int_equal(status, wanted_status);
    buf_fini(&out);
}

static void test_several_ollamas_are_well_while_one_is(void **state)
{
    (void)state;
    says(&well, &well, 200, "{\"status\":\"ok\",\"state\":\"ready\"");
    says(&well, &drained, 200, "{\"status\":\"ok\",\"state\":\"ready\"");
    says(&well, &down, 200, "{\"status\":\"degraded\",\"state\":\"ready\"");
    says(&well, &down, 200, "\"error\":\"1 of 2 backends are missing: b/\\\": it takes \\\"too\\\" long\"");
    says(&well, &down, 200, ",\"backends\":[{\"name\":\"a\",\"state\":\"up\",\"drained\":false,\"slots\":2,\"used\":1,\"models_n\":3},{\"name\":\"b/\\\"\",");
    says(&down, &down, 503, "{\"status\":\"failed\"");
    says(&down, &drained, 503, "no backend is given requests: b/\\\": it takes \\\"too\\\" long\"");
    says(&drained, &drained, 503, "all backends are drained");
    says(&new, &new, 503, "{\"status\":\"starting\"");
    says(&new, &down, 503, "{\"status\":\"failed\"");
}

static void test_many_that_are_down_are_told_as_far_as_there_is_room(void **state)
{
    struct fleet_facts facts = {.members_n = FLEET_FACTS_MEMBERS};
    char reason[CONTRACT_REASON_BYTES];
    (void)state;
    for (size_t i = 0; i < facts.members_n; i++)
        facts.members[i] = down;
    assert_int_equal(health_api_of_fleet(&facts, reason), HEALTH_API_SILENT);
    assert_true(strlen(reason) > CONTRACT_REASON_BYTES / 2);
}

static void test_models_that_engines_serve_are_told(void **state)
{
    static const struct serve_facts served = {
        .models_n = 2, .models = {{.model = "org/a", .engine = "vllm", .state = "ready", .is_ready = 1, .in_use_n = 3}, {.model = "b", .engine = "", .state = "waiting", .waiting_n = 2}}};
    struct health_input in = {.api = HEALTH_API_READY, .api_reason = "", .served = &served};
    struct buf out;
    int status;
    (void)state;
    buf_init(&out, 64 * 1024);
    assert_int_equal(health_write(&out, &in, &status), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_non_null(strstr(buf_data(&out), ",\"instances\":[{\"model\":\"org/a\",\"engine\":\"vllm\",\"state\":\"ready\",\"in_use\":3,\"waiting\":0},"
                                           "{\"model\":\"b\",\"engine\":null,\"state\":\"waiting\",\"in_use\":0,\"waiting\":2}]"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_pull_is_told_in_percent),
        cmocka_unit_test(test_several_ollamas_are_well_while_one_is),
        cmocka_unit_test(test_many_that_are_down_are_told_as_far_as_there_is_room),
        cmocka_unit_test(test_models_that_engines_serve_are_told),
    };
    return cmocka_run_group_tests_name("proxy/health", tests, NULL, NULL);
}
