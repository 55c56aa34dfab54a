/* supervisor/operand: which words mean the sidecar itself. */
#include "supervisor/operand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int is_serve(const char *first, const char *second)
{
    char *words[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    return operand_is_serve(words);
}

static void test_none_and_serve_alone_mean_us(void **state)
{
    (void)state;
    assert_true(is_serve(NULL, NULL));
    assert_true(is_serve("serve", NULL));
    assert_true(is_serve("start", NULL)); /* Ollama's other word for it */
    assert_false(is_serve("start", "--help"));
    assert_false(is_serve("serve", "--help"));
    assert_false(is_serve("pull", "m"));
    assert_false(is_serve("", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_and_serve_alone_mean_us),
    };
    return cmocka_run_group_tests_name("supervisor/operand", tests, NULL, NULL);
}
