/* supervisor/clean: what may not reach a terminal. */
#include "supervisor/clean.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_clean(const char *bytes, size_t bytes_n, int is_cut, const char *want)
{
    char *line = malloc(bytes_n + 1); /* exactly: a sanitizer sees a byte too far */
    assert_non_null(line);
    memcpy(line, bytes, bytes_n);
    size_t n = clean_line(line, bytes_n, is_cut);
    assert_int_equal(n, strlen(want));
    assert_string_equal(line, want);
    free(line);
}

#define CLEAN(literal, want) assert_clean(literal, sizeof(literal) - 1, 0, want)

static void test_plain_text_stays(void **state)
{
    (void)state;
    CLEAN("", "");
    CLEAN("time=x level=INFO msg=\"a b\"", "time=x level=INFO msg=\"a b\"");
    CLEAN("größer \xe2\x82\xac \xf0\x9f\xa6\x99 538.418\xc2\xb5s", "größer \xe2\x82\xac \xf0\x9f\xa6\x99 538.418\xc2\xb5s");
}

static void test_whole_escape_sequences_go(void **state)
{
    (void)state;
    CLEAN("\033[31mred\033[0m", "red");
    CLEAN("\033[1;38;5;196mx\033[K\033[?25l\033[2Jy", "xy");
    CLEAN("\033]0;title\007text", "text");
    CLEAN("\033]8;;http://x\033\\link\033]8;;\033\\", "link");
    CLEAN("\033Pq#0\033\\\033Xs\033\\\033^s\033\\\033_s\033\\x", "x");
    CLEAN("\033(B\033c\0337x", "x");
    CLEAN("\033[0 qx", "x"); /* with an intermediate byte */
}

static void test_what_is_no_whole_sequence_is_marked(void **state)
{
    (void)state;
    CLEAN("\033", "?");
    CLEAN("\033[", "?[");
    CLEAN("\033[31", "?[31");
    CLEAN("\033]0;title", "?]0;title");
    CLEAN("\033]0;a\033[31mb", "?]0;ab");
    CLEAN("\033\033[mx", "?x");
    CLEAN("a\033[3\x01m", "a?[3?m");
}

static void test_control_characters_are_marked(void **state)
{
    (void)state;
    CLEAN("a\0b", "a?b");
    CLEAN("\a\b\v\f\n\x7f", "??????");
    CLEAN("a\tb", "a b");
    CLEAN("\xc2\x9b" "31m\xc2\x85\xc2\x9dx", "?31m??x");             /* C1: CSI, NEL, OSC */
    CLEAN("\xe2\x80\xae" "gnp.exe\xe2\x81\xa6\xe2\x80\x8f", "?gnp.exe??"); /* RLO, LRI, RLM */
    CLEAN("\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf", "???");
}

static void test_bytes_that_are_no_utf8_are_marked(void **state)
{
    (void)state;
    CLEAN("\xff\xfe\x80", "???");
    CLEAN("\xc0\xaf", "??");             /* overlong */
    CLEAN("\xed\xa0\x80", "???");        /* a surrogate */
    CLEAN("\xf5\x80\x80\x80", "????");   /* beyond U+10FFFF */
    CLEAN("a\xe2\x82", "a??");
    CLEAN("caf\xe9", "caf?"); /* Latin-1 */
}

static void test_half_a_character_at_a_cut_is_left_out(void **state)
{
    (void)state;
    assert_clean("a\xe2\x82", 3, 1, "a");
    assert_clean("a\xf0\x9f\xa6", 4, 1, "a");
    assert_clean("a\xc3", 2, 1, "a");
    assert_clean("a\xff", 2, 1, "a?");
    assert_clean("a\x80", 2, 1, "a?");
    assert_clean("a\xe2\x82" "b", 4, 1, "a??b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_stays),
        cmocka_unit_test(test_whole_escape_sequences_go),
        cmocka_unit_test(test_what_is_no_whole_sequence_is_marked),
        cmocka_unit_test(test_control_characters_are_marked),
        cmocka_unit_test(test_bytes_that_are_no_utf8_are_marked),
        cmocka_unit_test(test_half_a_character_at_a_cut_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
