/* proxy/ollama_tags: models of other backends, as Ollama lists and shows its own. */
#include "proxy/ollama_tags.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct upstream_model models[] = {{.name = "org/a \"b\"", .owner = "box", .created_s = 1700000000, .context_n = 32768}, {.name = "a", .owner = "box"}};
static char text[4096];

static int next(void *context, struct upstream_model *out)
{
    size_t *left_n = context;
    if (*left_n == 0)
        return 0;
    *out = models[--*left_n];
    return 1;
}

static int keep(struct buf *out, int error)
{
    assert_true(buf_size(out) < sizeof text);
    memcpy(text, buf_data(out), buf_size(out));
    text[buf_size(out)] = '\0';
    buf_fini(out);
    return error;
}

static int merge(const char *tags, size_t models_n)
{
    struct buf out;
    buf_init(&out, 0);
    return keep(&out, ollama_tags_write(tags, strlen(tags), next, &models_n, &out));
}

#define DETAILS "\"details\":{\"parent_model\":\"\",\"format\":\"\",\"family\":\"box\",\"families\":null,\"parameter_size\":\"\",\"quantization_level\":\"\"}"

static void test_a_list_stays_and_grows(void **state)
{
    (void)state;
    static const char list[] = "{\"x\":[1], \"models\":[ {\"name\":\"]\",\"size\":12345678901234567890} ],\"y\":\"\\u0000\"}\n";
    char kept[65];
    assert_int_equal(merge(list, 0), 0);
    assert_string_equal(text, list);
    assert_int_equal(merge(list, 2), 0);
    assert_int_equal(strncmp(text, list, (size_t)(strstr(list, "],\"y\"") - list)), 0);
    assert_string_equal(text + strlen(text) - 16, "],\"y\":\"\\u0000\"}\n");
    assert_non_null(strstr(text, ",{\"name\":\"a\",\"model\":\"a\",\"modified_at\":\"0001-01-01T00:00:00Z\",\"size\":0,\"digest\":\""));
    const char *entry = strstr(text, ",{\"name\":\"org/a \\\"b\\\"\",\"model\":\"org/a \\\"b\\\"\",\"modified_at\":\"2023-11-14T22:13:20Z\",\"size\":0,\"digest\":\"");
    assert_non_null(entry);
    const char *digest = strstr(entry, "\"digest\":\"") + 10;
    memcpy(kept, digest, 64);
    kept[64] = '\0';
    assert_int_equal(strspn(kept, "0123456789abcdef"), 64);
    assert_int_equal(strncmp(digest + 64, "\"," DETAILS "}", strlen("\"," DETAILS "}")), 0);
    assert_int_equal(merge("{\"models\":[]}", 1), 0); /* another's is another */
    assert_int_equal(strncmp(text, "{\"models\":[{\"name\":\"org/a", 25), 0);
    assert_non_null(strstr(text, kept));
    assert_int_equal(merge("{\"models\":null}", 1), -EINVAL);
    assert_int_equal(merge("{\"models\":[{}", 1), -EINVAL);
    assert_int_equal(merge("", 1), -EINVAL);
    assert_string_equal(text, "");
}

static void test_what_is_shown(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(keep(&out, ollama_tags_show(&models[0], &out)), 0);
    assert_string_equal(text, "{\"license\":\"\",\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\"," DETAILS
                              ",\"model_info\":{\"general.architecture\":\"openai\",\"general.parameter_count\":0,\"openai.embedding_length\":0,\"openai.context_length\":32768},\"capabilities\":[\"completion\",\"tools\"],\"modified_at\":\"2023-11-14T22:13:20Z\"}");
    buf_init(&out, 0);
    assert_int_equal(keep(&out, ollama_tags_show(&models[1], &out)), 0);
    assert_null(strstr(text, "model_info"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_list_stays_and_grows), cmocka_unit_test(test_what_is_shown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
