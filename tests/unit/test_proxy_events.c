/* proxy/events: whatever the pieces, and whatever ends a line, the events are the same. */
#include "proxy/events.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char seen[512];

static int note(void *context, const char *data, size_t data_n, int is_error)
{
    (void)context;
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof seen - n, "%s%.*s|", is_error ? "!" : "", (int)data_n, data);
    return data_n == 4 && memcmp(data, "stop", 4) == 0;
}

/* In pieces of one size, each in memory of its own. */
static int feed(const char *text, size_t n, size_t piece_n, size_t limit)
{
    struct events e;
    int error = 0;
    seen[0] = '\0';
    events_init(&e, limit);
    for (size_t i = 0; i < n && !error; i += piece_n) {
        size_t of = n - i < piece_n ? n - i : piece_n;
        char *exact = malloc(of);
        assert_non_null(exact);
        memcpy(exact, text + i, of);
        error = events_take(&e, exact, of, note, NULL);
        free(exact);
    }
    error = error ? error : events_end(&e, note, NULL);
    events_fini(&e);
    return error;
}

static void test_any_pieces(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"data: a\n\ndata:b\n\n", "a|b|"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "a|b|"},
        {"data: a\r\rdata: b\r\r", "a|b|"},
        {": ping\n\ndata: a\n: ping\n\n: ping\n", "a|"},
        {"event: x\nid: 1\nretry: 5\ndata: a\n\nevent: y\n\n", "a|"},
        {"data: {\ndata:  \"x\":1}\n\n", "{\n \"x\":1}|"},
        {"data\n\ndata:\n\n", "||"},
        {"\n\n\ndata: a\n\n\n\n", "a|"},
        {"database: a\n\ndata:  b\n\n", " b|"},
        {"error: {}\n\ndata: a\n\n", "!{}|a|"},
        {"event: error\ndata: {}\n\nevent: error\n\ndata: a\n\n", "!{}|a|"},
        {"\xef\xbb\xbf" "data: a\n\n\xef\xbb\xbf" "data: b\n\ndata: c\n\n", "a|c|"},
        {"data: [DONE]\n", "[DONE]|"},
        {"data: [DONE]", "[DONE]|"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece_n = 1; piece_n < 12; piece_n++) {
            assert_int_equal(feed(rows[i].text, strlen(rows[i].text), piece_n, 0), 0);
            assert_string_equal(seen, rows[i].wanted);
        }
        assert_int_equal(feed(rows[i].text, strlen(rows[i].text), 1000, 0), 0);
        assert_string_equal(seen, rows[i].wanted);
    }
}

static void test_who_stops_and_what_is_too_long(void **state)
{
    (void)state;
    assert_int_equal(feed("data: stop\n\ndata: a\n\n", 20, 100, 0), 1);
    assert_string_equal(seen, "stop|");
    assert_int_equal(feed("data: 0123456789\n\n", 18, 3, 10), -EFBIG);
    assert_int_equal(feed("data: 012\ndata: 012\ndata: 012\n\n", 31, 5, 10), -EFBIG);
    assert_string_equal(seen, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_pieces), cmocka_unit_test(test_who_stops_and_what_is_too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
