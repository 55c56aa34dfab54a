/* proxy/serve/shelf: what a list of the cache's models says; what is known stays until the next list is whole. */
#include "proxy/serve/shelf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REVISION "0123456789abcdef0123456789abcdef01234567"

static struct shelf *shelf;

static int take(const char *json)
{
    char *copy = malloc(strlen(json)); /* without a byte behind it */
    memcpy(copy, json, strlen(json));
    int error = shelf_line(shelf, copy, strlen(json));
    free(copy);
    return error;
}

static int take_named(const char *name)
{
    char line[1024];
    snprintf(line, sizeof line, "{\"model\":\"%s\",\"revision\":\"" REVISION "\",\"local_path\":\"/c/%s\",\"size_bytes\":12,\"format\":\"safetensors\"}", name, name);
    return take(line);
}

static int begin(void **state)
{
    (void)state;
    shelf = shelf_new();
    shelf_begin(shelf);
    return shelf ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    shelf_free(&shelf);
    return 0;
}

static void test_a_line_says_all_of_a_model(void **state)
{
    (void)state;
    assert_int_equal(take("{\"model\":\"org/n\\u0061me\",\"revision\":\"" REVISION "\",\"local_path\":\"/c/x\",\"size_bytes\":1234,\"format\":\"gguf\","
                          "\"file\":\"a.Q4_K_M.gguf\",\"files\":[\"a.Q4_K_M.gguf\",\"a.Q8_0.gguf\"],\"context_length\":2048,\"has_chat_template\":true,"
                          "\"architecture\":\"llama\",\"description\":\"A \\\"small\\\" one\",\"preferred_quantized\":true,\"load_duration_ns\":17,"
                          "\"backend\":\"llama\",\"pulled_at\":\"2026-11-23T08:00:00Z\"}"), 0);
    assert_int_equal(take("{\"done\":true,\"cache\":\"/c\",\"free_bytes\":99,\"models_n\":1}"), 0);
    assert_int_equal(shelf_end(shelf), 0);
    const struct shelf_model *m = shelf_find(shelf, "org/name");
    assert_non_null(m);
    assert_string_equal(m->name, "org/name");
    assert_string_equal(m->revision, REVISION);
    assert_string_equal(m->local_path, "/c/x");
    assert_string_equal(m->file, "a.Q4_K_M.gguf");
    assert_string_equal(m->architecture, "llama");
    assert_string_equal(m->description, "A \"small\" one");
    assert_string_equal(m->backend, "llama");
    assert_string_equal(m->pulled_at, "2026-11-23T08:00:00Z");
    assert_int_equal(m->format, SHELF_GGUF);
    assert_int_equal(m->files_n, 2);
    assert_true(m->has_chat_template && m->is_preferred_quantized);
    assert_int_equal(m->size_bytes, 1234);
    assert_int_equal(m->context_n, 2048);
    assert_int_equal(m->load_ns, 17);
    int64_t free_bytes;
    assert_string_equal(shelf_cache(shelf, &free_bytes), "/c");
    assert_int_equal(free_bytes, 99);
}

static void test_what_is_null_is_empty(void **state)
{
    (void)state;
    assert_int_equal(take("{\"model\":\"gpt2\",\"revision\":\"" REVISION "\",\"local_path\":\"/c/x\",\"size_bytes\":null,\"format\":\"other\",\"file\":null,"
                          "\"context_length\":null,\"has_chat_template\":false,\"architecture\":null,\"description\":null,\"preferred_quantized\":false,"
                          "\"load_duration_ns\":null,\"backend\":null}"), 0);
    assert_int_equal(take("{\"done\":true,\"cache\":\"/c\",\"free_bytes\":null}"), 0);
    assert_int_equal(shelf_end(shelf), 0);
    const struct shelf_model *m = shelf_at(shelf, 0);
    assert_int_equal(m->format, SHELF_OTHER);
    assert_int_equal(m->size_bytes, -1);
    assert_int_equal(m->context_n, -1);
    assert_int_equal(m->load_ns, -1);
    assert_string_equal(m->file, "");
    assert_string_equal(m->description, "");
    assert_string_equal(m->pulled_at, "");
    int64_t free_bytes;
    (void)shelf_cache(shelf, &free_bytes);
    assert_int_equal(free_bytes, -1);
}

static void test_names_are_found_as_clients_write_them(void **state)
{
    (void)state;
    assert_int_equal(take_named("org/Name"), 0);
    assert_int_equal(take_named("org/name"), 0);
    assert_int_equal(take_named("Big/Model"), 0);
    assert_int_equal(take("{\"done\":true,\"cache\":\"/c\"}"), 0);
    assert_int_equal(shelf_end(shelf), 0);
    assert_string_equal(shelf_find(shelf, "org/name")->name, "org/name");
    assert_string_equal(shelf_find(shelf, "org/Name:latest")->name, "org/Name");
    assert_string_equal(shelf_find(shelf, "big/model:latest")->name, "Big/Model");
    assert_null(shelf_find(shelf, "org/name:7b"));
    assert_null(shelf_find(shelf, "org/nam"));
    assert_null(shelf_find(shelf, ":latest"));
    assert_null(shelf_find(shelf, ""));
    assert_string_equal(shelf_at(shelf, 0)->name, "Big/Model"); /* by name */
    assert_string_equal(shelf_at(shelf, 2)->name, "org/name");
    assert_null(shelf_at(shelf, 3));
}

static void test_a_list_that_breaks_off_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(take_named("a/b"), 0);
    assert_int_equal(take("{\"done\":true,\"cache\":\"/c\"}"), 0);
    assert_int_equal(shelf_end(shelf), 0);
    shelf_begin(shelf);
    assert_int_equal(take_named("c/d"), 0);
    assert_non_null(shelf_find(shelf, "a/b"));
    assert_null(shelf_find(shelf, "c/d"));
    assert_int_equal(shelf_end(shelf), -ENODATA);
    assert_non_null(shelf_find(shelf, "a/b"));
    shelf_begin(shelf);
    assert_int_equal(take("{\"done\":true,\"cache\":\"/c\"}"), 0);
    assert_int_equal(shelf_end(shelf), 0);
    assert_null(shelf_at(shelf, 0));
}

/* None of these could be told to the supervisor, or is one. */
static void test_unsound_lines_are_refused(void **state)
{
    static const char *const lines[] = {
        "", "[]", "{", "{}", "{\"status\":\"x\"}", "{\"error\":\"no\",\"code\":\"busy\"}",
        "{\"model\":\"\",\"revision\":\"" REVISION "\",\"local_path\":\"/c\"}",
        "{\"model\":\"a b\",\"revision\":\"" REVISION "\",\"local_path\":\"/c\"}",
        "{\"model\":\"a/b\",\"revision\":\"main\",\"local_path\":\"/c\"}",
        "{\"model\":\"a/b\",\"local_path\":\"/c\"}",
        "{\"model\":\"a/b\",\"revision\":\"" REVISION "\",\"local_path\":\"c\"}",
        "{\"model\":\"a/b\",\"revision\":\"" REVISION "\",\"local_path\":\"/c\",\"file\":\"../x.gguf\"}",
        "{\"model\":\"a/b\",\"revision\":\"" REVISION "\",\"local_path\":\"/c\",\"file\":\"/x.gguf\"}",
        "{\"model\":\"a/b\",\"revision\":\"" REVISION "\",\"local_path\":\"/c\",\"file\":\"a/../x.gguf\"}",
        "{\"model\":\"a\\u0000b\",\"revision\":\"" REVISION "\",\"local_path\":\"/c\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(take(lines[i]), -EINVAL);
}

static void test_there_is_a_limit(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < SHELF_MODELS; i++) {
        snprintf(name, sizeof name, "org/m%04d", SHELF_MODELS - i);
        assert_int_equal(take_named(name), 0);
    }
    assert_int_equal(take_named("one/more"), -EFBIG);
    assert_int_equal(take("{\"done\":true,\"cache\":\"/c\"}"), 0);
    assert_int_equal(shelf_end(shelf), 0);
    assert_string_equal(shelf_at(shelf, 0)->name, "org/m0001");
    assert_null(shelf_find(shelf, "one/more"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_says_all_of_a_model, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_null_is_empty, begin, end),
        cmocka_unit_test_setup_teardown(test_names_are_found_as_clients_write_them, begin, end),
        cmocka_unit_test_setup_teardown(test_a_list_that_breaks_off_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(test_unsound_lines_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_there_is_a_limit, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
