/* ctl/backends: GET /status as lines for a person, of any kind. */
#include "ctl/backends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void shows(const char *json, const char *text)
{
    struct buf out;
    cJSON *status = cJSON_Parse(json);
    buf_init(&out, 0);
    assert_int_equal(backends_describe(status, 0, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), text);
    buf_fini(&out);
    cJSON_Delete(status);
}

static void test_a_row_for_each_backend(void **state)
{
    (void)state;
    shows("{\"queue\":{\"waiting\":3,\"limit\":64,\"requests\":[]},\"redis\":{\"state\":\"up\",\"replicas\":2},\"backends\":["
          "{\"name\":\"big\",\"url\":\"http://10.0.0.1:11434\",\"state\":\"up\",\"slots\":4,\"used\":1,\"drained\":false,\"loaded\":[\"m\",\"n\"],\"models_n\":7,\"error\":\"\"},"
          "{\"name\":\"pool/10.0.0.2:11434\",\"url\":\"http://pool:11434\",\"state\":\"down\",\"slots\":1,\"used\":0,\"loaded\":[],\"error\":\"no \\u001b connection\"}]}",
          "3 in line, 64 may\n"
          "redis up, 2 replicas\n"
          "BACKEND              STATE  IN USE  MODELS  LOADED  URL                    LAST FAILURE\n"
          "big                  up     1 of 4  7       m, n    http://10.0.0.1:11434  -\n"
          "pool/10.0.0.2:11434  down   0 of 1  -       -       http://pool:11434      no ? connection\n");
}

static void test_what_is_missing_or_odd(void **state)
{
    (void)state;
    shows("{\"queue\":{\"waiting\":0,\"limit\":64}}", "nobody waits, 64 may\none Ollama: several are set up by [backend:NAME] with api = ollama\n");
    shows("{\"queue\":{\"waiting\":\"many\"},\"backends\":[1,null,{\"loaded\":7,\"used\":-1,\"slots\":1e300}]}",
          "nobody knows who waits\nBACKEND  STATE  IN USE  MODELS  LOADED  URL  LAST FAILURE\n"
          "-        -      -       -       -       -    -\n-        -      -       -       -       -    -\n-        -      -       -       -       -    -\n");
    shows("[]", "nobody knows who waits\none Ollama: several are set up by [backend:NAME] with api = ollama\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_for_each_backend),
        cmocka_unit_test(test_what_is_missing_or_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
