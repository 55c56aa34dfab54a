/* proxy/balance/prefix: whose cache has the start of a conversation. */
#include "proxy/balance/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct prefixes *p;

static int begin(void **state)
{
    (void)state;
    return !(p = prefixes_new());
}

static int end(void **state)
{
    (void)state;
    prefixes_free(&p);
    return p != NULL;
}

/* So many messages of a conversation, with a hundred tokens each; all begin with the same system prompt. */
static struct prefix talk(uint64_t number, size_t messages_n)
{
    struct prefix out = {.cuts_n = messages_n};
    for (size_t i = 0; i < messages_n; i++) {
        out.hashes[i] = i ? number * 1000 + i : 1;
        out.tokens[i] = (uint32_t)(i + 1) * 100;
    }
    return out;
}

static void note(int backend, size_t slots_n, const char *model, uint64_t number, size_t messages_n)
{
    struct prefix of = talk(number, messages_n);
    prefixes_note(p, backend, slots_n, model, &of);
}

static int64_t cached(int backend, const char *model, uint64_t number, size_t messages_n)
{
    struct prefix of = talk(number, messages_n);
    return prefixes_cached_tokens(p, backend, model, &of);
}

static void test_what_was_answered_is_there(void **state)
{
    (void)state;
    assert_int_equal(cached(0, "m", 7, 3), 0);
    note(0, 1, "m", 7, 3);
    assert_int_equal(cached(0, "M:latest", 7, 5), 300);
    assert_int_equal(cached(0, "m", 7, 2), 200);
    assert_int_equal(cached(0, "m", 8, 5), 100); /* the system prompt */
    assert_int_equal(cached(1, "m", 7, 5), 0);
    assert_int_equal(cached(0, "other", 7, 5), 0);
}

static void test_a_slot_holds_one_conversation(void **state)
{
    (void)state;
    note(0, 1, "m", 7, 3);
    note(0, 1, "m", 8, 3);
    assert_int_equal(cached(0, "m", 7, 3), 100);
    assert_int_equal(cached(0, "m", 8, 3), 300);
}

static void test_the_longest_unused_conversation_goes(void **state)
{
    (void)state;
    note(0, 2, "m", 7, 3);
    note(0, 2, "m", 8, 3);
    note(0, 2, "m", 7, 5); /* it goes on in its own slot */
    note(0, 2, "m", 7, 6);
    assert_int_equal(cached(0, "m", 8, 9), 300);
    note(0, 2, "m", 9, 3);
    assert_int_equal(cached(0, "m", 7, 9), 600);
    assert_int_equal(cached(0, "m", 8, 9), 100);
    assert_int_equal(cached(0, "m", 9, 9), 300);
}

static void test_it_is_forgotten(void **state)
{
    (void)state;
    note(0, 1, "m", 7, 3);
    note(0, 1, "n", 7, 3);
    note(1, 1, "m", 7, 3);
    prefixes_keep_models(p, 0, (const char *const[]){"o", "n:latest"}, 2);
    assert_int_equal(cached(0, "m", 7, 3), 0);
    assert_int_equal(cached(0, "n", 7, 3), 300);
    assert_int_equal(cached(1, "m", 7, 3), 300);
    prefixes_forget_backend(p, 1);
    assert_int_equal(cached(1, "m", 7, 3), 0);
    note(1, 1, "m", 8, 4);
    assert_int_equal(cached(1, "m", 8, 9), 400);
}

static void test_no_cuts_are_no_conversation(void **state)
{
    (void)state;
    note(0, 1, "m", 7, 3);
    note(0, 1, "m", 8, 0);
    assert_int_equal(cached(0, "m", 7, 3), 300);
    assert_int_equal(cached(0, "m", 7, 0), 0);
}

/* A backend with more slots than there is room for. */
static void test_there_is_an_end_to_what_is_kept(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++)
        note(0, 100000, "m", 10 + i, 3);
    assert_int_equal(cached(0, "m", 10 + 4999, 3), 300);
    assert_int_equal(cached(0, "m", 10 + 4600, 3), 300);
    assert_int_equal(cached(0, "m", 10, 3), 100);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_answered_is_there), TEST(test_a_slot_holds_one_conversation), TEST(test_the_longest_unused_conversation_goes),
        TEST(test_it_is_forgotten), TEST(test_no_cuts_are_no_conversation), TEST(test_there_is_an_end_to_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
