/* proxy/sender, proxy/forwarded: who asks, and whose word counts. */
#include "proxy/sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/request_of.h"

static struct networks trusted; /* 10.0.0.0/8, fd00::/8, loopback */

static int setup(void **state)
{
    (void)state;
    char why[PARSE_WHY_BYTES];
    return networks_add(&trusted, "10.0.0.0/8", why) || networks_add(&trusted, "fd00::/8", why) ||
           networks_add(&trusted, "loopback", why);
}

static int teardown(void **state)
{
    (void)state;
    networks_fini(&trusted);
    return 0;
}

static struct peer peer_of(const char *text)
{
    struct sockaddr_storage from = {0};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct peer peer;
    char mapped[64] = "::ffff:";
    strncat(mapped, text, 40);
    assert_int_equal(inet_pton(AF_INET6, strchr(text, ':') ? text : mapped, &in6.sin6_addr), 1);
    memcpy(&from, &in6, sizeof in6);
    peer_init(&peer, &from, &trusted);
    return peer;
}

static void test_nodes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ip; /* NULL: no address */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"}, {"192.0.2.1:80", "192.0.2.1"}, {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:80", "2001:db8::1"}, {"2001:db8::1", "2001:db8::1"}, {"[2001:DB8::1]:_obf", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"}, {"[fe80::1%eth0]", "fe80::1"}, {"192.0.2.1:_port", "192.0.2.1"}, {"unknown", NULL},
        {"_hidden", NULL}, {"", NULL}, {"[", NULL}, {"[]", NULL}, {"[::1", NULL}, {"[::1]x", NULL}, {"[1.2.3.4]", NULL},
        {"localhost", NULL}, {"1.2.3.4.5", NULL}, {":80", NULL}, {"127.1", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ip ip;
        char text[IP_TEXT_BYTES] = "";
        int error = forwarded_node(rows[i].text, strlen(rows[i].text), &ip);
        if (!error)
            ip_text(&ip, text);
        if (error != (rows[i].ip ? 0 : -EINVAL) || (rows[i].ip && strcmp(text, rows[i].ip) != 0))
            fail_msg("%s: %d %s", rows[i].text, error, text);
    }
}

static void test_whose_address_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *lines, *client;
        int is_forwarded;
    } rows[] = {
        /* nobody in between */
        {"8.8.8.8", "Host: a\n", "8.8.8.8", 0}, {"10.0.0.1", "X-Forwardedx: 1.1.1.1\n", "10.0.0.1", 0},
        /* not trusted: not believed, but noticed */
        {"8.8.8.8", "X-Forwarded-For: 127.0.0.1\n", "8.8.8.8", 1}, {"192.168.0.1", "Forwarded: for=127.0.0.1\n", "192.168.0.1", 1},
        {"192.168.0.1", "X-Real-IP: 127.0.0.1\n", "192.168.0.1", 1}, {"192.168.0.1", "X-Forwarded-Proto: https\n", "192.168.0.1", 1},
        {"192.168.0.1", "Via: 1.1 squid\n", "192.168.0.1", 1},
        /* trusted: the right-most that is not */
        {"10.0.0.1", "X-Forwarded-For: 8.8.8.8\n", "8.8.8.8", 0}, {"10.0.0.1", "x-forwarded-for: 127.0.0.1, 8.8.8.8\n", "8.8.8.8", 0},
        {"10.0.0.1", "X-Forwarded-For: 127.0.0.1, 8.8.8.8,10.0.0.2 , fd00::9\n", "8.8.8.8", 0},
        {"10.0.0.1", "X-Forwarded-For: 9.9.9.9, 8.8.8.8\n", "8.8.8.8", 0},
        {"10.0.0.1", "X-Forwarded-For: 127.0.0.1\nX-Forwarded-For: 8.8.8.8\nX-Forwarded-For: 10.0.0.7\n", "8.8.8.8", 0},
        {"fd00::1", "X-Forwarded-For: 2001:db8::5\n", "2001:db8::5", 0}, {"127.0.0.1", "X-Forwarded-For: [2001:db8::5]:99\n", "2001:db8::5", 0},
        {"127.0.0.1", "X-Forwarded-For: 1.1.1.1:99\n", "1.1.1.1", 0}, {"127.0.0.1", "X-Forwarded-For: ::ffff:1.1.1.1\n", "1.1.1.1", 0},
        /* all are trusted: the first */
        {"10.0.0.1", "X-Forwarded-For: 127.0.0.1\n", "127.0.0.1", 0}, {"10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\n", "10.0.0.3", 0},
        /* what is no address is a stranger's */
        {"10.0.0.1", "X-Forwarded-For: unknown\n", "unknown", 0}, {"10.0.0.1", "X-Forwarded-For: 127.0.0.1, unknown, 10.0.0.2\n", "unknown", 0},
        {"10.0.0.1", "X-Forwarded-For: unknown, 8.8.8.8\n", "8.8.8.8", 0}, {"10.0.0.1", "X-Forwarded-For:\n", "unknown", 0},
        {"10.0.0.1", "X-Forwarded-For: ,, 8.8.8.8,\n", "8.8.8.8", 0}, {"10.0.0.1", "X-Forwarded-For: 127.0.0.1 8.8.8.8\n", "unknown", 0},
        {"10.0.0.1", "X-Forwarded-Proto: https\n", "unknown", 0}, {"10.0.0.1", "Via: 1.1 nginx\n", "unknown", 0},
        {"10.0.0.1", "X-Real-IP: 127.0.0.1\n", "unknown", 0},
        /* RFC 7239 */
        {"10.0.0.1", "Forwarded: for=8.8.8.8\n", "8.8.8.8", 0}, {"10.0.0.1", "Forwarded: For=\"[2001:db8:cafe::17]:4711\"\n", "2001:db8:cafe::17", 0},
        {"10.0.0.1", "Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43\n", "192.0.2.60", 0},
        {"10.0.0.1", "Forwarded: for=192.0.2.43, for=198.51.100.17\n", "198.51.100.17", 0},
        {"10.0.0.1", "Forwarded: for=127.0.0.1\nForwarded: for=8.8.8.8;proto=https, for=10.0.0.2\n", "8.8.8.8", 0},
        {"10.0.0.1", "Forwarded: for=8.8.8.8:80\n", "8.8.8.8", 0}, {"10.0.0.1", "Forwarded: for=[2001:db8::1]:80\n", "2001:db8::1", 0},
        {"10.0.0.1", "Forwarded: for = 8.8.8.8\n", "unknown", 0}, {"10.0.0.1", "Forwarded: by=10.0.0.1;for=8.8.8.8 ; host=a\n", "8.8.8.8", 0},
        {"10.0.0.1", "Forwarded: for=unknown\n", "unknown", 0}, {"10.0.0.1", "Forwarded: for=_gazonk, for=10.0.0.2\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: proto=https\n", "unknown", 0}, {"10.0.0.1", "Forwarded:\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: , for=8.8.8.8 ,, \n", "8.8.8.8", 0}, {"10.0.0.1", "Forwarded: for=10.0.0.5;;proto=http;\n", "10.0.0.5", 0},
        /* an open quote before what a proxy appends */
        {"10.0.0.1", "Forwarded: for=127.0.0.1;x=\", for=8.8.8.8\n", "unknown", 0}, {"10.0.0.1", "Forwarded: for=\"127.0.0.1, for=8.8.8.8\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=127.0.0.1;x=\", for=8.8.8.8;host=\"h\"\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=8.8.8.8;x=\"\\\"\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=\"127.0.0.1\\\", for=8.8.8.8\"\n", "unknown", 0}, {"10.0.0.1", "Forwarded: for=127.0.0.1;for=8.8.8.8\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=127.0.0.1 for=8.8.8.8\n", "unknown", 0}, {"10.0.0.1", "Forwarded: for\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=\n", "unknown", 0}, {"10.0.0.1", "Forwarded: =1.1.1.1\n", "unknown", 0}, {"10.0.0.1", "Forwarded: for=\"8.8.8.8\"x\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: 8.8.8.8\n", "unknown", 0}, {"10.0.0.1", "Forwarded: for=8.8.8.8;host=a;host=b\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=8.8.8.8;proto=http;proto=https\n", "unknown", 0},
        /* both: the same, or nobody knows which was appended and which passed on */
        {"10.0.0.1", "Forwarded: for=8.8.8.8\nX-Forwarded-For: 8.8.8.8\n", "8.8.8.8", 0},
        {"10.0.0.1", "Forwarded: for=127.0.0.1\nX-Forwarded-For: 8.8.8.8\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=\"\nX-Forwarded-For: 8.8.8.8\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=unknown\nX-Forwarded-For: 8.8.8.8\n", "unknown", 0},
        /* … and the hosts as well: a page under a rebound name may write either field */
        {"10.0.0.1", "Forwarded: for=10.0.0.2;host=rebound.example\nX-Forwarded-Host: localhost\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=10.0.0.2;host=localhost\nX-Forwarded-For: 10.0.0.2\nX-Forwarded-Host: rebound.example\n", "unknown", 0},
        {"10.0.0.1", "Forwarded: for=10.0.0.2;host=\"A.example:1\"\nX-Forwarded-Host: a.example:1\n", "10.0.0.2", 0},
        {"10.0.0.1", "Forwarded: for=10.0.0.2\nX-Forwarded-Host: a.example\n", "10.0.0.2", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m = request_of(rows[i].lines, "");
        struct peer peer = peer_of(rows[i].peer);
        struct sender s;
        sender_read(&s, &m, &peer, &trusted);
        if (strcmp(s.client, rows[i].client) != 0 || s.is_forwarded != rows[i].is_forwarded ||
            s.is_known != (strcmp(rows[i].client, "unknown") != 0))
            fail_msg("%s: %s%s, %d", rows[i].peer, rows[i].lines, s.client, s.is_forwarded);
        if (s.is_loopback != (strcmp(s.client, "127.0.0.1") == 0) || (s.is_loopback && !s.is_private))
            fail_msg("%s: %s%s", rows[i].peer, rows[i].lines, s.client);
        message_fini(&m);
    }
}

static void test_what_it_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *lines, *host;
        enum forwarded_proto proto;
    } rows[] = {
        {"10.0.0.1", "X-Forwarded-For: 8.8.8.8\nX-Forwarded-Host: a.example\nX-Forwarded-Proto: HTTPS\n", "a.example", FORWARDED_HTTPS},
        {"10.0.0.1", "X-Forwarded-Host: forged, a.example\nX-Forwarded-Proto: https, http\n", "a.example", FORWARDED_HTTP},
        {"10.0.0.1", "X-Forwarded-Host: forged\nX-Forwarded-Host: a.example:80\n", "a.example:80", FORWARDED_NO_PROTO},
        {"10.0.0.1", "X-Forwarded-Proto: gopher\n", "", FORWARDED_NO_PROTO},
        {"8.8.8.8", "X-Forwarded-Host: a.example\nX-Forwarded-Proto: https\nForwarded: host=a;proto=https\n", "", FORWARDED_NO_PROTO},
        {"10.0.0.1", "Forwarded: for=8.8.8.8;host=\"a.example:1\";proto=https\n", "a.example:1", FORWARDED_HTTPS},
        {"10.0.0.1", "Forwarded: for=1.1.1.1;host=forged, for=8.8.8.8;host=a.example, for=10.0.0.2;host=inner;proto=http\n", "a.example",
         FORWARDED_NO_PROTO},
        {"10.0.0.1", "Forwarded: for=8.8.8.8;host=b;proto=http\nX-Forwarded-Host: a\nX-Forwarded-For: 8.8.8.8\nX-Forwarded-Proto: https\n", "a",
         FORWARDED_HTTPS},
        {"10.0.0.1", "Forwarded: for=8.8.8.8;host=\"a\\\"b\"\n", "", FORWARDED_NO_PROTO},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m = request_of(rows[i].lines, "");
        struct peer peer = peer_of(rows[i].peer);
        struct sender s;
        sender_read(&s, &m, &peer, &trusted);
        if (s.host.n != strlen(rows[i].host) || memcmp(message_at(&m, s.host), rows[i].host, s.host.n) != 0 || s.proto != rows[i].proto)
            fail_msg("%s: %s%.*s %d", rows[i].peer, rows[i].lines, (int)s.host.n, message_at(&m, s.host), s.proto);
        message_fini(&m);
    }
}

static void test_which_fields_tell_who_asks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int is_one;
    } rows[] = {
        {"Forwarded", 1}, {"forwarded", 1}, {"X-Forwarded-For", 1}, {"x-forwarded-port", 1}, {"X-FORWARDED-ANYTHING", 1}, {"X-Real-IP", 1},
        {"X-Forwarded", 0}, {"X-Forwarded-", 0}, {"Via", 0}, {"X-Real-IPs", 0}, {"Forwardedx", 0}, {"X-Request-Id", 0}, {"From", 0}, {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct message m = request_of("", rows[i].name);
        if (sender_is_field(&m, m.authority) != rows[i].is_one)
            fail_msg("%s", rows[i].name);
        message_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_whose_address_it_is),
        cmocka_unit_test(test_what_it_was_asked_for),
        cmocka_unit_test(test_which_fields_tell_who_asks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
