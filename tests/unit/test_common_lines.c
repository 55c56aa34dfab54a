/* common/lines: whatever way a stream is cut, the lines come out whole, and never longer than the limit. */
#include "common/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINES_MAX = 16, LIMIT = 32 };

struct seen {
    char lines[LINES_MAX][64];
    size_t lines_n;
};

static void take(void *context, const char *line, size_t line_n)
{
    struct seen *seen = context;
    assert_true(seen->lines_n < LINES_MAX);
    assert_true(line_n < sizeof seen->lines[0]);
    memcpy(seen->lines[seen->lines_n], line, line_n);
    seen->lines[seen->lines_n++][line_n] = '\0';
}

static const char stream[] = "{\"a\":1}\r\n\n\n{\"b\":2}\nlast, without an end";

static void assert_lines(const struct seen *seen)
{
    assert_int_equal(seen->lines_n, 3);
    assert_string_equal(seen->lines[0], "{\"a\":1}");
    assert_string_equal(seen->lines[1], "{\"b\":2}");
    assert_string_equal(seen->lines[2], "last, without an end");
}

static void test_cut_at_every_offset(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        struct seen seen = {.lines_n = 0};
        struct lines l;
        lines_init(&l, LIMIT, take, &seen);
        lines_feed(&l, stream, cut);
        lines_feed(&l, stream + cut, sizeof stream - 1 - cut);
        lines_end(&l);
        assert_lines(&seen);
        assert_int_equal(l.dropped_n, 0);
        lines_fini(&l);
    }
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct seen seen = {.lines_n = 0};
    struct lines l;
    lines_init(&l, LIMIT, take, &seen);
    for (size_t i = 0; i < sizeof stream - 1; i++)
        lines_feed(&l, stream + i, 1);
    lines_end(&l);
    assert_lines(&seen);
    lines_fini(&l);
}

static void test_overlong_line_is_dropped_as_a_whole(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 7, LIMIT, 1000};
    char text[512];
    memset(text, 'x', 400);
    memcpy(text + 400, "\nok\n", 4);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct seen seen = {.lines_n = 0};
        struct lines l;
        lines_init(&l, LIMIT, take, &seen);
        for (size_t at = 0; at < 404; at += steps[i])
            lines_feed(&l, text + at, at + steps[i] < 404 ? steps[i] : 404 - at);
        lines_end(&l);
        assert_int_equal(seen.lines_n, 1);
        assert_string_equal(seen.lines[0], "ok");
        assert_int_equal(l.dropped_n, 1);
        lines_fini(&l);
    }
}

static void test_stream_without_an_end_keeps_memory_bounded(void **state)
{
    (void)state;
    struct seen seen = {.lines_n = 0};
    struct lines l;
    lines_init(&l, LIMIT, take, &seen);
    for (int i = 0; i < 100000; i++)
        lines_feed(&l, "no end in sight ", 16);
    assert_true(l.kept.room_n <= 4096);
    lines_end(&l);
    assert_int_equal(seen.lines_n, 0);
    assert_int_equal(l.dropped_n, 1);
    lines_fini(&l);
}

static void test_reset_forgets_the_rest(void **state)
{
    (void)state;
    struct seen seen = {.lines_n = 0};
    struct lines l;
    lines_init(&l, LIMIT, take, &seen);
    lines_feed(&l, "half a li", 9);
    lines_reset(&l);
    lines_feed(&l, "whole\n", 6);
    lines_end(&l);
    assert_int_equal(seen.lines_n, 1);
    assert_string_equal(seen.lines[0], "whole");
    lines_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_every_offset),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_overlong_line_is_dropped_as_a_whole),
        cmocka_unit_test(test_stream_without_an_end_keeps_memory_bounded),
        cmocka_unit_test(test_reset_forgets_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
