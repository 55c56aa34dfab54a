/* common/conf: [models] and [engine:NAME]: what is built in, what other houses' variables set, where the hub's cache is, every mistake (R1.5, R1.6). */
#include "tests/unit/conf_each.h"

#define ON "[models]\nserve = yes\n" /* two lines */

/* Loads with up to three variables. */
static void load(const char *text, const char *a, const char *b, const char *c)
{
    static char room[3][400];
    const char *given[] = {a, b, c};
    static char *environment[4]; /* borrowed for as long as the configuration */
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        if (!given[i])
            continue;
        snprintf(room[i], sizeof room[i], "%s", given[i]);
        environment[n++] = room[i];
    }
    environment[n] = NULL;
    conf_case_load(&k, text, environment);
}

static void good(const char *text, const char *a, const char *b, const char *c)
{
    load(text, a, b, c);
    conf_case_good(&k);
}

static void words_are(const struct list *l, const char *expected)
{
    char got[1000] = "";
    for (size_t i = 0; i < l->items_n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", l->items[i]);
    assert_string_equal(got, expected);
}

static void test_r1_5_three_engines_are_built_in_in_their_order(void **state)
{
    (void)state;
    static const char *const names[] = {"vllm", "transformers", "llama"};
    good(ON, NULL, NULL, NULL);
    assert_int_equal(k.diag.warnings_n, 0);
    assert_int_equal(k.conf->engines_n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(k.conf->engines[i].name, names[i]);
        assert_string_equal(k.conf->models.engines.items[i], names[i]);
        assert_ptr_equal(conf_engine(k.conf, names[i]), &k.conf->engines[i]);
        assert_int_equal(k.conf->engines[i].idle_timeout_ms, 600000);
    }
    assert_null(conf_engine(k.conf, "tgi"));
    assert_int_equal(k.conf->engines[0].formats, CONF_FORMAT_SAFETENSORS);
    assert_int_equal(k.conf->engines[2].formats, CONF_FORMAT_GGUF);
    assert_int_equal(k.conf->models.max_length, 32768);
    assert_false(k.conf->models.remote_code);
}

static void test_engines_that_nobody_asked_for_cost_nothing(void **state)
{
    (void)state;
    good("", NULL, NULL, NULL);
    assert_int_equal(k.conf->engines_n, 0);
    assert_null(k.conf->hub_cache);
    good("[models]\nserve = no\nload_cooldown = 1s\n", NULL, NULL, NULL);
    assert_int_equal(k.conf->engines_n, 0);
    good("", "SIDECAR_MODELS_SERVE=no", NULL, NULL);
    assert_int_equal(k.conf->engines_n, 0);
    good("", "SIDECAR_MODELS_SERVE=yes", NULL, NULL);
    assert_int_equal(k.conf->engines_n, 3);
    good("[models]\nserve = %(ENV_SERVE:-no)s\n", "SERVE=yes", NULL, NULL);
    assert_int_equal(k.conf->engines_n, 3);
    good("[engine:llama]\nslots = 2\n", NULL, NULL, NULL);
    assert_int_equal(k.conf->engines_n, 3); /* as it may be turned on by a variable later */
}

static void test_a_section_of_a_built_in_engine_changes_keys_of_it(void **state)
{
    (void)state;
    good(ON "engines = mine, llama\n[engine:mine]\ncommand = serve %(path)s %(port)s\n[engine:llama]\nslots = 2\ngpu_flags =\n", NULL, NULL, NULL);
    assert_int_equal(k.conf->engines_n, 4);
    assert_string_equal(k.conf->engines[2].name, "llama");
    assert_string_equal(k.conf->engines[3].name, "mine"); /* behind those that are built in */
    assert_int_equal(k.conf->engines[2].slots, 2);
    assert_int_equal(k.conf->engines[2].gpu_flags.items_n, 0);
    assert_string_equal(k.conf->engines[2].command.items[0], "llama-server");
    words_are(&k.conf->engines[3].command, "serve %(path)s %(port)s");
    words_are(&k.conf->models.engines, "mine llama");
}

static void test_a_model_server_may_be_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int is_alone, is_backend_ours;
    } rows[] = {
        {"", 0, 1},
        {ON, 0, 1}, /* beside it */
        {"[program:ollama]\nautostart = no\n", 0, 1}, /* it is started when it is wanted */
        {ON "[program:ollama]\nautostart = no\n", 1, 0},
        {ON "[program:ollama]\nautostart = no\n[proxy]\nbackend = http://10.0.0.1:11434\n", 0, 0},
    };
    struct list models = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        good(rows[i].text, NULL, NULL, NULL);
        assert_int_equal(k.conf->is_alone, rows[i].is_alone);
        assert_int_equal(k.conf->is_backend_ours, rows[i].is_backend_ours);
    }
    good(ON "[program:ollama]\nautostart = no\n[preload]\nmodels = llama3.2:1b\n[supervisor]\nidle_action = stop\nidle_timeout = 1m\n", NULL, NULL, NULL);
    assert_int_equal(conf_preload_list(k.conf, &models, &k.diag), 0);
    assert_int_equal(models.items_n, 0);
    assert_int_equal(k.diag.warnings_n, 2);
    assert_true(conf_case_has(&k, "warning", k.file, 8, "[supervisor] idle_action: stop has no effect, as there is no Ollama"));
}

static void test_a_template_may_have_variables_of_the_environment_too(void **state)
{
    (void)state;
    good("[engine:e]\ncommand = %(ENV_BIN:-run)s %(path)s %(port)s %(ENV_MORE:-)s\n", "BIN=/opt/a b/run", NULL, NULL);
    words_are(&conf_engine(k.conf, "e")->command, "/opt/a b/run %(path)s %(port)s"); /* words are split when all of the row is there */
    load("[engine:e]\ncommand = run %(path)s %(port)s %(ENV_NONE)s\n", NULL, NULL, NULL);
    conf_case_told(&k, 2, "NONE is not set in the environment");
    load("[program:x]\ncommand = run %(path)s\n", NULL, NULL, NULL);
    conf_case_told(&k, 2, "%(path)s is unknown: write %(ENV_NAME)s");
}

static void test_r1_6_plain_numbers_of_the_environment(void **state)
{
    (void)state;
    good(ON, NULL, NULL, NULL);
    assert_int_equal(k.conf->models.max_cache_models, 2);
    assert_int_equal(k.conf->models.load_cooldown_ms, 300000);
    assert_int_equal(k.conf->models.q4_threshold_bytes, 14000000000);
    good(ON "max_cache_models = 3\n", "MAX_CACHE_MODELS=4", "MODEL_LOAD_COOLDOWN=60", "MODEL_Q4_THRESHOLD_BYTES=7.5e9");
    assert_int_equal(k.conf->models.max_cache_models, 4);
    assert_int_equal(k.conf->models.load_cooldown_ms, 60000);
    assert_int_equal(k.conf->models.q4_threshold_bytes, 7500000000);
    good(ON, "MODEL_LOAD_COOLDOWN=0", "MAX_CACHE_MODELS=", "SIDECAR_MODELS_MAX_CACHE_MODELS=8");
    assert_int_equal(k.conf->models.load_cooldown_ms, 0);
    assert_int_equal(k.conf->models.max_cache_models, 8);
    good(ON, "MAX_CACHE_MODELS=5", "SIDECAR_MODELS_MAX_CACHE_MODELS=1", NULL);
    assert_int_equal(k.conf->models.max_cache_models, 1); /* our own name is the one that is meant */
    good(ON "[environment]\nMAX_CACHE_MODELS = 6\nMODEL_LOAD_COOLDOWN = 1\n", "MODEL_LOAD_COOLDOWN=2", NULL, NULL);
    assert_int_equal(k.conf->models.max_cache_models, 6); /* as the proxy will find it in its environment */
    assert_int_equal(k.conf->models.load_cooldown_ms, 2000);
    good("", "MAX_CACHE_MODELS=many", "MODEL_LOAD_COOLDOWN=60", NULL);
    assert_int_equal(k.conf->models.load_cooldown_ms, 300000); /* they are meant for a model server, which is none here */
}

static void test_r1_6_numbers_that_are_none_are_told(void **state)
{
    (void)state;
    load(ON, "MAX_CACHE_MODELS=0", "MODEL_LOAD_COOLDOWN=5m", "MODEL_Q4_THRESHOLD_BYTES=14GB");
    conf_case_told_of(&k, "error", "MAX_CACHE_MODELS", "[models] max_cache_models: \"0\" is out of range: 1 to 8");
    conf_case_told_of(&k, "error", "MODEL_LOAD_COOLDOWN", "\"5m\" is no whole number, as 14000000000 or 14e9");
    conf_case_told_of(&k, "error", "MODEL_Q4_THRESHOLD_BYTES", "\"14GB\" is no whole number");
    assert_int_equal(k.diag.errors_n, 3);
    load(ON, "MAX_CACHE_MODELS=9", "MODEL_LOAD_COOLDOWN=86401", NULL);
    conf_case_told_of(&k, "error", "MAX_CACHE_MODELS", "out of range");
    conf_case_told_of(&k, "error", "MODEL_LOAD_COOLDOWN", "out of range");
}

static void cache_is(const char *expected, const char *a, const char *b, const char *c)
{
    good(ON, a, b, c);
    assert_string_equal(k.conf->hub_cache, expected);
}

static void test_r1_1_the_hub_and_its_cache_are_found_as_the_hubs_own_client_does(void **state)
{
    (void)state;
    char in_folder[SCRATCH_PATH_BYTES + 8];
    cache_is("/h/.cache/huggingface/hub", "HOME=/h", NULL, NULL);
    assert_string_equal(k.conf->hub_endpoint, "https://huggingface.co");
    cache_is("/x/huggingface/hub", "HOME=/h", "XDG_CACHE_HOME=/x", NULL);
    cache_is("/f/hub", "HF_HOME=/f", "XDG_CACHE_HOME=/x", NULL);
    cache_is("/o", "HF_HOME=/f", "HUGGINGFACE_HUB_CACHE=/o", NULL);
    cache_is("/c", "HF_HUB_CACHE=/c", "HUGGINGFACE_HUB_CACHE=/o", "HF_HOME=/f");
    cache_is("/h/models/hub", "HF_HOME=~/models", "HOME=/h", NULL);
    cache_is("/f/hub", "HF_HOME=/f", "HF_HUB_CACHE=", NULL); /* empty is not set */
    scratch_path(&k.scratch, "rel/hub", in_folder);
    cache_is(in_folder, "HF_HOME=rel", NULL, NULL);
    good("[supervisor]\nstate_dir = /s\n" ON, NULL, NULL, NULL);
    assert_string_equal(k.conf->hub_cache, "/s/huggingface/hub"); /* a service without a home */
    good(ON "[environment]\nHF_HOME = /e\nHF_ENDPOINT = http://hub:8080/api/\n", NULL, NULL, NULL);
    assert_string_equal(k.conf->hub_cache, "/e/hub");
    assert_string_equal(k.conf->hub_endpoint, "http://hub:8080/api");
    good(ON "[program:preload]\nenvironment = HF_HOME=/p\n", "HF_HOME=/f", NULL, NULL);
    assert_string_equal(k.conf->hub_cache, "/p/hub"); /* whose jobs go there */
}

static void test_a_hub_that_is_no_url_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"HF_ENDPOINT=huggingface.co", "HF_ENDPOINT=ftp://h", "HF_ENDPOINT=https://", "HF_ENDPOINT=https://u:hf_secret@h", "HF_ENDPOINT=https://h?a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        load(ON, wrong[i], NULL, NULL);
        conf_case_told_of(&k, "error", "HF_ENDPOINT", "this is no hub's URL: write https://HOST");
        assert_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "hf_secret", 9));
    }
    good("", wrong[0], NULL, NULL); /* nobody goes there */
}

static void test_mistakes_of_engines(void **state)
{
    (void)state;
#define RUN "[engine:e]\ncommand = run %(path)s %(port)s\n" /* two lines */
    static const struct {
        const char *text;
        int line;
        const char *told;
    } rows[] = {
        {"[engine]\n", 1, "[engine] needs a name"},
        {"[engine:a b]\n", 1, "\"a b\" is no name"},
        {RUN RUN, 3, "[engine:e] stands twice, first in line 1"},
        {"[engine:e]\n", 1, "[engine:e] command: there is none"},
        {"[engine:vllm]\ncommand =\n", 2, "[engine:vllm] command: there is none"},
        {"[engine:e]\ncommand = run %(path)s\n", 2, "[engine:e] command: %(port)s is not in it"},
        {"[engine:e]\ncommand = run %(port)s\n", 2, "[engine:e] command: neither %(path)s, %(file)s nor %(model)s is in it"},
        {"[engine:e]\ncommand = run %(path)s %(port)s %(modle)s\n", 2, "[engine:e] command: %(modle)s is unknown: there are %(path)s"},
        {"[engine:e]\ncommand = run %(file)s %(port)s\n", 1, "[engine:e] formats: %(file)s is for formats = gguf"},
        {"[engine:e]\ncommand = run %(path)s %(port)s '\n", 2, "[engine:e] command: "},
        {RUN "gpu_flags = --tp %(gpu)s\n", 3, "[engine:e] gpu_flags: %(gpu)s is unknown"},
        {RUN "quantize_flags = %(q)s\n", 3, "[engine:e] quantize_flags: %(q)s is unknown"},
        {RUN "remote_code_flags = %(r)s\n", 3, "[engine:e] remote_code_flags: %(r)s is unknown"},
        {RUN "environment = A=%(e)s\n", 3, "[engine:e] environment: %(e)s is unknown"},
        {RUN "environment = A\n", 3, "[engine:e] environment: write NAME=value"},
        {RUN "formats = onnx\n", 3, "[engine:e] formats: "},
        {RUN "ready = none\n", 3, "[engine:e] ready: write http://127.0.0.1:%(port)s/PATH"},
        {RUN "ready = http://127.0.0.1:8000/health\n", 3, "[engine:e] ready: write http://127.0.0.1:%(port)s/PATH"},
        {RUN "ready = http://127.0.0.1:%(port)s/%(model)s\n", 3, "[engine:e] ready: write http://127.0.0.1:%(port)s/PATH"},
        {RUN "ready = http://127.0.0.1:%(prt)s/health\n", 3, "[engine:e] ready: %(prt)s is unknown"},
        {RUN "ready = https://127.0.0.1:%(port)s/health\n", 3, "[engine:e] ready: "},
        {RUN "ready = http://10.0.0.1:%(port)s/health\n", 3, "[engine:e] ready: an engine listens on this machine alone"},
        {RUN "ready = http://example.com:%(port)s/health\n", 3, "[engine:e] ready: an engine listens on this machine alone"},
        {RUN "ready = http://127.0.0.1:80/%(port)s\n", 3, "[engine:e] ready: an engine listens on this machine alone"},
        {RUN "idle_timeout = soon\n", 3, "[engine:e] idle_timeout: "},
        {ON "engines = vllm, lama\n", 3, "[models] engines: there is no engine \"lama\": did you mean llama?"},
        {ON "engines = something-else\n", 3, "[models] engines: there is no engine \"something-else\": it needs a section [engine:NAME]"},
        {ON "engines = vllm, llama, vllm\n", 3, "[models] engines: \"vllm\" stands twice"},
        {ON "engines =\n", 3, "[models] engines: there is none, and nothing could serve a model"},
        {ON "allow = *.json, /etc/*\n", 3, "[models] allow: a pattern that begins with / fits no file"},
        {ON "ignore = /x\n", 3, "[models] ignore: a pattern that begins with /"},
        {ON "max_cache_models = 9\n", 3, "[models] max_cache_models: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        load(rows[i].text, NULL, NULL, NULL);
        conf_case_told(&k, rows[i].line, rows[i].told);
    }
}

static void test_all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    load(ON "engines = x\n[engine:vllm]\ncommand = run\ngpu_flags = %(x)s\nready = /\n[engine:mine]\nformats = gguf\n", NULL, NULL, NULL);
    assert_int_equal(k.diag.errors_n, 5);
}

static void test_no_more_engines_than_there_is_room_for(void **state)
{
    (void)state;
    char text[4000] = "", line[100];
    for (int i = 0; i < CONF_ENGINES_MAX - 3; i++) {
        snprintf(line, sizeof line, "[engine:e%d]\ncommand = run %%(path)s %%(port)s\n", i);
        strcat(text, line);
    }
    good(text, NULL, NULL, NULL);
    assert_int_equal(k.conf->engines_n, CONF_ENGINES_MAX);
    strcat(text, "[engine:last]\n");
    load(text, NULL, NULL, NULL);
    conf_case_told(&k, 2 * (CONF_ENGINES_MAX - 3) + 1, "more than 16 sections [engine:NAME]");
}

static void test_what_is_dumped_gives_the_same_engines_again(void **state)
{
    (void)state;
    struct buf first;
    buf_init(&first, 0);
    good("[models]\nserve = yes\nengines = e, llama\n[engine:e]\ncommand = run 'a b' %(path)s --format=%%d %(port)s\nenvironment = A=%(model)s, B=100%%\n[preload]\nmodels = none\n",
         "HF_HOME=/f", "HF_TOKEN=hf_abcdefghij", NULL);
    assert_int_equal(conf_dump(k.conf, &first), 0);
    assert_int_equal(buf_append(&first, "", 1), 0);
    assert_non_null(strstr(buf_data(&first), "; hub: https://huggingface.co, its cache: /f/hub\n"));
    assert_null(strstr(buf_data(&first), "hf_abcdefghij"));
    struct list before = {0};
    for (size_t i = 0; i < conf_engine(k.conf, "e")->command.items_n; i++)
        assert_int_equal(list_append(&before, conf_engine(k.conf, "e")->command.items[i], strlen(conf_engine(k.conf, "e")->command.items[i])), 0);
    good(buf_data(&first), NULL, NULL, NULL);
    const struct list *after = &conf_engine(k.conf, "e")->command;
    assert_int_equal(after->items_n, before.items_n);
    for (size_t i = 0; i < after->items_n; i++)
        assert_string_equal(after->items[i], before.items[i]);
    assert_string_equal(after->items[3], "--format=%d");
    words_are(&conf_engine(k.conf, "e")->environment, "A=%(model)s B=100%");
    words_are(&k.conf->models.engines, "e llama");
    list_fini(&before);
    buf_fini(&first);
}

static void test_a_secret_of_an_engines_environment_is_not_shown(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    good(ON "[engine:llama]\nenvironment = A=b, HF_TOKEN=hf_abcdefghij\n", NULL, NULL, NULL);
    assert_int_equal(conf_dump(k.conf, &text), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_non_null(strstr(buf_data(&text), "environment = A=b, HF_TOKEN=***"));
    assert_null(strstr(buf_data(&text), "hf_abcdefghij"));
    buf_fini(&text);
}

static void values_of(const char *text, struct buf *out)
{
    good(text, NULL, NULL, NULL);
    assert_int_equal(conf_section_values(k.conf, "proxy", out), 0);
}

static void test_the_proxy_knows_of_engines_and_is_started_again_when_they_change(void **state)
{
    (void)state;
    struct buf a, b;
    buf_init(&a, 0);
    buf_init(&b, 0);
    values_of(ON "[engine:llama]\nslots = 1\n", &a);
    values_of(ON "[engine:llama]\nslots = 2\n", &b);
    assert_true(buf_size(&a) == buf_size(&b) && memcmp(buf_data(&a), buf_data(&b), buf_size(&a)) != 0);
    buf_fini(&a);
    buf_fini(&b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_r1_5_three_engines_are_built_in_in_their_order),
        TEST(test_engines_that_nobody_asked_for_cost_nothing),
        TEST(test_a_section_of_a_built_in_engine_changes_keys_of_it),
        TEST(test_a_model_server_may_be_alone),
        TEST(test_a_template_may_have_variables_of_the_environment_too),
        TEST(test_r1_6_plain_numbers_of_the_environment),
        TEST(test_r1_6_numbers_that_are_none_are_told),
        TEST(test_r1_1_the_hub_and_its_cache_are_found_as_the_hubs_own_client_does),
        TEST(test_a_hub_that_is_no_url_is_told),
        TEST(test_mistakes_of_engines),
        TEST(test_all_mistakes_are_told_at_once),
        TEST(test_no_more_engines_than_there_is_room_for),
        TEST(test_what_is_dumped_gives_the_same_engines_again),
        TEST(test_a_secret_of_an_engines_environment_is_not_shown),
        TEST(test_the_proxy_knows_of_engines_and_is_started_again_when_they_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
