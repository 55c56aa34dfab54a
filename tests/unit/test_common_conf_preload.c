/* common/conf: the list of models, as a file, as a variable, as a parameter. */
#include "tests/unit/conf_each.h"

#include <errno.h>
#include <time.h>

/* The list of the configuration in hand, joined by spaces. */
static void lists(const char *joined)
{
    struct list models = {0};
    struct diag d;
    char got[2000] = "";
    conf_case_good(&k);
    diag_init(&d);
    assert_int_equal(conf_preload_list(k.conf, &models, &d), 0);
    for (size_t i = 0; i < models.items_n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", models.items[i]);
    assert_string_equal(got, joined);
    list_fini(&models);
    diag_fini(&d);
}

static void load_file_bytes(const char *bytes, size_t bytes_n)
{
    scratch_write(&k.scratch, "preload-models.txt", bytes, bytes_n);
    conf_case_load(&k, "", NULL);
}

static void load_file(const char *text)
{
    load_file_bytes(text, strlen(text));
}

static void load_variable(const char *ini, const char *variable)
{
    static char room[400];
    static char *environment[] = {room, NULL};
    snprintf(room, sizeof room, "%s", variable);
    conf_case_load(&k, ini, environment);
}

static void told(int line, const char *text)
{
    char path[SCRATCH_PATH_BYTES];
    scratch_path(&k.scratch, "preload-models.txt", path);
    int is_told = conf_case_has(&k, "error", path, line, text);
    if (!is_told)
        conf_case_show(&k, text, line);
    assert_true(is_told);
    assert_null(k.conf);
}

static void test_a_file_has_a_model_a_line(void **state)
{
    (void)state;
    load_file("# the small one\nllama3.2:1b\n\n  mistral  # and a comment\n\tqwen2.5#x\n#\nhf.co/me/X-GGUF:Q4_K_M");
    lists("llama3.2:1b mistral qwen2.5 hf.co/me/X-GGUF:Q4_K_M");
}

static void test_windows_files_are_taken(void **state)
{
    (void)state;
    load_file("\xef\xbb\xbfllama3.2:1b\r\n\r\n# x\r\nmistral\r\n");
    lists("llama3.2:1b mistral");
}

static void test_the_same_model_twice_is_once(void **state)
{
    (void)state;
    load_file("x\nx:latest\nX\nlibrary/x\nregistry.ollama.ai/library/x:latest\nx:1b\n");
    lists("x x:1b");
}

static void test_an_empty_list_is_no_mistake(void **state)
{
    (void)state;
    load_file("");
    lists("");
    load_file("# nothing yet\n\n");
    lists("");
}

static void test_bad_names_are_told_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *line, *told;
    } cases[] = {
        {"-rf", "it starts with -"},
        {"../x", "is no model's name"},
        {"https://ollama.com/library/mistral", "leave the scheme out"},
        {"two words", "are several words: one model a line"},
        {"a, b", "are several words"},
        {"a,b", "is no model's name"},
        {"x:", "is no model's name"},
        {"\"x\"", "is no model's name"},
        {"caf\xe9", "is no model's name"},
        {"x\x1b[2J", "x?[2J"}, /* told without what a terminal obeys */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "good\n\n%s\nalso-good\n", cases[i].line);
        load_file(text);
        told(3, cases[i].told);
        assert_int_equal(k.diag.errors_n, 1);
    }
}

static void test_every_bad_line_is_told(void **state)
{
    (void)state;
    load_file("../a\ngood\n../b\n");
    told(1, "../a");
    told(3, "../b");
    assert_int_equal(k.diag.errors_n, 2);
}

static void test_nul_bytes_are_told(void **state)
{
    (void)state;
    load_file_bytes("x\ny\0z\nw\n", 8);
    told(2, "NUL byte");
    load_file_bytes("\xff\xfex\0\n\0", 6);
    told(1, "NUL byte");
}

static void test_a_line_without_end_is_told(void **state)
{
    (void)state;
    char *text = malloc(100001);
    assert_non_null(text);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    load_file(text);
    told(1, "longer than 190 bytes");
    free(text);
}

static void test_ten_thousand_lines_are_read_quickly(void **state)
{
    (void)state;
    enum { LINES = 10000 };
    char *text = malloc(LINES * 32);
    struct list models = {0};
    struct timespec from, to;
    assert_non_null(text);
    char *at = text;
    for (int i = 0; i < LINES; i++)
        at += snprintf(at, 32, "model-%d:1b\n", i);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    load_file(text);
    conf_case_good(&k);
    assert_int_equal(conf_preload_list(k.conf, &models, &k.diag), 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_int_equal(models.items_n, LINES);
    assert_string_equal(models.items[LINES - 1], "model-9999:1b");
    /* Twice, as it is read more than once at boot. Comparing each with each takes seconds. */
    assert_true((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 1000);
    list_fini(&models);
    snprintf(at, 32, "one-more\n");
    load_file(text);
    told(LINES + 1, "more than 10000 models");
    free(text);
}

static void test_a_long_list_knows_its_first_models_at_its_end(void **state)
{
    (void)state;
    enum { MODELS = 3000 };
    char *text = malloc(MODELS * 2 * 32);
    struct list models = {0};
    assert_non_null(text);
    char *at = text;
    for (int i = 0; i < MODELS * 2; i++)
        at += snprintf(at, 32, i % 2 ? "m%d\n" : "M%d:latest\n", i % MODELS);
    load_file(text);
    conf_case_good(&k);
    assert_int_equal(conf_preload_list(k.conf, &models, &k.diag), 0);
    assert_int_equal(models.items_n, MODELS);
    list_fini(&models);
    free(text);
}

static void test_a_folder_in_place_of_the_file_is_told(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    assert_int_equal(mkdir(scratch_path(&k.scratch, "preload-models.txt", path), 0755), 0);
    conf_case_load(&k, "", NULL);
    told(0, "the list of models can't be read");
}

static void test_a_file_that_was_asked_for_must_be_there(void **state)
{
    (void)state;
    conf_case_load(&k, "", NULL); /* the default one need not */
    lists("");
    conf_case_load(&k, "[preload]\nfile = models.txt\n", NULL);
    assert_null(k.conf);
    assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "can't be read", 13));
    conf_case_load(&k, "[preload]\nfile = none\n", NULL);
    lists("");
}

static void test_the_variable_wins_and_takes_commas_and_spaces(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "preload-models.txt", "from-file\n");
    static const struct {
        const char *variable, *models;
    } cases[] = {
        {"OLLAMA_PRELOAD_MODELS=a,b", "a b"},           {"OLLAMA_PRELOAD_MODELS=a b", "a b"},
        {"OLLAMA_PRELOAD_MODELS= a ,\tb\n c\r\n", "a b c"}, {"OLLAMA_PRELOAD_MODELS=none", ""},
        {"OLLAMA_PRELOAD_MODELS=", "from-file"},        {"OLLAMA_PRELOAD_MODELS= , ", ""},
        {"OLLAMA_PRELOAD_MODELS=a,A:latest,,b", "a b"}, {"OTHER=1", "from-file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        load_variable("[preload]\n", cases[i].variable);
        lists(cases[i].models);
    }
    load_variable("", "OLLAMA_PRELOAD_MODELS=a,../b,-c");
    assert_null(k.conf);
    conf_case_told_of(&k, "error", "OLLAMA_PRELOAD_MODELS", "../b");
    conf_case_told_of(&k, "error", "OLLAMA_PRELOAD_MODELS", "-c");
    load_variable("", "OLLAMA_PRELOAD_MODELS=a # comment");
    assert_null(k.conf);
}

static void test_the_parameter_wins_over_the_file(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "preload-models.txt", "from-file\n");
    conf_case_load(&k, "[preload]\nmodels = a, b\n", NULL);
    lists("a b");
    conf_case_load(&k, "[preload]\nmodels = none\n", NULL);
    lists("");
    conf_case_load(&k, "[preload]\nmodels =\n", NULL);
    lists("from-file");
    conf_case_load(&k, "[preload]\nmodels = a,\n  b\n  c\n", NULL);
    lists("a b c");
    load_variable("[preload]\nmodels = a\n", "SIDECAR_PRELOAD_MODELS=x");
    lists("x");
    load_variable("[preload]\nmodels = a\n", "OLLAMA_PRELOAD_MODELS=y");
    lists("y");
    conf_case_load(&k, "[preload]\nmodels = a, ../b\n", NULL);
    conf_case_told(&k, 2, "../b");
}

static void test_what_is_loaded_is_a_model_last_or_none(void **state)
{
    (void)state;
    static const char *const good[] = {"none", "last", "", "llama3.2:1b", "hf.co/me/X-GGUF:Q4_K_M"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        char text[100];
        snprintf(text, sizeof text, "[preload]\nload = %s\n", good[i]);
        conf_case_load(&k, text, NULL);
        conf_case_good(&k);
        assert_int_equal(k.diag.warnings_n, 0);
        assert_string_equal(k.conf->preload.load, good[i]);
    }
    conf_case_load(&k, "[preload]\nretries = 1\nload = ../x\n", NULL);
    conf_case_told(&k, 3, "write none, last, or a model's name: ");
    conf_case_load(&k, "[preload]\nload = a, b\n", NULL);
    conf_case_told(&k, 2, "write none, last, or a model's name: ");
    load_variable("", "SIDECAR_PRELOAD_LOAD=-x");
    assert_true(conf_case_has(&k, "error", "SIDECAR_PRELOAD_LOAD", 0, "starts with -"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_file_has_a_model_a_line),
        CASE(test_windows_files_are_taken),
        CASE(test_the_same_model_twice_is_once),
        CASE(test_a_long_list_knows_its_first_models_at_its_end),
        CASE(test_an_empty_list_is_no_mistake),
        CASE(test_bad_names_are_told_with_file_and_line),
        CASE(test_every_bad_line_is_told),
        CASE(test_nul_bytes_are_told),
        CASE(test_a_line_without_end_is_told),
        CASE(test_ten_thousand_lines_are_read_quickly),
        CASE(test_a_folder_in_place_of_the_file_is_told),
        CASE(test_a_file_that_was_asked_for_must_be_there),
        CASE(test_the_variable_wins_and_takes_commas_and_spaces),
        CASE(test_the_parameter_wins_over_the_file),
        CASE(test_what_is_loaded_is_a_model_last_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
