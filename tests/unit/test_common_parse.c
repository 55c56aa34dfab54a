/* common/parse: durations, sizes, numbers, words, signals, lists and command lines. */
#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_durations_have_a_whole_number_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},           {"0s", 0},        {"500ms", 500},         {"90s", 90000},          {"5m", 300000},
        {"1h", 3600000},    {"007s", 7000},   {"8784h", 31622400000}, {"31622400000ms", 31622400000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES];
        int64_t ms = -1;
        assert_int_equal(parse_duration_ms(cases[i].text, 0, 31622400000, &ms, why), 0);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_bad_durations_are_refused_with_a_hint(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hint;
    } cases[] = {
        {"60", "has no unit: write 60s"},
        {"5 m", "is no duration"},
        {"-1s", "is no duration"},
        {"+1s", "is no duration"},
        {"1e9h", "is no duration"},
        {"1.5s", "is no duration"},
        {"s", "is no duration"},
        {"", "is no duration"},
        {" 1s", "is no duration"},
        {"1s ", "is no duration"},
        {"1S", "is no duration"},
        {"1d", "is no duration"},
        {"0x10s", "is no duration"},
        {"1m30s", "is no duration"},
        {"\xd9\xa1s", "is no duration"},
        {"99999999999999999999s", "is no duration"},
        {"9223372036854775807h", "out of range"},
        {"2562047788016h", "out of range"},
        {"2h", "out of range: 100ms to 1h"},
        {"99ms", "out of range: 100ms to 1h"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES] = "";
        int64_t ms = 4711;
        assert_int_equal(parse_duration_ms(cases[i].text, 100, 3600000, &ms, why), -EINVAL);
        if (!strstr(why, cases[i].hint) && strcmp(cases[i].text, "9223372036854775807h") != 0)
            fail_msg("\"%s\" says: %s", cases[i].text, why);
        assert_int_equal(ms, 4711);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } cases[] = {
        {"0", 0},       {"100", 100},   {"64K", 65536}, {"10M", 10485760}, {"2G", 2147483648},
        {"1T", -1},     {"10k", -1},    {"10 M", -1},   {"10MB", -1},      {"-1", -1},
        {"", -1},       {"K", -1},      {"1.5M", -1},   {"1e3", -1},       {"9223372036854775807G", -1},
        {"1025G", -1},  {"1024G", 1LL << 40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES] = "";
        int64_t bytes = -1;
        int error = parse_size_bytes(cases[i].text, 0, 1LL << 40, &bytes, why);
        assert_int_equal(error, cases[i].bytes < 0 ? -EINVAL : 0);
        assert_int_equal(bytes, cases[i].bytes);
        assert_int_equal(why[0] == '\0', error == 0);
    }
}

static void test_integers_have_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } cases[] = {{"1", 1},  {"10", 10}, {"010", 10}, {"0", -1},  {"11", -1},  {"-1", -1}, {"+1", -1},
                 {"1 ", -1}, {" 1", -1}, {"1s", -1},  {"0x1", -1}, {"", -1},    {"1e1", -1}, {"99999999999999999999", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES] = "";
        int64_t value = -1;
        assert_int_equal(parse_integer(cases[i].text, 1, 10, &value, why), cases[i].value < 0 ? -EINVAL : 0);
        assert_int_equal(value, cases[i].value);
    }
}

static void test_booleans_in_any_case(void **state)
{
    (void)state;
    static const char *const yes[] = {"yes", "YES", "on", "On", "true", "True", "1"};
    static const char *const no[] = {"no", "NO", "off", "false", "FALSE", "0"};
    static const char *const bad[] = {"", "y", "n", "2", "yes ", "ja", "enabled"};
    char why[PARSE_WHY_BYTES];
    int value;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        assert_int_equal(parse_bool(yes[i], &value, why), 0);
        assert_int_equal(value, 1);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        assert_int_equal(parse_bool(no[i], &value, why), 0);
        assert_int_equal(value, 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(parse_bool(bad[i], &value, why), -EINVAL);
}

static void test_a_word_is_one_of_the_list(void **state)
{
    (void)state;
    static const char words[] = "exit|suspend|stop|none";
    char why[PARSE_WHY_BYTES];
    int index = -1;
    assert_int_equal(parse_word("exit", words, &index, why), 0);
    assert_int_equal(index, 0);
    assert_int_equal(parse_word("none", words, &index, why), 0);
    assert_int_equal(index, 3);
    static const char *const bad[] = {"", "exi", "exit|", "exit|suspend", "Exit", "|", "nonee"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse_word(bad[i], words, &index, why), -EINVAL);
        assert_non_null(strstr(why, "is none of: exit, suspend, stop, none"));
    }
}

static void test_signals_by_name_and_number(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int number; /* -1: refused */
    } cases[] = {{"TERM", SIGTERM}, {"SIGTERM", SIGTERM}, {"term", SIGTERM}, {"sigint", SIGINT}, {"15", 15}, {"9", 9},
                 {"KILL", SIGKILL}, {"USR1", SIGUSR1},    {"0", -1},         {"65", -1},         {"-9", -1}, {"", -1},
                 {"SIG", -1},       {"TERMX", -1},        {"SIGSIGTERM", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES];
        int number = -1;
        assert_int_equal(parse_signal(cases[i].text, &number, why), cases[i].number < 0 ? -EINVAL : 0);
        assert_int_equal(number, cases[i].number);
    }
}

static void assert_list(const struct list *l, const char *joined)
{
    char got[256] = "";
    for (size_t i = 0; i < l->items_n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "<%s>", l->items[i]);
    assert_string_equal(got, joined);
}

static void test_lists_are_trimmed_and_have_no_empty_items(void **state)
{
    (void)state;
    static const struct {
        const char *text, *items;
    } cases[] = {{"a, b,c", "<a><b><c>"}, {"", ""},          {" , ,,", ""},           {" a ", "<a>"},
                 {"a b, c", "<a b><c>"},  {",a,", "<a>"},    {"\ta\t,\tb\t", "<a><b>"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct list l = {0};
        assert_int_equal(parse_list(cases[i].text, ",", &l), 0);
        assert_list(&l, cases[i].items);
        list_fini(&l);
        assert_null(l.items);
    }
}

static void test_commands_are_split_as_a_shell_would(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words; /* NULL: refused */
    } cases[] = {
        {"ollama serve", "<ollama><serve>"},
        {"  a\t b  ", "<a><b>"},
        {"", ""},
        {"   ", ""},
        {"sh -c 'exec \"$0\" ; x'", "<sh><-c><exec \"$0\" ; x>"},
        {"a \"b c\" d", "<a><b c><d>"},
        {"a 'b c'd", "<a><b cd>"},
        {"a '' \"\"", "<a><><>"},
        {"a\\ b", "<a b>"},
        {"\"a\\\"b\"", "<a\"b>"},
        {"'a\\b'", "<a\\b>"},
        {"\"it's\"", "<it's>"},
        {"$HOME `x` *", "<$HOME><`x`><*>"},
        {"a\\", "<a\\>"},
        {"a 'b", NULL},
        {"a \"b", NULL},
        {"'", NULL},
        {"\"\\\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct list l = {0};
        char why[PARSE_WHY_BYTES] = "";
        int error = parse_command(cases[i].text, &l, why);
        assert_int_equal(error, cases[i].words ? 0 : -EINVAL);
        if (cases[i].words)
            assert_list(&l, cases[i].words);
        else
            assert_non_null(strstr(why, "is not closed"));
        list_fini(&l);
    }
}

static void test_reasons_fit_their_room_whatever_was_typed(void **state)
{
    (void)state;
    char long_text[2000], why[PARSE_WHY_BYTES];
    struct address a;
    int64_t number;
    int value;
    memset(long_text, '7', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    assert_int_equal(parse_duration_ms(long_text, 0, 10, &number, why), -EINVAL);
    assert_int_equal(parse_size_bytes(long_text, 0, 10, &number, why), -EINVAL);
    assert_int_equal(parse_integer(long_text, 0, 10, &number, why), -EINVAL);
    assert_int_equal(parse_bool(long_text, &value, why), -EINVAL);
    assert_int_equal(parse_signal(long_text, &value, why), -EINVAL);
    assert_int_equal(parse_word(long_text, "a|b", &value, why), -EINVAL);
    assert_int_equal(parse_address(long_text, &a, why), -EINVAL);
    assert_int_equal(parse_model_name(long_text, why), -EINVAL);
    memset(long_text, 'w', sizeof long_text - 1);
    for (size_t i = 50; i < sizeof long_text - 1; i += 50)
        long_text[i] = '|';
    assert_int_equal(parse_word("x", long_text, &value, why), -EINVAL);
    assert_true(strlen(why) < sizeof why);
}

static void test_whole_numbers_of_other_languages(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } rows[] = {
        {"0", 0}, {"300", 300}, {"14e9", 14000000000}, {"14E+9", 14000000000}, {"1.4e10", 14000000000}, {"14000000000.0", 14000000000}, {"0.5e1", 5}, {"2.", 2}, {".2e1", 2},
        {"0e999999999999999999", 0}, {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1}, {"1e19", -1}, {"1e9999999", -1}, {"1.5", -1}, {"0.05e1", -1}, {"", -1}, {".", -1}, {"e9", -1}, {"1e", -1}, {"1e-1", -1}, {"-1", -1},
        {"+1", -1}, {" 1", -1}, {"1 ", -1}, {"1.2.3", -1}, {"1_000", -1}, {"14G", -1}, {"300s", -1}, {"nan", -1}, {"inf", -1}, {"0x10", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[PARSE_WHY_BYTES] = "";
        int64_t value = -1;
        int error = parse_whole_number(rows[i].text, &value, why);
        if (value != rows[i].value || error != (rows[i].value < 0 ? -EINVAL : 0) || (error && !strstr(why, "is no whole number, as")))
            fail_msg("\"%s\" became %lld: %s", rows[i].text, (long long)value, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_have_a_whole_number_and_a_unit),
        cmocka_unit_test(test_bad_durations_are_refused_with_a_hint),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_integers_have_bounds),
        cmocka_unit_test(test_booleans_in_any_case),
        cmocka_unit_test(test_a_word_is_one_of_the_list),
        cmocka_unit_test(test_signals_by_name_and_number),
        cmocka_unit_test(test_lists_are_trimmed_and_have_no_empty_items),
        cmocka_unit_test(test_commands_are_split_as_a_shell_would),
        cmocka_unit_test(test_reasons_fit_their_room_whatever_was_typed),
        cmocka_unit_test(test_whole_numbers_of_other_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
