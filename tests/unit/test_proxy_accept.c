/* proxy/accept: who wants events, and who takes gzip, by RFC 9110 section 12.5. */
#include "proxy/accept.h"

#include "tests/unit/request_of.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_who_wants_events(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int wants;
    } rows[] = {
        {"", 0},
        {"Accept: */*\n", 0},
        {"Accept: text/*\n", 0},
        {"Accept:\n", 0},
        {"Accept: text/event-stream\n", 1},
        {"accept: Text/Event-Stream; charset=utf-8\n", 1},
        {"Accept: text/event-stream;q=0\n", 0},
        {"Accept: text/event-stream; q=0.000\n", 0},
        {"Accept: text/event-stream;q=0.001\n", 1},
        {"Accept: */*, text/event-stream\n", 1},
        {"Accept: application/json, text/event-stream\n", 1},
        {"Accept: application/json\nAccept: text/event-stream\n", 1},
        {"Accept: application/x-ndjson, text/event-stream;q=0.9\n", 0},
        {"Accept: application/x-ndjson;q=0.5, text/event-stream;q=0.9\n", 1},
        {"Accept: application/x-ndjson;q=0, text/event-stream;q=0.1, */*\n", 1},
        {"Accept: text/event-stream;q=0, text/event-stream\n", 1},
        {"Accept: text/event-stream;x=\"a,b;q=0\";q=1\n", 1},
        {"Accept: text/event-stream;x=\"a\\\",text/html;q=0\";q=0\n", 0},
        {"Accept: text/event-stream;Q=0\n", 0},
        {"Accept: text/event-stream;q=soon\n", 1},
        {"Accept: text/event-streams, xtext/event-stream\n", 0},
        {"Accept: ,;,;;q=1,text/event-stream;q=1.9,\n", 1},
        {"Accept: \"text/event-stream\n", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m = request_of(rows[i].lines, "");
        if (accept_wants_events(&m) != rows[i].wants)
            fail_msg("%s", rows[i].lines);
        message_fini(&m);
    }
}

static void test_who_takes_gzip(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int takes;
    } rows[] = {
        {"", 1},
        {"Accept-Encoding:\n", 0},
        {"Accept-Encoding: gzip\n", 1},
        {"accept-encoding: GZip;q=0.1\n", 1},
        {"Accept-Encoding: x-gzip\n", 1},
        {"Accept-Encoding: gzip, deflate, br, zstd\n", 1},
        {"Accept-Encoding: br\nAccept-Encoding: gzip\n", 1},
        {"Accept-Encoding: br, deflate\n", 0},
        {"Accept-Encoding: identity\n", 0},
        {"Accept-Encoding: *\n", 1},
        {"Accept-Encoding: *;q=0\n", 0},
        {"Accept-Encoding: *;q=0, gzip\n", 1},
        {"Accept-Encoding: gzip;q=0, *\n", 0},
        {"Accept-Encoding: gzip; q=0.000\n", 0},
        {"Accept-Encoding: gzips, agzip\n", 0},
        {"Accept-Encoding: ,;q=1,gzip;q=1.9,\n", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m = request_of(rows[i].lines, "");
        if (accept_takes_gzip(&m) != rows[i].takes)
            fail_msg("%s", rows[i].lines);
        message_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_wants_events), cmocka_unit_test(test_who_takes_gzip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
