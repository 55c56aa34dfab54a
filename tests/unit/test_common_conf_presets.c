/* common/conf: [proxy] presets: which file is read, by whom, and what children get of it. */
#include "tests/unit/conf_each.h"

#include "common/conf_internal.h"

#include <errno.h>

static const char file_text[] = "{\"cheap_text\": {\"model\": \"m\", \"options\": {\"batch_size\": 256}}}\n";

static char presets_path[SCRATCH_PATH_BYTES];

static const char *path_of(const char *name)
{
    return scratch_path(&k.scratch, name, presets_path);
}

/* As a program that runs alone reads it; the caller frees. */
static struct conf *load_alone(char **environment)
{
    struct conf *c = NULL;
    struct diag d;
    diag_init(&d);
    int error = conf_load(&c, k.file, environment, &d);
    if (error)
        print_error("%.*s", (int)buf_size(&d.text), buf_data(&d.text));
    assert_int_equal(error, 0);
    diag_fini(&d);
    return c;
}

static void test_the_default_file_need_not_be_there(void **state)
{
    (void)state;
    conf_case_load(&k, "", NULL);
    conf_case_good(&k);
    assert_null(k.conf->presets_text);
    assert_string_equal(k.conf->proxy.presets, "");
    scratch_text(&k.scratch, "models.json", file_text);
    conf_case_load(&k, "", NULL);
    conf_case_good(&k);
    assert_string_equal(k.conf->presets_text, file_text);
    assert_int_equal(k.conf->presets_text_n, strlen(file_text));
    assert_int_equal(k.conf->presets.items_n, 0); /* the supervisor needs none of them */
    assert_string_equal(k.conf->proxy.presets, path_of("models.json"));
    conf_case_load(&k, "[proxy]\npresets = none\n", NULL);
    assert_null(k.conf->presets_text);
}

static void test_who_runs_alone_has_them(void **state)
{
    (void)state;
    static char *nothing[] = {NULL};
    scratch_text(&k.scratch, "other.json", file_text);
    scratch_text(&k.scratch, "supervisor.ini", "[proxy]\npresets = other.json\n");
    struct conf *c = load_alone(nothing);
    assert_int_equal(c->presets.items_n, 1);
    assert_string_equal(presets_for(&c->presets, PRESET_TEXT)->models.items[0], "m");
    conf_free(&c);
    static char variable[] = "SIDECAR_PROXY_PRESETS=none";
    c = load_alone((char *[]){variable, NULL});
    assert_int_equal(c->presets.items_n, 0);
    conf_free(&c);
}

static void test_a_file_that_was_asked_for_must_be_there(void **state)
{
    (void)state;
    conf_case_load(&k, "[proxy]\nlisten = :1\npresets = models.json\n", NULL);
    conf_case_told(&k, 3, "/models.json can't be read: No such file or directory");
    static char variable[] = "SIDECAR_PROXY_PRESETS=/nowhere/at all";
    conf_case_load(&k, "", (char *[]){variable, NULL});
    conf_case_told_of(&k, "error", "SIDECAR_PROXY_PRESETS", "[proxy] presets: /nowhere/at all can't be read");
}

static void test_mistakes_are_told_with_those_of_the_ini(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "models.json", "{\n  \"a\": {\"modle\": \"x\"}\n}\n");
    conf_case_load(&k, "[proxy]\nlisten = nowhere\n", NULL);
    assert_null(k.conf);
    assert_true(conf_case_has(&k, "error", path_of("models.json"), 2, "column 9: preset \"a\": unknown member \"modle\""));
    assert_true(conf_case_has(&k, "error", path_of("models.json"), 2, "column 3: preset \"a\" names no model"));
    assert_true(conf_case_has(&k, "error", k.file, 2, "[proxy] listen"));
}

/* None of them may hold up a boot: a FIFO has nobody who writes. */
static void test_what_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path_of("models.json"), 0600), 0);
    conf_case_load(&k, "", NULL);
    assert_true(conf_case_has(&k, "error", k.file, 0, "/models.json can't be read: it is no regular file"));
    assert_int_equal(unlink(presets_path), 0);
    assert_int_equal(mkdir(presets_path, 0700), 0);
    conf_case_load(&k, "", NULL);
    assert_true(conf_case_has(&k, "error", k.file, 0, "/models.json can't be read: it is no regular file"));
    conf_case_load(&k, "[proxy]\npresets = /dev/zero\n", NULL);
    conf_case_told(&k, 2, "/dev/zero can't be read: it is no regular file");
    char *large = calloc(1, PRESETS_FILE_BYTES + 1);
    assert_non_null(large);
    scratch_write(&k.scratch, "large.json", large, PRESETS_FILE_BYTES + 1);
    free(large);
    conf_case_load(&k, "[proxy]\npresets = large.json\n", NULL);
    conf_case_told(&k, 2, "/large.json can't be read: it has more than 64 KiB");
    scratch_text(&k.scratch, "empty.json", "");
    conf_case_load(&k, "[proxy]\npresets = empty.json\n", NULL);
    assert_true(conf_case_has(&k, "error", path_of("empty.json"), 1, "column 1: the file ends here, and is empty"));
}

/* What the supervisor hands to a child, as a descriptor. */
static int hand(char variable[40])
{
    struct buf text;
    buf_init(&text, 0);
    assert_int_equal(conf_handed_text(k.conf, &text), 0);
    int fd = buf_size(&text) ? sys_memfd_text("x", buf_data(&text), buf_size(&text)) : -1;
    buf_fini(&text);
    snprintf(variable, 40, "SIDECAR_CONFIG_FD=%d", fd);
    return fd;
}

static void test_a_child_has_the_text_that_was_accepted(void **state)
{
    (void)state;
    static char ollama[] = "SIDECAR_OLLAMA=127.0.0.1:12345", a[] = "A=x";
    char config[40];
    char *childs[] = {ollama, config, NULL};
    scratch_text(&k.scratch, "models.json", file_text);
    conf_case_load(&k, "[proxy]\ncors_origins = http://%(ENV_A)s\n", (char *[]){a, NULL});
    conf_case_good(&k);
    int fd = hand(config);
    assert_true(fd > 2);
    scratch_text(&k.scratch, "models.json", "{ broken");
    struct conf *c = load_alone(childs);
    assert_string_equal(c->proxy.cors_origins.items[0], "http://x");
    assert_int_equal(c->presets.items_n, 1);
    assert_string_equal(c->presets.items[0].options[0].name, "num_batch");
    conf_free(&c);
    close(fd);
    conf_case_load(&k, "[proxy]\npresets = none\n", NULL);
    fd = hand(config);
    scratch_text(&k.scratch, "models.json", file_text);
    scratch_text(&k.scratch, "supervisor.ini", "");
    c = load_alone(childs); /* there were none, and what came later does not count */
    assert_int_equal(c->presets.items_n, 0);
    conf_free(&c);
    close(fd);
}

/* In the folder where we were started; a file that comes later is nobody's. */
static void test_without_an_ini_they_are_handed_down_too(void **state)
{
    (void)state;
    static char ollama[] = "SIDECAR_OLLAMA=127.0.0.1:12345";
    static char *nothing[] = {NULL};
    char config[40], here[4096];
    char *childs[] = {ollama, config, NULL};
    struct conf *c = NULL;
    assert_non_null(getcwd(here, sizeof here));
    scratch_text(&k.scratch, "models.json", file_text);
    assert_int_equal(chdir(k.scratch.dir), 0);
    int error = conf_load_to_start(&k.conf, NULL, nothing, &k.diag);
    int fd = hand(config);
    scratch_text(&k.scratch, "supervisor.ini", "[bogus]\n");
    assert_int_equal(unlink("models.json"), 0);
    int child_error = conf_load(&c, NULL, childs, &k.diag);
    assert_int_equal(chdir(here), 0);
    assert_int_equal(error, 0);
    assert_null(k.conf->file);
    assert_int_equal(child_error, 0);
    assert_null(c->file);
    assert_int_equal(c->presets.items_n, 1);
    conf_free(&c);
    close(fd);
}

static void test_an_asker_reads_none(void **state)
{
    (void)state;
    static char *nothing[] = {NULL};
    struct conf *c = NULL;
    scratch_text(&k.scratch, "models.json", "{ broken");
    scratch_text(&k.scratch, "supervisor.ini", "[supervisor]\ncontrol_socket = s\n");
    assert_int_equal(conf_load_to_ask(&c, k.file, nothing, &k.diag), 0);
    assert_string_equal(c->supervisor.control_socket, path_of("s"));
    conf_free(&c);
}

static void test_a_dump_shows_them_and_can_be_read_back(void **state)
{
    (void)state;
    struct buf text, again;
    scratch_text(&k.scratch, "preload-models.txt", "");
    scratch_text(&k.scratch, "models.json", "{\"a\": {\"model\": [\"x\", \"y\"], \"keep_alive\": \"5m\", \"system\": \"one\\ntwo \\u001b\"}}");
    conf_case_load(&k, "", NULL);
    buf_init(&text, 0);
    buf_init(&again, 0);
    assert_int_equal(conf_dump(k.conf, &text), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_non_null(strstr(buf_data(&text), "\n; presets:\n; a={\"model\": [\"x\", \"y\"], \"options\": {}, \"keep_alive\": \"5m\", \"system\": \"one\\ntwo \\u001b\"}\n"));
    conf_case_load(&k, buf_data(&text), NULL);
    conf_case_good(&k);
    assert_int_equal(conf_dump(k.conf, &again), 0);
    assert_int_equal(buf_append(&again, "", 1), 0);
    assert_non_null(strstr(buf_data(&again), "\n; presets:\n; a={\"model\": [\"x\", \"y\"]"));
    buf_fini(&text);
    buf_fini(&again);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_default_file_need_not_be_there),
        CASE(test_who_runs_alone_has_them),
        CASE(test_a_file_that_was_asked_for_must_be_there),
        CASE(test_mistakes_are_told_with_those_of_the_ini),
        CASE(test_what_is_no_file),
        CASE(test_a_child_has_the_text_that_was_accepted),
        CASE(test_without_an_ini_they_are_handed_down_too),
        CASE(test_an_asker_reads_none),
        CASE(test_a_dump_shows_them_and_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
