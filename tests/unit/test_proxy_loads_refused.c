/* proxy/loads: loads that may not begin, or were not tried, leave what is known of their model. */
#include "proxy/ask.h"
#include "proxy/loads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct loads l;
static struct waiting waiting;
static struct load_ticket tickets[3];
static struct load *last;
static struct load_ride ride;
static int64_t now_ms;
static int told_n;

static void on_told(void *context, const struct load_result *result)
{
    (void)context;
    (void)result;
    told_n++;
}

static int setup(void **state)
{
    (void)state;
    waiting = (struct waiting){.limit_n = 3};
    loads_init(&l, 300000, &waiting);
    now_ms = 1000;
    told_n = 0;
    for (int i = 0; i < 3; i++)
        tickets[i] = (struct load_ticket){.fn = on_told, .wish.keep_alive_ms = ASK_KEEP_UNSAID};
    return 0;
}

static enum load_verdict look(int i, int num_ctx)
{
    load_options_set(&tickets[i].wish.options, LOAD_NUM_CTX, num_ctx);
    return loads_look(&l, &tickets[i], "m", 1, now_ms, &last, &ride);
}

static void load(int i, int num_ctx)
{
    static const struct load_result well = {.end = LOAD_ENDED_WELL};
    assert_int_equal(look(i, num_ctx), LOAD_BEGIN);
    now_ms += 500;
    loads_end(&l, last, &well, now_ms);
}

static enum load_verdict may_not(void *context, const char *model, const struct load_options *options)
{
    struct load_options *asked = context;
    assert_string_equal(model, "m");
    *asked = *options;
    return LOAD_RESTS;
}

static void test_who_may_not_load_changes_nothing(void **state)
{
    (void)state;
    struct load_options asked = {.set = 0};
    load(0, 2048);
    l.may = may_not;
    l.may_context = &asked;
    assert_int_equal(look(1, 8192), LOAD_RESTS);
    assert_null(tickets[1].load);
    assert_int_equal(asked.values[LOAD_NUM_CTX], 8192);
    assert_int_equal(l.loading_n, 0);
    assert_int_equal(look(2, 1024), LOAD_GO);
    assert_int_equal(ride.options.values[LOAD_NUM_CTX], 2048);
}

static void test_a_load_that_was_not_tried_leaves_what_was_known(void **state)
{
    (void)state;
    static const struct load_result untried = {.end = LOAD_ENDED_FAILED, .status = 500, .text = "too large", .is_untried = 1};
    static const struct load_result failed = {.end = LOAD_ENDED_FAILED, .status = 500, .text = "too large"};
    load(0, 2048);
    assert_int_equal(look(1, 8192), LOAD_BEGIN);
    loads_end(&l, last, &untried, now_ms);
    assert_int_equal(told_n, 2);
    assert_int_equal(look(2, 1024), LOAD_GO);
    assert_int_equal(look(1, 8192), LOAD_BEGIN);
    loads_forget(&l, "m");
    loads_end(&l, last, &untried, now_ms);
    assert_int_equal(look(2, 1024), LOAD_BEGIN);
    loads_end(&l, last, &failed, now_ms);
    assert_int_equal(look(2, 1024), LOAD_BEGIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_who_may_not_load_changes_nothing, setup),
        cmocka_unit_test_setup(test_a_load_that_was_not_tried_leaves_what_was_known, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
