/* common/conf: [proxy] containers: what an entry becomes, every mistake of the file, and what children get of it. */
#include "common/contract.h"
#include "tests/unit/conf_each.h"

#include <sys/stat.h>

static const char ini[] = "[proxy]\ncontainers = c.json\n";
static char path[SCRATCH_PATH_BYTES];

static void load(const char *json)
{
    scratch_path(&k.scratch, "c.json", path);
    scratch_text(&k.scratch, "c.json", json);
    conf_case_load(&k, ini, NULL);
}

static void assert_told(int line, const char *text)
{
    if (k.conf || !conf_case_has(&k, "error", path, line, text)) {
        conf_case_show(&k, text, line);
        fail();
    }
}

static void test_an_entry_is_a_backend(void **state)
{
    (void)state;
    load("\xef\xbb\xbf[{\"name\": \"gpu1\", \"host\": \"10.0.0.7\"},\n"
         " {\"name\": \"gpu2\", \"host\": \"::1\", \"port\": 8000, \"weight\": 4, \"slots\": 3, \"models\": [\"llama3.2:1b\", \"qwen3:*\"], \"key\": \"k1\"},\n"
         " {\"name\": \"gpu3\", \"url\": \"https://ollama.example.com/gpu\", \"key_file\": \"key\"},\n"
         " {\"name\": \"v\", \"host\": \"vllm\", \"port\": 8000, \"api\": \"openai\"}]\n");
    assert_told(3, "[backend:gpu3] key_file: the file can't be read"); /* its rows are checked as a section's are */
    scratch_text(&k.scratch, "key", "from a file\n");
    conf_case_load(&k, ini, NULL);
    assert_told(3, "[backend:gpu3] key_file: it has a blank");
    scratch_text(&k.scratch, "key", "k2\n");
    conf_case_load(&k, ini, NULL);
    conf_case_good(&k);
    const struct conf_backend *b = k.conf->backends;
    assert_int_equal(k.conf->backends_n, 4);
    assert_true(k.conf->is_fleet);
    assert_string_equal(b[0].name, "gpu1");
    assert_string_equal(b[0].url, "http://10.0.0.7:11434");
    assert_true(conf_backend_is_member(&b[0]));
    assert_int_equal(b[0].weight, 1);
    assert_int_equal(b[0].slots, 1);
    assert_string_equal(b[0].key, "");
    assert_string_equal(b[1].url, "http://[::1]:8000");
    assert_int_equal(b[1].weight, 4);
    assert_int_equal(b[1].slots, 3);
    assert_string_equal(b[1].key, "k1");
    assert_int_equal(b[1].models.items_n, 2);
    assert_string_equal(b[1].models.items[1], "qwen3:*");
    assert_string_equal(b[2].url, "https://ollama.example.com/gpu");
    assert_string_equal(b[2].key, "k2");
    assert_false(conf_backend_is_member(&b[3]));
    assert_int_equal(b[3].slots, 0);
}

static void test_without_the_row_no_file_is_read(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "containers.config.json", "[{\"name\": \"a\", \"host\": \"h\"}]");
    conf_case_load(&k, "", NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->backends_n, 0);
    assert_false(k.conf->is_fleet);
    conf_case_load(&k, "[proxy]\ncontainers = none\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->backends_n, 0);
}

static void test_the_ollamas_take_the_place_of_ours(void **state)
{
    (void)state;
    load("[{\"name\": \"a\", \"host\": \"h\"}]");
    conf_case_good(&k);
    assert_false(k.conf->is_backend_ours);
    assert_false(conf_program(k.conf, "ollama")->autostart);
    assert_int_equal(conf_program(k.conf, "preload")->depends.items_n, 0);
    conf_case_load(&k, "[proxy]\ncontainers = c.json\nbackend = http://other:11434\nstart = ready\n[program:ollama]\nautostart = yes\n"
                       "[supervisor]\nidle_action = stop\n", NULL);
    conf_case_good(&k);
    assert_true(conf_case_has(&k, "warning", k.file, 3, "[proxy] backend: it has no effect: the backends with api = ollama are used"));
    assert_true(conf_case_has(&k, "warning", k.file, 8, "stop has no effect, as the Ollamas that are used are not ours"));
    assert_false(k.conf->is_backend_ours);
    assert_true(conf_program(k.conf, "ollama")->autostart);
    assert_int_equal(conf_program(k.conf, "proxy")->depends.items_n, 1);
}

#define A "{\"name\": \"a\", \"host\": \"h\"}"
#define WITH(members) "[{\"name\": \"a\", \"host\": \"h\",\n" members "}]"

static void test_each_mistake_of_a_file(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int line;
        const char *told;
    } rows[] = {
        {"", 1, "column 1: the file is empty: it is to be an array of backends: [{\"name\": "},
        {"\n  \n", 3, "the file is empty"},
        {"[]", 1, "column 1: the array is empty: there is nobody to send a request to"},
        {"{\"containers\": [" A "]}", 1, "column 1: the file begins with something else: it is to be an array"},
        {"// mine\n[" A "]", 1, "the file begins with something else"},
        {"[" A ",\n]", 2, "column 1: a comma stands before this bracket"},
        {"[" A "\n" A "]", 2, "column 1: a comma, a colon or a closing bracket is expected here"},
        {"[" A "\n", 2, "the file ends here, and a closing bracket is missing"},
        {"[\n# one\n" A "]", 2, "JSON has no comments"},
        {"[{'name': \"a\"}]", 1, "strings stand in double quotes"},
        {"[" A "]\n[]", 2, "something stands behind the closing bracket"},
        {"[" A "\x01]", 1, "a comma, a colon or a closing bracket"},
        {"[{\"name\": \"\xff\", \"host\": \"h\"}]", 1, "UTF-8"},
        {"[\n\"gpu1\"]", 2, "column 1: entry 1 must be an object, such as {\"name\": \"gpu1\", \"host\": \"10.0.0.7\"}, and is a string"},
        {"[null]", 1, "entry 1 must be an object"},
        {"[{}]", 1, "entry 1 has no name: add \"name\": \"NAME\""},
        {"[{}]", 1, "entry 1 says nowhere where it is: add \"host\": \"HOST\""},
        {"[" A ",\n{\"name\": 7, \"host\": \"i\"}]", 2, "column 10: entry 2: name must be a string, and is a number"},
        {"[{\"name\": \"a b\", \"host\": \"h\"}]", 1, "column 11: entry 1: \"a b\" is no name: letters, digits, _ - and . (64 at the most)"},
        {"[{\"name\": \"\", \"host\": \"h\"}]", 1, "entry 1: \"\" is no name"},
        {"[{\"name\": \"a\\u0000b\", \"host\": \"h\"}]", 1, "entry 1: name has a NUL byte"},
        {"[" A ",\n " A "]", 2, "column 11: entry 2, \"a\": there is another backend of this name, in line 1"},
        {"[{\"name\": \"s\", \"host\": \"h\"}]", 1, "entry 1, \"s\": there is another backend of this name, in line 3 of the ini file"},
        {"[" A ",\n{\"name\": \"b\", \"host\": \"H\"}]", 2, "[backend:b] url: this is the Ollama of backend \"a\", too"},
        {"[{\"name\": \"b\", \"host\": \"section\", \"port\": 80}]", 1, "[backend:b] url: this is the Ollama of backend \"s\", too"},
        {"[{\"name\": \"b\", \"host\": \"localhost\", \"port\": 7777}]", 1, "[backend:b] url: this is one of our own listeners"},
        {"[{\"name\": \"b\", \"host\": \"127.0.0.1:7\"}]", 1, "column 24: entry 1, \"b\": host is a name or an address, without a port"},
        {"[{\"name\": \"b\", \"host\": \"\"}]", 1, "host is a name or an address"},
        {"[{\"name\": \"b\", \"host\": \"h/path\"}]", 1, "host is a name or an address"},
        {"[{\"name\": \"b\", \"host\": \"http://h\"}]", 1, "the host is a URL: write it as \"url\""},
        {"[{\"name\": \"b\", \"host\": [\"h\"]}]", 1, "host must be a string, and is an array"},
        {"[{\"name\": \"b\", \"host\": \"h\", \"url\": \"http://h\"}]", 1, "column 24: entry 1, \"b\": it has a url, too"},
        {"[{\"name\": \"b\", \"port\": 1, \"url\": \"http://h\"}]", 1, "column 24: entry 1, \"b\": it has a url, too"},
        {"[{\"name\": \"b\", \"url\": \"\"}]", 1, "column 23: entry 1, \"b\": the url is empty: write http://HOST:PORT"},
        {"[{\"name\": \"b\", \"url\": \"h:1\"}]", 1, "[backend:b] url: write http://"},
        {WITH("\"port\": \"11434\""), 2, "column 9: entry 1, \"a\": port must be a number from 1 to 65535, without quotes"},
        {WITH("\"port\": 0"), 2, "port must be a number"},
        {WITH("\"port\": 65536"), 2, "port must be a number"},
        {WITH("\"port\": 1.5"), 2, "port must be a number"},
        {WITH("\"wieght\": 2"), 2, "column 1: entry 1: unknown member \"wieght\"; did you mean weight?"},
        {WITH("\"colour\": 2"), 2, "unknown member \"colour\"; there are name, host, port, url"},
        {WITH("\"\": 2"), 2, "unknown member \"\""},
        {WITH("\"weight\": 1,\n\"weight\": 2"), 3, "weight stands twice, first in line 2"},
        {WITH("\"weight\": 0"), 2, "[backend:a] weight: "},
        {WITH("\"weight\": 1001"), 2, "[backend:a] weight: "},
        {WITH("\"weight\": \"2\""), 2, "entry 1, \"a\": weight must be a number, and is a string"},
        {WITH("\"weight\": true"), 2, "weight must be a number"},
        {WITH("\"slots\": -1"), 2, "[backend:a] slots: "},
        {WITH("\"slots\": 1e2"), 2, "[backend:a] slots: "},
        {WITH("\"slots\": 100001"), 2, "[backend:a] slots: "},
        {WITH("\"models\": \"m\""), 2, "models must be an array of strings, and is a string"},
        {WITH("\"models\": [1]"), 2, "column 12: entry 1, \"a\": each of models is a string"},
        {WITH("\"models\": [\"a,b\"]"), 2, "each of models is a string"},
        {WITH("\"models\": [\"\"]"), 2, "each of models is a string"},
        {WITH("\"models\": [\"*b\"]"), 2, "[backend:a] models: \"*b\" names no model"},
        {WITH("\"api\": \"anthropic\""), 2, "[backend:a] api: "},
        {WITH("\"api\": null"), 2, "api must be a string"},
        {WITH("\"key\": \"open sesame\""), 2, "[backend:a] key: it has a blank"},
        {WITH("\"key\": \"sesame\\n\""), 2, "[backend:a] key: it has a blank, a line end"},
        {WITH("\"key\": \"sesame\\q\""), 2, "column 15: "},
        {WITH("\"key\": \"sesame\",\n\"key_file\": \"f\""), 3, "[backend:a] key_file: the key stands in the section, too"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scratch_path(&k.scratch, "c.json", path);
        scratch_text(&k.scratch, "c.json", rows[i].json);
        conf_case_load(&k, "[proxy]\ncontainers = c.json\n[backend:s]\nurl = http://section\napi = ollama\n[supervisor]\n", (char *[]){(char *)"SIDECAR_PROXY_LISTEN=:7777", NULL});
        assert_told(rows[i].line, rows[i].told);
        if (memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "sesame", 6))
            fail_msg("shown: %.*s", (int)buf_size(&k.diag.text), buf_data(&k.diag.text));
    }
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    load("[\n {\"name\": \"a\", \"hots\": \"h\"},\n {\"host\": \"h\", \"weight\": 0},\n 7,\n {\"name\": \"a\", \"url\": \"x\", \"slots\": \"many\"}\n]\n");
    assert_told(2, "did you mean host?");
    assert_told(2, "entry 1, \"a\" says nowhere where it is");
    assert_told(3, "entry 2 has no name");
    assert_told(4, "entry 3 must be an object");
    assert_told(5, "there is another backend of this name");
    assert_told(5, "slots must be a number");
    assert_int_equal(k.diag.errors_n, 6); /* and not that backend a has no url, as that is what line 2 says */
}

static void test_one_mistake_is_told_once(void **state)
{
    (void)state;
    load("[\n {\"name\": \"a\", \"host\": \"h:1\"},\n {\"name\": \"b\", \"host\": \"h\", \"port\": \"1\"},\n {\"name\": \"c\", \"host\": 7}\n]\n");
    assert_int_equal(k.diag.errors_n, 3); /* where they are, and not once more that their url is missing */
    load("[\n {\"name\": \"a\", \"host\": \"h\"},\n {\"name\": \"b\", \"host\": \"h\"},\n {\"name\": \"c\", \"host\": \"h\"},\n {\"name\": \"d\", \"host\": \"h\"}\n]\n");
    assert_int_equal(k.diag.errors_n, 3); /* each beside the first, and not beside all before it */
    assert_told(5, "[backend:d] url: this is the Ollama of backend \"a\", too");
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    scratch_path(&k.scratch, "c.json", path);
    conf_case_load(&k, ini, NULL);
    conf_case_told(&k, 2, "/c.json can't be read: No such file or directory");
    assert_int_equal(mkdir(path, 0700), 0);
    conf_case_load(&k, ini, NULL);
    conf_case_told(&k, 2, "/c.json can't be read: it is no regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    conf_case_load(&k, ini, NULL);
    conf_case_told(&k, 2, "/c.json can't be read: it is no regular file");
    assert_int_equal(unlink(path), 0);
    char *large = malloc(1 << 20);
    assert_non_null(large);
    memset(large, '[', 1 << 20);
    scratch_write(&k.scratch, "c.json", large, 1 << 20);
    conf_case_load(&k, ini, NULL);
    conf_case_told(&k, 2, "/c.json can't be read: it has more than 256 KiB");
    scratch_write(&k.scratch, "c.json", large, 100 * 1000);
    free(large);
    conf_case_load(&k, ini, NULL);
    assert_told(1, "nested deeper than 32");
    scratch_write(&k.scratch, "c.json", "[\0]", 3);
    conf_case_load(&k, ini, NULL);
    assert_told(1, "column 2: a NUL byte");
    conf_case_load(&k, "[proxy]\ncontainers = /nowhere/c.json\n", NULL);
    conf_case_told(&k, 2, "[proxy] containers: /nowhere/c.json can't be read");
}

/* A file with so many entries. */
static void write_entries(int entries_n)
{
    struct buf json;
    buf_init(&json, 0);
    for (int i = 0; i < entries_n; i++)
        assert_int_equal(buf_printf(&json, "%s{\"name\": \"n%d\", \"host\": \"h%d\"}", i ? ",\n" : "[", i, i), 0);
    assert_int_equal(buf_text(&json, "]"), 0);
    scratch_write(&k.scratch, "c.json", buf_data(&json), buf_size(&json));
    buf_fini(&json);
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    scratch_path(&k.scratch, "c.json", path);
    write_entries(CONF_BACKENDS_MAX);
    conf_case_load(&k, ini, NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->backends_n, CONF_BACKENDS_MAX);
    write_entries(CONF_BACKENDS_MAX + 2);
    conf_case_load(&k, ini, NULL);
    assert_told(CONF_BACKENDS_MAX + 1, "more than 64 backends, those of the ini file included");
    assert_int_equal(k.diag.errors_n, 1);
}

static const char handed[] = "[{\"name\": \"a\", \"host\": \"h\", \"key\": \"k1\"}, {\"name\": \"b\", \"host\": \"i\", \"key_file\": \"key\"}]";

/* A child may not be allowed to read the file, and what is in it later is not in force. */
static void test_a_child_has_what_was_accepted(void **state)
{
    (void)state;
    struct buf text;
    char variables[2][64];
    for (int has_presets = 0; has_presets < 2; has_presets++) {
        if (has_presets)
            scratch_text(&k.scratch, "models.json", "{\"p\": {\"model\": \"m\"}}");
        scratch_text(&k.scratch, "key", "k2\n");
        load(handed);
        conf_case_good(&k);
        buf_init(&text, 0);
        assert_int_equal(conf_handed_text(k.conf, &text), 0);
        int fd = sys_memfd_text("x", buf_data(&text), buf_size(&text));
        buf_fini(&text);
        scratch_text(&k.scratch, "c.json", "[ broken");
        scratch_text(&k.scratch, "key", "other\n");
        snprintf(variables[0], sizeof variables[0], CONTRACT_ENV_OLLAMA "=127.0.0.1:11435");
        snprintf(variables[1], sizeof variables[1], CONTRACT_ENV_CONFIG "=%d", fd);
        char *environment[] = {variables[0], variables[1], NULL};
        struct conf *child = NULL;
        struct diag d;
        diag_init(&d);
        assert_int_equal(conf_load(&child, k.file, environment, &d), 0);
        assert_true(child->is_fleet);
        assert_int_equal(child->backends_n, 2);
        assert_string_equal(child->backends[0].key, "k1");
        assert_string_equal(child->backends[1].key, "k2");
        assert_string_equal(child->proxy.containers, k.conf->proxy.containers);
        assert_int_equal(child->presets.items_n, has_presets);
        diag_fini(&d);
        conf_free(&child);
        assert_int_equal(sys_close(fd), 0);
    }
}

static void test_an_asker_reads_none(void **state)
{
    (void)state;
    static char *nothing[] = {NULL};
    struct conf *c = NULL;
    scratch_text(&k.scratch, "c.json", "[ broken");
    scratch_text(&k.scratch, "supervisor.ini", ini);
    assert_int_equal(conf_load_to_ask(&c, k.file, nothing, &k.diag), 0);
    conf_free(&c);
}

static void values(const char *section, struct buf *out)
{
    buf_init(out, 0);
    assert_int_equal(conf_section_values(k.conf, section, out), 0);
    assert_int_equal(buf_append(out, "", 1), 0);
}

static void assert_changes(const char *section, const char *json, int is_change)
{
    struct buf before, after;
    load("[" A "]");
    values(section, &before);
    load(json);
    values(section, &after);
    if ((strcmp(buf_data(&before), buf_data(&after)) != 0) != is_change)
        fail_msg("%s: %s", section, json);
    buf_fini(&before);
    buf_fini(&after);
}

/* What the proxy, and the preloader, are started again for. */
static void test_a_changed_file_is_a_change(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int is_proxys, is_preloaders;
    } rows[] = {
        {"[\n" A "\n]\n", 0, 0}, /* in other words the same */
        {"[{\"name\": \"a\", \"host\": \"h\", \"weight\": 2}]", 1, 0},
        {"[{\"name\": \"a\", \"host\": \"i\"}]", 1, 1},
        {"[{\"name\": \"a\", \"host\": \"h\", \"key\": \"k\"}]", 1, 1},
        {"[" A ", {\"name\": \"b\", \"host\": \"i\"}]", 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_changes("proxy", rows[i].json, rows[i].is_proxys);
        assert_changes("preload", rows[i].json, rows[i].is_preloaders);
    }
}

/* The list is for all of them, or for nobody, as there is no Ollama here. */
static void test_who_gets_the_list(void **state)
{
    (void)state;
    struct list list = {0};
    load("[" A "]");
    conf_case_load(&k, "[proxy]\ncontainers = c.json\n[preload]\nmodels = x, y\n", NULL);
    conf_case_good(&k);
    assert_true(conf_case_has(&k, "warning", k.file, 3, "[preload] targets: no model of the list is pulled, as no Ollama runs here"));
    assert_int_equal(conf_preload_list(k.conf, &list, &k.diag), 0);
    assert_int_equal(list.items_n, 0);
    conf_case_load(&k, "[proxy]\ncontainers = c.json\n[preload]\nmodels = x, y\ntargets = all\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.diag.warnings_n, 0);
    assert_int_equal(conf_preload_list(k.conf, &list, &k.diag), 0);
    assert_int_equal(list.items_n, 2);
    list_fini(&list);
    conf_case_load(&k, "[proxy]\ncontainers = c.json\n[preload]\nmodels = ../x\n", NULL);
    conf_case_told(&k, 4, "../x");
    conf_case_load(&k, ini, NULL);
    assert_int_equal(k.diag.warnings_n, 0);
}

static void test_a_dump_shows_them_and_can_be_read_back(void **state)
{
    (void)state;
    struct buf text;
    scratch_text(&k.scratch, "preload-models.txt", "");
    load("[\n{\"name\": \"a\", \"host\": \"h\", \"key\": \"sesame\", \"slots\": 2}]");
    scratch_text(&k.scratch, "supervisor.ini", "");
    buf_init(&text, 0);
    assert_int_equal(conf_dump(k.conf, &text), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    static const char *const lines[] = {"; [backend:a]\n; url = http://h:11434  ; its line 2\n", "; key = ***  ; its line 2\n", "; slots = 2  ; its line 2\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(buf_data(&text), lines[i]))
            fail_msg("no %s in %s", lines[i], buf_data(&text));
    assert_null(strstr(buf_data(&text), "sesame"));
    assert_null(strstr(buf_data(&text), "; backend: "));
    conf_case_load(&k, buf_data(&text), NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->backends_n, 1);
    assert_string_equal(k.conf->backends[0].key, "sesame");
    buf_fini(&text);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_entry_is_a_backend),
        CASE(test_without_the_row_no_file_is_read),
        CASE(test_the_ollamas_take_the_place_of_ours),
        CASE(test_each_mistake_of_a_file),
        CASE(test_all_mistakes_at_once),
        CASE(test_one_mistake_is_told_once),
        CASE(test_what_is_no_file),
        CASE(test_as_many_as_there_may_be),
        CASE(test_a_child_has_what_was_accepted),
        CASE(test_an_asker_reads_none),
        CASE(test_a_changed_file_is_a_change),
        CASE(test_who_gets_the_list),
        CASE(test_a_dump_shows_them_and_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
