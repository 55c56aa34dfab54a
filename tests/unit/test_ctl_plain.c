/* ctl/plain and ctl/table: foreign words, durations, aligned columns. */
#include "common/human.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_control_characters_never_pass(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        int is_block;
        const char *out;
    } cases[] = {
        {"plain", 0, "plain"},
        {"\033[31mred\033[0m", 0, "?[31mred?[0m"},
        {"a\nb\tc", 0, "a?b?c"},
        {"a\nb\tc\r\033", 1, "a\nb\tc?" "?"},
        {"caf\xc3\xa9", 0, "caf\xc3\xa9"},
        {"\xc2\x9b" "2J", 0, "?2J"},
        {"\xff\xfe", 0, "?" "?"},
        {"\xe2\x80\xaex", 0, "?x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(plain_clean(&out, cases[i].in, strlen(cases[i].in), cases[i].is_block), 0);
        assert_int_equal(buf_size(&out), strlen(cases[i].out));
        assert_memory_equal(buf_data(&out), cases[i].out, buf_size(&out));
        buf_fini(&out);
    }
}

static void test_nul_bytes_do_not_pass(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(plain_clean(&out, "a\0b", 3, 1), 0);
    assert_memory_equal(buf_data(&out), "a?b", 3);
    buf_fini(&out);
}

static void test_fixed_room_is_cut_at_whole_characters(void **state)
{
    (void)state;
    char out[4];
    plain_clean_to(out, sizeof out, "ab\xc3\xa9");
    assert_string_equal(out, "ab");
    plain_clean_to(out, sizeof out, "a\xc3\xa9z");
    assert_string_equal(out, "a\xc3\xa9");
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        int64_t s;
        const char *text;
    } cases[] = {{-1, "-"}, {0, "0s"}, {59, "59s"}, {60, "1m00s"}, {192, "3m12s"}, {3600, "1h00m"}, {7500, "2h05m"}, {86400, "1d00h"}, {273600, "3d04h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[HUMAN_BYTES];
        human_duration(out, cases[i].s);
        assert_string_equal(out, cases[i].text);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{-1, "-"}, {0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1536, "1.5 KiB"}, {10239, "10 KiB"}, {1048575, "1.0 MiB"},
                 {536870912, "512 MiB"}, {2147483648, "2.0 GiB"}, {17179869184, "16 GiB"}, {INT64_MAX, "8.0 EiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[HUMAN_BYTES];
        human_bytes(out, cases[i].bytes);
        assert_string_equal(out, cases[i].text);
    }
}

static void assert_text(struct buf *out, const char *text)
{
    assert_int_equal(buf_append(out, "", 1), 0);
    assert_string_equal(buf_data(out), text);
    buf_fini(out);
}

static void fill(struct table *t)
{
    static const char *const heads[] = {"NAME", "STATE", "WHY"}, *const cells[] = {"caf\xc3\xa9", "ready", "", "a\033b", "failed", "long reason"};
    table_init(t, heads, 3);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        table_add(t, cells[i]);
}

static void test_columns_are_aligned(void **state)
{
    (void)state;
    struct table t;
    struct buf out;
    buf_init(&out, 0);
    fill(&t);
    assert_int_equal(table_write(&t, TABLE_NO_COLUMN, &out), 0);
    assert_text(&out, "NAME  STATE   WHY\n"
                      "caf\xc3\xa9  ready   -\n"
                      "a?b   failed  long reason\n");
    table_fini(&t);
}

static void test_colours_do_not_shift_columns(void **state)
{
    (void)state;
    struct table t;
    struct buf out;
    buf_init(&out, 0);
    fill(&t);
    assert_int_equal(table_write(&t, 1, &out), 0);
    assert_text(&out, "NAME  STATE   WHY\n"
                      "caf\xc3\xa9  \033[32mready\033[0m   -\n"
                      "a?b   \033[31mfailed\033[0m  long reason\n");
    table_fini(&t);
}

static void test_an_empty_table(void **state)
{
    (void)state;
    static const char *const heads[] = {"NAME", "ready"};
    struct table t;
    struct buf out;
    buf_init(&out, 0);
    table_init(&t, heads, 2);
    assert_int_equal(table_write(&t, 1, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), "NAME  ready\n");
    table_fini(&t);
    buf_fini(&out);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-1, "-"}, {0, "0.0s"}, {99, "0.0s"}, {1023, "1.0s"}, {59999, "59.9s"}, {60000, "1m00s"}, {1048575, "17m28s"}, {441450496, "5d02h"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[HUMAN_BYTES];
        human_time(out, cases[i].ms);
        assert_string_equal(out, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_characters_never_pass),
        cmocka_unit_test(test_nul_bytes_do_not_pass),
        cmocka_unit_test(test_fixed_room_is_cut_at_whole_characters),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_columns_are_aligned),
        cmocka_unit_test(test_colours_do_not_shift_columns),
        cmocka_unit_test(test_an_empty_table),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
