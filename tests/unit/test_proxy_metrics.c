/* proxy/metrics: the names that the owner's dashboards ask for, each there from the first scrape on, in Prometheus' format. (R4.7) */
#include "proxy/metrics.h"

#include "proxy/route.h"

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
    o = with("\xc3\xa9\xff\xc3", NULL); /* what is no UTF-8 would spoil the scrape */
    assert_line(written(&out, &o, 1), "llm_optimizer_requests_total{strategy=\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"} 0");
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

#ifdef WITH_BALANCER
static void test_several_ollamas_are_told_apart(void **state)
{
    static const struct fleet_facts fleet = {
        .waiting_n = 7, .members_n = 2,
        .members = {{.name = "a", .state = "up", .why = "", .is_up = 1, .slots_n = 4, .used_n = 3},
                    {.name = "b/[::1]:\"1", .state = "down", .why = "gone", .is_drained = 1, .slots_n = 1}},
        .speeds_n = 1, .speeds = {{.backend = "a", .model = "m", .tokens_per_s = 12.5}}};
    static const char *const lines[] = {
        "sidecar_backend_up{backend=\"a\"} 1",         "sidecar_backend_up{backend=\"b/[::1]:\\\"1\"} 0",
        "sidecar_backend_slots{backend=\"a\"} 4",      "sidecar_backend_used{backend=\"a\"} 3",
        "sidecar_backend_drained{backend=\"a\"} 0",    "sidecar_backend_drained{backend=\"b/[::1]:\\\"1\"} 1",
        "sidecar_queue_waiting 7",                     "sidecar_backend_speed_tokens_per_second{backend=\"a\",model=\"m\"} 12.5",
    };
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(metrics_write(&out, &(struct metrics_input){.fleet = &fleet}), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(buf_data(&out), lines[i]);
    assert_int_equal(count(buf_data(&out), "# TYPE sidecar_backend_"), 6);
    assert_null(strstr(buf_data(&out), "llm_optimizer"));
    buf_fini(&out);
}
#endif

static void test_requests_are_told_by_path_model_and_end(void **state)
{
    static const char *const lines[] = {
        "sidecar_requests_total{route=\"/health\",model=\"\",outcome=\"ok\"} 2",
        "sidecar_requests_total{route=\"/api/chat\",model=\"a\\\"b\",outcome=\"ok\"} 1",
        "sidecar_requests_total{route=\"/api/chat\",model=\"a\\\"b\",outcome=\"failed\"} 0",
        "sidecar_requests_queued{priority=\"5\"} 3",
        "sidecar_first_token_seconds_bucket{model=\"a\\\"b\",le=\"0.5\"} 0",
        "sidecar_first_token_seconds_bucket{model=\"a\\\"b\",le=\"1\"} 1",
        "sidecar_first_token_seconds_bucket{model=\"a\\\"b\",le=\"+Inf\"} 1",
        "sidecar_first_token_seconds_sum{model=\"a\\\"b\"} 0.75",
        "sidecar_first_token_seconds_count{model=\"a\\\"b\"} 1",
        "sidecar_queue_seconds_bucket{le=\"0.05\"} 0",
        "sidecar_queue_seconds_sum 0",
        "sidecar_wasted_seconds_total 1.5",
    };
    struct observe *o = calloc(1, sizeof *o);
    struct buf out;
    const struct route *health, *chat;
    (void)state;
    assert_non_null(o);
    observe_init(o, 0);
    assert_int_equal(route_find(METHOD_GET, "/health", 7, &health), ROUTE_FOUND);
    assert_int_equal(route_find(METHOD_POST, "/api/chat", 9, &chat), ROUTE_FOUND);
    o->counts.none.requests[counts_route(health)][OUTCOME_OK] = 2;
    struct model_counts *m = counts_model(&o->counts, "a\"b", 1);
    m->requests[counts_route(chat)][OUTCOME_OK] = 1;
    histogram_add(&m->first_token, &histogram_waits, 750);
    observe_count(o, COUNT_WASTED_MS, 1500);
    buf_init(&out, 1 << 20);
    assert_int_equal(metrics_write(&out, &(struct metrics_input){.observe = o, .queued_n = {[5] = 3}}), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(buf_data(&out), lines[i]);
    assert_null(strstr(buf_data(&out), "/api/generate")); /* nobody has asked for it */
    assert_null(strstr(buf_data(&out), "sidecar_load_seconds")); /* a name without a sample */
    buf_fini(&out);
    char name[] = "b*", *names[] = {name};
    const struct list shown = {.items = names, .items_n = 1};
    buf_init(&out, 1 << 20);
    counts_model(&o->counts, "bb", 1)->requests[counts_route(chat)][OUTCOME_OK] = 1;
    assert_int_equal(metrics_write(&out, &(struct metrics_input){.observe = o, .shown = &shown}), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_line(buf_data(&out), "sidecar_requests_total{route=\"/api/chat\",model=\"bb\",outcome=\"ok\"} 1");
    assert_line(buf_data(&out), "sidecar_requests_total{route=\"/health\",model=\"\",outcome=\"ok\"} 2");
    assert_null(strstr(buf_data(&out), "a\\\"b"));
    assert_null(strstr(buf_data(&out), "sidecar_first_token_seconds")); /* of that model alone */
    buf_fini(&out);
    observe_fini(o);
    free(o);
}

#ifdef WITH_MODELS
static void test_models_of_engines_are_told_apart(void **state)
{
    static const struct serve_facts served = {
        .models_n = 2, .models = {{.model = "org/a", .engine = "vllm", .state = "ready", .is_ready = 1, .in_use_n = 3, .load_ms = 1500},
                                  {.model = "org/b", .engine = "", .state = "waiting", .waiting_n = 2}}};
    static const char *const lines[] = {
        "sidecar_instance_ready{model=\"org/a\"} 1",          "sidecar_instance_ready{model=\"org/b\"} 0",   "sidecar_instance_used{model=\"org/a\"} 3",
        "sidecar_instance_load_seconds{model=\"org/a\"} 1.5", "sidecar_instance_waiting{model=\"org/b\"} 2",
    };
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    assert_int_equal(metrics_write(&out, &(struct metrics_input){.served = &served}), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_line(buf_data(&out), lines[i]);
    buf_fini(&out);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_is_there_from_the_beginning),
        cmocka_unit_test(test_what_was_counted_is_told),
        cmocka_unit_test(test_a_label_can_say_anything),
        cmocka_unit_test(test_without_the_optimizer_there_is_the_version),
        cmocka_unit_test(test_where_there_is_no_room_nothing_is_told),
#ifdef WITH_BALANCER
        cmocka_unit_test(test_several_ollamas_are_told_apart),
#endif
        cmocka_unit_test(test_requests_are_told_by_path_model_and_end),
#ifdef WITH_MODELS
        cmocka_unit_test(test_models_of_engines_are_told_apart),
#endif
    };
    return cmocka_run_group_tests_name("proxy/metrics", tests, NULL, NULL);
}
