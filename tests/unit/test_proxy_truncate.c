/* proxy/truncate (R4.3): 40 % start, 30 % definitions, 30 % end; definitions whole; never longer than the budget, but where they alone are. */
#include "proxy/truncate.h"

#include "tests/fuzz/truncated.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OWNERS_CHARS = 64356, OWNERS_BUDGET = 8444, OWNERS_TOOLS = 20 };

static struct buf in, out;
static struct truncate_result r;

static int set_up(void **state)
{
    (void)state;
    buf_init(&in, 0);
    buf_init(&out, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&in);
    buf_fini(&out);
    return 0;
}

static void say(const char *text)
{
    assert_int_equal(buf_text(&in, text), 0);
}

/* So many lines of prose, numbered; of several languages. */
static void say_lines(size_t n)
{
    static const char *const rows[] = {"Always answer in full sentences.", "Größe zählt, Öl schäumt über.", "请始终使用工具来读取文件。", "Отвечай кратко.", "絵文字🐢も数える。"};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_printf(&in, "%zu. %s\n", i, rows[i % 5]), 0);
}

static void say_tool(size_t number, size_t words_n)
{
    assert_int_equal(buf_printf(&in, "## tool_number_%zu\nDescription: ", number), 0);
    for (size_t i = 0; i < words_n; i++)
        say("does this and that ");
    assert_int_equal(buf_printf(&in, "\nParameters:\n- path: (required) wo\nUsage:\n<tool_number_%zu>\n<path>p</path>\n</tool_number_%zu>\n\n", number, number), 0);
}

static int is_there(const char *whole, size_t whole_n, const char *part, size_t part_n)
{
    return part_n == 0 || memmem(whole, whole_n, part, part_n) != NULL;
}

/* What holds of any text and budget. */
static void truncate_and_check(size_t budget)
{
    struct tool_blocks b;
    size_t n = buf_size(&in);
    char *text = malloc(n ? n : 1);
    assert_non_null(text);
    memcpy(text, buf_data(&in), n);
    buf_truncate(&out, 0);
    assert_int_equal(truncate_prompt(text, n, budget, &out, &r), 0);
    assert_int_equal(tool_blocks_find(&b, text, n), 0);
    const char *mistake = truncated_mistake(&b, text, n, budget, &out, &r);
    if (mistake)
        fail_msg("%s, with a budget of %zu", mistake, budget);
    assert_int_equal(r.tools_lost_n, 0);
    tool_blocks_fini(&b);
    free(text);
}

/* The code points that both begin with, and both end with. */
static size_t same_start(void)
{
    return utf8_count(buf_data(&in), truncated_start(buf_data(&in), buf_size(&in), buf_data(&out), buf_size(&out)));
}

static size_t same_end(void)
{
    size_t n = truncated_end(buf_data(&in), buf_size(&in), buf_data(&out), buf_size(&out));
    return utf8_count(buf_data(&in) + buf_size(&in) - n, n);
}

static void test_R4_3_what_fits_is_left_as_it_is(void **state)
{
    (void)state;
    say("abc");
    truncate_and_check(3);
    truncate_and_check(4);
    buf_truncate(&in, 0);
    truncate_and_check(0);
    say_lines(30);
    truncate_and_check(utf8_count(buf_data(&in), buf_size(&in)));
}

/* The figure that its owner measured. */
static void test_R4_3_64356_characters_become_8444_with_20_tools_whole(void **state)
{
    (void)state;
    say("You are an agent.\n\n");
    say_lines(700);
    say("\n# Tools\n\n");
    for (size_t i = 0; i < OWNERS_TOOLS; i++)
        say_tool(i, 8);
    say("# Rules\n\n");
    while (utf8_count(buf_data(&in), buf_size(&in)) < OWNERS_CHARS - 100)
        say_lines(1);
    while (utf8_count(buf_data(&in), buf_size(&in)) < OWNERS_CHARS)
        say(".");
    truncate_and_check(OWNERS_BUDGET);
    assert_int_equal(r.tools_n, OWNERS_TOOLS);
    assert_false(r.is_exceeded);
    assert_in_range(r.chars_n, OWNERS_BUDGET * 9 / 10, OWNERS_BUDGET);
    assert_true(same_start() > 100 && same_end() > 100);
}

static void test_R4_3_40_30_30(void **state)
{
    enum { BUDGET = 10000 };
    struct tool_blocks b;
    (void)state;
    say_lines(1000);
    for (size_t i = 0; i < 10; i++)
        say_tool(i, 8);
    say("# Rules\n");
    say_lines(1000);
    assert_int_equal(tool_blocks_find(&b, buf_data(&in), buf_size(&in)), 0);
    size_t tools_chars = b.items[b.items_n - 1].end_chars - b.items[0].at_chars;
    tool_blocks_fini(&b);
    assert_in_range(tools_chars, 2500, 3000);
    truncate_and_check(BUDGET);
    assert_in_range(same_start(), BUDGET * 40 / 100 - BUDGET / 20, BUDGET * 43 / 100);
    assert_in_range(same_end(), BUDGET * 30 / 100 - BUDGET / 20, BUDGET * 33 / 100);
}

/* What the definitions do not take belongs to both; what they take more, both give. */
static void test_R4_3_start_and_end_share_what_the_definitions_leave(void **state)
{
    (void)state;
    say_lines(2000);
    truncate_and_check(7000);
    assert_in_range(same_start(), 3600, 4000);
    assert_in_range(same_end(), 2600, 3000);
    for (size_t i = 0; i < 20; i++)
        say_tool(i, 8);
    say_lines(1000); /* behind a definition, and long: they are none of it */
    truncate_and_check(7000);
    assert_in_range(same_start(), 100, 1400);
    assert_in_range(same_end(), 100, 1100);
    assert_false(r.is_exceeded);
}

static void test_R4_3_definitions_in_the_start_and_the_end_count_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        say_tool(i, 4);
    say("# Rules\n");
    say_lines(2000);
    say("\n# Tools\n");
    for (size_t i = 10; i < 15; i++)
        say_tool(i, 4);
    truncate_and_check(7000);
    assert_int_equal(r.tools_n, 10);
    assert_in_range(same_start(), 3600, 4000);
    assert_in_range(same_end(), 2600, 3000);
    const char *first = memmem(buf_data(&out), buf_size(&out), "## tool_number_3\n", 17);
    assert_non_null(first);
    assert_null(memmem(first + 1, buf_size(&out) - (size_t)(first + 1 - buf_data(&out)), "## tool_number_3\n", 17));
}

static void test_R4_3_definitions_beyond_the_budget_stay_whole(void **state)
{
    (void)state;
    say_lines(100);
    for (size_t i = 0; i < 20; i++)
        say_tool(i, 40);
    say("# Rules\n");
    say_lines(100);
    truncate_and_check(5000);
    assert_true(r.is_exceeded && r.is_truncated);
    assert_int_equal(r.tools_n, 20);
    assert_null(memmem(buf_data(&out), buf_size(&out), "Always", 6));
}

static void test_R4_3_a_gap_is_marked_and_counted(void **state)
{
    char mark[80];
    size_t left_out_n;
    (void)state;
    say_lines(1000);
    truncate_and_check(2000);
    const char *at = memmem(buf_data(&out), buf_size(&out), "\n[… ", 6);
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\n[… %zu characters", &left_out_n), 1);
    snprintf(mark, sizeof mark, "\n[… %zu characters left out …]\n", left_out_n);
    assert_true(is_there(buf_data(&out), buf_size(&out), mark, strlen(mark)));
    assert_int_equal(utf8_count(buf_data(&in), buf_size(&in)), r.chars_n - utf8_count(mark, strlen(mark)) + left_out_n);
    assert_int_equal(at[-1], '\n'); /* both cuts are at lines */
    size_t mark_end = (size_t)(at - buf_data(&out)) + strlen(mark);
    const char *rest = memmem(buf_data(&in), buf_size(&in), buf_data(&out) + mark_end, buf_size(&out) - mark_end);
    assert_true(rest && rest[-1] == '\n');
}

static void test_R4_3_one_line_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3000; i++)
        say(i % 3 ? "ü" : "🐢");
    for (size_t budget = 0; budget < 300; budget++)
        truncate_and_check(budget);
    assert_in_range(r.chars_n, 290, 299);
}

static void test_bytes_that_are_no_utf8_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < 500; i++)
        say(i % 2 ? "\xff\xe4\xbd" : "a\x80\n");
    for (size_t budget = 0; budget < 600; budget += 7)
        truncate_and_check(budget);
}

/* Each budget, of texts with definitions at odd places. */
static void test_R4_3_what_holds_of_any_budget(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < 4; kind++) {
        buf_truncate(&in, 0);
        say_lines(kind % 2 ? 20 : 0);
        for (size_t i = 0; i < 4; i++) {
            say_tool(i, i);
            say("# And so on\n");
            say_lines(i * 7);
            say("words {\"name\":\"größe\",\"parameters\":{}} words\n");
        }
        say(kind > 1 ? "<tools>\n{\"name\":\"b\"}\n{\"name\":\"c\"}\n</tools>" : "");
        size_t chars_n = utf8_count(buf_data(&in), buf_size(&in));
        for (size_t budget = 0; budget <= chars_n + 1; budget += 1 + budget / 97)
            truncate_and_check(budget);
    }
}

static void test_a_full_buffer_is_told(void **state)
{
    struct buf little;
    (void)state;
    say_lines(100);
    buf_init(&little, 100);
    assert_int_equal(truncate_prompt(buf_data(&in), buf_size(&in), 500, &little, &r), -EFBIG);
    assert_int_equal(buf_size(&little), 0);
    buf_fini(&little);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_R4_3_what_fits_is_left_as_it_is),
        CASE(test_R4_3_64356_characters_become_8444_with_20_tools_whole),
        CASE(test_R4_3_40_30_30),
        CASE(test_R4_3_start_and_end_share_what_the_definitions_leave),
        CASE(test_R4_3_definitions_in_the_start_and_the_end_count_there),
        CASE(test_R4_3_definitions_beyond_the_budget_stay_whole),
        CASE(test_R4_3_a_gap_is_marked_and_counted),
        CASE(test_R4_3_one_line_is_cut_between_characters),
        CASE(test_bytes_that_are_no_utf8_pass),
        CASE(test_R4_3_what_holds_of_any_budget),
        CASE(test_a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
