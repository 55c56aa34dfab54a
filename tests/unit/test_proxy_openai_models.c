/* proxy/openai_models: Ollama's list as OpenAI's, and one of it under whatever name it was asked for. */
#include "proxy/openai_models.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char tags[] = "{\"models\":[{\"name\":\"m:latest\",\"model\":\"m:latest\",\"modified_at\":\"2025-07-01T12:00:00.123456789+02:00\",\"size\":12345678901234567890},"
                           "{\"model\":\"hf.co/who/what:Q4\",\"modified_at\":\"never\"},{\"size\":1},{\"name\":\"me/mine:1b\",\"modified_at\":\"1970-01-02T00:00:00Z\"}]}\n";
#define M "{\"id\":\"m:latest\",\"object\":\"model\",\"created\":1751364000,\"owned_by\":\"library\"}"
#define WHAT(id) "{\"id\":\"" id "\",\"object\":\"model\",\"created\":0,\"owned_by\":\"who\"}"
#define MINE "{\"id\":\"me/mine:1b\",\"object\":\"model\",\"created\":86400,\"owned_by\":\"me\"}"

static void becomes(const struct translate_models *rules, const char *path, const char *list, const char *wanted)
{
    struct translation t = {.path = {path, strlen(path)}, .models = rules};
    struct buf out;
    buf_init(&out, 4096);
    int error = openai_models_write(&t, list, strlen(list), &out);
    if (!wanted) {
        assert_int_equal(error, -ENOENT);
        assert_int_equal(buf_size(&out), 0);
    } else {
        assert_int_equal(error, 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_string_equal(buf_data(&out), wanted);
    }
    buf_fini(&out);
}

static void test_lists(void **state)
{
    (void)state;
    becomes(NULL, "/v1/models", tags, "{\"object\":\"list\",\"data\":[" M "," WHAT("hf.co/who/what:Q4") "," MINE "]}\n");
    becomes(NULL, "/v1/models", "{\"models\":[]}", "{\"object\":\"list\",\"data\":[]}\n");
    becomes(NULL, "/v1/models", "{\"models\":null}", "{\"object\":\"list\",\"data\":[]}\n");
    becomes(NULL, "/v1/models", "{}", "{\"object\":\"list\",\"data\":[]}\n");
}

static void test_one_is_told_under_the_name_that_it_was_asked_by(void **state)
{
    (void)state;
    becomes(NULL, "/v1/models/M", tags, "{\"id\":\"M\",\"object\":\"model\",\"created\":1751364000,\"owned_by\":\"library\"}\n");
    becomes(NULL, "/v1/models/library/m:latest", tags, "{\"id\":\"library/m:latest\",\"object\":\"model\",\"created\":1751364000,\"owned_by\":\"library\"}\n");
    becomes(NULL, "/v1/models/hf.co%2Fwho%2fwhat%3Aq4", tags, WHAT("hf.co/who/what:q4") "\n");
    becomes(NULL, "/v1/models/hf.co/who/what:Q4", tags, WHAT("hf.co/who/what:Q4") "\n");
    becomes(NULL, "/v1/models/m:other", tags, NULL);
    becomes(NULL, "/v1/models/mine:1b", tags, NULL);
    becomes(NULL, "/v1/models/m", "{\"models\":null}", NULL);
}

static void test_what_is_no_list(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "<html>", "[]", "{\"models\""};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translation t = {.path = {"/v1/models", 10}};
        struct buf out;
        buf_init(&out, 4096);
        assert_int_equal(openai_models_write(&t, rows[i], strlen(rows[i]), &out), -EINVAL);
        assert_int_equal(buf_size(&out), 0);
        buf_fini(&out);
    }
}

static int is_no_m(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "m:latest") != 0 && strcmp(name, "secret") != 0;
}

static int others(void *context, size_t nth, struct translate_model *out)
{
    static const struct translate_model rows[] = {{"gpt/x", "openai", 7}, {"secret", NULL, 0}, {"plain", NULL, 0}};
    (void)context;
    if (nth >= sizeof rows / sizeof *rows)
        return 0;
    *out = rows[nth];
    return 1;
}

static void test_rules_hide_some_and_add_others(void **state)
{
    (void)state;
    static const struct translate_models rules = {NULL, is_no_m, others};
    becomes(&rules, "/v1/models", tags,
            "{\"object\":\"list\",\"data\":[" WHAT("hf.co/who/what:Q4") "," MINE ",{\"id\":\"gpt/x\",\"object\":\"model\",\"created\":7,\"owned_by\":\"openai\"},"
            "{\"id\":\"plain\",\"object\":\"model\",\"created\":0,\"owned_by\":\"library\"}]}\n");
    becomes(&rules, "/v1/models/gpt/x", tags, "{\"id\":\"gpt/x\",\"object\":\"model\",\"created\":7,\"owned_by\":\"openai\"}\n");
    becomes(&rules, "/v1/models/m", tags, NULL);
    becomes(&rules, "/v1/models/secret", tags, NULL);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at_s;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},           {"1970-01-01T00:00:01Z", 1},
        {"2000-02-29T12:34:56Z", 951827696},   {"2000-03-01T00:00:00.5Z", 951868800},
        {"2024-12-31T23:59:60Z", 1735689600},  {"2025-07-01T12:00:00.123456789+02:00", 1751364000},
        {"2025-07-01T05:30:00-04:30", 1751364000}, {"9999-12-31T23:59:59Z", 253402300799},
        {"1969-12-31T23:59:59Z", 0},           {"1970-01-01T00:00:00+01:00", 0},
        {"2025-13-01T00:00:00Z", 0},           {"2025-07-01", 0},
        {"2025-07-01T12:00:00", 0},            {"2025-07-01T12:00:00Zx", 0},
        {"2025-07-01T25:00:00Z", 0},           {"", 0},
        {"nonsense", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (openai_models_time(rows[i].text) != rows[i].at_s)
            fail_msg("%s: %lld", rows[i].text, (long long)openai_models_time(rows[i].text));
}

static void test_a_path_that_names_no_model_is_none(void **state)
{
    (void)state;
    char name[256], longest[400];
    assert_int_equal(openai_models_name("/v1/models/", 11, name, sizeof name), -EINVAL);
    assert_int_equal(openai_models_name("/v1/models", 10, name, sizeof name), -EINVAL);
    assert_int_equal(openai_models_name("/v1/models/%zz", 14, name, sizeof name), -EINVAL);
    memset(longest, 'a', sizeof longest);
    memcpy(longest, "/v1/models/", 11);
    assert_int_equal(openai_models_name(longest, sizeof longest, name, sizeof name), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_one_is_told_under_the_name_that_it_was_asked_by),
        cmocka_unit_test(test_what_is_no_list),
        cmocka_unit_test(test_rules_hide_some_and_add_others),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_a_path_that_names_no_model_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
