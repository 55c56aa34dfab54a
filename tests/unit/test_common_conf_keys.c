/* common/conf: [key:NAME] and [backend:NAME]: their mistakes, their secrets, and which models a list names. */
#include "common/contract.h"
#include "tests/unit/conf_each.h"

#include <errno.h>

#define HEX64 "0123456789abcdefABCDEF00112233445566778899aabbccddeeff0123456789"
#define GOOD "secret = sesame-0123456789\n"

static void test_rows_of_a_key(void **state)
{
    (void)state;
    conf_case_load(&k, "[key:ci.main]\n" GOOD "rights = inference, Observe\nmodels = llama3.2, qwen3:*\nrequests_per_minute = 60\n"
                       "tokens_per_minute = 1000\npriority = 9\nheartbeat = off\n[key:other]\nsecret_hash = sha256:" HEX64 "\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->keys_n, 2);
    const struct conf_key *key = &k.conf->keys[0];
    assert_string_equal(key->name, "ci.main");
    assert_string_equal(key->secret, "sesame-0123456789");
    assert_int_equal(conf_key_rights(key), CONF_RIGHT_INFERENCE | CONF_RIGHT_OBSERVE);
    assert_int_equal(key->models.items_n, 2);
    assert_int_equal(key->requests_per_minute, 60);
    assert_int_equal(key->tokens_per_minute, 1000);
    assert_int_equal(key->priority, 9);
    assert_int_equal(key->heartbeat, CONF_KEY_HEARTBEAT_OFF);
    assert_true(conf_key_has_priority(key));
    key = &k.conf->keys[1];
    assert_false(conf_key_has_priority(key));
    assert_string_equal(key->secret, "");
    assert_int_equal(conf_key_rights(key), CONF_RIGHT_INFERENCE);
    assert_int_equal(key->priority, 5);
    assert_int_equal(key->heartbeat, CONF_KEY_HEARTBEAT_PROXY);
}

static void test_rows_of_a_backend(void **state)
{
    (void)state;
    conf_case_load(&k, "[backend:vllm]\nurl = http://127.0.0.1:8000\n[backend:far]\nurl = https://api.example.com/v1\napi = openai\n"
                       "key = sesame\nslots = 4\nmodels = gpt-4o, gpt-5*\n[backend:near]\nurl = http://other\napi = ollama\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->backends_n, 3);
    assert_int_equal(k.conf->backends[0].api, CONF_BACKEND_API_OPENAI);
    assert_string_equal(k.conf->backends[1].key, "sesame"); /* somebody else's: its length is his business */
    assert_int_equal(k.conf->backends[1].slots, 4);
    assert_int_equal(k.conf->backends[1].weight, 1);
    assert_false(conf_backend_is_member(&k.conf->backends[1]));
    assert_true(conf_backend_is_member(&k.conf->backends[2]));
    assert_true(k.conf->is_fleet);
    conf_case_load(&k, "[backend:vllm]\nurl = http://127.0.0.1:8000\n", NULL);
    conf_case_good(&k);
    assert_false(k.conf->is_fleet);
    assert_int_equal(k.conf->backends[0].slots, 0);
}

/* Its own word, else that of [proxy], else one at a time. */
static void test_slots_of_an_ollama(void **state)
{
    (void)state;
    static const char *const text = "[backend:a]\nurl = http://a\napi = ollama\n[backend:b]\nurl = http://b\napi = ollama\nslots = 3\n";
    char with_slots[400];
    conf_case_load(&k, text, NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->backends[0].slots, 1);
    assert_int_equal(k.conf->backends[1].slots, 3);
    snprintf(with_slots, sizeof with_slots, "[proxy]\nslots = 2\n%s", text);
    conf_case_load(&k, with_slots, NULL);
    assert_int_equal(k.conf->backends[0].slots, 2);
    assert_int_equal(k.conf->backends[1].slots, 3);
}

static void test_mistakes_show_no_secret(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *told;
    } rows[] = {
        {"[key]\n", 1, "[key] needs a name"},
        {"[key:a b]\n" GOOD, 1, "\"a b\" is no name"},
        {"[key:a]\n" GOOD "[key:a]\nsecret = sesame-2-0123456789\n", 3, "[key:a] stands twice, first in line 1"},
        {"[key:a]\n", 1, "[key:a] secret: there is none: write secret, secret_file or secret_hash"},
        {"[key:a]\nsecret =\n", 2, "[key:a] secret: there is none"},
        {"[key:a]\n" GOOD "secret_file = f\n", 3, "[key:a] secret_file: the key stands in the section, too"},
        {"[key:a]\n" GOOD "secret_hash = sha256:" HEX64 "\n", 3, "[key:a] secret_hash: the key is given in another way, too"},
        {"[key:a]\nsecret_file = nowhere\nsecret_hash = sha256:" HEX64 "\n", 3, "secret_hash: the key is given in another way"},
        {"[key:a]\nsecret_file = sesame\n", 2, "[key:a] secret_file: the file can't be read: No such file or directory; its path starts at /"},
        {"[key:a]\nsecret_file = /sesame\n", 2, "secret_file: the file can't be read: No such file or directory"},
        {"[key:a]\nsecret_file = empty\n", 2, "secret_file: the file is empty"},
        {"[key:a]\nsecret_file = lines\n", 2, "secret_file: it has a blank, a line end"},
        {"[key:a]\nsecret = open sesame 0123456\n", 2, "[key:a] secret: it has a blank"},
        {"[key:a]\nsecret = s\xc3\xa4same-0123456789\n", 2, "it has a blank, a line end or another character"},
        {"[key:a]\nsecret = sesame%-0123456789\n", 2, "secret: what follows a % is wrong: write %% for"},
        {"[key:a]\nsecret = %(sesame)s-0123456789\n", 2, "secret: what follows a % is wrong"},
        {"[key:a]\nsecret = %(ENV_sesame)s-0123456789\n", 2, "secret: what follows a % is wrong"},
        {"[key:a]\nsecret_hash = sesame\n", 2, "[key:a] secret_hash: write sha256: and the 64 hexadecimal digits"},
        {"[key:a]\nsecret_hash = sha256:" HEX64 "0\n", 2, "secret_hash: write sha256:"},
        {"[key:a]\nsecret_hash = md5:" HEX64 "\n", 2, "secret_hash: write sha256:"},
        {"[key:a]\n" GOOD "[key:b]\n" GOOD, 3, "[key:b] has the secret of [key:a] in line 1"},
        {"[key:a]\n" GOOD "[key:b]\nsecret_file = same\n", 3, "[key:b] has the secret of [key:a] in line 1"},
        {"[key:a]\nsecret_hash = sha256:" HEX64 "\n[key:b]\nsecret_hash = sha256:" HEX64 "\n", 3, "[key:b] has the secret of [key:a]"},
        {"[key:a]\n" GOOD "rights = admin\n", 3, "[key:a] rights: \"admin\" is none of: inference, observe, manage"},
        {"[key:a]\n" GOOD "rights =\n", 3, "[key:a] rights: it may do nothing"},
        {"[key:a]\n" GOOD "models = a*b\n", 3, "[key:a] models: \"a*b\" names no model"},
        {"[key:a]\n" GOOD "models = a b\n", 3, "names no model"},
        {"[key:a]\n" GOOD "priority = 10\n", 3, "[key:a] priority: "},
        {"[key:a]\n" GOOD "heartbeat = never\n", 3, "is none of: proxy, comment, chunk, off"},
        {"[key:a]\n" GOOD "right = manage\n", 3, "unknown key \"right\" in [key]; did you mean rights?"},
        {"[key:a]\nc2VzYW1lsesame==\n", 2, "unknown key \"***\" in [key]"},
        {"[key:a]\nsecret sesame\n", 2, "\"***\" is neither `key = value` nor [section]"},
        {"[key:a] secret: sesame\n", 1, "\"***\" after the section's header is not read"},
        {"[backend:b]\n", 1, "[backend:b] url: there is none"},
        {"[backend:b]\nurl = h:80\n", 2, "[backend:b] url: write http://"},
        {"[backend:b]\nurl = https://u:sesame@h\n", 2, "[backend:b] url: it has no place for a user or a password"},
        {"[backend:b]\nurl = https://h?key=sesame\n", 2, "[backend:b] url: it has no place for a query"},
        {"[backend:b]\nurl = https://h\nkey = sesame\nkey_file = f\n", 4, "[backend:b] key_file: the key stands in the section, too"},
        {"[backend:b]\nurl = https://h\nkey = open sesame\n", 3, "[backend:b] key: it has a blank"},
        {"[backend:b]\nurl = https://h\nmodels = *x\n", 3, "[backend:b] models: \"*x\" names no model"},
        {"[backend:b]\nurl = https://h\napi = anthropic\n", 3, "is none of: ollama, openai"},
        {"[backend:b]\nurl = https://h\nweight = 0\n", 3, "[backend:b] weight: "},
        {"[redis]\nurl = sesame@h\n", 2, "[redis] url: write redis://"},
        {"[redis]\nurl = rediss://:sesame@h\n", 2, "[redis] url: TLS is not spoken to Redis"},
        {"[redis]\nurl = redis://:sesa me@h\n", 2, "[redis] url: it has a blank"},
        {"[redis]\nurl = redis://:sesame%40@h\n", 2, "url: what follows a % is wrong: write %% for"},
        {"[redis]\nurl = redis://h\npassword = sesame\npassword_file = f\n", 4, "[redis] password_file: the key stands in the section, too"},
        {"[redis]\nurl = redis://h\npassword = open sesame\n", 3, "[redis] password: it has a blank"},
        {"[redis]\nurl = redis://h\npassword_file = nowhere\n", 3, "[redis] password_file: the file can't be read"},
        {"[redis]\nprefix = a{b}\n", 2, "[redis] prefix: take up to 64"},
        {"[redis]\nlease = 10ms\n", 2, "[redis] lease: "},
        {"[redis]\nc2VzYW1lsesame==\n", 2, "unknown key \"***\" in [redis]"},
    };
    scratch_text(&k.scratch, "empty", "\n");
    scratch_text(&k.scratch, "lines", "sesame-0123456789\nsesame-0123456789\n");
    scratch_text(&k.scratch, "same", "sesame-0123456789\r\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf_case_load(&k, rows[i].text, NULL);
        conf_case_told(&k, rows[i].line, rows[i].told);
        if (memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "sesame", 6))
            fail_msg("shown: %.*s", (int)buf_size(&k.diag.text), buf_data(&k.diag.text));
    }
    static char far[5000] = "[key:a]\nsecret = ";
    memset(far + strlen(far), 'x', sizeof far - strlen(far) - 1);
    conf_case_load(&k, far, NULL);
    conf_case_told(&k, 2, "secret: it has more than 4096 bytes");
}

static void test_all_mistakes_at_once_and_a_weak_secret(void **state)
{
    (void)state;
    conf_case_load(&k, "[key:a]\nrights = x, y\nmodels = *a\n[backend:b]\nkey = a b\n", NULL);
    conf_case_told(&k, 1, "there is none");
    conf_case_told(&k, 2, "\"x\"");
    conf_case_told(&k, 2, "\"y\"");
    conf_case_told(&k, 3, "\"*a\"");
    conf_case_told(&k, 4, "url");
    conf_case_told(&k, 5, "blank");
    assert_int_equal(k.diag.errors_n, 6);
    conf_case_load(&k, "[key:a]\nsecret = 0123456789abcde\n", NULL);
    conf_case_good(&k);
    assert_true(conf_case_has(&k, "warning", k.file, 2, "[key:a] secret: it has less than 16 characters"));
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < CONF_KEYS_MAX; i++)
        assert_int_equal(buf_printf(&text, "[key:n%d]\nsecret = %016d\n", i, i), 0);
    for (int i = 0; i < CONF_BACKENDS_MAX; i++)
        assert_int_equal(buf_printf(&text, "[backend:n%d]\nurl = http://h\n", i), 0);
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    conf_case_good(&k);
    assert_int_equal(buf_printf(&text, "[key:last]\n[backend:last]\n"), 0);
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    conf_case_told(&k, 2 * CONF_KEYS_MAX + 2 * CONF_BACKENDS_MAX + 1, "more than 64 sections [key:NAME]");
    conf_case_told(&k, 2 * CONF_KEYS_MAX + 2 * CONF_BACKENDS_MAX + 2, "more than 64 sections [backend:NAME]");
    buf_fini(&text);
}

static const char text_with_secrets[] = "[key:a]\nsecret = a;sesame%%-0123456789\n[key:b]\nsecret_file = b\n[key:c]\nsecret = %(ENV_C)s\n[key:d]\nsecret = d\n"
                                        "[backend:e]\nurl = http://h\nkey_file = e\n[backend:f]\nurl = http://h\nkey = f\n"
                                        "[redis]\nurl = redis://u:sesame-%%40@r:1/2\npassword_file = r\n[environment]\nX = -sesame-from-b-and-c-\nREDIS_URL = redis://u:sesame-%%40@r:1/2\n";
static char secret_c[] = "C=sesame-from-b-and-c";

static void load_with_secrets(void)
{
    static char *environment[] = {secret_c, NULL}; /* borrowed for as long as the configuration */
    scratch_text(&k.scratch, "b", "b=sesame=0123456789\n");
    scratch_text(&k.scratch, "e", "e\n");
    scratch_text(&k.scratch, "r", "sesame-of-redis\n");
    conf_case_load(&k, text_with_secrets, environment);
    conf_case_good(&k);
}

static void test_no_dump_shows_a_secret(void **state)
{
    (void)state;
    struct buf text;
    load_with_secrets();
    buf_init(&text, 0);
    assert_int_equal(conf_dump(k.conf, &text), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    const char *dump = buf_data(&text);
    if (strstr(dump, "sesame"))
        fail_msg("shown:\n%s", dump);
    static const char *const lines[] = {"[key:a]\n; secret = ***  ; line 2\n", "\nsecret_file = b  ; line 4\n", "[key:c]\n; secret = ***  ; line 6\n",
                                        "[key:d]\n; secret = ***  ; line 8\n", "\n; key = ***  ; line 14\n", "\n; X = -***-",
                                        "[redis]\n; url = redis://***@r:1/2  ; line 16\npassword =   ; default\npassword_file = r  ; line 17\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr(dump, lines[i]))
            fail_msg("no %s in %s", lines[i], dump);
    buf_fini(&text);
}

static void assert_secrets(const struct conf *c)
{
    static const char *const secrets[] = {"a;sesame%-0123456789", "b=sesame=0123456789", "sesame-from-b-and-c", "d"};
    assert_int_equal(c->keys_n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(c->keys[i].secret, secrets[i]);
    assert_string_equal(c->backends[0].key, "e");
    assert_string_equal(c->backends[1].key, "f");
    assert_string_equal(c->redis.password, "sesame-of-redis");
    assert_string_equal(c->redis.url, "redis://u:sesame-%40@r:1/2");
}

/* A proxy that runs as another user may not read the files. */
static void test_a_child_gets_the_secrets_of_files(void **state)
{
    (void)state;
    struct buf text;
    char path[SCRATCH_PATH_BYTES], variables[2][64];
    load_with_secrets();
    assert_secrets(k.conf);
    buf_init(&text, 0);
    assert_int_equal(conf_handed_text(k.conf, &text), 0);
    assert_int_equal(unlink(scratch_path(&k.scratch, "b", path)), 0);
    int fd = sys_memfd_text("x", buf_data(&text), buf_size(&text));
    buf_fini(&text);
    snprintf(variables[0], sizeof variables[0], CONTRACT_ENV_OLLAMA "=127.0.0.1:11435");
    snprintf(variables[1], sizeof variables[1], CONTRACT_ENV_CONFIG "=%d", fd);
    char *environment[] = {variables[0], variables[1], NULL};
    struct conf *child = NULL;
    diag_fini(&k.diag);
    diag_init(&k.diag);
    assert_int_equal(conf_load(&child, k.file, environment, &k.diag), 0);
    assert_secrets(child);
    conf_free(&child);
    assert_int_equal(sys_close(fd), 0);
}

/* What the proxy is told by: other contents of a file are another configuration. */
static void test_a_changed_file_is_a_change(void **state)
{
    (void)state;
    struct buf before, after;
    buf_init(&before, 0);
    buf_init(&after, 0);
    load_with_secrets();
    assert_int_equal(conf_section_values(k.conf, "proxy", &before), 0);
    scratch_text(&k.scratch, "e", "other\n");
    static char *environment[] = {secret_c, NULL}; /* borrowed for as long as the configuration */
    conf_case_load(&k, text_with_secrets, environment);
    assert_int_equal(conf_section_values(k.conf, "proxy", &after), 0);
    assert_int_not_equal(buf_size(&before), buf_size(&after));
    buf_fini(&before);
    buf_fini(&after);
}

static void test_which_models_a_list_names(void **state)
{
    (void)state;
    static const struct {
        const char *list, *name;
        int is_named;
    } rows[] = {
        {"llama3.2", "llama3.2", 1},
        {"llama3.2", "LLAMA3.2:latest", 1},
        {"llama3.2", "registry.ollama.ai/library/llama3.2", 1},
        {"llama3.2", "llama3.2:1b", 0},
        {"a, llama3.2", "llama3.2", 1},
        {"llama3*", "Llama3.2:1b", 1},
        {"llama3*", "llama3", 1},
        {"llama3*", "llama", 0},
        {"llama3*", "llama3-evil/x", 0},
        {"llama3*", "evil/llama3", 0},
        {"library/llama3*", "llama3:8b", 1},
        {"llama3*", "library/llama3:8b", 1},
        {"qwen3:*", "qwen3:4b", 1},
        {"qwen3:*", "qwen3", 1},
        {"qwen3:*", "qwen35", 0},
        {"qwen3:latest*", "qwen3", 1},
        {"qwen3:l*", "qwen3", 1},
        {"qwen3:la*", "qwen", 0},
        {"qwen3:4*", "qwen3", 0},
        {"hf.co/*", "hf.co/a/b:Q4", 1},
        {"hf.co/*", "hf.co", 0},
        {"hf.co/a/*", "hf.co/b/x", 0},
        {"*", "hf.co/a/b", 1},
        {"*", "", 1},
        {"*", "https://m", 0},
        {"hf.co/*", "hf.co/://evil", 0},
        {"m", "", 0},
        {"", "m", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct list list = {0};
        assert_int_equal(parse_list(rows[i].list, ",", &list), 0);
        if (conf_names_model(&list, rows[i].name, strlen(rows[i].name)) != rows[i].is_named)
            fail_msg("%s, %s", rows[i].list, rows[i].name);
        list_fini(&list);
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_rows_of_a_key),
        CASE(test_rows_of_a_backend),
        CASE(test_slots_of_an_ollama),
        CASE(test_mistakes_show_no_secret),
        CASE(test_all_mistakes_at_once_and_a_weak_secret),
        CASE(test_as_many_as_there_may_be),
        CASE(test_no_dump_shows_a_secret),
        CASE(test_a_child_gets_the_secrets_of_files),
        CASE(test_a_changed_file_is_a_change),
        CASE(test_which_models_a_list_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
