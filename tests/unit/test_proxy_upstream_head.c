/* proxy/upstream_head: what a backend of [backend:NAME] is told of a request, and what never. */
#include "proxy/http1.h"
#include "proxy/upstream_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const char fields[] = "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: sidecar\r\nAuthorization: Bearer sk-client\r\nx-api-key: sk-client\r\n"
                             "Cookie: c=d\r\nAccept: */*\r\nUSER-AGENT:  x/1\r\nX-Forwarded-For: 192.0.2.7\r\nOpenAI-Organization: org\r\n"
                             "anthropic-version: 2023-06-01\r\nContent-Type: text/plain\r\nX-Request-Id: theirs\r\nContent-Length: 5\r\n\r\n";

/* What is written for this backend, for a target (NULL: the request's own). */
static void check(const struct upstream *u, const char *target, const char *expected)
{
    static const struct peer peer = {.text = "192.0.2.1", .text_n = 9};
    static const struct networks nobody;
    struct http1 parser;
    struct message m;
    struct tell told;
    struct sender sender;
    struct buf out;
    size_t used_n;
    message_init(&m, 0);
    assert_int_equal(http1_init(&parser, HTTP1_REQUEST, &m, NULL, NULL), 0);
    assert_int_equal(http1_feed(&parser, fields, strlen(fields), &used_n), HTTP1_HEAD);
    http1_fini(&parser);
    tell_init(&told, 1, 0);
    sender_read(&sender, &m, &peer, &nobody);
    const struct forward_request f = {.request = &m, .target = target, .request_id = "ours", .body_bytes = 12, .tell = &told, .sender = &sender};
    buf_init(&out, 0);
    assert_int_equal(upstream_head(&out, &f, u), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), expected);
    buf_fini(&out);
    message_fini(&m);
}

static void test_by_http(void **state)
{
    struct backend backend = {.host = "box:8000"};
    const struct upstream u = {.backend = &backend, .path = ""};
    (void)state;
    check(&u, NULL,
          "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: box:8000\r\naccept: */*\r\nuser-agent: x/1\r\nanthropic-version: 2023-06-01\r\n"
          "X-Request-Id: ours\r\nVia: 1.1 sidecar-0000000000000001\r\n"
          "Accept-Encoding: identity\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n");
}

static void test_by_https(void **state)
{
    struct backend backend = {.host = "api.example.com:443", .authorization = "Bearer sk-ours"};
    const struct upstream u = {.backend = &backend, .path = "/deep/api", .is_hosted = 1};
    (void)state;
    check(&u, "/v1/embeddings",
          "POST /deep/api/v1/embeddings HTTP/1.1\r\nHost: api.example.com:443\r\nAuthorization: Bearer sk-ours\r\naccept: */*\r\nuser-agent: x/1\r\n"
          "anthropic-version: 2023-06-01\r\nAccept-Encoding: identity\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_http), cmocka_unit_test(test_by_https)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
