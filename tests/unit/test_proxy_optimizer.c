/* proxy/optimizer: what it has done, as /health tells it. (R4.1) */
#include "proxy/optimizer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char name_a[] = "A", name_long[] = "long";
static struct conf conf = {.optimizer = {.enabled = 1}, .strategies_n = 2, .strategies = {{.name = name_a}, {.name = name_long}}};

static void test_each_number_has_its_name(void **state)
{
    (void)state;
    static const char wanted[] = ",\"optimizer\":{\"requests\":{\"A\":1,\"long\":0,\"all\":2},\"mean_s\":{\"A\":0.250,\"long\":0.000,\"all\":0.250},"
                                 "\"errors\":1,\"tokens_received\":10,\"tokens_saved\":11,\"dedup_hits\":12,\"tool_calls\":13,\"truncations\":14,"
                                 "\"budgets_exceeded\":15,\"tools_lost\":16,\"schema_errors\":17,"
                                 "\"cache\":{\"bytes\":0,\"hits\":18,\"misses\":19},\"parts\":{\"done\":20,\"failed\":21}}";
    static struct optimizer o;
    struct buf out;
    optimizer_init(&o, &conf);
    optimizer_count_request(&o.stats, "A", OPTIMIZER_ANSWERED, 250);
    optimizer_count_request(&o.stats, NULL, OPTIMIZER_FAILED, 1);
    for (size_t i = 0; i < OPTIMIZER_COUNTER_COUNT; i++)
        optimizer_count_add(&o.stats, (enum optimizer_counter)i, 10 + i);
    buf_init(&out, 4096);
    assert_int_equal(optimizer_write(&o, &out), 0);
    assert_int_equal(buf_size(&out), sizeof wanted - 1);
    assert_memory_equal(buf_data(&out), wanted, sizeof wanted - 1);
    buf_fini(&out);
    optimizer_fini(&o);
}

static void test_where_there_is_no_room_nothing_is_told(void **state)
{
    (void)state;
    static struct optimizer o;
    struct buf out;
    optimizer_init(&o, &conf);
    for (size_t room_n = 1; room_n < 200; room_n++) {
        buf_init(&out, room_n);
        assert_int_equal(optimizer_write(&o, &out), -EFBIG);
        assert_int_equal(buf_size(&out), 0);
        buf_fini(&out);
    }
    optimizer_fini(&o);
}

static void test_what_is_not_enabled_has_no_strategies(void **state)
{
    (void)state;
    static struct optimizer o;
    static struct conf off = {.strategies_n = 1, .strategies = {{.name = name_a}}};
    optimizer_init(&o, &off);
    assert_int_equal(o.stats.strategies_n, 0);
    optimizer_fini(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_number_has_its_name),
        cmocka_unit_test(test_where_there_is_no_room_nothing_is_told),
        cmocka_unit_test(test_what_is_not_enabled_has_no_strategies),
    };
    return cmocka_run_group_tests_name("proxy/optimizer", tests, NULL, NULL);
}
