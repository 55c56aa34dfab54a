/* proxy/trust: who may do what. */
#include "proxy/trust.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sockaddr_storage peer_of(const char *text)
{
    struct sockaddr_storage peer = {0};
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        memcpy(&peer, &in4, sizeof in4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&peer, &in6, sizeof in6);
    }
    return peer;
}

static void test_peers(void **state)
{
    (void)state;
    static const struct {
        const char *peer;
        int is_loopback, is_private;
    } rows[] = {
        {"127.0.0.1", 1, 1}, {"127.9.9.9", 1, 1}, {"::1", 1, 1}, {"::ffff:127.0.0.1", 1, 1}, {"10.1.2.3", 0, 1},
        {"172.16.0.1", 0, 1}, {"172.31.255.255", 0, 1}, {"172.32.0.1", 0, 0}, {"172.15.0.1", 0, 0}, {"192.168.1.1", 0, 1},
        {"192.169.1.1", 0, 0}, {"169.254.1.1", 0, 1}, {"100.64.0.1", 0, 1}, {"100.127.255.255", 0, 1}, {"100.128.0.1", 0, 0},
        {"100.63.0.1", 0, 0}, {"8.8.8.8", 0, 0}, {"fd00::1", 0, 1}, {"fc00::1", 0, 1}, {"fe80::1", 0, 1}, {"febf::1", 0, 1},
        {"fec0::1", 0, 0}, {"2001:db8::1", 0, 0}, {"::ffff:10.0.0.1", 0, 1}, {"::ffff:8.8.8.8", 0, 0}, {"::", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage peer = peer_of(rows[i].peer);
        if (trust_is_loopback(&peer) != rows[i].is_loopback || trust_is_private(&peer) != rows[i].is_private)
            fail_msg("%s", rows[i].peer);
    }
}

static char *allowed[] = {(char *)(uintptr_t)"ollama.example.com"};
static const struct list allowed_hosts = {allowed, 1};

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int is_local;
    } rows[] = {
        {"", 1}, {"localhost", 1}, {"LOCALHOST:11434", 1}, {"127.0.0.1", 1}, {"127.0.0.1:11434", 1}, {"8.8.8.8:80", 1},
        {"[::1]:11434", 1}, {"[2001:db8::1]", 1}, {"[fe80::1%25eth0]", 1}, {"ollama", 1}, {"ollama:11434", 1}, {"box.local", 1},
        {"Box.Local.", 1}, {"app.internal", 1}, {"app.flycast:80", 1}, {"a.localhost", 1}, {"ollama.example.com", 1},
        {"OLLAMA.example.com:443", 1}, {"evil.example", 0}, {"evil.example:11434", 0}, {"local.evil.example", 0},
        {"127.0.0.1.evil.example", 0}, {"127.0.0.1.nip.io", 0}, {".local", 0}, {"[evil.example]", 0}, {"[::1", 0}, {":80", 0},
        {"2130706433", 0}, {"xollama.example.com", 0}, {"x.ollama.example.com", 0},
    };
    struct trust_rules rules = {.allowed_hosts = &allowed_hosts};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (trust_is_local_host(&rules, rows[i].host, strlen(rows[i].host)) != rows[i].is_local)
            fail_msg("%s", rows[i].host);
}

static char *cors[] = {(char *)(uintptr_t)"https://*.example.com", (char *)(uintptr_t)"https://exact.org"};
static const struct list cors_origins = {cors, 2};
static char *env[] = {(char *)(uintptr_t)"http://192.168.*"};
static const struct list ollama_origins = {env, 1};

static void test_origins(void **state)
{
    (void)state;
    static const struct {
        const char *origin;
        enum trust_origin kind;
    } rows[] = {
        {"", TRUST_ORIGIN_NONE}, {"http://localhost", TRUST_ORIGIN_BUILTIN}, {"http://localhost:3000", TRUST_ORIGIN_BUILTIN},
        {"https://127.0.0.1:8443", TRUST_ORIGIN_BUILTIN}, {"http://0.0.0.0:1", TRUST_ORIGIN_BUILTIN},
        {"app://obsidian.md", TRUST_ORIGIN_BUILTIN}, {"tauri://localhost", TRUST_ORIGIN_BUILTIN},
        {"vscode-webview://abc", TRUST_ORIGIN_BUILTIN}, {"file://", TRUST_ORIGIN_BUILTIN},
        {"http://[::1]:3000", TRUST_ORIGIN_OURS}, {"http://box.local:11434", TRUST_ORIGIN_OURS},
        {"https://box.local:11434", TRUST_ORIGIN_OURS}, {"https://a.example.com", TRUST_ORIGIN_OURS},
        {"https://a.b.example.com", TRUST_ORIGIN_OURS}, {"https://exact.org", TRUST_ORIGIN_OURS},
        {"http://192.168.1.5:8080", TRUST_ORIGIN_OURS}, {"null", TRUST_ORIGIN_FOREIGN}, {"https://evil.org", TRUST_ORIGIN_FOREIGN},
        {"http://localhost.evil.org", TRUST_ORIGIN_FOREIGN}, {"http://localhost:80x", TRUST_ORIGIN_FOREIGN},
        {"http://localhost:", TRUST_ORIGIN_FOREIGN}, {"http://127.0.0.1.evil.org", TRUST_ORIGIN_FOREIGN},
        {"http://a.example.com", TRUST_ORIGIN_FOREIGN}, {"https://example.com", TRUST_ORIGIN_FOREIGN},
        {"https://.example.com", TRUST_ORIGIN_FOREIGN}, {"https://evil.org/.example.com", TRUST_ORIGIN_FOREIGN},
        {"https://u@evil.org?.example.com", TRUST_ORIGIN_FOREIGN}, {"https://exact.org.evil.org", TRUST_ORIGIN_FOREIGN},
        {"http://box.local", TRUST_ORIGIN_FOREIGN}, {"http://box.local:114345", TRUST_ORIGIN_FOREIGN},
        {"ftp://box.local:11434", TRUST_ORIGIN_FOREIGN},
    };
    struct trust_rules rules = {.cors_origins = &cors_origins, .ollama_origins = &ollama_origins};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *o = rows[i].origin;
        if (trust_origin(&rules, o, strlen(o), "box.local:11434", 15) != rows[i].kind)
            fail_msg("%s", o);
    }
}

static void test_decisions(void **state)
{
    (void)state;
    static const struct {
        enum conf_open open;
        enum conf_manage manage;
        enum route_right right;
        const char *peer, *host;
        int is_forwarded, is_allowed;
        const char *setting; /* that the refusal must name */
    } rows[] = {
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "127.0.0.1", "localhost", 0, 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "127.0.0.1", "evil.example", 0, 0, "allowed_hosts"},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_OBSERVE, "192.168.1.2", "localhost", 0, 0, "open = private"},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "192.168.1.2", "any.example", 0, 1, ""},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "8.8.8.8", "any.example", 0, 0, "open = yes"},
        {CONF_OPEN_YES, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "8.8.8.8", "any.example", 1, 1, ""},
        {CONF_OPEN_YES, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "8.8.8.8", "localhost", 0, 0, "manage_from"},
        {CONF_OPEN_YES, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "10.0.0.1", "localhost", 0, 0, "manage_from = private"},
        {CONF_OPEN_NO, CONF_MANAGE_PRIVATE, RIGHT_MANAGE, "10.0.0.1", "ollama", 0, 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_PRIVATE, RIGHT_MANAGE, "8.8.8.8", "ollama", 0, 0, "manage_from"},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "::1", "[::1]:11434", 0, 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "127.0.0.1", "localhost", 1, 0, "trusted_proxies"},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "127.0.0.1", "evil.example", 0, 0, "allowed_hosts"},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "127.0.0.1", "", 0, 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_NONE, "8.8.8.8", "evil.example", 1, 1, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage peer = peer_of(rows[i].peer);
        struct trust_rules rules = {.open = rows[i].open, .manage_from = rows[i].manage};
        struct trust_request r = {.right = rows[i].right, .peer = &peer, .host = rows[i].host};
        struct trust_answer answer;
        r.host_n = strlen(r.host);
        r.is_forwarded = rows[i].is_forwarded;
        trust_decide(&rules, &r, &answer);
        if (answer.is_allowed != rows[i].is_allowed || !strstr(answer.why, rows[i].setting))
            fail_msg("row %zu: %d \"%s\"", i, answer.is_allowed, answer.why);
    }
}

static void test_a_foreign_origin_is_refused_before_all_else(void **state)
{
    (void)state;
    struct sockaddr_storage peer = peer_of("127.0.0.1");
    struct trust_rules rules = {.open = CONF_OPEN_YES};
    struct trust_request r = {.right = RIGHT_NONE, .peer = &peer, .host = "localhost", .host_n = 9};
    struct trust_answer answer;
    r.origin = "https://evil.example";
    r.origin_n = strlen(r.origin);
    trust_decide(&rules, &r, &answer);
    assert_false(answer.is_allowed);
    assert_int_equal(answer.origin, TRUST_ORIGIN_FOREIGN);
    assert_non_null(strstr(answer.why, "cors_origins"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peers),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_a_foreign_origin_is_refused_before_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
