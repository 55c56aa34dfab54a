/* proxy/describe: what prompts have in common, how many tokens they will have, and how many are asked for. */
#include "proxy/describe.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct token_line line = {0, 0.25};
static const unsigned char secret[SIPHASH_BYTES] = {1, 2, 3};

/* In memory that ends where it ends, so that a sanitizer sees who reads on. */
static struct description describe(const char *json)
{
    struct description d;
    size_t n = strlen(json);
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, json, n);
    describe_body(exact, n, line, secret, &d);
    free(exact);
    return d;
}

/* How many of the cuts of `of` the other one has, too, at any place. */
static size_t shared_n(const struct description *of, const struct description *other)
{
    size_t n = 0;
    for (size_t i = 0; i < of->prefix.cuts_n; i++)
        for (size_t k = 0; k < other->prefix.cuts_n; k++)
            n += of->prefix.hashes[i] == other->prefix.hashes[k];
    return n;
}

static size_t shared(const char *one, const char *two)
{
    struct description a = describe(one), b = describe(two);
    return shared_n(&a, &b);
}

#define SAYS(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define CHAT(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"

static void test_one_message_more_shares_all_earlier_cuts_R2_2(void **state)
{
    (void)state;
    struct description a = describe(CHAT(SAYS("system", "be short") "," SAYS("user", "hi")));
    struct description b = describe("{ \"messages\" : [ {\"content\":\"be short\",\"role\":\"system\",\"cache_control\":{}}, " SAYS("user", "hi") ", " SAYS("assistant", "hello") ","
                                    SAYS("user", "and?") " ] , \"stream\":false , \"model\":\"m\" }");
    assert_int_equal(a.prefix.cuts_n, 2);
    assert_int_equal(b.prefix.cuts_n, 4);
    assert_memory_equal(a.prefix.hashes, b.prefix.hashes, 2 * sizeof *a.prefix.hashes);
    assert_memory_equal(a.prefix.tokens, b.prefix.tokens, 2 * sizeof *a.prefix.tokens);
    assert_true(b.prefix.tokens[1] < b.prefix.tokens[2] && b.prefix.tokens[2] < b.prefix.tokens[3]);
    assert_int_equal(b.prefix.tokens[3], b.prompt_tokens);
    assert_int_equal(shared_n(&a, &b), 2);
}

static void test_what_stands_first_counts_for_all_behind_it(void **state)
{
    (void)state;
    static const char *const plain = CHAT(SAYS("user", "hi") "," SAYS("assistant", "yes") "," SAYS("user", "go"));
    static const char *const others[] = {
        CHAT(SAYS("system", "be long") "," SAYS("user", "hi") "," SAYS("assistant", "yes") "," SAYS("user", "go")),
        "{\"system\":\"s\",\"messages\":[" SAYS("user", "hi") "," SAYS("assistant", "yes") "," SAYS("user", "go") "]}",
        "{\"tools\":[{}],\"messages\":[" SAYS("user", "hi") "," SAYS("assistant", "yes") "," SAYS("user", "go") "]}",
        CHAT(SAYS("assistant", "hi") "," SAYS("assistant", "yes") "," SAYS("user", "go")),
        CHAT("{\"role\":\"user\",\"content\":\"hi\",\"images\":[\"QUJD\"]}," SAYS("assistant", "yes") "," SAYS("user", "go")),
        "{\"prompt\":\"hi\"}",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (shared(plain, others[i]) != 0)
            fail_msg("%s", others[i]);
    assert_int_equal(shared(plain, CHAT(SAYS("user", "hi") "," SAYS("user", "go") "," SAYS("assistant", "yes"))), 1); /* their order */
    assert_int_equal(shared(plain, CHAT(SAYS("user", "hi") "," SAYS("assistant", "no") "," SAYS("user", "go"))), 1);
    assert_int_equal(shared("{\"tools\":[{}],\"messages\":[" SAYS("user", "a") "]}", "{\"tools\":[{}],\"messages\":[" SAYS("user", "b") "]}"), 1);
}

static void test_of_many_messages_the_first_and_the_last_stay(void **state)
{
    (void)state;
    struct buf text;
    struct description d[2];
    buf_init(&text, 0);
    for (int i = 0; i < 2; i++) {
        buf_consume(&text, buf_size(&text));
        assert_int_equal(buf_text(&text, "{\"messages\":["), 0);
        for (int k = 0; k < 100 + i; k++)
            assert_int_equal(buf_printf(&text, "%s{\"role\":\"user\",\"content\":\"%d\"}", k ? "," : "", k), 0);
        assert_int_equal(buf_append(&text, "]}", 3), 0);
        d[i] = describe(buf_data(&text));
        assert_int_equal(d[i].prefix.cuts_n, PREFIX_CUTS);
    }
    buf_fini(&text);
    assert_int_equal(shared_n(&d[0], &d[1]), PREFIX_CUTS - 1);
    assert_true(d[0].prefix.hashes[0] == d[1].prefix.hashes[0]);
    assert_true(d[0].prefix.hashes[PREFIX_CUTS - 1] == d[1].prefix.hashes[PREFIX_CUTS - 2]);
    for (size_t i = 1; i < PREFIX_CUTS; i++)
        assert_true(d[0].prefix.tokens[i - 1] < d[0].prefix.tokens[i]);
    assert_int_equal(d[0].prefix.tokens[PREFIX_CUTS - 1], d[0].prompt_tokens);
}

static void test_a_prompt_that_grows_at_its_end_shares_its_beginning_R2_2(void **state)
{
    (void)state;
    static char body[3][10 * DESCRIBE_FIRST_BYTES];
    static const size_t lengths[3] = {5 * DESCRIBE_FIRST_BYTES, 6 * DESCRIBE_FIRST_BYTES, 6 * DESCRIBE_FIRST_BYTES};
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(strcpy(body[i], "{\"model\":\"m\",\"prompt\":\""));
        memset(body[i] + n, 'x', lengths[i]);
        strcpy(body[i] + n + lengths[i], "\"}");
        if (i == 2)
            body[i][n + DESCRIBE_FIRST_BYTES] = 'y';
    }
    struct description a = describe(body[0]), b = describe(body[1]), c = describe(body[2]);
    assert_int_equal(a.prefix.cuts_n, 4); /* 1, 2, 4, and all */
    assert_int_equal(shared_n(&a, &b), 3);
    assert_int_equal(b.prefix.tokens[2], 4 * DESCRIBE_FIRST_BYTES / 4 + TOKENS_A_MESSAGE);
    assert_int_equal(shared_n(&b, &c), 1);
    assert_int_equal(shared(body[0], body[0]), 4);
    assert_int_equal(shared("{\"system\":\"s\",\"prompt\":\"a\"}", "{\"system\":\"s\",\"prompt\":\"b\"}"), 1);
    assert_int_equal(shared("{\"prompt\":\"a\",\"context\":[1,2]}", "{\"prompt\":\"b\",\"context\":[1,2]}"), 1);
    assert_int_equal(shared("{\"prompt\":\"a\",\"images\":[\"QUJD\"]}", "{\"prompt\":\"a\",\"images\":[\"QUJE\"]}"), 0);
}

static void test_how_many_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t prompt_tokens, output_most;
    } rows[] = {
        {"", 1, 0},
        {"[]", 1, 0},
        {"{", 1, 0},
        {"{}", 1, 0},
        {"{\"prompt\":\"12345678\"}", 10, 0},
        {"{\"prompt\":\"\\u00fc\\u00fc\\ud83d\\udc22\xf0\x9f\x90\xa2\"}", 9, 0}, /* four characters */
        {"{\"prompt\":\"1234\",\"suffix\":\"5678\"}", 10, 0},
        {"{\"prompt\":\"1234\",\"context\":[1,2,3,4,5,6,7]}", 16, 0},
        {"{\"prompt\":\"1234\",\"images\":[\"QUJD\",\"QUJD\"]}", 9 + 2 * DESCRIBE_IMAGE_TOKENS, 0},
        {"{\"prompt\":null,\"options\":{\"num_predict\":77}}", 1, 77},
        {"{\"options\":{\"num_predict\":-1},\"max_tokens\":5}", 1, 5},
        {"{\"options\":{\"num_predict\":\"7\"},\"max_completion_tokens\":1000}", 1, 1000},
        {"{\"options\":[],\"max_output_tokens\":9}", 1, 9},
        {"{\"input\":[\"1234\",\"5678\"]}", 18, 0},
        {"{\"input\":\"1234\",\"instructions\":\"1234\"}", 18, 0},
        {CHAT(SAYS("user", "1234")), 9, 0},
        {CHAT("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"1234\"},{\"type\":\"image\",\"source\":{\"data\":\"QUJD\"}}]}"), 9 + DESCRIBE_IMAGE_TOKENS, 0},
        {CHAT("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"a\":1}]}"), 10, 0},
        {CHAT("1,null,{},[],\"x\""), 42, 0},
        {"{\"messages\":{\"role\":\"user\"},\"prompt\":{},\"input\":7,\"context\":8,\"images\":9,\"system\":\"\"}", 8, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct description d = describe(rows[i].json);
        if (d.prompt_tokens != rows[i].prompt_tokens || d.output_most != rows[i].output_most)
            fail_msg("%s: %lld and %lld", rows[i].json, (long long)d.prompt_tokens, (long long)d.output_most);
    }
}

static void test_another_secret_and_nobody_can_make_two_alike(void **state)
{
    (void)state;
    static const unsigned char other[SIPHASH_BYTES] = {4, 5, 6};
    static const char body[] = CHAT(SAYS("user", "hi"));
    struct description a = describe(body), b;
    describe_body(body, sizeof body - 1, line, other, &b);
    assert_int_equal(a.prefix.cuts_n, 1);
    assert_true(a.prefix.hashes[0] != b.prefix.hashes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_message_more_shares_all_earlier_cuts_R2_2),
        cmocka_unit_test(test_what_stands_first_counts_for_all_behind_it),
        cmocka_unit_test(test_of_many_messages_the_first_and_the_last_stay),
        cmocka_unit_test(test_a_prompt_that_grows_at_its_end_shares_its_beginning_R2_2),
        cmocka_unit_test(test_how_many_tokens),
        cmocka_unit_test(test_another_secret_and_nobody_can_make_two_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
