/* proxy/pin: which requests are changed, and to what. */
#include "proxy/pin.h"

#include "tests/unit/conf_each.h"

#include <errno.h>

static void configure(const char *text)
{
    char whole[2048];
    snprintf(whole, sizeof whole, "[preload]\nmodels = none\n%s", text);
    conf_case_load(&k, whole, NULL);
    conf_case_good(&k);
}

/* The body after a POST to path; limit_bytes: of the client's body. */
static void pins_limited(const char *path, int is_supervised, const char *before, const char *after, size_t limit_bytes)
{
    const struct route *route;
    struct buf body;
    assert_int_equal(route_find(METHOD_POST, path, strlen(path), &route), ROUTE_FOUND);
    buf_init(&body, limit_bytes);
    assert_int_equal(buf_text(&body, before), 0);
    assert_int_equal(pin_body(k.conf, is_supervised, route, 0, &body), 0);
    if (buf_size(&body) != strlen(after) || memcmp(buf_data(&body), after, strlen(after)) != 0)
        fail_msg("%s %s\nbecame %.*s\nnot    %s", path, before, (int)buf_size(&body), buf_data(&body), after);
    buf_fini(&body);
}

static void pins(const char *path, const char *before, const char *after)
{
    pins_limited(path, 1, before, after, 0);
}

static void stays(const char *path, const char *body)
{
    pins(path, body, body);
}

static void test_the_client_does_not_decide(void **state)
{
    (void)state;
    configure("[pin:m]\nnum_ctx = 2000\nkeep_alive = 1h\nuse_mmap = client\n");
    static const char *const paths[] = {"/api/generate", "/api/chat", "/api/embed", "/api/embeddings"};
    for (size_t i = 0; i < 4; i++) {
        pins(paths[i], "{\"model\":\"m\"}", "{\"model\":\"m\",\"keep_alive\":\"1h\",\"options\":{\"num_ctx\":2000}}");
        pins(paths[i], "{\"options\":{\"num_ctx\":5},\"Model\":\"M:latest\",\"keep_alive\":0,\"KEEP_ALIVE\":9}",
             "{\"options\":{\"num_ctx\":2000},\"Model\":\"M:latest\",\"keep_alive\":\"1h\",\"KEEP_ALIVE\":\"1h\"}");
        stays(paths[i], "{\"model\":\"m\",\"keep_alive\":\"1h\",\"options\":{\"num_ctx\":2000,\"use_mmap\":false}}");
    }
}

static void test_what_stays_as_it_is(void **state)
{
    (void)state;
    configure("[pin:m]\nnum_ctx = 2000\nuse_mmap = yes\n");
    static const char *const others[] = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages",
                                         "/v1/responses", "/api/show", "/api/pull", "/api/create", "/api/copy"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        stays(others[i], "{\"model\":\"m\",\"options\":{\"num_ctx\":1}}");
    static const char *const bodies[] = {"", "{\"model\":\"m\"", "[]", "\xef\xbb\xbf{\"model\":\"m\"}", "{\"model\":\"m\",\"options\":5}",
                                         "{\"model\":\"m\",\"options\":{\"num_ctx\":2000,\"use_mmap\":true}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        stays("/api/chat", bodies[i]);
}

static void test_an_ollama_that_we_run_maps_its_models(void **state)
{
    (void)state;
    static const char plain[] = "{\"model\":\"m\",\"options\":{\"use_mmap\":false}}";
    static const char mapped[] = "{\"model\":\"m\",\"options\":{\"use_mmap\":true}}";
    configure("");
    pins("/api/generate", plain, mapped);
    pins("/api/generate", "{}", "{\"options\":{\"use_mmap\":true}}"); /* no model is looked for where there is no section */
    pins_limited("/api/generate", 0, plain, plain, 0); /* alone: nobody has started an Ollama */
    configure("[proxy]\nbackend = 10.0.0.1:11434\n");
    stays("/api/generate", plain);
    configure("[program:ollama]\nautostart = no\n");
    stays("/api/generate", plain);
    configure("[pin:m]\nuse_mmap = client\n[pin:n]\nuse_mmap = no\n[pin:o]\nnum_ctx = 5\n");
    stays("/api/generate", plain);
    pins("/api/generate", "{\"model\":\"n\"}", "{\"model\":\"n\",\"options\":{\"use_mmap\":false}}");
    pins("/api/generate", "{\"model\":\"o\"}", "{\"model\":\"o\",\"options\":{\"num_ctx\":5,\"use_mmap\":true}}");
    pins("/api/generate", "{\"model\":\"p\"}", "{\"model\":\"p\",\"options\":{\"use_mmap\":true}}");
    configure("[pin:*]\nuse_mmap = client\n");
    stays("/api/generate", plain);
    configure("[proxy]\nbackend = 10.0.0.1:11434\n[pin:*]\nuse_mmap = yes\n");
    pins_limited("/api/generate", 0, plain, mapped, 0);
}

/* The limit is the client's; what is added does not count. A body may also become shorter. */
static void test_the_limit_is_the_clients(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"m\"}";
    configure("");
    pins_limited("/api/chat", 1, body, "{\"model\":\"m\",\"options\":{\"use_mmap\":true}}", sizeof body - 1);
    configure("[pin:m]\nkeep_alive = 0\nuse_mmap = client\n");
    pins_limited("/api/chat", 1, "{\"model\":\"m\",\"keep_alive\":\"1h30m\"}", "{\"model\":\"m\",\"keep_alive\":0}", 64);
}

static void test_a_name_again_and_again_is_refused(void **state)
{
    (void)state;
    const struct route *route;
    struct buf body;
    configure("");
    buf_init(&body, 0);
    assert_int_equal(buf_text(&body, "{\"model\":\"m\",\"options\":{\"x\":0"), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buf_text(&body, ",\"use_mmap\":false"), 0);
    assert_int_equal(buf_text(&body, "}}"), 0);
    size_t before_n = buf_size(&body);
    assert_int_equal(route_find(METHOD_POST, "/api/chat", 9, &route), ROUTE_FOUND);
    assert_int_equal(pin_body(k.conf, 1, route, 0, &body), -E2BIG);
    assert_int_equal(buf_size(&body), before_n);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_client_does_not_decide, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_what_stays_as_it_is, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_an_ollama_that_we_run_maps_its_models, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_the_limit_is_the_clients, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_a_name_again_and_again_is_refused, conf_case_setup, conf_case_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
