/* proxy/translate: which APIs are translated, and to what. */
#include "proxy/translate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_the_paths_of_v1_that_are_translated(void **state)
{
    (void)state;
    static const struct {
        const char *path, *target; /* NULL: it passes as it is */
        int has_nothing;
    } rows[] = {
        {"/v1/chat/completions", "/api/chat", 1}, {"/v1/completions", "/api/generate", 1}, {"/v1/embeddings", "/api/embed", 0},
        {"/v1/responses", NULL, 0}, {"/v1/messages", NULL, 0}, {"/api/chat", NULL, 0}, {"/api/generate", NULL, 0}, {"/api/embed", NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct route *route;
        assert_int_equal(route_find(METHOD_POST, rows[i].path, strlen(rows[i].path), &route), ROUTE_FOUND);
        const struct translate_ops *ops = translate_ops_of(route->api, BACKEND_API_OLLAMA);
        assert_int_equal(ops != NULL, rows[i].target != NULL);
        if (!ops)
            continue;
        assert_string_equal(ops->target, rows[i].target);
        assert_int_equal(ops->nothing != NULL, rows[i].has_nothing);
        assert_true(ops->request && ops->object);
    }
}

/* Of which model, with which options, is asked of a body that is Ollama's by then: there is no third kind. */
static void test_what_is_read_for_its_model_is_ollamas_or_becomes_so(void **state)
{
    (void)state;
    size_t routes_n, read_n = 0;
    const struct route *routes = route_table(&routes_n);
    for (size_t i = 0; i < routes_n; i++) {
        const struct route *r = &routes[i];
        if (!r->needs_model || r->api == API_OTHER || r->kind == ROUTE_SERVE) /* what only engines answer never goes to an Ollama */
            continue;
        read_n++;
        assert_int_equal(r->methods, METHOD_POST);
        assert_int_equal(translate_ops_of(r->api, BACKEND_API_OLLAMA) == NULL, r->dialect == DIALECT_OLLAMA && !route_is_sidecars(r));
        assert_int_not_equal(r->shape, SHAPE_OTHER);
    }
    assert_true(read_n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_paths_of_v1_that_are_translated),
        cmocka_unit_test(test_what_is_read_for_its_model_is_ollamas_or_becomes_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
