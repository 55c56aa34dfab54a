/* common/pull_failure: what Ollama says of a failed pull is sorted by what somebody has to do. */
#include "common/pull_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    long http_status;
    enum failure kind;
} cases[] = {
    {"write /m/blobs/sha256-00-partial: no space left on device", 200, FAILURE_DISK_FULL},
    {"max retries exceeded: write /m/x: No Space Left On Device", 200, FAILURE_DISK_FULL},
    {"open /m/blobs/x-partial: permission denied", 200, FAILURE_STORE},
    {"mkdir /m: read-only file system", 500, FAILURE_STORE},
    {"pull model manifest: file does not exist", 200, FAILURE_UNKNOWN_MODEL},
    {"pull model manifest: file does not exist", 500, FAILURE_UNKNOWN_MODEL},
    {"pull model manifest: 404: {\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}", 200, FAILURE_UNKNOWN_MODEL},
    {"", 404, FAILURE_UNKNOWN_MODEL},
    {"invalid model name", 400, FAILURE_BAD_NAME},
    {"pull model manifest: 412: \n\nThe model you are attempting to pull requires a newer version of Ollama.", 200, FAILURE_OLD_OLLAMA},
    {"pull model manifest: Get \"https://registry.ollama.ai/v2/library/x/manifests/latest\": dial tcp: lookup registry.ollama.ai on 127.0.0.53:53: no such host", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": dial tcp 10.0.0.1:443: connect: connection refused", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": dial tcp 10.0.0.1:443: connect: network is unreachable", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": dial tcp 10.0.0.1:443: i/o timeout", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": dial tcp 10.0.0.1:443: connect: permission denied", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": net/http: TLS handshake timeout", 200, FAILURE_NETWORK},
    {"pull model manifest: Get \"https://h/v2/\": context deadline exceeded", 200, FAILURE_NETWORK},
    {"max retries exceeded: unexpected EOF", 200, FAILURE_BROKEN_OFF},
    {"read tcp 10.0.0.2:40000->10.0.0.1:443: read: connection reset by peer", 200, FAILURE_BROKEN_OFF},
    {"pull model manifest: 429: slow down", 200, FAILURE_REGISTRY_BUSY},
    {"pull model manifest: 503: <html>", 200, FAILURE_REGISTRY_BUSY},
    {"unexpected status code 502", 200, FAILURE_REGISTRY_BUSY},
    {"", 429, FAILURE_REGISTRY_BUSY},
    {"unauthorized: access denied", 200, FAILURE_UNAUTHORISED},
    {"pull model manifest: 401: ", 200, FAILURE_UNAUTHORISED},
    {"pull model manifest: 403: ", 200, FAILURE_UNAUTHORISED},
    {"", 401, FAILURE_UNAUTHORISED},
    {"pull model manifest: 400: {\"error\":\"Repository is not GGUF or is not compatible with llama.cpp\"}", 200, FAILURE_REFUSED},
    {"digest mismatch, file must be downloaded again: want sha256:1, got sha256:2", 200, FAILURE_CORRUPT},
    {"something new", 200, FAILURE_OTHER},
    {"something new", 500, FAILURE_OTHER},
    {"listen on 127.0.0.1:4040 went wrong", 200, FAILURE_OTHER},
    {"", 502, FAILURE_OTHER},
    {"", 200, FAILURE_OTHER},
};

static void test_texts_are_sorted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum failure kind = failure_classify(cases[i].text, cases[i].http_status);
        if (kind != cases[i].kind)
            print_error("case %zu: %s\n", i, cases[i].text);
        assert_string_equal(failure_word(kind), failure_word(cases[i].kind));
    }
}

static void test_what_can_not_help_is_not_tried_again(void **state)
{
    (void)state;
    static const enum failure final[] = {FAILURE_DISK_FULL, FAILURE_UNKNOWN_MODEL, FAILURE_UNAUTHORISED, FAILURE_BAD_NAME};
    static const enum failure passing[] = {FAILURE_NETWORK, FAILURE_REGISTRY_BUSY, FAILURE_BROKEN_OFF, FAILURE_STALLED,
                                           FAILURE_GONE,    FAILURE_CORRUPT,       FAILURE_GARBAGE,    FAILURE_OTHER};
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        assert_true(failure_is_final(final[i]));
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        assert_false(failure_is_final(passing[i]));
}

static void test_every_kind_has_words(void **state)
{
    (void)state;
    for (int i = 0; i < FAILURE_COUNT; i++) {
        char reason[240], tight[16];
        assert_non_null(failure_word((enum failure)i));
        failure_reason(reason, sizeof reason, (enum failure)i, "");
        assert_true(strlen(reason) > 10);
        failure_reason(tight, sizeof tight, (enum failure)i, "a detail");
        assert_in_range(strlen(tight), 10, sizeof tight - 1); /* what has no room for a detail has none */
    }
}

static void test_detail_stands_in_brackets(void **state)
{
    (void)state;
    char reason[240];
    failure_reason(reason, sizeof reason, FAILURE_GONE, "reset by peer");
    assert_string_equal(reason, "the connection to Ollama was lost (reset by peer)");
}

static void test_a_long_detail_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    char detail[400] = "", wanted[64];
    for (int i = 0; i < 100; i++)
        strcat(detail, "\xe6\x85\x9b");
    for (size_t room_n = 40; room_n < sizeof wanted; room_n++) {
        char reason[sizeof wanted];
        failure_reason(reason, room_n, FAILURE_GONE, detail);
        const char *bracket = strstr(reason, " (");
        if (!bracket)
            continue;
        size_t inside_n = strlen(bracket) - 3;
        assert_int_equal(inside_n % 3, 0);
        assert_int_equal(reason[strlen(reason) - 1], ')');
        assert_true(strlen(reason) < room_n && strlen(reason) + 3 >= room_n - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_sorted),
        cmocka_unit_test(test_what_can_not_help_is_not_tried_again),
        cmocka_unit_test(test_every_kind_has_words),
        cmocka_unit_test(test_detail_stands_in_brackets),
        cmocka_unit_test(test_a_long_detail_is_cut_at_a_whole_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
