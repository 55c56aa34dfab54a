/* common/engine_words: a template's words with their values (R1.5). */
#include "common/engine_words.h"

#include "tests/unit/conf_each.h"

#include <errno.h>

static const struct engine_values values = {.path = "/c a/models--o--n/snapshots/0a", .file = "sub dir/x-Q4_K_M.gguf", .model = "o/n", .port = 8123, .length_n = 32768, .gpus_n = 2};

static const struct conf_engine *load(const char *section)
{
    char text[2000];
    snprintf(text, sizeof text, "[engine:e]\n%s", section);
    conf_case_load(&k, text, NULL);
    conf_case_good(&k);
    return conf_engine(k.conf, "e");
}

/* What came of it, its words joined by | */
static void becomes(const struct list *words, const char *expected)
{
    char got[4000] = "";
    for (size_t i = 0; i < words->items_n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? "|" : "", words->items[i]);
    assert_string_equal(got, expected);
}

static void words_are(const char *section, const struct engine_values *v, const char *expected)
{
    struct list words = {0};
    assert_int_equal(engine_words(load(section), v, &words), 0);
    becomes(&words, expected);
    list_fini(&words);
}

static void test_r1_5_each_placeholder_is_filled_in_and_no_word_becomes_two(void **state)
{
    (void)state;
    words_are("formats = gguf\ncommand = run '%(path)s' --in=%(path)s/config.json -f \"%(file)s\" %(model)s:%(port)s %(length)s/%(gpus)s ''\n", &values,
              "run|/c a/models--o--n/snapshots/0a|--in=/c a/models--o--n/snapshots/0a/config.json|-f|/c a/models--o--n/snapshots/0a/sub dir/x-Q4_K_M.gguf|"
              "o/n:8123|32768/2|");
}

static void test_what_is_filled_in_is_not_filled_in_again(void **state)
{
    (void)state;
    struct engine_values odd = values;
    odd.path = "/%(port)s/%(x)s/$HOME/`id`/a\"b'c";
    words_are("command = run %(path)s %(port)s\n", &odd, "run|/%(port)s/%(x)s/$HOME/`id`/a\"b'c|8123");
}

static void test_percent_signs_that_begin_no_placeholder_stay(void **state)
{
    (void)state;
    words_are("command = run %%d %%(port %(port)s %(model)s 100%% %%s\n", &values, "run|%d|%(port|8123|o/n|100%|%s");
}

static void test_r1_5_flags_are_appended_where_they_hold(void **state)
{
    (void)state;
    static const char section[] = "command = run %(path)s -p %(port)s\ngpu_flags = --tp %(gpus)s\nquantize_flags = -q nf4\nremote_code_flags = --trust\n";
    struct engine_values v = values;
    v.path = "/p";
    v.gpus_n = 0;
    words_are(section, &v, "run|/p|-p|8123");
    v.gpus_n = 4;
    words_are(section, &v, "run|/p|-p|8123|--tp|4");
    v.is_quantized = 1;
    words_are(section, &v, "run|/p|-p|8123|--tp|4|-q|nf4");
    v.gpus_n = 0;
    v.has_remote_code = 1;
    words_are(section, &v, "run|/p|-p|8123|-q|nf4|--trust");
}

static void test_the_environment_has_placeholders_too(void **state)
{
    (void)state;
    struct list pairs = {0};
    const struct conf_engine *e = load("command = run %(path)s\nenvironment = PORT=%(port)s, MODEL_ID=%(model)s, A=b c\n");
    assert_int_equal(engine_environment(e, &values, &pairs), 0);
    becomes(&pairs, "PORT=8123|MODEL_ID=o/n|A=b c");
    list_fini(&pairs);
}

static void test_the_url_that_tells_whether_it_is_ready(void **state)
{
    (void)state;
    char url[ENGINE_URL_BYTES], section[2 * ENGINE_URL_BYTES];
    assert_int_equal(engine_ready(load("command = run %(path)s %(port)s\n"), 65535, url), 0);
    assert_string_equal(url, "http://127.0.0.1:65535/health");
    assert_int_equal(engine_ready(load("command = run %(path)s %(port)s\nready = http://[::1]:%(port)s/v1/models\n"), 1, url), 0);
    assert_string_equal(url, "http://[::1]:1/v1/models");
    snprintf(section, sizeof section, "command = run %%(path)s %%(port)s\nready = http://127.0.0.1:%%(port)s/%0*d\n", ENGINE_URL_BYTES, 0);
    char text[sizeof section + 20];
    snprintf(text, sizeof text, "[engine:e]\n%s", section);
    conf_case_load(&k, text, NULL);
    conf_case_told(&k, 3, "[engine:e] ready: ");
}

static void test_placeholders_are_told_apart(void **state)
{
    (void)state;
    char why[PARSE_WHY_BYTES];
    assert_int_equal(engine_placeholders("", why), 0);
    assert_int_equal(engine_placeholders("%(path %)s %(", why), -EINVAL); /* its name is `path %` */
    assert_non_null(strstr(why, "%(path %)s is unknown: there are %(path)s"));
    assert_int_equal(engine_placeholders("%(port)s%(port)s-%(gpus)s", why), ENGINE_PORT | ENGINE_GPUS);
    assert_int_equal(engine_placeholders("%(path)s%(file)s%(model)s%(length)s", why), ENGINE_PATH | ENGINE_FILE | ENGINE_MODEL | ENGINE_LENGTH);
    assert_int_equal(engine_placeholders("%(Port)s", why), -EINVAL);
    assert_int_equal(engine_placeholders("%()s", why), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_r1_5_each_placeholder_is_filled_in_and_no_word_becomes_two),
        TEST(test_what_is_filled_in_is_not_filled_in_again),
        TEST(test_percent_signs_that_begin_no_placeholder_stay),
        TEST(test_r1_5_flags_are_appended_where_they_hold),
        TEST(test_the_environment_has_placeholders_too),
        TEST(test_the_url_that_tells_whether_it_is_ready),
        TEST(test_placeholders_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
