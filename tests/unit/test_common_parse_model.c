/* common/parse: names of models as Ollama takes them, and which of them mean the same model. */
#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_names_that_ollama_takes(void **state)
{
    (void)state;
    static const char *const names[] = {
        "llama3.2",
        "llama3.2:1b",
        "Llama3.2:1B",
        "mistral:latest",
        "library/mistral",
        "me/my_model-2:q4_K_M",
        "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF",
        "registry.ollama.ai/library/mistral:7b",
        "localhost:5000/me/model:tag",
        "_x:_y",
        "0:0",
        "a..b",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char why[PARSE_WHY_BYTES] = "";
        if (parse_model_name(names[i], why) != 0)
            fail_msg("\"%s\" was refused: %s", names[i], why);
    }
}

static void test_names_that_ollama_refuses_are_told_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name, *why;
    } cases[] = {
        {"", "it is empty"},
        {"-rf", "it starts with -"},
        {"--help", "it starts with -"},
        {"../x", "write [HOST/]"},
        {"../../etc/passwd", "too many slashes"},
        {"x/../y", "write [HOST/]"},
        {"a/./b", "write [HOST/]"},
        {"/x", "write [HOST/]"},
        {"x/", "write [HOST/]"},
        {"a//b", "write [HOST/]"},
        {"a/b/c/d", "too many slashes"},
        {"https://ollama.com/library/mistral", "leave the scheme out"},
        {"http://hf.co/x/y", "leave the scheme out"},
        {"mistral:", "write [HOST/]"},
        {"mistral:a:b", "write [HOST/]"},
        {":latest", "write [HOST/]"},
        {"mistral:-x", "write [HOST/]"},
        {"mistral:.x", "write [HOST/]"},
        {"x/-y", "write [HOST/]"},
        {"mi stral", "write [HOST/]"},
        {"mistral\t", "write [HOST/]"},
        {"caf\xc3\xa9", "write [HOST/]"},
        {"caf\xe9", "write [HOST/]"},
        {"x\033[2J", "write [HOST/]"},
        {"a:b/c", "write [HOST/]"},
        {"me.you/model", "write [HOST/]"}, /* a namespace has no dot */
        {"hf.co/me.you/model", "write [HOST/]"},
        {"mistral@sha256:0123", "digests are not taken"},
        {"\"mistral\"", "write [HOST/]"},
        {"x;y", "write [HOST/]"},
        {"x\\y", "write [HOST/]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char why[PARSE_WHY_BYTES] = "";
        if (parse_model_name(cases[i].name, why) != -EINVAL || !strstr(why, cases[i].why))
            fail_msg("\"%s\": %s", cases[i].name, *why ? why : "was taken");
    }
}

static void test_parts_have_eighty_bytes_and_names_190(void **state)
{
    (void)state;
    char name[400], why[PARSE_WHY_BYTES];
    memset(name, 'a', sizeof name);
    name[80] = '\0';
    assert_int_equal(parse_model_name(name, why), 0);
    name[80] = 'a';
    name[81] = '\0';
    assert_int_equal(parse_model_name(name, why), -EINVAL);
    name[81] = 'a';
    name[40] = name[100] = '/';
    name[150] = ':';
    name[190] = '\0';
    assert_int_equal(parse_model_name(name, why), 0);
    name[190] = 'a';
    name[191] = '\0';
    assert_int_equal(parse_model_name(name, why), -EINVAL);
    assert_non_null(strstr(why, "longer than 190"));
}

static void test_the_same_model_by_two_names(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int is_same;
    } cases[] = {
        {"x", "x", 1},
        {"x", "x:latest", 1},
        {"x", "x:LATEST", 1},
        {"X:1B", "x:1b", 1},
        {"library/x", "x", 1},
        {"registry.ollama.ai/library/x:latest", "x", 1},
        {"registry.ollama.ai/me/x", "me/x", 1},
        {"hf.co/Me/X:Q4", "HF.co/me/x:q4", 1},
        {"localhost:5000/me/x", "localhost:5000/me/x:latest", 1},
        {"x", "y", 0},
        {"x:1b", "x", 0},
        {"x:1b", "x:1", 0},
        {"x:lates", "x", 0},
        {"me/x", "x", 0},
        {"hf.co/library/x", "x", 0},
        {"hf.co/me/x", "me/x", 0},
        {"xx", "x", 0},
        {"", "x", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *a = cases[i].a, *b = cases[i].b;
        if (model_name_equal(a, strlen(a), b, strlen(b)) != cases[i].is_same ||
            model_name_equal(b, strlen(b), a, strlen(a)) != cases[i].is_same)
            fail_msg("%s and %s", a, b);
    }
}

static void test_names_are_compared_by_length_and_not_by_their_end(void **state)
{
    (void)state;
    assert_true(model_name_equal("x:latest,y", 8, "x", 1));
    assert_true(model_name_equal("xyz", 1, "x", 1));
    assert_false(model_name_equal("xyz", 2, "x", 1));
    assert_false(model_name_equal("x\0y", 3, "x\0z", 3)); /* a JSON string may have such */
    assert_int_equal(model_name_hash("X:Latest", 8), model_name_hash("library/x", 9));
    assert_int_not_equal(model_name_hash("x:1b", 4), model_name_hash("x", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_ollama_takes),
        cmocka_unit_test(test_names_that_ollama_refuses_are_told_with_a_reason),
        cmocka_unit_test(test_parts_have_eighty_bytes_and_names_190),
        cmocka_unit_test(test_the_same_model_by_two_names),
        cmocka_unit_test(test_names_are_compared_by_length_and_not_by_their_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
