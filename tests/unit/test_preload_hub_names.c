/* preload/hub: revisions and paths that are taken and refused, escapes, patterns; parts of names; git's hash. */
#include "preload/hub/names.h"
#include "preload/hub/pick.h"
#include "preload/hub/place.h"
#include "preload/hub/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state)
{
    static const char *const good[] = {"config.json", "a/b/c.json", ".gitattributes", "a b.json", "modèle.json", "..a", "a..", "-a"};
    static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/..", "./a", "a\\b", "a\nb", "a\x1b[2J", "a\x7f", "\xff\xfe", "a\u202eb"};
    char why[PARSE_WHY_BYTES], many[700];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(names_check_path(good[i], why), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(names_check_path(bad[i], why) < 0 && *why);
    memset(many, 'x', sizeof many);
    many[NAMES_PART_N] = '\0';
    assert_int_equal(names_check_path(many, why), 0);
    many[NAMES_PART_N] = 'x';
    many[NAMES_PART_N + 1] = '\0';
    assert_true(names_check_path(many, why) < 0);
    memset(many, 'x', sizeof many);
    many[NAMES_PART_N] = many[2 * NAMES_PART_N + 1] = '/';
    many[NAMES_PATH_N + 1] = '\0';
    assert_true(names_check_path(many, why) < 0);
}

static void test_revisions(void **state)
{
    (void)state;
    assert_true(names_is_revision("0123456789abcdef0123456789abcdef01234567"));
    assert_false(names_is_revision("0123456789ABCDEF0123456789abcdef01234567"));
    assert_false(names_is_revision("0123"));
}

static void test_escapes(void **state)
{
    char out[40];
    (void)state;
    assert_int_equal(names_escape(out, sizeof out, "a/b c?é", 1), 0);
    assert_string_equal(out, "a/b%20c%3F%C3%A9");
    assert_int_equal(names_escape(out, sizeof out, "refs/pr/1", 0), 0);
    assert_string_equal(out, "refs%2Fpr%2F1");
    assert_true(names_escape(out, 5, "abcdef", 0) < 0);
    assert_true(names_escape(out, 1, "", 0) < 0 || out[0] == '\0');
}

static void test_folders_of_models(void **state)
{
    char model[PLACE_NAME_BYTES];
    (void)state;
    assert_int_equal(place_model_of("models--org--name", model), 0);
    assert_string_equal(model, "org/name");
    assert_int_equal(place_model_of("models--gpt2", model), 0);
    assert_string_equal(model, "gpt2");
    static const char *const bad[] = {"models--", "model--a--b", "datasets--a--b", "models--a--b--c", "models--..--b", "models--a--", "models----b", "blobs", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(place_model_of(bad[i], model) < 0);
}

static void test_parts(void **state)
{
    unsigned part = 0, parts_n = 0;
    const char *path = "Q4/m-00002-of-00005.gguf";
    (void)state;
    assert_ptr_equal(pick_part(path, &part, &parts_n), path + 5);
    assert_int_equal(part, 2);
    assert_int_equal(parts_n, 5);
    assert_null(pick_part("m.gguf", &part, &parts_n));
    assert_null(pick_part("m-0002-of-00005.gguf", &part, &parts_n));
    assert_null(pick_part("00002-of-00005.gguf", &part, &parts_n));
    assert_null(pick_part("m-00002-of-00005", &part, &parts_n));
    assert_null(pick_part("", &part, &parts_n));
}

static void test_ranks(void **state)
{
    (void)state;
    assert_int_equal(pick_rank("x-Q4_K_M.gguf", PICK_AUTO), 0);
    assert_int_equal(pick_rank("x.q4_k_m.gguf", PICK_Q4), 0);
    assert_true(pick_rank("Q4_K_MODEL.gguf", PICK_Q4) > pick_rank("x-F32.gguf", PICK_Q4)); /* no label as a word: the last */
    assert_true(pick_rank("x-Q4_0.gguf", PICK_Q4) < pick_rank("x-Q8_0.gguf", PICK_Q4));
    assert_true(pick_rank("x-Q4_0.gguf", PICK_NO) > pick_rank("x-Q8_0.gguf", PICK_NO));
    assert_int_equal(pick_rank("x-BF16-F32.gguf", PICK_FP32), 0);
    assert_true(pick_is_q4("x-IQ4_XS.gguf"));
    assert_false(pick_is_q4("x-Q5_K_M.gguf"));
}

static void sha1_is(const char *text, size_t cut, const char *expected)
{
    unsigned char digest[SHA1_BYTES];
    char hex[2 * SHA1_BYTES + 1];
    struct sha1 s;
    sha1_init(&s);
    sha1_add(&s, text, cut);
    sha1_add(&s, text + cut, strlen(text) - cut);
    sha1_end(&s, digest);
    for (int i = 0; i < SHA1_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
}

/* FIPS 180-4's examples, in any two pieces. */
static void test_sha1(void **state)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    (void)state;
    sha1_is("", 0, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    for (size_t cut = 0; cut <= 3; cut++)
        sha1_is("abc", cut, "a9993e364706816aba3e25717850c26c9cd0d89d");
    for (size_t cut = 0; cut < sizeof two; cut++)
        sha1_is(two, cut, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths), cmocka_unit_test(test_revisions), cmocka_unit_test(test_escapes), cmocka_unit_test(test_folders_of_models),
        cmocka_unit_test(test_parts), cmocka_unit_test(test_ranks),     cmocka_unit_test(test_sha1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
