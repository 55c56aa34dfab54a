/* common/parse: addresses, URLs, and OLLAMA_HOST in every form that Ollama reads. */
#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_addresses_are_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        int port;
    } cases[] = {
        {"127.0.0.1:11434", "127.0.0.1", 11434}, {"localhost:1", "localhost", 1}, {"[::1]:65535", "::1", 65535},
        {":8080", "", 8080},                     {"[::]:80", "::", 80},           {"a-b.c_d:80", "a-b.c_d", 80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES], text[ADDRESS_TEXT_BYTES];
        struct address a;
        assert_int_equal(parse_address(cases[i].text, &a, why), 0);
        assert_string_equal(a.host, cases[i].host);
        assert_int_equal(a.port, cases[i].port);
        address_text(&a, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_bad_addresses_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "port is missing"},
        {"127.0.0.1", "port is missing"},
        {"127.0.0.1:", "number from 1 to 65535"},
        {"127.0.0.1:0", "number from 1 to 65535"},
        {"127.0.0.1:65536", "number from 1 to 65535"},
        {"127.0.0.1:-1", "number from 1 to 65535"},
        {"127.0.0.1:+80", "number from 1 to 65535"},
        {"127.0.0.1: 80", "number from 1 to 65535"},
        {"127.0.0.1:80x", "number from 1 to 65535"},
        {"::1:80", "write HOST:PORT, or [V6]:PORT"},
        {"[::1]", "write [V6]:PORT"},
        {"[::1:80", "write [V6]:PORT"},
        {"[::1]x:80", "write [V6]:PORT"},
        {"[localhost]:80", "not an IPv6 address"},
        {"[]:80", "not an IPv6 address"},
        {"[fe80::1%eth0]:80", "not an IPv6 address"},
        {"http://127.0.0.1:80", "write HOST:PORT"},
        {"a b:80", "write HOST:PORT"},
        {"user@host:80", "write HOST:PORT"},
        {"caf\xc3\xa9:80", "write HOST:PORT"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES] = "";
        struct address a = {.port = 7};
        assert_int_equal(parse_address(cases[i].text, &a, why), -EINVAL);
        if (!strstr(why, cases[i].why))
            fail_msg("\"%s\" says: %s", cases[i].text, why);
        assert_int_equal(a.port, 7);
    }
    char why[PARSE_WHY_BYTES], text[400];
    struct address a;
    memset(text, 'a', 300);
    memcpy(text + 300, ":80", 4);
    assert_int_equal(parse_address(text, &a, why), -EINVAL);
    assert_non_null(strstr(why, "too long"));
}

/* envconfig/config_test.go, TestHost, v0.9.5; then what its code does besides. */
static void test_ollama_host_is_read_as_ollama_reads_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        int port;
    } cases[] = {
        {"", "127.0.0.1", 11434},
        {"1.2.3.4", "1.2.3.4", 11434},
        {":1234", "", 1234},
        {"1.2.3.4:1234", "1.2.3.4", 1234},
        {"example.com", "example.com", 11434},
        {"example.com:1234", "example.com", 1234},
        {":0", "", 0},
        {":66000", "", 11434},
        {":-1", "", 11434},
        {"[::1]", "::1", 11434},
        {"[::]", "::", 11434},
        {"::1", "::1", 11434},
        {"[::1]:1337", "::1", 1337},
        {" 1.2.3.4 ", "1.2.3.4", 11434},
        {"\"1.2.3.4\"", "1.2.3.4", 11434},
        {" \" 1.2.3.4 \" ", "1.2.3.4", 11434},
        {"'1.2.3.4'", "1.2.3.4", 11434},
        {"http://1.2.3.4", "1.2.3.4", 80},
        {"http://1.2.3.4:4321", "1.2.3.4", 4321},
        {"https://1.2.3.4", "1.2.3.4", 443},
        {"https://1.2.3.4:4321", "1.2.3.4", 4321},
        {"https://example.com/ollama", "example.com", 443},
        {"0.0.0.0", "0.0.0.0", 11434},
        {"0.0.0.0:11434", "0.0.0.0", 11434},
        {"http://0.0.0.0:11434", "0.0.0.0", 11434},
        {"http://", "127.0.0.1", 80},
        {"http://:8080", "", 8080},
        {"http://[::1]:8080/x/y", "::1", 8080},
        {"http://[::1]", "::1", 80},
        {"HTTP://1.2.3.4", "1.2.3.4", 11434},
        {"tcp://1.2.3.4", "1.2.3.4", 11434},
        {"1.2.3.4:", "1.2.3.4", 11434},
        {"1.2.3.4:abc", "1.2.3.4", 11434},
        {"1.2.3.4:99999999999999999999", "1.2.3.4", 11434},
        {"1.2.3.4:80/path", "1.2.3.4", 80},
        {"/", "127.0.0.1", 11434},
        {"\t\r\n", "127.0.0.1", 11434},
        {"2001:db8::1", "2001:db8::1", 11434},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a;
        parse_ollama_host(cases[i].text, &a);
        if (strcmp(a.host, cases[i].host) != 0 || a.port != cases[i].port)
            fail_msg("OLLAMA_HOST \"%s\" became \"%s\" port %d", cases[i].text, a.host, a.port);
    }
}

static void test_an_endless_ollama_host_is_cut(void **state)
{
    (void)state;
    char text[5000];
    struct address a;
    memset(text, 'h', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    parse_ollama_host(text, &a);
    assert_int_equal(strlen(a.host), sizeof a.host - 1);
    assert_int_equal(a.port, 11434);
}

static void test_http_urls(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path; /* path NULL: refused */
        int port;
    } cases[] = {
        {"http://127.0.0.1:11435/api/tags", "127.0.0.1", "/api/tags", 11435},
        {"http://127.0.0.1", "127.0.0.1", "/", 80},
        {"HTTP://localhost/", "localhost", "/", 80},
        {"http://[::1]/x", "::1", "/x", 80},
        {"http://[::1]:8/x?y=z", "::1", "/x?y=z", 8},
        {"http://h?x", "h", "/?x", 80},
        {"https://h/", NULL, NULL, 0},
        {"ftp://h/", NULL, NULL, 0},
        {"h:80/x", NULL, NULL, 0},
        {"http://", NULL, NULL, 0},
        {"http:///x", NULL, NULL, 0},
        {"http://user:pass@h/", NULL, NULL, 0},
        {"http://h:0/", NULL, NULL, 0},
        {"http://h:x/", NULL, NULL, 0},
        {"http://h/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, NULL, 0},
        {"http://h#x", NULL, NULL, 0},
        {"", NULL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[32], why[PARSE_WHY_BYTES] = "";
        struct address a;
        int error = parse_http_url(cases[i].text, &a, path, sizeof path, why);
        if (error != (cases[i].path ? 0 : -EINVAL))
            fail_msg("\"%s\" gave %d %s", cases[i].text, error, why);
        if (error)
            continue;
        assert_string_equal(a.host, cases[i].host);
        assert_string_equal(path, cases[i].path);
        assert_int_equal(a.port, cases[i].port);
    }
}

static void test_a_backend_is_an_address_or_a_url_without_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int is_good;
    } cases[] = {{"127.0.0.1:11435", 1},   {"http://gpu-1:11434", 1},  {"http://gpu-1:11434/", 1}, {"http://gpu-1", 1},
                 {"gpu-1", 0},             {"https://gpu-1", 0},       {"http://gpu-1/ollama", 0}, {"", 0},
                 {"unix:///run/x.sock", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES];
        struct address a;
        assert_int_equal(parse_backend(cases[i].text, &a, why), cases[i].is_good ? 0 : -EINVAL);
    }
}

static void test_wildcards_are_reached_by_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *host, *reached;
    } cases[] = {{"", "127.0.0.1"},   {"0.0.0.0", "127.0.0.1"}, {"::", "::1"},
                 {"10.0.0.1", "10.0.0.1"}, {"localhost", "localhost"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a = {.port = 5}, out;
        memcpy(a.host, cases[i].host, strlen(cases[i].host));
        address_reachable(&a, &out);
        assert_string_equal(out.host, cases[i].reached);
        assert_int_equal(out.port, 5);
    }
}

static struct address address(const char *text)
{
    struct address a;
    char why[PARSE_WHY_BYTES];
    assert_int_equal(parse_address(text, &a, why), 0);
    return a;
}

static void test_addresses_are_equal_when_they_mean_the_same_socket(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int is_equal;
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1:1", 1}, {"127.0.0.1:1", "127.0.0.1:2", 0}, {"gpu:1", "GPU:1", 1},
        {"127.0.0.1:1", "localhost:1", 1}, {"[::1]:1", "[0:0:0:0:0:0:0:1]:1", 1}, {":1", "[::]:1", 1},
        {"127.0.0.1:1", "127.0.0.2:1", 0}, {"127.0.0.1:1", "[::1]:1", 0},     {"gpu:1", "127.0.0.1:1", 0},
        {"0.0.0.0:1", "127.0.0.1:1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a = address(cases[i].a), b = address(cases[i].b);
        if (address_equal(&a, &b) != cases[i].is_equal || address_equal(&b, &a) != cases[i].is_equal)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void test_socket_addresses_there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *text, *back; /* NULL: ask a resolver */
    } cases[] = {{"1.2.3.4:5", "1.2.3.4:5"}, {"localhost:5", "127.0.0.1:5"}, {"[2001:db8::1]:5", "[2001:db8::1]:5"},
                 {":5", "[::]:5"},           {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"}, {"gpu:5", NULL}, {"1.2.3:5", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a = address(cases[i].text), back;
        struct sockaddr_storage s;
        socklen_t s_n;
        char text[ADDRESS_TEXT_BYTES];
        assert_int_equal(address_to_sockaddr(&a, &s, &s_n), cases[i].back ? 0 : -EINVAL);
        if (!cases[i].back)
            continue;
        address_from_sockaddr(&s, &back);
        address_text(&back, text);
        assert_string_equal(text, cases[i].back);
    }
}

static void test_what_loopback_is(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int is_loopback;
    } cases[] = {{"127.0.0.1:1", 1}, {"127.9.9.9:1", 1}, {"LOCALHOST:1", 1}, {"[::1]:1", 1}, {"[0:0::1]:1", 1},
                 {"128.0.0.1:1", 0}, {"0.0.0.0:1", 0},   {":1", 0},          {"[::]:1", 0},  {"localhost.example:1", 0},
                 {"[::ffff:127.0.0.1]:1", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct address a = address(cases[i].text);
        if (address_is_loopback(&a) != cases[i].is_loopback)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_host_and_port),
        cmocka_unit_test(test_bad_addresses_are_refused_with_a_reason),
        cmocka_unit_test(test_ollama_host_is_read_as_ollama_reads_it),
        cmocka_unit_test(test_an_endless_ollama_host_is_cut),
        cmocka_unit_test(test_http_urls),
        cmocka_unit_test(test_a_backend_is_an_address_or_a_url_without_a_path),
        cmocka_unit_test(test_wildcards_are_reached_by_loopback),
        cmocka_unit_test(test_addresses_are_equal_when_they_mean_the_same_socket),
        cmocka_unit_test(test_socket_addresses_there_and_back),
        cmocka_unit_test(test_what_loopback_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
