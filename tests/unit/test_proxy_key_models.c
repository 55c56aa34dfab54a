/* proxy/key_models: the models that a body names, and lists that are narrowed. */
#include "proxy/key_models.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *entries[] = {(char *)(uintptr_t)"a", (char *)(uintptr_t)"hf.co/*"};
static const struct list models = {entries, 2};

static void test_what_a_body_names(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum key_models_found found;
        const char *name;
    } rows[] = {
        {"{\"model\":\"a\"}", KEY_MODELS_ALLOWED, "a"},
        {" {\"x\":[{}],\"MODEL\":\"A:latest\",\"y\":1} rest", KEY_MODELS_ALLOWED, "A:latest"},
        {"{\"name\":\"\\u0061\"}", KEY_MODELS_ALLOWED, "a"},
        {"{\"model\":null,\"name\":\"a\",\"from\":\"\"}", KEY_MODELS_ALLOWED, "a"},
        {"{\"source\":\"a\",\"destination\":\"hf.co/x/y\"}", KEY_MODELS_ALLOWED, "hf.co/x/y"},
        {"{\"model\":\"b\"}", KEY_MODELS_OTHER, "b"},
        {"{\"model\":\"a\",\"model\":\"b\"}", KEY_MODELS_OTHER, "b"},
        {"{\"model\":\"b\",\"model\":\"a\"}", KEY_MODELS_OTHER, "b"},
        {"{\"model\":\"b\",\"model\":null,\"name\":\"a\"}", KEY_MODELS_OTHER, "b"}, /* Go leaves b there */
        {"{\"model\":\"a\",\"Mode\\u006C\":\"b\"}", KEY_MODELS_OTHER, "b"},
        {"{\"name\":\"a\",\"model\":\"b\"}", KEY_MODELS_OTHER, "b"},
        {"{\"model\":\"a\",\"from\":\"b\"}", KEY_MODELS_OTHER, "b"},
        {"{\"source\":\"b\",\"destination\":\"a\"}", KEY_MODELS_OTHER, "b"},
        {"{\"model\":\"a\",\"modelfile\":\"FROM b\"}", KEY_MODELS_OTHER, "FROM b"},
        {"{\"model\":\"hf.co/://b\"}", KEY_MODELS_OTHER, "hf.co/://b"}, /* Ollama reads b */
        {"{\"model\":[\"a\"]}", KEY_MODELS_OTHER, ""},
        {"{\"models\":[\"a\",\"hf.co/x\"],\"fallbacks\":[],\"model\":\"a\"}", KEY_MODELS_ALLOWED, "a"},
        {"{\"models\":null,\"fallbacks\":\"\",\"model\":\"a\"}", KEY_MODELS_ALLOWED, "a"},
        {"{\"model\":\"a\",\"models\":[\"a\",\"b\"]}", KEY_MODELS_OTHER, "b"}, /* some hosted APIs turn to b */
        {"{\"model\":\"a\",\"Fallbacks\":[{\"model\":\"b\"}]}", KEY_MODELS_OTHER, ""},
        {"{\"model\":\"a\",\"models\":\"b\"}", KEY_MODELS_OTHER, "b"},
        {"{\"model\":5}", KEY_MODELS_OTHER, ""},
        {"{\"model\":\"a\\u0000\"}", KEY_MODELS_OTHER, "a"},
        {"{\"model\":\" a\"}", KEY_MODELS_OTHER, " a"},
        {"{\"model\":\"a\\x\"}", KEY_MODELS_OTHER, ""},
        {"{}", KEY_MODELS_NONE, ""},
        {"{\"model\":\"\"}", KEY_MODELS_NONE, ""},
        {"{\"x\":{\"model\":\"b\"}}", KEY_MODELS_NONE, ""},
        {"", KEY_MODELS_NONE, ""},
        {"[{\"model\":\"a\"}]", KEY_MODELS_NONE, ""},
        {"{\"model\":\"a\"", KEY_MODELS_NONE, ""},
        {"{\"model\":\"a\",}", KEY_MODELS_NONE, "a"},
        {"--x\r\nname=\"model\"\r\n\r\na", KEY_MODELS_NONE, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[64];
        enum key_models_found found = key_models_of(&models, rows[i].json, strlen(rows[i].json), name, sizeof name);
        if (found != rows[i].found || strcmp(name, rows[i].name) != 0)
            fail_msg("%s: %d %s", rows[i].json, (int)found, name);
    }
    char far[200] = "{\"model\":\"hf.co/", name[64];
    memset(far + strlen(far), 'x', 100);
    memcpy(far + 116, "\"}", 3);
    assert_int_equal(key_models_of(&models, far, strlen(far), name, sizeof name), KEY_MODELS_OTHER);
}

static void test_lists_are_narrowed_and_else_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{\"models\":[{\"name\":\"a:latest\",\"model\":\"a:latest\",\"size\":12345678901234567890,\"t\":\"\\u00e4\"},{\"name\":\"b\"}]}\n",
         "{\"models\":[{\"name\":\"a:latest\",\"model\":\"a:latest\",\"size\":12345678901234567890,\"t\":\"\\u00e4\"}]}\n"},
        {"{ \"object\" : \"list\", \"data\" : [ {\"id\":\"b\"} , {\"id\":\"hf.co/x/y\", \"z\":[1, 2]} ,{\"id\":\"a\"}] , \"x\":1}",
         "{ \"object\" : \"list\", \"data\" : [{\"id\":\"hf.co/x/y\", \"z\":[1, 2]},{\"id\":\"a\"}] , \"x\":1}"},
        {"{\"models\":[]}", "{\"models\":[]}"},
        {"{\"models\":null}", "{\"models\":null}"},
        {"{}", "{}"},
        {"{\"data\":[{\"id\":\"b\"}],\"models\":[{\"name\":\"b\"}],\"data\":[{\"id\":\"b\"}]}", "{\"data\":[],\"models\":[],\"data\":[]}"},
        {"{\"models\":[{\"name\":\"a\",\"model\":\"b\"},{\"model\":\"a\",\"name\":5},\"a\",{},{\"model\":\"\"},5,[\"a\"]]}", "{\"models\":[]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(buf_text(&out, "x"), 0);
        assert_int_equal(key_models_show(&models, rows[i][0], strlen(rows[i][0]), &out), 0);
        if (buf_size(&out) != 1 + strlen(rows[i][1]) || memcmp(buf_data(&out) + 1, rows[i][1], strlen(rows[i][1])) != 0)
            fail_msg("%.*s\ninstead of\n%s", (int)buf_size(&out) - 1, buf_data(&out) + 1, rows[i][1]);
        buf_fini(&out);
    }
}

static void test_what_is_no_list_is_shown_to_nobody(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "[]", "b", "{\"models\":[{\"name\":\"a\"}]", "{\"models\":[{\"name\":\"a\"}],}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(key_models_show(&models, rows[i], strlen(rows[i]), &out), -EINVAL);
        assert_int_equal(buf_size(&out), 0);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_body_names),
        cmocka_unit_test(test_lists_are_narrowed_and_else_stay_as_they_are),
        cmocka_unit_test(test_what_is_no_list_is_shown_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
