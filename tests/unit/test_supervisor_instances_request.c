/* supervisor/instances/start_request: what a proxy asks for is looked at, and where a snapshot is. */
#include "supervisor/instances/start_request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define REVISION "0123456789abcdef0123456789abcdef01234567"

static void test_what_is_asked_for_is_read(void **state)
{
    (void)state;
    struct start_request r;
    char why[START_REQUEST_WHY_BYTES];
    assert_int_equal(start_request_parse("vllm " REVISION " 32768 full", &r, why), 0);
    assert_string_equal(r.engine, "vllm");
    assert_string_equal(r.revision, REVISION);
    assert_int_equal(r.length_n, 32768);
    assert_false(r.is_quantized);
    assert_string_equal(r.file, "");
    assert_int_equal(start_request_parse("vllm " REVISION " 1 q4 sub folder/model-q4_k_m.gguf", &r, why), 0);
    assert_int_equal(r.length_n, 1);
    assert_true(r.is_quantized);
    assert_string_equal(r.file, "sub folder/model-q4_k_m.gguf");
}

static void test_what_is_none_is_refused_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *detail, *word;
    } cases[] = {
        {"", "engine"},
        {" " REVISION " 4096 full", "engine"},
        {REVISION REVISION " 4096 full", "engine"},
        {"vllm", "revision"},
        {"vllm  " REVISION " 4096 full", "revision"},
        {"vllm main 4096 full", "revision"},
        {"vllm 0123456789abcdef0123456789abcdef0123456 4096 full", "revision"},
        {"vllm " REVISION "8 4096 full", "revision"},
        {"vllm 0123456789ABCDEF0123456789abcdef01234567 4096 full", "revision"},
        {"vllm ../456789abcdef0123456789abcdef012345678 4096 full", "revision"},
        {"vllm " REVISION, "length"},
        {"vllm " REVISION "  4096 full", "length"},
        {"vllm " REVISION " 0 full", "length"},
        {"vllm " REVISION " -1 full", "length"},
        {"vllm " REVISION " 4k full", "length"},
        {"vllm " REVISION " 1000000001 full", "length"},
        {"vllm " REVISION " 99999999999999999999999999999 full", "length"},
        {"vllm " REVISION " 4096", "precision"},
        {"vllm " REVISION " 4096 Q4", "precision"},
        {"vllm " REVISION " 4096 fullest", "precision"},
        {"vllm " REVISION " 4096 q4 /etc/passwd", "file"},
        {"vllm " REVISION " 4096 q4 ../x.gguf", "file"},
        {"vllm " REVISION " 4096 q4 a/../../x.gguf", "file"},
        {"vllm " REVISION " 4096 q4 a/..", "file"},
        {"vllm " REVISION " 4096 q4 .", "file"},
        {"vllm " REVISION " 4096 q4 a//x.gguf", "file"},
        {"vllm " REVISION " 4096 q4 a/", "file"},
        {"vllm " REVISION " 4096 q4 a\nb", "file"},
    };
    struct start_request r;
    char why[START_REQUEST_WHY_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(start_request_parse(cases[i].detail, &r, why), -EINVAL);
        if (!strstr(why, cases[i].word))
            fail_msg("%s: %s", cases[i].detail, why);
    }
    assert_int_equal(start_request_parse("vllm " REVISION " 4096 q4 ..x/...gguf", &r, why), 0); /* only looks like one */
}

static void test_a_snapshot_is_where_the_hubs_client_puts_it(void **state)
{
    (void)state;
    struct start_request r = {.revision = REVISION};
    char path[START_REQUEST_PATH_BYTES], cache[START_REQUEST_PATH_BYTES];
    assert_int_equal(start_request_path(&r, "/cache/hub", "org/name", path), 0);
    assert_string_equal(path, "/cache/hub/models--org--name/snapshots/" REVISION);
    assert_int_equal(start_request_path(&r, "/cache/hub", "gpt2", path), 0);
    assert_string_equal(path, "/cache/hub/models--gpt2/snapshots/" REVISION);
    memset(cache, 'c', sizeof cache - 1);
    cache[sizeof cache - 1] = '\0';
    assert_int_equal(start_request_path(&r, cache, "gpt2", path), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_for_is_read),
        cmocka_unit_test(test_what_is_none_is_refused_in_words),
        cmocka_unit_test(test_a_snapshot_is_where_the_hubs_client_puts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
