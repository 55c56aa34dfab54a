/* proxy/metrics: the names that the owner's dashboards ask for, each there from the first scrape on, in Prometheus' format. (R4.7) */
#include "proxy/metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct optimizer with(const char *first, const char *second)
{
    static char small[] = "small", large[] = "large", none[] = "";
    static const struct conf conf = {.strategies_n = 2, .strategies = {{.model = small, .map_model = none}, {.model = large, .map_model = small}}};
    struct optimizer o = {.conf = &conf};
    optimizer_stats_init(&o.stats);
    optimizer_stats_add_strategy(&o.stats, first);
    if (second)
        optimizer_stats_add_strategy(&o.stats, second);
    return o;
}

/* The text, to be freed by buf_fini. */
static const char *written(struct buf *out, const struct optimizer *o, int is_up)
{
    buf_init(out, 1 << 20);
    assert_int_equal(metrics_write(out, &(struct metrics_input){.optimizer = o, .is_up = is_up}), 0);
    assert_int_equal(buf_append(out, "", 1), 0);
    return buf_data(out);
}

static void assert_line(const char *text, const char *line)
{
    char all[256];
    assert_true((size_t)snprintf(all, sizeof all, "\n%s\n", line) < sizeof all);
    if (!strstr(text, all))
        fail_msg("no line %s in\n%s", line, text);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

static void test_every_value_is_there_from_the_beginning(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "llm_optimizer_up 1",
        "llm_optimizer_requests_total{strategy=\"A\"} 0",
        "llm_optimizer_requests_total{strategy=\"B\"} 0",
        "llm_optimizer_requests_total{strategy=\"all\"} 0",
        "llm_optimizer_errors_total 0",
        "llm_optimizer_duration_seconds{strategy=\"A\"} 0",
        "llm_optimizer_duration_seconds{strategy=\"all\"} 0",
        "llm_optimizer_tokens_saved_total 0",
        "llm_optimizer_dedup_hits_total 0",
        "llm_optimizer_tool_call_detected_total 0",
        "llm_optimizer_smart_truncations_total 0",
        "llm_optimizer_schema_errors_total 0",
        "sidecar_optimizer_cache_bytes 0",
        "sidecar_optimizer_map_parts_total{result=\"done\"} 0",
        "sidecar_optimizer_map_parts_total{result=\"failed\"} 0",
        "sidecar_optimizer_estimate_error_ratio{model=\"small\"} 0",
        "sidecar_optimizer_estimate_error_ratio{model=\"large\"} 0",
        "# TYPE llm_optimizer_requests_total counter",
        "# TYPE llm_optimizer_duration_seconds gauge",
    };
    struct optimizer o = with("A", "B");
    struct buf out;
    const char *text = written(&out, &o, 1);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(text, lines[i]);
    assert_int_equal(count(text, "# HELP llm_optimizer_requests_total "), 1);
    assert_int_equal(count(text, "# HELP "), count(text, "# TYPE "));
    assert_int_equal(text[buf_size(&out) - 2], '\n');
    buf_fini(&out);
}

static void test_what_was_counted_is_told(void **state)
{
    (void)state;
    struct optimizer o = with("A", "B");
    struct buf out;
    optimizer_count_request(&o.stats, "B", OPTIMIZER_ANSWERED, 1250);
    optimizer_count_request(&o.stats, "B", OPTIMIZER_FAILED, 1);
    optimizer_count_add(&o.stats, OPTIMIZER_TOKENS_SAVED, 9007199254740991);
    optimizer_count_add(&o.stats, OPTIMIZER_PARTS_FAILED, 2);
    const char *text = written(&out, &o, 0);
    assert_line(text, "llm_optimizer_up 0");
    assert_line(text, "llm_optimizer_requests_total{strategy=\"A\"} 0");
    assert_line(text, "llm_optimizer_requests_total{strategy=\"B\"} 2");
    assert_line(text, "llm_optimizer_requests_total{strategy=\"all\"} 2");
    assert_line(text, "llm_optimizer_errors_total 1");
    assert_line(text, "llm_optimizer_duration_seconds{strategy=\"B\"} 1.25");
    assert_line(text, "llm_optimizer_tokens_saved_total 9007199254740991");
    assert_line(text, "sidecar_optimizer_map_parts_total{result=\"failed\"} 2");
    buf_fini(&out);
}

static void test_a_label_can_say_anything(void **state)
{
    (void)state;
    struct optimizer o = with("a\"b\\c\nd", NULL);
    struct buf out;
    assert_line(written(&out, &o, 1), "llm_optimizer_requests_total{strategy=\"a\\\"b\\\\c\\nd\"} 0");
    buf_fini(&out);
}

static void test_without_the_optimizer_there_is_the_version(void **state)
{
    (void)state;
    struct buf out;
    const char *text = written(&out, NULL, 1);
    assert_int_equal(count(text, "\nsidecar_build_info{version=\""), 1);
    assert_int_equal(count(text, "optimizer"), 0);
    buf_fini(&out);
}

static void test_where_there_is_no_room_nothing_is_told(void **state)
{
    (void)state;
    struct optimizer o = with("A", NULL);
    struct buf out;
    for (size_t room_n = 1; room_n < 2500; room_n += 7) {
        buf_init(&out, room_n);
        assert_int_equal(metrics_write(&out, &(struct metrics_input){.optimizer = &o}), -EFBIG);
        assert_int_equal(buf_size(&out), 0);
        buf_fini(&out);
    }
}

static void test_several_ollamas_are_told_apart(void **state)
{
    static const struct fleet_facts fleet = {
        .waiting_n = 7, .members_n = 2,
        .members = {{.name = "a", .state = "up", .why = "", .is_up = 1, .slots_n = 4, .used_n = 3},
                    {.name = "b/[::1]:\"1", .state = "down", .why = "gone", .is_drained = 1, .slots_n = 1}}};
    static const char *const lines[] = {
        "sidecar_backend_up{backend=\"a\"} 1",         "sidecar_backend_up{backend=\"b/[::1]:\\\"1\"} 0",
        "sidecar_backend_slots{backend=\"a\"} 4",      "sidecar_backend_used{backend=\"a\"} 3",
        "sidecar_backend_drained{backend=\"a\"} 0",    "sidecar_backend_drained{backend=\"b/[::1]:\\\"1\"} 1",
        "sidecar_queue_waiting 7",
    };
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(metrics_write(&out, &(struct metrics_input){.fleet = &fleet}), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(buf_data(&out), lines[i]);
    assert_int_equal(count(buf_data(&out), "# TYPE sidecar_backend_"), 4);
    assert_null(strstr(buf_data(&out), "llm_optimizer"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_is_there_from_the_beginning),
        cmocka_unit_test(test_what_was_counted_is_told),
        cmocka_unit_test(test_a_label_can_say_anything),
        cmocka_unit_test(test_without_the_optimizer_there_is_the_version),
        cmocka_unit_test(test_where_there_is_no_room_nothing_is_told),
        cmocka_unit_test(test_several_ollamas_are_told_apart),
    };
    return cmocka_run_group_tests_name("proxy/metrics", tests, NULL, NULL);
}
