/* supervisor/ring and supervisor/tail: the last lines, and who reads them. */
#include "supervisor/tail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ring ring;
static struct ring_record record;
static struct buf out;
static unsigned grown_n;

static void grown(void *context)
{
    assert_ptr_equal(context, &ring);
    grown_n++;
}

static int setup(void **state)
{
    (void)state;
    ring_init(&ring);
    ring.grown = grown;
    ring.context = &ring;
    grown_n = 0;
    buf_init(&out, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ring_fini(&ring);
    buf_fini(&out);
    return 0;
}

static void push(const char *name, const char *line)
{
    ring_push(&ring, name, LOG_WARNING, 1700000000123, line, strlen(line));
}

static void push_numbers(unsigned from, unsigned to)
{
    char line[16];
    for (unsigned i = from; i < to; i++) {
        snprintf(line, sizeof line, "%u", i);
        push(i % 2 ? "odd" : "even", line);
    }
}

static void test_nothing_is_allocated_before_the_first_line(void **state)
{
    (void)state;
    struct ring_cursor c = {0};
    uint64_t lost_n;
    assert_null(ring.bytes);
    assert_int_equal(ring_next(&ring, &c, &record, &lost_n), 0);
    push("a", "b");
    assert_non_null(ring.bytes);
    assert_int_equal(grown_n, 1);
}

static void test_lines_come_back_in_order(void **state)
{
    (void)state;
    struct ring_cursor c = {0};
    uint64_t lost_n;
    push("ollama", "one");
    push("x", "");
    assert_int_equal(ring_next(&ring, &c, &record, &lost_n), 1);
    assert_string_equal(record.name, "ollama");
    assert_string_equal(record.line, "one");
    assert_int_equal(record.level, LOG_WARNING);
    assert_true(record.at_ms == 1700000000123);
    assert_int_equal(ring_next(&ring, &c, &record, &lost_n), 1);
    assert_string_equal(record.line, "");
    assert_int_equal(lost_n, 0);
    assert_int_equal(ring_next(&ring, &c, &record, &lost_n), 0);
}

static void test_the_oldest_go_and_are_counted(void **state)
{
    (void)state;
    struct ring_cursor c = {0};
    uint64_t lost_n = 0, first_lost_n = 0, read_n = 0;
    push_numbers(0, 100000);
    assert_true(ring.end_at - ring.begin_at <= RING_BYTES);
    while (ring_next(&ring, &c, &record, &lost_n)) {
        first_lost_n += lost_n;
        char want[16];
        snprintf(want, sizeof want, "%u", (unsigned)(first_lost_n + read_n));
        assert_string_equal(record.line, want);
        read_n++;
    }
    assert_int_equal(first_lost_n + read_n, 100000);
    assert_true(read_n > 1000);
}

static void test_long_lines_and_names_are_cut_and_wrap_around(void **state)
{
    (void)state;
    struct ring_cursor c = {0};
    uint64_t lost_n;
    char line[3000], name[400];
    memset(line, 'l', sizeof line);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 500; i++) {
        ring_push(&ring, name, LOG_DEBUG, i, line, (size_t)(i * 7 % 3000));
        assert_int_equal(ring_next(&ring, &c, &record, &lost_n), 1);
        size_t want_n = (size_t)(i * 7 % 3000) < RING_LINE_BYTES ? (size_t)(i * 7 % 3000) : RING_LINE_BYTES - 1;
        assert_int_equal(record.line_n, want_n);
        assert_int_equal(strspn(record.line, "l"), want_n);
        assert_int_equal(strspn(record.name, "n"), RING_NAME_BYTES - 1);
        assert_int_equal(record.at_ms, i);
    }
}

/* What a client that asks by these arguments is told. */
static const char *told(struct tail *t, const char *arguments, int *left)
{
    char why[TAIL_WHY_BYTES];
    long lines_n;
    assert_int_equal(tail_parse(t, arguments, &lines_n, why), 0);
    tail_begin(t, &ring, lines_n);
    buf_release(&out);
    *left = tail_write(t, &ring, &out);
    assert_int_equal(buf_append(&out, "", 1), 0);
    return buf_data(&out);
}

#define LINE(name, text) "{\"name\":\"" name "\",\"level\":\"warning\",\"at\":\"2023-11-14T22:13:20.123Z\",\"line\":\"" text "\"}\n"

static void test_the_last_lines(void **state)
{
    (void)state;
    struct tail t;
    int left;
    assert_string_equal(told(&t, "", &left), "");
    assert_int_equal(left, TAIL_END);
    push_numbers(0, 20);
    assert_string_equal(told(&t, "-n 2", &left), LINE("even", "18") LINE("odd", "19"));
    assert_int_equal(left, TAIL_END);
    assert_string_equal(told(&t, "-n 2 odd", &left), LINE("odd", "17") LINE("odd", "19"));
    assert_string_equal(told(&t, " -n  3  odd even ", &left), LINE("odd", "17") LINE("even", "18") LINE("odd", "19"));
    assert_string_equal(told(&t, "-n 0", &left), "");
    assert_string_equal(told(&t, "od odd2", &left), "");
    assert_int_equal(strlen(told(&t, "", &left)), TAIL_DEFAULT_N * strlen(LINE("even", "18")) + 5 * strlen("odd") - 5 * strlen("even"));
    push("a\"\n", "q\"\\ \xff");
    assert_string_equal(told(&t, "-n 1", &left), LINE("a\\\"\\n", "q\\\"\\\\ \\ufffd"));
}

static void test_what_comes_while_it_is_told_is_not_part_of_it(void **state)
{
    (void)state;
    struct tail t;
    int left;
    push("a", "1");
    assert_string_equal(told(&t, "", &left), LINE("a", "1"));
    push("a", "2");
    buf_release(&out);
    assert_int_equal(tail_write(&t, &ring, &out), TAIL_END);
    assert_int_equal(buf_size(&out), 0);
}

static void test_a_follower_gets_what_comes_and_what_it_missed(void **state)
{
    (void)state;
    struct tail t;
    int left;
    push_numbers(0, 4);
    assert_string_equal(told(&t, "-f -n 1 odd", &left), LINE("odd", "3"));
    assert_int_equal(left, TAIL_WAIT);
    push_numbers(4, 6);
    buf_release(&out);
    assert_int_equal(tail_write(&t, &ring, &out), TAIL_WAIT);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), LINE("odd", "5"));
    push_numbers(6, 50000);
    buf_release(&out);
    assert_int_equal(tail_write(&t, &ring, &out), TAIL_MORE); /* a piece, not all of it */
    assert_true(buf_size(&out) < 32 * 1024);
    char want[64];
    snprintf(want, sizeof want, "{\"dropped\":%u}\n", (unsigned)(ring.begin_number - 6));
    assert_memory_equal(buf_data(&out), want, strlen(want));
    assert_null(strstr(buf_data(&out) + 1, "{\"dropped"));
}

static void test_arguments_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const wrong[] = {"-n", "-n x", "-n -1", "-n 1x", "-n 1000001", "-n 99999999999999999999", "-x", "--follow", "-fn 3", "-"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tail t;
        long lines_n;
        char why[TAIL_WHY_BYTES] = "";
        assert_int_equal(tail_parse(&t, wrong[i], &lines_n, why), -EINVAL);
        assert_true(strlen(why) > 10);
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_is_allocated_before_the_first_line),
        CASE(test_lines_come_back_in_order),
        CASE(test_the_oldest_go_and_are_counted),
        CASE(test_long_lines_and_names_are_cut_and_wrap_around),
        CASE(test_the_last_lines),
        CASE(test_what_comes_while_it_is_told_is_not_part_of_it),
        CASE(test_a_follower_gets_what_comes_and_what_it_missed),
        CASE(test_arguments_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
