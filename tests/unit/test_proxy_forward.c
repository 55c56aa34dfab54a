/* proxy/forward: heads on their way. What is written for the next hop is one form, however the fields came. */
#include "proxy/forward.h"
#include "proxy/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VIA "Via: 1.1 sidecar-0000000000000001\r\n"

/* Who asks, without any trust in it; told: what tell_init() makes where nobody is to be named. */
static struct sender sender_of(const struct message *m, struct tell *told)
{
    static const struct peer peer = {.text = "192.0.2.1"};
    static const struct networks nobody;
    struct sender s;
    tell_init(told, 1, 0);
    sender_read(&s, m, &peer, &nobody);
    return s;
}

#define NAME_OF_80 "x1234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void parse(struct message *m, enum http1_side side, const char *head)
{
    struct http1 parser;
    size_t used_n;
    message_init(m, 0);
    assert_int_equal(http1_init(&parser, side, m, NULL, NULL), 0);
    assert_int_equal(http1_feed(&parser, head, strlen(head), &used_n), HTTP1_HEAD);
    http1_fini(&parser);
}

static void assert_text(struct buf *out, const char *expected)
{
    assert_int_equal(buf_append(out, "", 1), 0);
    assert_string_equal(buf_data(out), expected);
    buf_fini(out);
}

/* What clients send as a key is for us, where there are keys; else it is nobody's business. */
static void test_a_key_is_passed_on_only_where_there_are_none(void **state)
{
    (void)state;
    static const char head[] = "GET / HTTP/1.1\r\nHost: c\r\nA: 1\r\nAUTHORIZATION: Bearer k\r\nX-Api-Key: k\r\nB: 2\r\nAPI-key: k\r\nOrigin: o\r\n\r\n";
    static const struct {
        int are_keys_ours, is_origin_dropped;
        const char *expected;
    } cases[] = {
        {1, 0, "A: 1\r\nB: 2\r\n"},
        {1, 1, "A: 1\r\nB: 2\r\n"},
        {0, 1, "A: 1\r\nAUTHORIZATION: Bearer k\r\nX-Api-Key: k\r\nB: 2\r\nAPI-key: k\r\n"},
        {0, 0, "A: 1\r\nAUTHORIZATION: Bearer k\r\nX-Api-Key: k\r\nB: 2\r\nAPI-key: k\r\nOrigin: o\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[512];
        struct message m;
        struct buf out;
        struct tell told;
        snprintf(expected, sizeof expected, "GET / HTTP/1.1\r\nHost: back:1\r\nX-Request-Id: ours\r\n%s" VIA "\r\n", cases[i].expected);
        parse(&m, HTTP1_REQUEST, head);
        buf_init(&out, 0);
        struct sender sender = sender_of(&m, &told);
        told.are_keys_ours = cases[i].are_keys_ours;
        struct forward_request f = {.request = &m, .host = "back:1", .request_id = "ours", .is_origin_dropped = cases[i].is_origin_dropped,
                                    .tell = &told, .sender = &sender};
        assert_int_equal(forward_request_head(&out, &f), 0);
        assert_text(&out, expected);
        message_fini(&m);
    }
}

static void test_a_request_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *expected;
    } cases[] = {
        {"", ""},
        {"A: 1\r\n", "A: 1\r\n"},
        {"A: 1\r\nB: 2\r\nC: 3\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"},
        {"A:1\r\nB: 2\r\nC:  3\r\nD: 4 \r\nE: 5\t\r\nF: 6\r\n", "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n"},
        {"A:\t1\r\nB:\r\nC: \r\nD: x  y\r\n", "A: 1\r\nB: \r\nC: \r\nD: x  y\r\n"},
        {"A: 1\r\nTE: trailers\r\nB: 2\r\nproxy-x: 1\r\nPROXY-Authorization: 1\r\nC: 3\r\n", "A: 1\r\nB: 2\r\nC: 3\r\n"},
        {"Upgrade: h2c\r\nTa: 1\r\nKeep-Alive: 5\r\nExpect: 100-continue\r\nKeep-Alove: 5\r\n", "Ta: 1\r\nKeep-Alove: 5\r\n"},
        {"A: 1\r\nConnection: b, x-c\r\nB: 2\r\nX-C: 3\r\nX-D: 4\r\nb: 5\r\n", "A: 1\r\nX-D: 4\r\n"},
        {"A: 1\r\nX-Forwarded-For: 1\r\nForwarded: for=1\r\nB: 2\r\nX-Real-IP: 1\r\nX-F: 3\r\nVia: 1.1 x\r\n",
         "A: 1\r\nB: 2\r\nX-F: 3\r\nVia: 1.1 x\r\n"},
        {"Connection: content-type, CONTENT-ENCODING, authorization, cookie, content, x\r\nContent-Type: a\r\nX: 1\r\n"
         "Content-Encoding: b\r\nContent: c\r\nAuthorization: d\r\nCookie: e\r\n",
         "Content-Type: a\r\nContent-Encoding: b\r\nAuthorization: d\r\nCookie: e\r\n"},
        {"Connection: " NAME_OF_80 "\r\n" NAME_OF_80 ": 1\r\nConnection: B\r\nb: 2\r\nc: 3\r\n", "c: 3\r\n"},
        {"A: 1\r\nX-Request-Id: theirs\r\nAccept-Encoding: gzip\r\nOrigin: http://a\r\n", "A: 1\r\nOrigin: http://a\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[512], expected[512];
        struct message m;
        struct buf out;
        snprintf(head, sizeof head, "GET /a?b HTTP/1.1\r\nHost: c\r\n%s\r\n", cases[i].fields);
        snprintf(expected, sizeof expected, "GET /a?b HTTP/1.1\r\nHost: back:1\r\nX-Request-Id: ours\r\n%s" VIA "\r\n", cases[i].expected);
        parse(&m, HTTP1_REQUEST, head);
        buf_init(&out, 0);
        struct tell tell;
        struct sender sender = sender_of(&m, &tell);
        struct forward_request f = {.request = &m, .host = "back:1", .request_id = "ours", .tell = &tell, .sender = &sender};
        assert_int_equal(forward_request_head(&out, &f), 0);
        assert_text(&out, expected);
        message_fini(&m);
    }
}

/* A body that was written here is JSON, whatever the client called its own. */
static void test_another_target_has_another_type(void **state)
{
    (void)state;
    struct message m;
    struct buf out;
    struct tell tell;
    buf_init(&out, 0);
    parse(&m, HTTP1_REQUEST, "POST /generate HTTP/1.1\r\nHost: c\r\nA: 1\r\ncontent-type: multipart/form-data; boundary=b\r\nB: 2\r\nOrigin: http://a\r\nContent-Length: 9\r\n\r\n");
    struct sender sender = sender_of(&m, &tell);
    struct forward_request f = {.request = &m, .target = "/api/generate", .host = "back:1", .request_id = "ours", .body_bytes = 2, .tell = &tell, .sender = &sender};
    assert_int_equal(forward_request_head(&out, &f), 0);
    assert_text(&out, "POST /api/generate HTTP/1.1\r\nHost: back:1\r\nX-Request-Id: ours\r\nA: 1\r\nB: 2\r\nOrigin: http://a\r\n"
                      "Content-Type: application/json\r\n" VIA "Content-Length: 2\r\n\r\n");
    message_fini(&m);
}

/* Its API begins below a path, and it has a key of its own: the client's is none of its business. */
static void test_a_backend_has_a_path_and_a_key(void **state)
{
    (void)state;
    struct message m;
    struct buf out;
    struct tell tell;
    buf_init(&out, 0);
    parse(&m, HTTP1_REQUEST, "GET /api/tags HTTP/1.1\r\nHost: c\r\nA: 1\r\nAuthorization: Bearer theirs\r\nX-Api-Key: theirs\r\n\r\n");
    struct sender sender = sender_of(&m, &tell);
    struct forward_request f = {.request = &m, .host = "back:1", .path = "/llm", .authorization = "Bearer ours", .request_id = "1", .tell = &tell, .sender = &sender};
    assert_int_equal(forward_request_head(&out, &f), 0);
    assert_text(&out, "GET /llm/api/tags HTTP/1.1\r\nHost: back:1\r\nX-Request-Id: 1\r\nAuthorization: Bearer ours\r\nA: 1\r\n" VIA "\r\n");
    message_fini(&m);
}

static void test_a_body_gets_its_length(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int64_t body_bytes;
        const char *expected;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: 12\r\nA: 1\r\n\r\n", 12, "A: 1\r\n" VIA "Content-Length: 12\r\n\r\n"},
        {"POST / HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n", 0, VIA "Content-Length: 0\r\n\r\n"},
        {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: c\r\n\r\n", -1, VIA "Transfer-Encoding: chunked\r\n\r\n"},
        {"GET / HTTP/1.1\r\nHost: c\r\n\r\n", 0, VIA "\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[512];
        struct message m;
        struct buf out;
        parse(&m, HTTP1_REQUEST, cases[i].head);
        buf_init(&out, 0);
        struct tell tell;
        struct sender sender = sender_of(&m, &tell);
        struct forward_request f = {.request = &m, .host = "b", .request_id = "i", .body_bytes = cases[i].body_bytes, .tell = &tell,
                                    .sender = &sender};
        assert_int_equal(forward_request_head(&out, &f), 0);
        snprintf(expected, sizeof expected, "%s / HTTP/1.1\r\nHost: b\r\nX-Request-Id: i\r\n%s", method_name(m.method),
                 cases[i].expected);
        assert_text(&out, expected);
        message_fini(&m);
    }
}

static void test_an_answer_keeps_its_fields(void **state)
{
    (void)state;
    struct message m;
    struct buf out;
    parse(&m, HTTP1_ANSWER, "HTTP/1.1 200 Fine\r\nContent-Type: a/b\r\nContent-Length: 5\r\nDate:now\r\nX-A: \xe4\r\n\r\n");
    buf_init(&out, 0);
    struct tell tell;
    tell_init(&tell, 1, 0);
    struct forward_answer f = {.answer = &m, .request_id = "i", .tell = &tell, .extra = "E: 1\r\n", .extra_n = 6};
    assert_int_equal(forward_answer_head(&out, &f), 0);
    assert_text(&out, "HTTP/1.1 200 Fine\r\nContent-Type: a/b\r\nDate: now\r\nX-A: \xe4\r\n" VIA "X-Request-Id: i\r\nE: 1\r\n");
    message_fini(&m);
}

/* RFC 9110 section 6.6.1 */
static void test_an_answer_without_a_date_gets_one(void **state)
{
    (void)state;
    struct message m;
    struct buf out;
    parse(&m, HTTP1_ANSWER, "HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-A: b\r\n\r\n");
    buf_init(&out, 0);
    struct tell tell;
    tell_init(&tell, 1, 0);
    struct forward_answer f = {.answer = &m, .request_id = "i", .tell = &tell, .extra = ""};
    assert_int_equal(forward_answer_head(&out, &f), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    const char *date = strstr(buf_data(&out), "\r\nDate: ");
    assert_non_null(date);
    assert_string_equal(strstr(date, " GMT\r\n") + 4, "\r\n" VIA "X-Request-Id: i\r\n");
    buf_fini(&out);
    message_fini(&m);
}

static void test_what_an_answer_is(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum forward_stream kind;
        int is_html;
    } cases[] = {
        {"application/x-ndjson", STREAM_NDJSON, 0},      {"Application/X-NDJSON; a=b", STREAM_NDJSON, 0},
        {"application/x-ndjson ;a", STREAM_NDJSON, 0},   {"application/x-ndjsonl", STREAM_NONE, 0},
        {"application/x-ndjson a", STREAM_NONE, 0},      {"application/x-ndjso", STREAM_NONE, 0},
        {"text/event-stream;charset=utf-8", STREAM_SSE, 0}, {"text/html; charset=utf-8", STREAM_NONE, 1},
        {"text/htm", STREAM_NONE, 0},                    {"application/json", STREAM_NONE, 0},
        {"", STREAM_NONE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char head[128];
        struct message m;
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: 0\r\n\r\n", cases[i].type);
        parse(&m, HTTP1_ANSWER, head);
        assert_int_equal(forward_stream_kind(&m), cases[i].kind);
        assert_int_equal(forward_is_html(&m), cases[i].is_html);
        message_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_in_one_form),
        cmocka_unit_test(test_a_key_is_passed_on_only_where_there_are_none),
        cmocka_unit_test(test_another_target_has_another_type),
        cmocka_unit_test(test_a_backend_has_a_path_and_a_key),
        cmocka_unit_test(test_a_body_gets_its_length),
        cmocka_unit_test(test_an_answer_keeps_its_fields),
        cmocka_unit_test(test_an_answer_without_a_date_gets_one),
        cmocka_unit_test(test_what_an_answer_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
