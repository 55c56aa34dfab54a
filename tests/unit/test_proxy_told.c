/* proxy/told: Ollama's words, of several versions, as codes. */
#include "proxy/told.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_codes(void **state)
{
    static const char missing[] = "model_not_found", too_long[] = "context_length_exceeded";
    static const struct {
        int status;
        const char *text, *code;
    } rows[] = {
        {404, "model \"nosuch\" not found, try pulling it first", missing},
        {404, "model 'nosuch' not found", missing},
        {404, "404 page not found", NULL},
        {500, "model 'nosuch' not found", NULL},
        {400, "the prompt is longer than the context length currently set for this model", too_long},
        {400, "input length exceeds maximum context length", too_long},
        {400, "the input length exceeds the context length", too_long},
        {500, "the request exceeds the available context size, try increasing it", too_long},
        {400, "context length must be positive", NULL},
        {200, "the prompt is longer than the context length", NULL},
        {400, "registry.ollama.ai/library/m:latest does not support tools", NULL},
        {503, "server busy, please try again.  maximum pending requests exceeded", NULL},
        {500, "", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *code = told_code(rows[i].status, rows[i].text);
        if (!rows[i].code)
            assert_null(code);
        else
            assert_string_equal(code, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
