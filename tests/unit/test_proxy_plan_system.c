/* proxy/plan_system, proxy/plan_write: the system's first messages become one that is short enough (R4.3). */
#include "proxy/plan_system.h"

#include "common/utf8.h"
#include "proxy/plan.h"
#include "tests/unit/conf_each.h"

#include <errno.h>

static const char tool[] = "## read_file\nDescription: gr\xc3\xb6\xc3\x9fte Datei\nUsage:\n<read_file>\n<path>p</path>\n</read_file>";

static struct token_estimates estimates;
static struct plan plan;
static struct buf body, out, text;

static int begin(void **state)
{
    memset(&estimates, 0, sizeof estimates);
    buf_init(&body, 0);
    buf_init(&out, 0);
    buf_init(&text, 0);
    return conf_case_setup(state);
}

static int finish(void **state)
{
    buf_fini(&body);
    buf_fini(&out);
    buf_fini(&text);
    return conf_case_teardown(state);
}

static void say(const char *role, const char *content, size_t n)
{
    assert_int_equal(buf_printf(&body, "%s{\"role\":\"%s\",\"content\":", buf_size(&body) ? "," : "{\"model\":\"auto\",\"messages\":[", role), 0);
    assert_int_equal(buf_json_string(&body, content, n), 0);
    assert_int_equal(buf_text(&body, "}"), 0);
}

/* So many x. */
static void say_much(const char *role, size_t n)
{
    char *much = test_malloc(n);
    memset(much, 'x', n);
    say(role, much, n);
    test_free(much);
}

static void write_body(const char *ini, size_t words_n)
{
    char why[PLAN_WHY_BYTES];
    conf_case_load(&k, ini, NULL);
    assert_int_equal(k.error, 0);
    struct plan_rules r = {.conf = k.conf, .estimates = &estimates, .asked_model = "auto", .words_n = words_n};
    assert_int_equal(buf_text(&body, "]}"), 0);
    assert_int_equal(plan_make(&plan, &r, buf_data(&body), buf_size(&body), "A", why), 0);
    assert_int_equal(plan_write(&plan, &r, buf_data(&body), buf_size(&body), NULL, &out, why), 0);
}

/* The text of a message that was written is in `text` then. */
static void read_written(size_t index, size_t messages_n)
{
    struct prompt p;
    buf_truncate(&text, 0);
    assert_int_equal(prompt_read(&p, buf_data(&out), buf_size(&out)), 0);
    assert_int_equal(p.messages_n, messages_n);
    assert_int_equal(prompt_decode(&p.messages[index].content, &text), 0);
    prompt_fini(&p);
}

static void test_r4_3_a_long_system_prompt_is_cut_and_its_tools_are_whole(void **state)
{
    (void)state;
    say_much("system", 9000);
    say("system", tool, sizeof tool - 1);
    say_much("system", 300); /* of ours */
    say("user", "hello", 5);
    write_body("[optimizer]\nenabled = yes\n", 1);
    assert_true(plan.is_truncated && !plan.is_exceeded && plan.tools_found_n == 1 && plan.tools_lost_n == 0);
    read_written(0, 3);
    assert_in_range(utf8_count(buf_data(&text), buf_size(&text)), 8000, 8444);
    assert_non_null(memmem(buf_data(&text), buf_size(&text), tool, sizeof tool - 1));
    assert_int_equal(plan.sent.chars_n, utf8_count(buf_data(&text), buf_size(&text)) + 300 + 5);
    assert_int_equal(plan.sent.messages_n, 3);
    assert_true(plan.saved_tokens_n > 100);
    read_written(1, 3);
    assert_int_equal(buf_size(&text), 300);
}

/* Two messages, and two line ends between them, of a budget of 100. */
static void write_two(size_t second_n, size_t messages_n)
{
    say_much("system", 48);
    say_much("system", second_n);
    say_much("user", 200);
    write_body("[optimizer]\nenabled = yes\nsystem_budget = 100\n", 0);
    assert_int_equal(plan.sent.messages_n, messages_n);
    read_written(0, messages_n);
}

static void test_r4_3_a_system_prompt_within_its_budget_stays(void **state)
{
    (void)state;
    write_two(50, 3);
    assert_false(plan.is_truncated);
    assert_int_equal(buf_size(&text), 48);
}

static void test_r4_3_one_character_more_is_too_much(void **state)
{
    (void)state;
    write_two(51, 2);
    assert_true(plan.is_truncated);
    assert_in_range(utf8_count(buf_data(&text), buf_size(&text)), 90, 100);
}

static void test_r4_3_tools_alone_beyond_the_budget_are_told(void **state)
{
    (void)state;
    say_much("system", 200);
    say("system", tool, sizeof tool - 1);
    say("system", tool, sizeof tool - 1);
    say("user", "hello", 5);
    write_body("[optimizer]\nenabled = yes\nsystem_budget = 100\n", 0);
    assert_true(plan.is_truncated && plan.is_exceeded && plan.tools_found_n == 2);
    read_written(0, 2);
    assert_in_range(buf_size(&text), 2 * (sizeof tool - 1), 2 * (sizeof tool - 1) + 4);
}

/* What can't be decoded is told as such; nothing is made of it. */
static void test_an_escape_that_is_none_is_refused(void **state)
{
    static const char json[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"0123456789\\q\"}]}";
    struct truncate_result r;
    struct prompt p;
    (void)state;
    assert_int_equal(prompt_read(&p, json, sizeof json - 1), 0);
    assert_int_equal(plan_system_cut(&p, 1, 5, &out, &r), -EINVAL);
    assert_int_equal(plan_system_cut(&p, 1, 11, &out, &r), 0);
    assert_int_equal(buf_size(&out), 0);
    prompt_fini(&p);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        EACH(test_r4_3_a_long_system_prompt_is_cut_and_its_tools_are_whole),
        EACH(test_r4_3_a_system_prompt_within_its_budget_stays),
        EACH(test_r4_3_one_character_more_is_too_much),
        EACH(test_r4_3_tools_alone_beyond_the_budget_are_told),
        EACH(test_an_escape_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
