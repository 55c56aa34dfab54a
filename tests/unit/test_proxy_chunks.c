/* proxy/chunks: parts of a conversation; every byte in just one of them, and borders where readers see them. */
#include "proxy/chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PARTS = 64 };

static struct chunk parts[PARTS];

static size_t cut(const char *text, const size_t *starts, size_t starts_n, size_t most_chars)
{
    struct chunks c;
    size_t parts_n = 0;
    chunks_init(&c, text, strlen(text), starts, starts_n, most_chars);
    while (parts_n < PARTS && chunks_next(&c, &parts[parts_n]))
        parts_n++;
    return parts_n;
}

static void assert_part(const char *text, size_t i, const char *expected)
{
    assert_int_equal(parts[i].n, strlen(expected));
    assert_memory_equal(text + parts[i].at, expected, parts[i].n);
}

static void test_what_fits_is_one_part(void **state)
{
    (void)state;
    const size_t starts[] = {0, 4};
    assert_int_equal(cut("one.two.", starts, 2, 8), 1);
    assert_int_equal(parts[0].chars_n, 8);
    assert_int_equal(parts[0].message, 0);
    assert_false(parts[0].is_inside);
}

static void test_no_text_has_no_part(void **state)
{
    (void)state;
    assert_int_equal(cut("", NULL, 0, 8), 0);
}

static void test_a_message_is_the_first_choice(void **state)
{
    (void)state;
    const char *text = "aaaaaa\n\nbb\n\ncc";
    const size_t starts[] = {0, 6};
    assert_int_equal(cut(text, starts, 2, 10), 2);
    assert_part(text, 0, "aaaaaa");
    assert_int_equal(parts[1].message, 1);
    assert_false(parts[1].is_inside);
}

static void test_a_message_in_the_first_half_does_not_make_a_small_part(void **state)
{
    (void)state;
    const char *text = "aabbbbb bbbbbbb";
    const size_t starts[] = {0, 2};
    assert_int_equal(cut(text, starts, 2, 10), 2);
    assert_part(text, 0, "aabbbbb ");
    assert_int_equal(parts[1].message, 1);
    assert_true(parts[1].is_inside);
}

static void test_then_a_paragraph_a_line_a_word_a_character(void **state)
{
    (void)state;
    const struct {
        const char *text, *first;
    } cases[] = {
        {"aaaaaa\n\nb\nc d e", "aaaaaa\n\n"},
        {"aaaaa\r\n\r\nb\nc d", "aaaaa\r\n\r\n"},
        {"aaaaaaa\nb c d e", "aaaaaaa\n"},
        {"aaaaaaa b c d e", "aaaaaaa b "},
        {"aaaaaaaaaaaaaaa", "aaaaaaaaaa"},
        {"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
         "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"},
    };
    const size_t start = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cut(cases[i].text, &start, 1, 10), 2);
        assert_part(cases[i].text, 0, cases[i].first);
    }
}

static void test_what_stands_before_all_messages_is_nobodys(void **state)
{
    (void)state;
    const size_t start = 4;
    assert_int_equal(cut("aaaabbbb", &start, 1, 4), 2);
    assert_int_equal(parts[0].message, 1);
    assert_false(parts[0].is_inside);
    assert_int_equal(parts[1].message, 0);
}

static uint32_t seed;

static unsigned pick(unsigned below)
{
    seed = seed * 1664525U + 1013904223U;
    return (seed >> 8) % below;
}

/* Any text, any borders: what was cut is the text, no part is too large, and they are no more than twice what must be. */
static void check_any(size_t n, size_t most_chars)
{
    static const char *const pieces[] = {"a", "bc", " ", "\n", "\n\n", "\r\n", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x80", "\xff"};
    char *text = malloc(n + 8);
    size_t starts[64], starts_n = 0, text_n = 0, chars_n = 0, parts_n = 0, at = 0;
    while (text_n < n) {
        const char *piece = pieces[pick(sizeof pieces / sizeof *pieces)];
        if (starts_n < 64 && pick(40) == 0 && (starts_n == 0 || starts[starts_n - 1] < text_n))
            starts[starts_n++] = text_n;
        memcpy(text + text_n, piece, strlen(piece));
        text_n += strlen(piece);
    }
    struct chunks c;
    struct chunk part;
    chunks_init(&c, text, text_n, starts, starts_n, most_chars);
    while (chunks_next(&c, &part)) {
        assert_int_equal(part.at, at);
        assert_true(part.n > 0 && part.chars_n <= most_chars && part.n <= 4 * most_chars);
        at += part.n;
        chars_n += part.chars_n;
        parts_n++;
    }
    assert_int_equal(at, text_n);
    assert_true(chars_n <= text_n);
    assert_true(parts_n <= 8 * text_n / most_chars + 1); /* by bytes, four of which may be a character */
    free(text);
}

static void test_every_byte_is_in_just_one_part(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++) {
        seed = i;
        check_any(1 + pick(2000), 1 + pick(300));
    }
}

static void test_no_character_is_cut(void **state)
{
    (void)state;
    char text[4 * 500 + 1] = "";
    for (int i = 0; i < 500; i++)
        memcpy(text + 4 * i, "\xf0\x9f\x98\x80", 5);
    size_t parts_n = cut(text, NULL, 0, 17);
    assert_int_equal(parts_n, 30);
    for (size_t i = 0; i < parts_n; i++)
        assert_int_equal(parts[i].n % 4, 0);
}

static void test_one_line_of_megabytes_is_cut_in_time(void **state)
{
    (void)state;
    size_t n = 16 * 1024 * 1024, parts_n = 0;
    char *text = malloc(n);
    memset(text, 'x', n);
    struct chunks c;
    struct chunk part;
    chunks_init(&c, text, n, NULL, 0, 12000);
    while (chunks_next(&c, &part))
        parts_n++;
    assert_int_equal(parts_n, n / 12000 + 1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_fits_is_one_part),
        cmocka_unit_test(test_no_text_has_no_part),
        cmocka_unit_test(test_a_message_is_the_first_choice),
        cmocka_unit_test(test_a_message_in_the_first_half_does_not_make_a_small_part),
        cmocka_unit_test(test_then_a_paragraph_a_line_a_word_a_character),
        cmocka_unit_test(test_what_stands_before_all_messages_is_nobodys),
        cmocka_unit_test(test_every_byte_is_in_just_one_part),
        cmocka_unit_test(test_no_character_is_cut),
        cmocka_unit_test(test_one_line_of_megabytes_is_cut_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
