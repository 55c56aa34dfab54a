/* common/network: addresses, networks, and which holds which. */
#include "common/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct ip ip_of(const char *text)
{
    struct ip ip;
    if (ip_parse(text, strlen(text), &ip) < 0)
        fail_msg("%s", text);
    return ip;
}

static void test_addresses_in_their_many_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown; /* NULL: refused */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"}, {"::ffff:192.0.2.1", "192.0.2.1"}, {"::ffff:c000:201", "192.0.2.1"}, {"::1", "::1"},
        {"0:0:0:0:0:0:0:1", "::1"}, {"2001:DB8::A", "2001:db8::a"}, {"fe80::1%eth0", "fe80::1"}, {"0.0.0.0", "0.0.0.0"}, {"1.10.100.255", "1.10.100.255"}, {"9.99.199.200", "9.99.199.200"}, {"255.255.255.255", "255.255.255.255"},
        {"::", "::"}, {"", NULL}, {"1.2.3", NULL}, {"1.2.3.4.5", NULL}, {"256.1.1.1", NULL}, {"0x7f.0.0.1", NULL},
        {"01.2.3.4", NULL}, {"2130706433", NULL}, {"[::1]", NULL}, {"1.2.3.4:5", NULL}, {" 1.2.3.4", NULL}, {"1.2.3.4 ", NULL},
        {"fe80::1%", NULL}, {"1.2.3.4%eth0", NULL}, {"%eth0", NULL}, {"localhost", NULL}, {"::1::", NULL},
        {"0000:0000:0000:0000:0000:ffff:192.168.100.200", "192.168.100.200"},
        {"00000:0000:0000:0000:0000:ffff:192.168.100.2000", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ip ip;
        char text[IP_TEXT_BYTES] = "";
        int error = ip_parse(rows[i].text, strlen(rows[i].text), &ip);
        if (!error)
            ip_text(&ip, text);
        if (error != (rows[i].shown ? 0 : -EINVAL) || (rows[i].shown && strcmp(text, rows[i].shown) != 0))
            fail_msg("%s: %d %s", rows[i].text, error, text);
    }
    struct ip ip;
    assert_int_equal(ip_parse("1.2.3.4junk", 7, &ip), 0); /* no more of it than asked for */
    assert_int_equal(ip_parse("1.2.3.4\0", 8, &ip), -EINVAL);
}

static void test_the_other_end_of_a_socket(void **state)
{
    (void)state;
    struct sockaddr_storage at = {.ss_family = AF_UNIX};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a000001)}};
    struct ip ip, other;
    ip_from_sockaddr(&at, &ip);
    assert_true(ip_is_loopback(&ip));
    at.ss_family = AF_UNSPEC;
    ip_from_sockaddr(&at, &ip);
    assert_false(ip_is_private(&ip));
    memcpy(&at, &v4, sizeof v4);
    ip_from_sockaddr(&at, &ip);
    other = ip_of("10.0.0.1");
    assert_true(ip_is_equal(&ip, &other) && ip_is_v4(&ip));
}

static void test_what_is_loopback_and_private(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        int is_loopback, is_private;
    } rows[] = {
        {"127.0.0.1", 1, 1}, {"127.255.255.255", 1, 1}, {"126.255.255.255", 0, 0}, {"128.0.0.1", 0, 0}, {"::1", 1, 1}, {"::2", 0, 0},
        {"::ffff:127.0.0.1", 1, 1}, {"10.0.0.0", 0, 1}, {"9.255.255.255", 0, 0}, {"11.0.0.0", 0, 0}, {"172.16.0.0", 0, 1},
        {"172.31.255.255", 0, 1}, {"172.32.0.0", 0, 0}, {"172.15.255.255", 0, 0}, {"192.168.0.0", 0, 1}, {"192.169.0.0", 0, 0},
        {"192.167.255.255", 0, 0}, {"169.254.0.1", 0, 1}, {"169.253.0.1", 0, 0}, {"100.64.0.0", 0, 1}, {"100.127.255.255", 0, 1},
        {"100.128.0.0", 0, 0}, {"100.63.255.255", 0, 0}, {"fc00::", 0, 1}, {"fdff:ffff::", 0, 1}, {"fe00::", 0, 0}, {"fbff::", 0, 0},
        {"fe80::1", 0, 1}, {"febf:ffff::", 0, 1}, {"fec0::", 0, 0}, {"2001:db8::1", 0, 0}, {"8.8.8.8", 0, 0}, {"::", 0, 0},
        {"0.0.0.0", 0, 0}, {"::127.0.0.1", 0, 0}, {"::ffff:0:127.0.0.1", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ip ip = ip_of(rows[i].ip);
        if (ip_is_loopback(&ip) != rows[i].is_loopback || ip_is_private(&ip) != rows[i].is_private)
            fail_msg("%s", rows[i].ip);
    }
}

static void test_networks_hold_what_begins_like_them(void **state)
{
    (void)state;
    static const struct {
        const char *network, *ip;
        int is_held;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", 1}, {"10.0.0.0/8", "11.0.0.1", 0}, {"10.0.0.0/8", "::ffff:10.9.9.9", 1},
        {"::ffff:10.0.0.0/104", "10.9.9.9", 1}, {"::ffff:10.0.0.0/104", "11.9.9.9", 0}, {"192.0.2.128/25", "192.0.2.127", 0},
        {"192.0.2.128/25", "192.0.2.128", 1}, {"192.0.2.1", "192.0.2.1", 1}, {"192.0.2.1", "192.0.2.2", 0}, {"192.0.2.1/32", "192.0.2.1", 1},
        {"0.0.0.0/0", "8.8.8.8", 1}, {"0.0.0.0/0", "::1", 0}, {"::/0", "8.8.8.8", 1}, {"::/0", "2001:db8::1", 1},
        {"2001:db8::/32", "2001:db8:ffff::1", 1}, {"2001:db8::/32", "2001:db9::", 0}, {"2001:db8::1", "2001:db8::1", 1},
        {"2001:db8::/127", "2001:db8::1", 1}, {"2001:db8::/127", "2001:db8::2", 0}, {"loopback", "127.0.0.9", 1}, {"LoopBack", "::1", 1},
        {"loopback", "10.0.0.1", 0}, {"private", "10.0.0.1", 1}, {"private", "127.0.0.1", 1}, {"private", "fd00::1", 1},
        {"private", "8.8.8.8", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct networks all = {.items = NULL};
        struct ip ip = ip_of(rows[i].ip);
        char why[PARSE_WHY_BYTES] = "";
        if (networks_add(&all, rows[i].network, why) != 0 || networks_hold(&all, &ip) != rows[i].is_held)
            fail_msg("%s, %s: %s", rows[i].network, rows[i].ip, why);
        networks_fini(&all);
    }
}

static void test_a_list_holds_what_any_of_it_does(void **state)
{
    (void)state;
    struct networks all = {.items = NULL};
    struct ip nobody = ip_of("8.8.8.8"), somebody = ip_of("2001:db8::5");
    char why[PARSE_WHY_BYTES];
    assert_false(networks_hold(&all, &somebody));
    assert_int_equal(networks_add(&all, "10.0.0.0/8", why), 0);
    assert_int_equal(networks_add(&all, "2001:db8::/32", why), 0);
    assert_int_equal(networks_add(&all, "loopback", why), 0);
    assert_int_equal(all.items_n, 4);
    assert_true(networks_hold(&all, &somebody));
    assert_false(networks_hold(&all, &nobody));
    networks_fini(&all);
    assert_int_equal(all.items_n, 0);
}

static void test_bad_networks_are_refused_with_what_to_write(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } rows[] = {
        {"nginx", "names are not looked up"}, {"", "write an IP address"}, {"10.0.0.1/8", "write 10.0.0.0/8"},
        {"::ffff:10.0.0.1/104", "write 10.0.0.0/8"}, {"2001:db8::1/32", "write 2001:db8::/32"}, {"10.0.0.0/33", "from 0 to 32"},
        {"::/129", "from 0 to 128"}, {"10.0.0.0/", "from 0 to 32"}, {"10.0.0.0/-1", "from 0 to 32"}, {"10.0.0.0/8/8", "from 0 to 32"},
        {"10.0.0.0/ 8", "from 0 to 32"}, {"[::1]", "without [ ]"}, {"[::1]:80", "without [ ]"}, {"127.0.0.1:80", "address alone"},
        {"fe80::1%eth0", "no zone"}, {"10.0.0", "write an IP address"}, {"loopback/8", "write an IP address"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct networks all = {.items = NULL};
        char why[PARSE_WHY_BYTES] = "";
        int error = networks_add(&all, rows[i].text, why);
        if (error != -EINVAL || !strstr(why, rows[i].told) || all.items_n != 0)
            fail_msg("%s: %d %s", rows[i].text, error, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_in_their_many_spellings),
        cmocka_unit_test(test_the_other_end_of_a_socket),
        cmocka_unit_test(test_what_is_loopback_and_private),
        cmocka_unit_test(test_networks_hold_what_begins_like_them),
        cmocka_unit_test(test_a_list_holds_what_any_of_it_does),
        cmocka_unit_test(test_bad_networks_are_refused_with_what_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
