/* common/text and preload/tags: foreign words and lists. */
#include "preload/show.h"
#include "preload/tags.h"
#include "common/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain", "plain"},
        {"  two\t\r\n lines \n", "two lines"},
        {"\033]0;title\007x", "?]0;title?x"},
        {"say \"hi\"", "say 'hi'"},
        {"caf\xc3\xa9 \xe6\xbc\xa2", "caf\xc3\xa9 \xe6\xbc\xa2"},
        {"\xff\xc3(", "?" "?("},
        {"\xc0\xaf\xed\xa0\x80", "?" "?" "?" "?" "?"},
        {"\xc2\x9b" "31m", "?31m"},
        {"a\xe2\x80\xae" "b", "a?b"},
        {"\xf0\x9f\xa6\x99", "\xf0\x9f\xa6\x99"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[64];
        text_clean(out, sizeof out, cases[i].in, strlen(cases[i].in));
        assert_string_equal(out, cases[i].out);
    }
}

static void test_clean_cuts_at_whole_characters(void **state)
{
    (void)state;
    for (size_t room_n = 1; room_n < 12; room_n++) {
        char out[12];
        memset(out, 'Z', sizeof out);
        text_clean(out, room_n, "\xc3\xa9\xe6\xbc\xa2\xf0\x9f\xa6\x99", 9);
        size_t n = strlen(out);
        assert_true(n < room_n);
        assert_true(n == 0 || n == 2 || n == 5 || n == 9);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0 B"},           {999, "999 B"},          {1000, "1.0 kB"},         {1340000000, "1.3 GB"},
                 {45600000, "46 MB"}, {999600, "1.0 MB"}, {UINT64_MAX, "18 EB"}};
    static const struct {
        int64_t ms;
        const char *text;
    } durations[] = {{-1, "-"},          {0, "0ms"},           {999, "999ms"},         {59999, "59s"},
                     {192000, "3m12s"}, {7500000, "2h05m"}, {273600000, "3d04h"}};
    char out[TEXT_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        text_bytes(out, sizes[i].bytes);
        assert_string_equal(out, sizes[i].text);
    }
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        text_duration(out, durations[i].ms);
        assert_string_equal(out, durations[i].text);
    }
}

static void test_bar_fits_a_narrow_terminal(void **state)
{
    (void)state;
    char bar[SHOW_BAR_BYTES];
    struct progress p;
    progress_init(&p);
    progress_begin(&p, 0);
    assert_true(show_bar(bar, "llama3.2:1b", &p, 0) > 0);
    p.layers_n = 1;
    p.total = 999000000000;
    p.completed = 998000000000;
    p.stage = PROGRESS_LAYER;
    p.samples_n = 1;
    p.samples[0].at_ms = 0;
    p.moved = 999000000;
    assert_true(show_bar(bar, "hf.co/somebody/with-a-very-long-model-name-GGUF:Q4_K_M", &p, 1000) <= 79);
    assert_non_null(strstr(bar, " 99% ["));
    p.stage = PROGRESS_VERIFY;
    assert_true(show_bar(bar, "llama3.2:1b", &p, 1000) <= 79);
    assert_non_null(strstr(bar, "verifying"));
}

static void test_blank(void **state)
{
    (void)state;
    static const char line[] = {' ', ' ', '{'}; /* no NUL ends it */
    assert_true(text_is_blank(line, 0) && text_is_blank(line, 2));
    assert_false(text_is_blank(line, 3));
    assert_false(text_is_blank("\t", 1));
}

static int listed(const char *json, const char *name)
{
    struct tags *tags = tags_new(json, strlen(json));
    int is_listed = tags ? tags_has(tags, name) : -1;
    tags_free(&tags);
    assert_null(tags);
    return is_listed;
}

static void test_tags(void **state)
{
    (void)state;
    static const char two[] = "{\"models\":[{\"name\":\"Tiny:latest\",\"model\":\"tiny:latest\"},{\"model\":\"llama3.2:1b\"},7,null,{}]}";
    assert_int_equal(listed(two, "tiny"), 1);
    assert_int_equal(listed(two, "llama3.2:1b"), 1);
    assert_int_equal(listed(two, "llama3.2"), 0);
    assert_int_equal(listed("{\"models\":[]}", "tiny"), 0);
    assert_int_equal(listed("{\"models\":null}", "tiny"), 0);
    static const char *const no_lists[] = {"", "<html>", "{}", "[]", "{\"models\":{}}", "{\"models\":[", "null", "{\"error\":\"x\"}"};
    for (size_t i = 0; i < sizeof no_lists / sizeof *no_lists; i++)
        assert_int_equal(listed(no_lists[i], "tiny"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_blank),
        cmocka_unit_test(test_clean_cuts_at_whole_characters),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bar_fits_a_narrow_terminal),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
