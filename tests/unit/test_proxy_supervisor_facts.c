/* proxy/observe/supervisor_facts, metrics_supervisor: what a status says, and what /metrics makes of it. */
#include "proxy/metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/metrics_line.h"

static const char status[] =
    "{\"ok\":true,\"version\":\"1\",\"pid\":7,\"state\":\"running\",\"uptime_s\":9,"
    "\"sleep\":{\"state\":\"awake\",\"for_s\":9,\"awake_s\":120,\"asleep_s\":3600,\"cold_starts\":3,\"wakes\":2,"
    "\"parts\":{\"exec\":{\"n\":3,\"ms\":15},\"api\":{\"n\":3,\"ms\":600},\"models\":{\"n\":2,\"ms\":900},\"load\":{\"n\":1,\"ms\":1500},\"first_token\":{\"n\":0,\"ms\":0}}},"
    "\"memory\":{\"limit_bytes\":8589934592,\"used_bytes\":null,\"peak_bytes\":null,\"cache_bytes\":4096,\"oom_kills\":1,\"source\":\"cgroup2\"},"
    "\"programs\":[{\"name\":\"ollama\",\"state\":\"ready\",\"pid\":12,\"restarts\":2,\"rss_bytes\":441450496,\"cpu_ms\":12345,\"last_exit_code\":137},"
    "{\"name\":\"od\\\"d\",\"state\":\"failed\",\"restarts\":0,\"rss_bytes\":null,\"cpu_ms\":null,\"last_exit_code\":null},{\"state\":\"ready\"},{\"name\":\"\\u0000x\"},7],"
    "\"boots\":[{\"cause\":\"start\",\"exec_ms\":1,\"api_ms\":2,\"models_ms\":3,\"load_ms\":4,\"first_token_ms\":5},"
    "{\"cause\":\"wake\",\"exec_ms\":5,\"api_ms\":200,\"models_ms\":201,\"load_ms\":null,\"first_token_ms\":null}]}";

static struct contract_page page;

/* To be freed by buf_fini. */
static const char *told(struct buf *out, const struct supervisor_facts *facts)
{
    buf_init(out, 0);
    assert_int_equal(metrics_write(out, &(struct metrics_input){.page = &page, .supervisor = facts}), 0);
    assert_int_equal(buf_append(out, "", 1), 0);
    return buf_data(out);
}

static void test_what_the_supervisor_says_is_told(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "sidecar_supervisor_up 1",
        "sidecar_program_up{program=\"ollama\"} 1",
        "sidecar_program_up{program=\"od\\\"d\"} 0",
        "sidecar_program_state{program=\"ollama\",state=\"ready\"} 1",
        "sidecar_program_state{program=\"ollama\",state=\"failed\"} 0",
        "sidecar_program_state{program=\"od\\\"d\",state=\"failed\"} 1",
        "sidecar_program_restarts_total{program=\"ollama\"} 2",
        "sidecar_program_last_exit_code{program=\"ollama\"} 137",
        "sidecar_program_memory_bytes{program=\"ollama\"} 441450496",
        "sidecar_program_cpu_seconds_total{program=\"ollama\"} 12.345",
        "sidecar_memory_limit_bytes 8589934592",
        "sidecar_oom_kills_total 1",
        "sidecar_memory_cache_bytes 4096",
        "sidecar_awake_seconds_total 120",
        "sidecar_asleep_seconds_total 3600",
        "sidecar_cold_starts_total 3",
        "sidecar_wakes_total 2",
        "sidecar_boot_phase_seconds{phase=\"exec\"} 0.005",
        "sidecar_boot_phase_seconds{phase=\"models\"} 0.201",
        "sidecar_cold_start_phase_seconds_total{phase=\"load\"} 1.5",
        "sidecar_cold_start_phases_total{phase=\"exec\"} 3",
        "sidecar_cold_start_phases_total{phase=\"first_token\"} 0",
    };
    static const char *const unknown[] = {"sidecar_memory_used_bytes ", "sidecar_program_memory_bytes{program=\"od", "sidecar_program_last_exit_code{program=\"od",
                                          "sidecar_boot_phase_seconds{phase=\"load\"}"};
    struct supervisor_facts facts;
    struct buf out;
    assert_int_equal(supervisor_facts_read(&facts, status, sizeof status - 1), 0);
    assert_int_equal(facts.programs_n, 2);
    const char *text = told(&out, &facts);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(text, lines[i]);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        char all[128];
        snprintf(all, sizeof all, "\n%s", unknown[i]);
        assert_null(strstr(text, all));
    }
    buf_fini(&out);
}

static void test_one_that_does_not_answer_is_told_of_as_down(void **state)
{
    (void)state;
    struct buf out;
    const char *text = told(&out, NULL);
    assert_line(text, "sidecar_supervisor_up 0");
    assert_null(strstr(text, "sidecar_program_"));
    assert_line(text, "sidecar_preload_models{state=\"ready\"} 0");
    buf_fini(&out);
    buf_init(&out, 0);
    assert_int_equal(metrics_write(&out, &(struct metrics_input){.page = NULL}), 0); /* alone */
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_null(strstr(buf_data(&out), "supervisor"));
    assert_null(strstr(buf_data(&out), "preload"));
    buf_fini(&out);
}

static void test_what_is_no_status_says_nothing(void **state)
{
    (void)state;
    struct supervisor_facts facts;
    assert_int_equal(supervisor_facts_read(&facts, "", 0), -EINVAL);
    assert_int_equal(supervisor_facts_read(&facts, "[1]", 3), -EINVAL);
    static const char odd[] = "{\"sleep\":7,\"memory\":[],\"programs\":{\"name\":\"x\"},\"boots\":\"x\"}";
    assert_int_equal(supervisor_facts_read(&facts, odd, sizeof odd - 1), 0);
    assert_int_equal(facts.programs_n, 0);
    assert_true(facts.awake_s < 0 && facts.memory_limit_bytes < 0 && facts.boot_ms[0] < 0 && facts.cold_n[4] < 0);
    static const char below[] = "{\"memory\":{\"limit_bytes\":-5,\"used_bytes\":1e400}}";
    assert_int_equal(supervisor_facts_read(&facts, below, sizeof below - 1), 0);
    assert_true(facts.memory_limit_bytes < 0 && facts.memory_used_bytes < 0);
}

static void test_more_programs_than_there_can_be_are_cut(void **state)
{
    (void)state;
    struct supervisor_facts facts;
    struct buf json;
    buf_init(&json, 0);
    assert_int_equal(buf_text(&json, "{\"programs\":["), 0);
    for (int i = 0; i < 2 * CONTRACT_PROGRAMS; i++)
        assert_int_equal(buf_printf(&json, "%s{\"name\":\"p%d\",\"state\":\"odd\"}", i ? "," : "", i), 0);
    assert_int_equal(buf_text(&json, "]}"), 0);
    assert_int_equal(supervisor_facts_read(&facts, buf_data(&json), buf_size(&json)), 0);
    assert_int_equal(facts.programs_n, CONTRACT_PROGRAMS);
    assert_string_equal(facts.programs[CONTRACT_PROGRAMS - 1].name, "p31");
    assert_int_equal(facts.programs[0].state, -1);
    buf_fini(&json);
}

static void test_each_model_of_the_list_is_told_once(void **state)
{
    (void)state;
    struct buf out;
    contract_model_write(&page.models[0], CONTRACT_MODEL_READY, "a:latest", "");
    contract_model_write(&page.models[1], CONTRACT_MODEL_PULLING, "b:latest", "");
    contract_model_write(&page.models[2], CONTRACT_MODEL_PENDING, "a:latest", ""); /* again */
    atomic_store(&page.models[1].completed_bytes, 5);
    atomic_store(&page.models[1].total_bytes, 10);
    const char *text = told(&out, NULL);
    assert_line(text, "sidecar_preload_bytes{model=\"b:latest\"} 5");
    assert_line(text, "sidecar_preload_total_bytes{model=\"b:latest\"} 10");
    assert_line(text, "sidecar_preload_models{state=\"ready\"} 1");
    assert_line(text, "sidecar_preload_models{state=\"pulling\"} 1");
    assert_line(text, "sidecar_preload_models{state=\"pending\"} 0");
    const char *first = strstr(text, "sidecar_preload_bytes{model=\"a:latest\"}");
    assert_non_null(first);
    assert_null(strstr(first + 1, "sidecar_preload_bytes{model=\"a:latest\"}"));
    buf_fini(&out);
    memset(&page, 0, sizeof page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_supervisor_says_is_told),
        cmocka_unit_test(test_one_that_does_not_answer_is_told_of_as_down),
        cmocka_unit_test(test_what_is_no_status_says_nothing),
        cmocka_unit_test(test_more_programs_than_there_can_be_are_cut),
        cmocka_unit_test(test_each_model_of_the_list_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
