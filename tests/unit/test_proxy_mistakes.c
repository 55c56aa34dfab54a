/* proxy/mistakes: all of them, in their order, as far as there is room. */
#include "proxy/mistakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_none_one_two(void **state)
{
    (void)state;
    char why[256];
    struct mistakes m;
    mistakes_init(&m, why, sizeof why);
    assert_int_equal(mistakes_end(&m), 0);
    assert_string_equal(why, "");
    mistakes_add(&m, "a: %d", 1);
    assert_int_equal(mistakes_end(&m), 1);
    assert_string_equal(why, "a: 1");
    mistakes_add(&m, "b\x1b[0m\n");
    assert_int_equal(mistakes_end(&m), 2);
    assert_string_equal(why, "a: 1; b?[0m?");
}

static void test_what_does_not_fit_is_counted(void **state)
{
    (void)state;
    char why[128], big[256];
    struct mistakes m;
    memset(big, 'x', sizeof big);
    big[255] = '\0';
    mistakes_init(&m, why, sizeof why);
    mistakes_add(&m, "first");
    mistakes_add(&m, "%s", big);
    mistakes_add(&m, "short, but behind one that did not fit");
    assert_int_equal(mistakes_end(&m), 3);
    assert_string_equal(why, "first; and 2 more");
    mistakes_init(&m, why, sizeof why);
    mistakes_add(&m, "%s", big);
    assert_int_equal(mistakes_end(&m), 1);
    assert_string_equal(why, "1 mistakes, too long to tell");
}

static void test_any_number_of_any_length(void **state)
{
    (void)state;
    for (int width = 0; width < 120; width++) {
        char why[129];
        struct mistakes m;
        why[128] = '!';
        mistakes_init(&m, why, 128);
        for (int i = 0; i < 50; i++)
            mistakes_add(&m, "%*d", width, i);
        assert_int_equal(mistakes_end(&m), 50);
        assert_true(strlen(why) < 128 && why[128] == '!');
        assert_true(strstr(why, " more") || strstr(why, "50 mistakes"));
    }
}

static void test_the_place_of_the_first(void **state)
{
    static const struct {
        const char *why;
        size_t place_n;
    } rows[] = {
        {"model: missing; it must be the name of a model", 5},
        {"messages[2].content[0].type: must be text; n: must be 1", 27},
        {"response_format.json_schema.schema: must be an object", 34},
        {"n: must be 1", 1},
        {"the body is no JSON object: what stands at byte 3 does not belong there", 0},
        {"3 mistakes, too long to tell", 0},
        {"Content-Type: is there more than once", 0},
        {"mistral:7b does not support tools", 0},
        {"[0]: what is that", 0},
        {"model:", 0},
        {"model", 0},
        {": x", 0},
        {"", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(mistakes_place(rows[i].why), rows[i].place_n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_one_two),
        cmocka_unit_test(test_what_does_not_fit_is_counted),
        cmocka_unit_test(test_any_number_of_any_length),
        cmocka_unit_test(test_the_place_of_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
