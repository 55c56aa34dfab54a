/* proxy/serve/pull_ask: POST /pull, and what the job at the cache is asked for. */
#include "proxy/serve/pull_ask.h"

#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ASKS(model, quantize, revision) "{\"do\":\"pull\",\"model\":\"" model "\",\"quantize\":\"" quantize "\",\"revision\":\"" revision "\"}"

static int read_exact(struct pull_ask *a, const char *text, char *why)
{
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    int error = pull_ask_read(a, exact, n, why);
    free(exact);
    return error;
}

static void test_what_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *body, *model, *request;
        int is_stream, init;
    } rows[] = {
        {"{\"model\":\"org/name\"}", "org/name", ASKS("org/name", "auto", "main"), 0, 0},
        {" {\"model\":\"gpt2\",\"quantize\":\"q4\",\"init\":true,\"stream\":true}\n", "gpt2", ASKS("gpt2", "q4", "main"), 1, 1},
        {"{\"Model\":\"org\\/name:latest\",\"quantize\":\"FP16\",\"init\":null,\"stream\":null}", "org/name", ASKS("org/name", "fp16", "main"), 0, 0},
        {"{\"model\":\"org/name\",\"quantize\":null,\"revision\":\"refs/pr/1\",\"other\":[]}", "org/name", ASKS("org/name", "auto", "refs/pr/1"), 0, 0},
        {"{\"model\":\"x/y\",\"model\":\"org/name\",\"quantize\":\"no\"}", "org/name", ASKS("org/name", "no", "main"), 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pull_ask a;
        char why[PULL_ASK_WHY_BYTES];
        if (read_exact(&a, rows[i].body, why) < 0)
            fail_msg("%s: %s", rows[i].body, why);
        assert_string_equal(a.model, rows[i].model);
        assert_string_equal(a.request, rows[i].request);
        assert_int_equal(a.is_stream, rows[i].is_stream);
        assert_int_equal(a.init, rows[i].init);
    }
}

/* Each says the place, and what would be right. */
static void test_what_is_no_request(void **state)
{
    (void)state;
    static const struct {
        const char *body, *place, *word;
    } rows[] = {
        {"", "the body", "byte 0"}, {"[]", "the body", "byte 0"}, {"{\"model\":\"a/b\"} x", "the body", "byte 16"}, {"{\"model\":\"a/b\"", "the body", "byte 14"},
        {"{}", "model:", "missing"}, {"{\"model\":null}", "model:", "missing"}, {"{\"model\":7}", "model:", "not a number"}, {"{\"model\":[\"a/b\"]}", "model:", "an array"},
        {"{\"model\":\"\"}", "model:", "empty"}, {"{\"model\":\"--trust-remote-code\"}", "model:", "starts"}, {"{\"model\":\"../../etc/passwd\"}", "model:", "slashes"},
        {"{\"model\":\"org/..\"}", "model:", "ORG"}, {"{\"model\":\"a/b/c\"}", "model:", "slashes"}, {"{\"model\":\"org/na me\"}", "model:", "letters"},
        {"{\"model\":\"https://huggingface.co/org/name\"}", "model:", "ORG/NAME"}, {"{\"model\":\"org/name:q4\"}", "model:", "tag"},
        {"{\"model\":\"org/na\\u0000me\"}", "model:", "ORG/NAME"}, {"{\"model\":\":latest\"}", "model:", ""}, {"{\"model\":\"org/na\\xme\"}", "model:", "ORG/NAME"},
        {"{\"model\":\"a/b\",\"quantize\":\"q8\"}", "quantize:", "\"q4\""}, {"{\"model\":\"a/b\",\"quantize\":true}", "quantize:", "\"auto\""},
        {"{\"model\":\"a/b\",\"init\":\"false\"}", "init:", "true or false"}, {"{\"model\":\"a/b\",\"stream\":1}", "stream:", "true or false"},
        {"{\"model\":\"a/b\",\"revision\":\"../x\"}", "revision:", "branch"}, {"{\"model\":\"a/b\",\"revision\":\"a\\\"b\"}", "revision:", "branch"},
        {"{\"model\":\"a/b\",\"revision\":\"\"}", "revision:", "branch"}, {"{\"model\":\"a/b\",\"revision\":\"-x\"}", "revision:", "branch"},
        {"{\"model\":\"a/b\",\"revision\":{}}", "revision:", "branch"}, {"{\"model\":\"a/b\",\"revision\":\"a//b\"}", "revision:", "branch"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pull_ask a;
        char why[PULL_ASK_WHY_BYTES] = "";
        if (read_exact(&a, rows[i].body, why) != -EINVAL)
            fail_msg("taken: %s", rows[i].body);
        if (strncmp(why, rows[i].place, strlen(rows[i].place)) != 0 || !strstr(why, rows[i].word))
            fail_msg("%s: %s", rows[i].body, why);
    }
}

static void test_every_mistake_is_told(void **state)
{
    (void)state;
    struct pull_ask a;
    char why[PULL_ASK_WHY_BYTES];
    assert_int_equal(read_exact(&a, "{\"model\":7,\"quantize\":7,\"init\":7,\"stream\":7,\"revision\":7}", why), -EINVAL);
    for (int i = 0; i < 5; i++)
        assert_non_null(strstr(why, (const char *[]){"model:", "quantize:", "init:", "stream:", "revision:"}[i]));
}

static void test_names_of_any_length(void **state)
{
    (void)state;
    for (size_t n = 1; n < 700; n++) {
        char text[800], out[CONTRACT_NAME_BYTES], why[PARSE_WHY_BYTES];
        memset(text, 'a', n);
        memcpy(text + n, ":latest", 8);
        int is_good = pull_ask_name(text, out, why) == 0;
        assert_int_equal(is_good, n <= 96);
        if (is_good)
            assert_int_equal(strlen(out), n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_for),
        cmocka_unit_test(test_what_is_no_request),
        cmocka_unit_test(test_every_mistake_is_told),
        cmocka_unit_test(test_names_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
