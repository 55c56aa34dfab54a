/* proxy/gpu_models: what /api/ps says before and behind a gap. */
#include "proxy/gpu_models.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gpu_models models;
static struct gpu_model lost;

static int setup(void **state)
{
    (void)state;
    models = (struct gpu_models){.known_n = 0};
    lost = (struct gpu_model){.vram_bytes = 0};
    return 0;
}

static int see(const char *json)
{
    return gpu_models_see(&models, json, strlen(json), &lost);
}

#define PS(items) "{\"models\":[" items "]}"
#define AT(name, vram) "{\"name\":\"" name "\",\"model\":\"" name "\",\"size\":9,\"details\":{\"family\":\"x\"},\"size_vram\":" vram "}"

static void test_a_model_that_fell_to_the_cpu_behind_a_gap(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a:1b", "4000000000"))), 0);
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a:1b", "0"))), 1);
    assert_string_equal(lost.name, "a:1b");
    assert_true(lost.vram_bytes == 4000000000u);
    assert_int_equal(models.known_n, 0); /* told once */
    assert_int_equal(see(PS(AT("a:1b", "0"))), 0);
}

static void test_it_may_be_loaded_again_long_behind_the_gap(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a:latest", "7"))), 0);
    gpu_models_gap(&models);
    assert_int_equal(see(PS("")), 0); /* unloaded: nothing is said */
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a", "0"))), 1); /* the same model by another name */
}

static void test_without_a_gap_it_is_as_somebody_wants_it(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a", "7"))), 0);
    assert_int_equal(see(PS(AT("a", "0"))), 0);
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a", "0"))), 0);
}

static void test_what_is_still_there_behind_the_gap_is_known_anew(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a", "7"))), 0);
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a", "3"))), 0); /* less is no loss: a longer context, or another model */
    assert_int_equal(models.known[0].is_older, 0);
    assert_int_equal(see(PS(AT("a", "0"))), 0);
}

static void test_a_gpu_that_has_another_model_is_there(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a", "7"))), 0);
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a", "0") "," AT("b", "5"))), 0);
}

static void test_a_machine_without_a_gpu_knows_nothing(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a", "0") "," AT("b", "0"))), 0);
    assert_int_equal(models.known_n, 0);
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a", "0"))), 0);
}

static void test_what_is_to_be_on_the_cpu_is_forgotten(void **state)
{
    (void)state;
    assert_int_equal(see(PS(AT("a", "7") "," AT("b", "7"))), 0);
    gpu_models_forget(&models, "A:latest");
    gpu_models_forget(&models, "never");
    assert_int_equal(models.known_n, 1);
    gpu_models_gap(&models);
    assert_int_equal(see(PS(AT("a", "0"))), 0);
}

static void test_what_is_no_such_answer(void **state)
{
    static const char *const bad[] = {"", "[]", "{", "{\"models\":7}", "<html>", "{\"models\":[", "{\"error\":\"x\"}"};
    static const char *const odd[] = {PS(""), PS("7,null,\"a\",[],{}"), PS("{\"model\":\"a\"}"), PS("{\"model\":7,\"size_vram\":0}"),
                                      PS("{\"model\":\"a\",\"size_vram\":\"0\"}"), PS("{\"model\":\"\",\"size_vram\":0}"), PS("{\"model\":\"\\u0000a\",\"size_vram\":7}")};
    (void)state;
    assert_int_equal(see(PS(AT("a", "7"))), 0);
    gpu_models_gap(&models);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(see(bad[i]), -EINVAL);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(see(odd[i]), 0); /* what says nothing of `a` is no loss of it */
    assert_int_equal(models.known_n, 1);
}

static void test_many_models_are_bounded(void **state)
{
    char text[128];
    (void)state;
    for (int i = 0; i < 3 * GPU_MODELS; i++) {
        snprintf(text, sizeof text, PS(AT("m%d", "7")), i, i);
        assert_int_equal(see(text), 0);
    }
    assert_int_equal(models.known_n, GPU_MODELS);
    assert_string_equal(models.known[GPU_MODELS - 1].name, "m47");
}

#define CASE(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_model_that_fell_to_the_cpu_behind_a_gap),
        CASE(test_it_may_be_loaded_again_long_behind_the_gap),
        CASE(test_without_a_gap_it_is_as_somebody_wants_it),
        CASE(test_what_is_still_there_behind_the_gap_is_known_anew),
        CASE(test_a_gpu_that_has_another_model_is_there),
        CASE(test_a_machine_without_a_gpu_knows_nothing),
        CASE(test_what_is_to_be_on_the_cpu_is_forgotten),
        CASE(test_what_is_no_such_answer),
        CASE(test_many_models_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
