/* common/parse: names of models and files on a hub: nothing of them can lead out of the cache, or pass for an option. */
#include "common/parse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct refused {
    const char *text, *why;
};

typedef int parse_fn(const char *text, char *why);

static void takes(parse_fn *parse, const char *const *texts, size_t texts_n)
{
    for (size_t i = 0; i < texts_n; i++) {
        char why[PARSE_WHY_BYTES] = "";
        if (parse(texts[i], why) != 0)
            fail_msg("\"%s\" was refused: %s", texts[i], why);
    }
}

static void refuses(parse_fn *parse, const struct refused *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n; i++) {
        char why[PARSE_WHY_BYTES] = "";
        if (parse(rows[i].text, why) != -EINVAL || !strstr(why, rows[i].why))
            fail_msg("\"%s\": %s", rows[i].text, *why ? why : "it was taken");
    }
}

#define N96 "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffff"

static void test_names_that_a_hub_has(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt2", "Qwen/Qwen3-0.6B", "meta-llama/Llama-3.2-1B-Instruct", "a/b", "0/0", "_x/_y_", "x/a.b-c_d", N96 "/" N96, "git/x.gitt"};
    takes(parse_hub_name, names, sizeof names / sizeof *names);
}

static void test_names_that_no_hub_has_are_told_with_a_reason(void **state)
{
    (void)state;
    static const struct refused rows[] = {
        {"", "it is empty"},
        {"/", "write ORG/NAME"},
        {"org/", "write ORG/NAME"},
        {"/name", "write ORG/NAME"},
        {"a/b/c", "too many slashes"},
        {"https://huggingface.co/org/name", "leave the hub's address out"},
        {"org/name:latest", "has no tag"},
        {"org/name@main", "has no tag"},
        {"-rf", "starts or ends with"},
        {"--help", "starts or ends with"},
        {"org/-name", "starts or ends with"},
        {"org/name-", "starts or ends with"},
        {".org/name", "starts or ends with"},
        {"org/name.", "starts or ends with"},
        {"..", "starts or ends with"},
        {"../../etc", "too many slashes"},
        {"../etc", "starts or ends with"},
        {"org/a..b", ".. are in no name"},
        {"org/a--b", "-- and"},
        {"models--org/name", "-- and"},
        {"org/na me", "letters, digits"},
        {"org/na\xc3\xafve", "letters, digits"},
        {"org/%(path)s", "letters, digits"},
        {"org\\name", "letters, digits"},
        {"org/name.git", "ends with .git"},
        {N96 "x/y", "96 characters"},
        {"y/" N96 "x", "96 characters"},
    };
    refuses(parse_hub_name, rows, sizeof rows / sizeof *rows);
}

static void test_a_long_text_is_shown_in_part(void **state)
{
    (void)state;
    char text[4096], why[PARSE_WHY_BYTES];
    memset(text, '/', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(parse_hub_name(text, why), -EINVAL);
    assert_int_equal(parse_hub_file(text, why), -EINVAL);
    assert_true(strlen(why) < PARSE_WHY_BYTES);
}

static void test_files_stay_below_the_models_folder(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model-00001-of-00002.safetensors", "onnx/model.onnx", "a/b/c d", ".gitattributes", "..a/b..", "na\xc3\xafve.txt"};
    static const struct refused rows[] = {
        {"", "below the model's folder"},       {"/etc/passwd", "below the model's folder"}, {"..", "below the model's folder"},
        {"a/../b", "below the model's folder"}, {"a//b", "below the model's folder"},        {"a/", "below the model's folder"},
        {"./a", "below the model's folder"},    {"a\\..\\b", "backslash"},                   {"a\nb", "control character"},
        {"a\x7f", "control character"},
    };
    takes(parse_hub_file, files, sizeof files / sizeof *files);
    refuses(parse_hub_file, rows, sizeof rows / sizeof *rows);
}

static void test_revisions_are_fit_for_a_path(void **state)
{
    (void)state;
    static const char *const revisions[] = {"main", "v1.0", "refs/pr/1", "_x", "0123456789abcdef0123456789abcdef01234567"};
    static const struct refused rows[] = {
        {"", "128 at the most"}, {"a b", "letters"},  {"a\n", "letters"},   {"a?b", "letters"}, {"a%2e", "letters"},  {"na\xc3\xafve", "letters"}, {"x" N96 N96, "128 at the most"},
        {"/main", "begins"},     {"-x", "begins"},    {".hidden", "begins"}, {"main/", "begins"}, {"a//b", "neither"}, {"..", "neither"},           {"a/../b", "neither"},
        {"a/.b", "neither"},
    };
    takes(parse_hub_revision, revisions, sizeof revisions / sizeof *revisions);
    refuses(parse_hub_revision, rows, sizeof rows / sizeof *rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_a_hub_has),
        cmocka_unit_test(test_names_that_no_hub_has_are_told_with_a_reason),
        cmocka_unit_test(test_a_long_text_is_shown_in_part),
        cmocka_unit_test(test_revisions_are_fit_for_a_path),
        cmocka_unit_test(test_files_stay_below_the_models_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
