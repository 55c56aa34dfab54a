/* proxy/message: words are compared without regard to case, and to nothing else. */
#include "proxy/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_words_differ_by_more_than_case(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *word;
        int is_it;
    } cases[] = {
        {"Host", 4, "host", 1},     {"HOST", 4, "host", 1},      {"host", 4, "HOST", 1},   {"hosts", 4, "host", 1},
        {"hosts", 5, "host", 0},    {"hos", 3, "host", 0},       {"most", 4, "host", 0},   {"", 0, "", 1},
        {"", 0, "host", 0},         {"host", 0, "host", 0},      {"host", 4, "", 0},       {"host\0", 5, "host", 0},
        {"@-", 2, "`-", 0},         {"x-a", 3, "X-A", 1},        {"\rost", 4, "-ost", 0}, {"http://", 7, "http://", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(text_is(cases[i].bytes, cases[i].n, cases[i].word), cases[i].is_it);
}

static void test_a_field_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct message m;
    message_init(&m, 0);
    assert_int_equal(buf_text(&m.text, "Content-LengthxContent-Length"), 0);
    assert_int_equal(message_add(&m, (struct span){0, 15}, (struct span){0, 1}), 0);
    assert_int_equal(message_add(&m, (struct span){15, 14}, (struct span){0, 1}), 0);
    assert_int_equal(message_find(&m, "content-length", 0), 1);
    assert_int_equal(message_find(&m, "content-length", 2), -1);
    assert_int_equal(message_find(&m, "content", 0), -1);
    assert_int_equal(message_count(&m, "CONTENT-LENGTHX"), 1);
    message_fini(&m);
}

static void fill(struct message *m, size_t fields_n, size_t bytes_n)
{
    char *at;
    for (size_t i = 0; i < fields_n; i++)
        assert_int_equal(message_add(m, (struct span){0, 1}, (struct span){0, 1}), 0);
    assert_int_equal(buf_reserve(&m->text, bytes_n, &at), 0);
    memset(at, 'a', bytes_n);
    buf_commit(&m->text, bytes_n);
}

static void test_memory_moves_without_what_was_in_it(void **state)
{
    (void)state;
    struct message from, to;
    message_init(&from, 1000);
    message_init(&to, 2000);
    message_move_memory(&from, &to); /* nothing to move */
    assert_null(to.text.bytes);
    fill(&to, 1, 1);
    fill(&from, 3, 300);
    from.status = 200;
    char *bytes = from.text.bytes;
    message_move_memory(&from, &to);
    assert_int_equal(from.status, 200);
    assert_null(from.fields);
    assert_int_equal(buf_size(&from.text) + from.fields_n, 0);
    assert_int_equal(message_find(&from, "a", 0), -1);
    assert_ptr_equal(to.text.bytes, bytes);
    assert_int_equal(buf_size(&to.text), 0);
    assert_int_equal(from.text.limit_bytes, 1000);
    assert_int_equal(to.text.limit_bytes, 2000);
    message_reset(&to);
    fill(&to, 16, 300);
    assert_ptr_equal(to.text.bytes, bytes);
    message_fini(&from);
    message_fini(&to);
}

static void test_only_what_is_usual_is_kept(void **state)
{
    (void)state;
    struct message m;
    message_init(&m, 0);
    fill(&m, 16, 512);
    message_rest(&m);
    assert_non_null(m.text.bytes);
    fill(&m, 1, 0); /* the 17th */
    message_rest(&m);
    assert_null(m.text.bytes);
    assert_null(m.fields);
    fill(&m, 1, 513);
    message_rest(&m);
    assert_null(m.text.bytes);
    message_fini(&m);
}

static void test_a_copy_is_its_own(void **state)
{
    (void)state;
    struct message from, to;
    message_init(&from, 1000);
    fill(&from, 0, 100);
    fill(&from, 20, 0);
    from.minor = 1;
    from.target = (struct span){5, 2};
    assert_int_equal(message_copy(&to, &from), 0);
    assert_ptr_not_equal(to.text.bytes, from.text.bytes);
    assert_ptr_not_equal(to.fields, from.fields);
    message_fini(&from);
    assert_int_equal(to.fields_n, 20);
    assert_int_equal(to.minor, 1);
    assert_int_equal(message_count(&to, "A"), 20);
    assert_memory_equal(message_at(&to, to.target), "aa", 2);
    fill(&to, 1, 0);
    assert_int_equal(message_count(&to, "A"), 21);
    message_fini(&to);
    assert_int_equal(message_copy(&to, &from), 0); /* nothing at all */
    assert_int_equal(to.fields_n, 0);
    message_fini(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_differ_by_more_than_case),
        cmocka_unit_test(test_a_field_is_found_by_its_whole_name),
        cmocka_unit_test(test_memory_moves_without_what_was_in_it),
        cmocka_unit_test(test_only_what_is_usual_is_kept),
        cmocka_unit_test(test_a_copy_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
