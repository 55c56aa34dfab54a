/* proxy/trust: who may do what. */
#include "proxy/trust.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct networks nobody;

static struct peer peer_of(const char *text)
{
    struct sockaddr_storage from = {0};
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct peer peer;
    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        memcpy(&from, &in4, sizeof in4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(&from, &in6, sizeof in6);
    }
    peer_init(&peer, &from, &nobody);
    return peer;
}

/* Who asks without a proxy in between. */
static struct sender sender_of(const struct peer *peer)
{
    return (struct sender){.peer = peer, .client = peer->text, .is_known = 1, .is_loopback = peer->is_loopback,
                           .is_private = peer->is_private};
}

static void test_peers(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *text;
        int is_loopback, is_private;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", 1, 1}, {"127.9.9.9", "127.9.9.9", 1, 1}, {"::1", "::1", 1, 1},
        {"::ffff:127.0.0.1", "127.0.0.1", 1, 1}, {"10.1.2.3", "10.1.2.3", 0, 1}, {"fd00::1", "fd00::1", 0, 1},
        {"::ffff:10.0.0.1", "10.0.0.1", 0, 1}, {"::ffff:8.8.8.8", "8.8.8.8", 0, 0}, {"8.8.8.8", "8.8.8.8", 0, 0},
        {"2001:db8::1", "2001:db8::1", 0, 0}, {"::", "::", 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer peer = peer_of(rows[i].peer);
        if (peer.is_loopback != rows[i].is_loopback || peer.is_private != rows[i].is_private || peer.is_trusted ||
            strcmp(peer.text, rows[i].text) != 0)
            fail_msg("%s", rows[i].peer);
    }
}

static char *allowed[] = {(char *)(uintptr_t)"ollama.example.com", (char *)(uintptr_t)"*.Box.example.org"};
static const struct list allowed_hosts = {allowed, 2};

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
        /* one way to write an address, and not those that only some resolver reads */
        {"0x7f.1", 0}, {"0x7f000001", 0}, {"0X7F000001", 0}, {"0x", 0}, {"017700000001", 0}, {"127.1", 0}, {"127.0.0.1.", 1},
        {"0", 0}, {"[127.0.0.1]", 0}, {"::1", 0}, {"[::1%eth0]", 1}, {"[::1]x", 0}, {"[::1]:80", 1}, {"[::1]:8x", 0}, {"[]", 0},
        {"[::ffff:127.0.0.1]:80", 1}, {"0.0.0.0:11434", 1},
        /* dots, letters, ports */
        {"localhost.", 1}, {"localhost..", 0}, {".localhost", 0}, {"..localhost", 0}, {"a..localhost", 0}, {"LocalHost.:80", 1},
        {"localhost.evil.example", 0}, {"evil.example.", 0}, {"localhost:", 1}, {"localhost:80:80", 0}, {"localhost:8o", 0},
        {"local", 1}, {"evil.notlocal", 0}, {"evillocal.example", 0}, {"a.lan", 1}, {"a.home.arpa", 1}, {"home.arpa", 0}, {"ollama.default.svc:11434", 1}, {"ollama.test", 1}, {"host.docker.internal:11434", 1},
        {"svc.example", 0}, {"ollama.default", 0}, {"nas.fritz.box", 0}, {"a.ts.net", 0},
        {"lan.example", 0}, {"xn--bcher-kva", 1}, {"a_b:11434", 1}, {"open-webui", 1}, {"ollama.default.svc.cluster.local", 1},
        /* who asks with a user, or what is no name */
        {"user@localhost", 0}, {"localhost@evil.example", 0}, {"evil.example@a.local", 0}, {"a b", 0}, {"localhost/", 0},
        {"evil.example\\.local", 0}, {"%6cocalhost", 0}, {"b\xc3\xbc" "cher", 0},
        /* *. is at least one label */
        {"a.box.example.org", 1}, {"A.b.BOX.example.org:1", 1}, {"box.example.org", 0}, {".box.example.org", 0},
        {"abox.example.org", 0}, {"*.box.example.org", 0},
    };
    struct trust_rules rules = {.allowed_hosts = &allowed_hosts};
    char endless[400];
    memset(endless, 'a', sizeof endless);
    assert_int_equal(trust_is_local_host(&rules, endless, sizeof endless), 0);
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
        struct trust_request r = {.host = {"box.local:11434", 15}, .origin = o, .origin_n = strlen(o)};
        if (trust_origin(&rules, &r) != rows[i].kind)
            fail_msg("%s", o);
    }
}

static void test_origins_where_ollama_s_own_list_is_not_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *origin;
        enum trust_origin kind;
    } rows[] = {
        {"http://localhost:3000", TRUST_ORIGIN_BUILTIN}, {"https://127.0.0.1", TRUST_ORIGIN_BUILTIN},
        {"http://0.0.0.0:1", TRUST_ORIGIN_FOREIGN}, {"app://obsidian.md", TRUST_ORIGIN_FOREIGN}, {"file://", TRUST_ORIGIN_FOREIGN},
        {"tauri://localhost", TRUST_ORIGIN_FOREIGN}, {"vscode-webview://abc", TRUST_ORIGIN_FOREIGN},
        {"http://[::1]:3000", TRUST_ORIGIN_FOREIGN}, {"https://exact.org", TRUST_ORIGIN_OURS}, {"http://box.local", TRUST_ORIGIN_OURS},
    };
    struct trust_rules rules = {.cors_origins = &cors_origins, .is_builtin_narrow = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trust_request r = {.host = {"box.local", 9}, .origin = rows[i].origin, .origin_n = strlen(rows[i].origin)};
        if (trust_origin(&rules, &r) != rows[i].kind)
            fail_msg("%s", rows[i].origin);
    }
}

static void test_the_origin_of_the_host_that_a_trusted_proxy_was_asked_for(void **state)
{
    (void)state;
    struct trust_rules rules = {.open = CONF_OPEN_NO};
    struct trust_request r = {.host = {"127.0.0.1:11434", 15}, .asked = {"app.example.com", 15}};
    r.origin = "https://app.example.com";
    r.origin_n = strlen(r.origin);
    assert_int_equal(trust_origin(&rules, &r), TRUST_ORIGIN_OURS);
    r.asked = (struct trust_name){"other.example.com", 17};
    assert_int_equal(trust_origin(&rules, &r), TRUST_ORIGIN_FOREIGN);
}

static void test_a_page_of_another_site_without_its_origin(void **state)
{
    (void)state;
    struct trust_rules rules = {.open = CONF_OPEN_YES};
    struct peer peer = peer_of("127.0.0.1");
    struct sender sender = sender_of(&peer);
    struct trust_request r = {.right = RIGHT_OBSERVE, .sender = &sender, .host = {"localhost", 9}, .is_cross_site = 1};
    struct trust_answer answer;
    trust_decide(&rules, &r, &answer);
    assert_false(answer.is_allowed);
    assert_int_equal(answer.origin, TRUST_ORIGIN_FOREIGN);
    assert_non_null(strstr(answer.why, "cors_origins"));
    r.origin = "http://localhost:3000"; /* it says where it is from: that decides */
    r.origin_n = strlen(r.origin);
    trust_decide(&rules, &r, &answer);
    assert_true(answer.is_allowed);
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
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "192.168.1.2", "any.example", 0, 0, "allowed_hosts"},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_OBSERVE, "127.0.0.1", "any.example", 0, 0, "allowed_hosts"},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "192.168.1.2", "ollama:11434", 0, 1, ""},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "fdaa::3", "app.flycast", 0, 1, ""},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "fdaa::3", "app.internal:11434", 0, 1, ""},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "192.168.1.2", "192.168.1.5:11434", 1, 1, ""},
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
        struct peer peer = peer_of(rows[i].peer);
        struct sender sender = sender_of(&peer);
        struct trust_rules rules = {.open = rows[i].open, .manage_from = rows[i].manage};
        struct trust_request r = {.right = rows[i].right, .sender = &sender, .host = {rows[i].host, strlen(rows[i].host)}};
        struct trust_answer answer;
        sender.is_forwarded = rows[i].is_forwarded;
        trust_decide(&rules, &r, &answer);
        if (answer.is_allowed != rows[i].is_allowed || !strstr(answer.why, rows[i].setting))
            fail_msg("row %zu: %d \"%s\"", i, answer.is_allowed, answer.why);
    }
}

static void test_a_client_that_a_trusted_proxy_names(void **state)
{
    (void)state;
    static const struct {
        enum conf_open open;
        enum conf_manage manage;
        enum route_right right;
        const char *client, *asked; /* client NULL: it does not say */
        int is_allowed;
        const char *told;
    } rows[] = {
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "127.0.0.1", "", 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "127.0.0.1", "localhost", 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "127.0.0.1", "evil.example", 0, "allowed_hosts"},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, "8.8.8.8", "", 0, "manage_from"},
        {CONF_OPEN_NO, CONF_MANAGE_PRIVATE, RIGHT_MANAGE, "10.0.0.9", "", 1, ""},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_MANAGE, NULL, "", 0, "trusted_proxies"},
        {CONF_OPEN_NO, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "8.8.8.8", "", 0, "open = private"},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "8.8.8.8", "", 0, "8.8.8.8"},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "10.0.0.9", "", 1, ""},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, "10.0.0.9", "evil.example", 0, "allowed_hosts"},
        {CONF_OPEN_PRIVATE, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, NULL, "", 0, "X-Forwarded-For"},
        {CONF_OPEN_YES, CONF_MANAGE_LOOPBACK, RIGHT_INFERENCE, NULL, "evil.example", 1, ""},
    };
    struct peer proxy = peer_of("127.0.0.1");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer client = peer_of(rows[i].client ? rows[i].client : "::");
        struct sender sender = sender_of(&client);
        struct trust_rules rules = {.open = rows[i].open, .manage_from = rows[i].manage};
        struct trust_request r = {.right = rows[i].right, .sender = &sender, .host = {"127.0.0.1", 9}};
        struct trust_answer answer;
        sender.peer = &proxy;
        sender.is_known = rows[i].client != NULL;
        r.asked = (struct trust_name){rows[i].asked, strlen(rows[i].asked)};
        trust_decide(&rules, &r, &answer);
        if (answer.is_allowed != rows[i].is_allowed || !strstr(answer.why, rows[i].told))
            fail_msg("row %zu: %d \"%s\"", i, answer.is_allowed, answer.why);
    }
}

static void test_a_foreign_origin_is_refused_before_all_else(void **state)
{
    (void)state;
    struct peer peer = peer_of("127.0.0.1");
    struct sender sender = sender_of(&peer);
    struct trust_rules rules = {.open = CONF_OPEN_YES};
    struct trust_request r = {.right = RIGHT_NONE, .sender = &sender, .host = {"localhost", 9}};
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
        cmocka_unit_test(test_origins_where_ollama_s_own_list_is_not_wanted),
        cmocka_unit_test(test_the_origin_of_the_host_that_a_trusted_proxy_was_asked_for),
        cmocka_unit_test(test_a_page_of_another_site_without_its_origin),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_a_client_that_a_trusted_proxy_names),
        cmocka_unit_test(test_a_foreign_origin_is_refused_before_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
