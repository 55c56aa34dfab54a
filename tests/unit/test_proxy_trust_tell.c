/* proxy/tell: what the backend is told about who asks, and how a request that comes round again is known. */
#include "proxy/tell.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/request_of.h"

#define VIA "Via: 1.1 sidecar-00000000000000ab\r\n"

static struct networks trusted; /* 10.0.0.0/8 and fd00::/8 */

static int setup(void **state)
{
    (void)state;
    char why[PARSE_WHY_BYTES];
    return networks_add(&trusted, "10.0.0.0/8", why) || networks_add(&trusted, "fd00::/8", why);
}

static int teardown(void **state)
{
    (void)state;
    networks_fini(&trusted);
    return 0;
}

static struct peer peer_of(const char *text)
{
    struct ip ip;
    struct sockaddr_storage from = {0};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct peer peer;
    assert_int_equal(ip_parse(text, strlen(text), &ip), 0);
    memcpy(&in6.sin6_addr, ip.bytes, sizeof ip.bytes);
    memcpy(&from, &in6, sizeof in6);
    peer_init(&peer, &from, &trusted);
    return peer;
}

static void check(const char *peer_text, const char *lines, const char *host, int is_sender_told, const char *expected)
{
    struct tell t;
    struct message m = request_of(lines, host);
    struct peer peer = peer_of(peer_text);
    struct sender s;
    struct buf out;
    buf_init(&out, 0);
    tell_init(&t, 0xab, is_sender_told);
    sender_read(&s, &m, &peer, &trusted);
    assert_int_equal(tell_backend(&t, &out, &m, &s), 0);
    if (buf_size(&out) != strlen(expected) || memcmp(buf_data(&out), expected, strlen(expected)) != 0)
        fail_msg("%s%.*s\ninstead of\n%s", lines, (int)buf_size(&out), buf_data(&out), expected);
    buf_fini(&out);
    message_fini(&m);
}

static void test_who_asks_without_a_proxy(void **state)
{
    (void)state;
    check("127.0.0.1", "", "localhost:11434", 1,
          VIA "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: localhost:11434\r\nX-Forwarded-Proto: http\r\n"
              "Forwarded: for=127.0.0.1;host=\"localhost:11434\";proto=http\r\n");
    check("2001:db8::1", "", "[2001:db8::2]:80", 1,
          VIA "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Host: [2001:db8::2]:80\r\nX-Forwarded-Proto: http\r\n"
              "Forwarded: for=\"[2001:db8::1]\";host=\"[2001:db8::2]:80\";proto=http\r\n");
    check("::ffff:8.8.8.8", "", "", 1, VIA "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: http\r\nForwarded: for=8.8.8.8;proto=http\r\n");
}

static void test_what_a_stranger_wrote_is_not_passed_on(void **state)
{
    (void)state;
    check("8.8.8.8", "X-Forwarded-For: 127.0.0.1\nForwarded: for=127.0.0.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: x\n", "a", 1,
          VIA "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nForwarded: for=8.8.8.8;host=\"a\";proto=http\r\n");
}

static void test_a_trusted_proxy_s_lists_are_continued(void **state)
{
    (void)state;
    check("10.0.0.1", "X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 8.8.8.8, 10.0.0.2\nX-Forwarded-Proto: https\nX-Forwarded-Host: app\n", "a", 1,
          VIA "X-Forwarded-For: 1.1.1.1, 8.8.8.8, 10.0.0.2, 10.0.0.1\r\nX-Forwarded-Host: app\r\nX-Forwarded-Proto: https\r\n"
              "Forwarded: for=8.8.8.8, for=10.0.0.1;host=\"a\";proto=http\r\n");
    check("10.0.0.1", "Forwarded: for=\"[2001:db8::9]\";host=app;proto=https\n", "a", 1,
          VIA "X-Forwarded-For: 2001:db8::9, 10.0.0.1\r\nX-Forwarded-Host: app\r\nX-Forwarded-Proto: https\r\n"
              "Forwarded: for=\"[2001:db8::9]\";host=app;proto=https, for=10.0.0.1;host=\"a\";proto=http\r\n");
    check("fd00::1", "X-Forwarded-For: 2001:db8::9\n", "a", 1,
          VIA "X-Forwarded-For: 2001:db8::9, fd00::1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\n"
              "Forwarded: for=\"[2001:db8::9]\", for=\"[fd00::1]\";host=\"a\";proto=http\r\n");
    check("10.0.0.1", "X-Forwarded-For:\n", "a", 1,
          VIA "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nForwarded: for=10.0.0.1;host=\"a\";proto=http\r\n");
}

static void test_a_field_that_would_swallow_ours_is_left_out(void **state)
{
    (void)state;
    check("10.0.0.1", "Forwarded: for=127.0.0.1;x=\"\n", "a", 1,
          VIA "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\nForwarded: for=10.0.0.1;host=\"a\";proto=http\r\n");
}

static void test_nothing_but_via_where_nobody_is_to_be_told(void **state)
{
    (void)state;
    check("10.0.0.1", "X-Forwarded-For: 8.8.8.8\n", "a", 0, VIA);
    check("8.8.8.8", "", "a", 0, VIA);
}

static void test_via_has_the_version_that_came(void **state)
{
    (void)state;
    struct tell t;
    struct message m = request_of("", "");
    struct buf out;
    buf_init(&out, 0);
    tell_init(&t, 0xab, 1);
    m.minor = 0;
    assert_int_equal(tell_via(&t, &out, &m), 0);
    m.minor = 1;
    assert_int_equal(tell_via(&t, &out, &m), 0);
    struct peer peer = peer_of("127.0.0.1");
    struct sender s;
    sender_read(&s, &m, &peer, &trusted);
    m.minor = 0;
    assert_int_equal(tell_backend(&t, &out, &m, &s), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), "Via: 1.0 sidecar-00000000000000ab\r\n" VIA
                                        "Via: 1.0 sidecar-00000000000000ab\r\nX-Forwarded-For: 127.0.0.1\r\n"
                                        "X-Forwarded-Proto: http\r\nForwarded: for=127.0.0.1;proto=http\r\n");
    buf_fini(&out);
    message_fini(&m);
}

static void test_a_request_that_comes_round_again_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        int is_circle;
    } rows[] = {
        {"", 0}, {"Via: 1.1 sidecar-00000000000000ab\n", 1}, {"via: 1.0 fred, 1.1 sidecar-00000000000000ab (x), 2 fly.io\n", 1},
        {"Via: 1.1 fred\nVia: 1.1 sidecar-00000000000000ab\n", 1}, {"Via: 1.1 sidecar-00000000000000ac\n", 0},
        {"X-Via: 1.1 sidecar-00000000000000ab\n", 0}, {"Via:\n", 0}, {"Via: 1.1 sidecar-\n", 0},
    };
    struct tell t;
    tell_init(&t, 0xab, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m = request_of(rows[i].lines, "");
        if (tell_is_circle(&t, &m) != rows[i].is_circle)
            fail_msg("%s", rows[i].lines);
        message_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_asks_without_a_proxy),
        cmocka_unit_test(test_what_a_stranger_wrote_is_not_passed_on),
        cmocka_unit_test(test_a_trusted_proxy_s_lists_are_continued),
        cmocka_unit_test(test_a_field_that_would_swallow_ours_is_left_out),
        cmocka_unit_test(test_nothing_but_via_where_nobody_is_to_be_told),
        cmocka_unit_test(test_via_has_the_version_that_came),
        cmocka_unit_test(test_a_request_that_comes_round_again_is_known),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
