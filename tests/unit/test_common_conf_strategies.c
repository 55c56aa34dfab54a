/* common/conf: [optimizer] and [strategy:NAME]: what is built in, which strategy a prompt gets, every mistake (R4.2: all of it is
 * configurable). */
#include "tests/unit/conf_each.h"

#define ON "[optimizer]\nenabled = yes\n" /* two lines */

static const struct conf_strategy *named(const char *name)
{
    const struct conf_strategy *s = conf_strategy(k.conf, name, strlen(name));
    assert_non_null(s);
    return s;
}

static void test_r4_2_strategies_that_are_built_in(void **state)
{
    (void)state;
    static const struct {
        uint64_t tokens_n;
        const char *name;
    } rows[] = {{0, "A"}, {1999, "A"}, {2000, "B"}, {6000, "B"}, {6001, "C"}, {1000000000000, "C"}};
    int64_t number;
    conf_case_load(&k, "", NULL);
    conf_case_good(&k);
    assert_false(k.conf->optimizer.enabled);
    assert_int_equal(k.conf->strategies_n, 0);
    conf_case_load(&k, ON, NULL);
    conf_case_good(&k);
    assert_int_equal(k.diag.warnings_n, 0);
    assert_int_equal(k.conf->strategies_n, 3);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(conf_strategy_for(k.conf, rows[i].tokens_n)->name, rows[i].name);
    assert_string_equal(named("A")->model, "qwen3:4b");
    assert_int_equal(named("A")->tools, CONF_TOOLS_NATIVE);
    assert_string_equal(named("B")->model, "qwen3:0.6b");
    assert_int_equal(named("B")->tools, CONF_TOOLS_WORDS);
    assert_false(conf_strategy_is_map(named("B")));
    assert_true(conf_strategy_is_map(named("C")));
    assert_string_equal(named("C")->map_model, "qwen3:0.6b");
    assert_string_equal(named("C")->model, "qwen3:4b"); /* the one that answers */
    assert_int_equal(named("C")->workers, 4);
    assert_int_equal(named("C")->timeout_ms, 1200000);
    assert_int_equal(conf_strategy_option(named("C"), "num_ctx", &number), 1);
    assert_int_equal(number, 8192);
    assert_int_equal(conf_strategy_option(named("C"), "num_predict", &number), 0);
    assert_null(conf_strategy(k.conf, "a", 1));
    assert_null(conf_strategy(k.conf, "AB", 2));
    assert_ptr_equal(conf_strategy(k.conf, "AB", 1), named("A"));
}

static void test_rows_of_the_optimizer(void **state)
{
    (void)state;
    char enabled[] = "SIDECAR_OPTIMIZER_ENABLED=yes", ttl[] = "SIDECAR_OPTIMIZER_CACHE_TTL=90s", *environment[] = {enabled, ttl, NULL};
    conf_case_load(&k, "[optimizer]\nmodels = auto, qwen3:*\nsystem_budget = 1000\nshare = deterministic\ncache = memory\ncache_requests = all\n"
                       "cache_bytes = 2M\ncache_ttl = 5m\n[proxy]\nshare_buffer = 64K\nshare_stall = 1s\n", environment);
    conf_case_good(&k);
    const struct conf_optimizer *o = &k.conf->optimizer;
    assert_int_equal(o->enabled, 1);
    assert_int_equal(o->models.items_n, 2);
    assert_int_equal(o->system_budget, 1000);
    assert_int_equal(o->share, CONF_SHARE_DETERMINISTIC);
    assert_int_equal(o->cache, CONF_CACHE_MEMORY);
    assert_int_equal(o->cache_requests, CONF_CACHE_REQUESTS_ALL);
    assert_int_equal(o->cache_bytes, 2 << 20);
    assert_int_equal(o->cache_ttl_ms, 90000);
    assert_int_equal(k.conf->strategies_n, 3);
    assert_int_equal(k.diag.warnings_n, 0);
}

static void test_strategies_of_your_own_replace_the_built_in_ones(void **state)
{
    (void)state;
    char slots[] = "OLLAMA_NUM_PARALLEL=2", *environment[] = {slots, NULL};
    struct conf_option option;
    int64_t number;
    conf_case_load(&k, ON "[strategy:long]\nmin_tokens = 100\nmap_model = m\nreduce_model = n\nmodel = n:latest\nworkers = 2\ntimeout = 0\n"
                          "[strategy:short]\nmax_tokens = 99\nmodel = s\noptions = num_ctx = 2048, temperature=0.2, stop=[\"x\"]\n", environment);
    conf_case_good(&k);
    assert_int_equal(k.diag.warnings_n, 0);
    assert_int_equal(k.conf->strategies_n, 2);
    assert_string_equal(k.conf->strategies[0].name, "short"); /* by min_tokens */
    assert_string_equal(conf_strategy_for(k.conf, 99)->name, "short");
    assert_string_equal(conf_strategy_for(k.conf, 100)->name, "long");
    assert_string_equal(named("long")->model, "n");
    assert_int_equal(named("long")->timeout_ms, 0);
    conf_strategy_option_at(named("short"), 0, &option);
    assert_int_equal(option.name_n, strlen("num_ctx"));
    assert_memory_equal(option.name, "num_ctx", option.name_n);
    assert_string_equal(option.json, "2048");
    conf_strategy_option_at(named("short"), 2, &option);
    assert_string_equal(option.json, "[\"x\"]");
    assert_int_equal(conf_strategy_option(named("short"), "temperature", &number), 0); /* no whole number */
}

static void test_which_num_ctx_is_in_force(void **state)
{
    (void)state;
    conf_case_load(&k, ON "[strategy:s]\nmodel = m\nmax_tokens = 8\noptions = num_ctx=4096\n[strategy:t]\nmin_tokens = 9\nmodel = m\n[pin:p]\n"
                          "num_ctx = 512\n[pin:q]\nnum_batch = 8\n", NULL);
    conf_case_good(&k);
    assert_int_equal(conf_strategy_num_ctx(k.conf, named("s"), "m"), 4096);
    assert_int_equal(conf_strategy_num_ctx(k.conf, named("s"), "p:latest"), 512);
    assert_int_equal(conf_strategy_num_ctx(k.conf, named("s"), "q"), 4096);
    assert_int_equal(conf_strategy_num_ctx(k.conf, named("t"), "m"), 0);
}

static void test_mistakes_of_the_optimizer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *told;
    } rows[] = {
        {"[optimizer]\nenabled = yes\nmodels =\n", 3, "[optimizer] models: there is none: no request would be optimised"},
        {"[optimizer]\nmodels = a*b\n", 2, "[optimizer] models: \"a*b\" names no model"},
        {"[optimizer]\ncache = redis\n", 2, "[optimizer] cache: redis needs [redis] url: set it, or write memory"},
        {"[optimizer]\nsystem_budget = 8K\n", 2, "[optimizer] system_budget: "},
        {"[strategy]\n", 1, "[strategy] needs a name"},
        {"[strategy:a b]\nmodel = m\n", 1, "\"a b\" is no name"},
        {"[strategy:a]\nmodel = m\n[strategy:a]\n", 3, "[strategy:a] stands twice, first in line 1"},
        {"[strategy:all]\nmodel = m\n", 1, "[strategy:all] can't have this name"},
        {"[strategy:off]\nmodel = m\n", 1, "[strategy:off] can't have this name"},
        {"[strategy:auto]\nmodel = m\n", 1, "[strategy:auto] can't have this name"},
        {"[strategy:a]\n", 1, "[strategy:a] model: there is none"},
        {"[strategy:a]\nmodel = auto\n", 2, "[strategy:a] model: auto is no model"},
        {"[strategy:a]\nmodel = Auto:latest\n", 2, "[strategy:a] model: auto is no model"},
        {"[strategy:a]\nmodel = x y\n", 2, "[strategy:a] model: \"x y\" is no model's name"},
        {"[strategy:a]\nmap_model = m\n", 1, "[strategy:a] reduce_model: there is none"},
        {"[strategy:a]\nmap_model = m\nmodel = n\n", 1, "[strategy:a] reduce_model: there is none"},
        {"[strategy:a]\nreduce_model = m\n", 2, "[strategy:a] reduce_model: there is no map_model"},
        {"[strategy:a]\nmap_model = m\nreduce_model = n\nmodel = o\n", 4, "[strategy:a] model: with map_model it is reduce_model that answers"},
        {"[strategy:a]\nmodel = m\nmin_tokens = 5\nmax_tokens = 4\n", 4, "[strategy:a] max_tokens: it is below min_tokens, 5"},
        {"[strategy:a]\nmodel = m\nworkers = 17\n", 3, "[strategy:a] workers: "},
        {"[strategy:a]\nmodel = m\noptions = num_ctx\n", 3, "[strategy:a] options: \"num_ctx\" is not NAME=VALUE"},
        {"[strategy:a]\nmodel = m\noptions = =1\n", 3, "[strategy:a] options: \"\" is no option's name"},
        {"[strategy:a]\nmodel = m\noptions = num_ctx=\n", 3, "the option num_ctx must be a number"},
        {"[strategy:a]\nmodel = m\noptions = num_ctx=1 2\n", 3, "the option num_ctx must be a number"},
        {"[strategy:a]\nmodel = m\noptions = num_ctx=3\n", 3, "num_ctx must be a whole number of tokens"},
        {"[strategy:a]\nmodel = m\noptions = num_ctx=8e3\n", 3, "num_ctx must be a whole number of tokens"},
        {"[strategy:a]\nmodel = m\noptions = use_mmap=yes\n", 3, "the option use_mmap must be true or false"},
        {"[strategy:a]\nmodel = m\noptions = any={}\n", 3, "the option any must be a string, a number"},
        {"[strategy:a]\nmodel = m\noptions = batch_size=8\n", 3, "Ollama calls batch_size num_batch"},
        {"[strategy:a]\nmodel = m\noptions = top_k=1, top_k=2\n", 3, "the option top_k stands twice"},
        {"[strategy:a]\nmap_model = m\nreduce_model = m\nchunk_tokens = 3073\noptions = num_ctx=4096\n", 4, "write 3072 at the most"},
        {"[strategy:a]\nmap_model = m\nreduce_model = m\n[pin:m]\nnum_ctx = 2048\n", 1, "[strategy:a] chunk_tokens: 3000 tokens"},
        {"[strategy:b]\nmodel = m\nmin_tokens = 9\n[strategy:a]\nmodel = m\nmax_tokens = 9\n", 3, "prompts of 9 tokens are those of [strategy:a] as well"},
        {"[strategy:a]\nmodel = m\n[strategy:b]\nmodel = m\n", 3, "prompts of 0 tokens are those of [strategy:a] as well"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf_case_load(&k, rows[i].text, NULL);
        if (k.diag.errors_n != 1)
            fail_msg("%s: %.*s", rows[i].text, (int)buf_size(&k.diag.text), buf_data(&k.diag.text));
        conf_case_told(&k, rows[i].line, rows[i].told);
    }
}

static void test_what_is_warned_of(void **state)
{
    (void)state;
    conf_case_load(&k, "[strategy:a]\nmodel = m\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.diag.warnings_n, 1);
    assert_true(conf_case_has(&k, "warning", k.file, 1, "[strategy:a] has no effect without [optimizer] enabled = yes"));
    conf_case_load(&k, ON "[strategy:a]\nmodel = m\nmin_tokens = 5\nmax_tokens = 9\noptions = temprature=1\n[strategy:b]\nmodel = m\nmin_tokens = 11\n"
                          "max_tokens = 20\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.diag.warnings_n, 4);
    assert_true(conf_case_has(&k, "warning", k.file, 5, "prompts of 0 to 4 tokens have no strategy: they pass as they are"));
    assert_true(conf_case_has(&k, "warning", k.file, 7, "Ollama may not know the option temprature; did you mean temperature?"));
    assert_true(conf_case_has(&k, "warning", k.file, 10, "prompts of 10 to 10 tokens have no strategy"));
    assert_true(conf_case_has(&k, "warning", k.file, 11, "prompts of more tokens have no strategy"));
    assert_null(conf_strategy_for(k.conf, 4));
    assert_null(conf_strategy_for(k.conf, 10));
    assert_null(conf_strategy_for(k.conf, 21));
}

static void test_more_workers_than_slots_are_warned_of(void **state)
{
    (void)state;
    static const struct {
        const char *text, *slots;
        int is_warned;
    } rows[] = {
        {ON, "OLLAMA_NUM_PARALLEL=1", 0}, /* nobody has asked for four */
        {ON "[strategy:a]\nmap_model = m\nreduce_model = n\nworkers = 3\n", "OLLAMA_NUM_PARALLEL=2", 1},
        {ON "[strategy:a]\nmap_model = m\nreduce_model = n\nworkers = 3\n", "OLLAMA_NUM_PARALLEL=3", 0},
        {ON "[strategy:a]\nmap_model = m\nreduce_model = n\nworkers = 3\n[proxy]\nslots = 2\n", "OLLAMA_NUM_PARALLEL=4", 1},
        {ON "[strategy:a]\nmap_model = m\nreduce_model = n\nworkers = 3\n[proxy]\nbackend = http://10.0.0.1:1\n", "OLLAMA_NUM_PARALLEL=1", 0},
        {ON "[strategy:a]\nmodel = m\nworkers = 3\n", "OLLAMA_NUM_PARALLEL=1", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char slots[32], *environment[] = {slots, NULL};
        snprintf(slots, sizeof slots, "%s", rows[i].slots);
        conf_case_load(&k, rows[i].text, environment);
        conf_case_good(&k);
        if ((int)k.diag.warnings_n != rows[i].is_warned)
            fail_msg("%s: %.*s", rows[i].text, (int)buf_size(&k.diag.text), buf_data(&k.diag.text));
        assert_true(!rows[i].is_warned || conf_case_has(&k, "warning", k.file, 6, "[strategy:a] workers: 3, and there are 2 slots"));
    }
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    assert_int_equal(buf_text(&text, ON), 0);
    for (int i = 0; i < CONF_STRATEGIES_MAX; i++)
        assert_int_equal(buf_printf(&text, "[strategy:s%d]\nmodel = m\nmin_tokens = %d\nmax_tokens = %d\n", i, 10 * (16 - i), 10 * (16 - i) + 9), 0);
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->strategies_n, CONF_STRATEGIES_MAX);
    assert_string_equal(conf_strategy_for(k.conf, 10)->name, "s15");
    assert_int_equal(buf_text(&text, "[strategy:more]\nmodel = m\n"), 0);
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    conf_case_told(&k, 2 + 4 * CONF_STRATEGIES_MAX + 1, "more than 16 sections [strategy:NAME]");
    buf_fini(&text);
}

/* What the proxy is compared by at a reload. */
static void test_a_changed_strategy_is_a_change_of_the_proxy(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", ON, ON "share = off\n", ON "[strategy:A]\nmodel = m\n", ON "[strategy:B]\nmodel = m\n", ON "[strategy:B]\nmodel = m\nworkers = 3\n",
    };
    char *before = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf values;
        buf_init(&values, 0);
        conf_case_load(&k, texts[i], NULL);
        conf_case_good(&k);
        assert_int_equal(conf_section_values(k.conf, "proxy", &values), 0);
        assert_int_equal(buf_append(&values, "", 1), 0);
        if (before)
            assert_string_not_equal(before, buf_data(&values));
        free(before);
        before = strdup(buf_data(&values));
        buf_fini(&values);
    }
    free(before);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_r4_2_strategies_that_are_built_in),
        CASE(test_rows_of_the_optimizer),
        CASE(test_strategies_of_your_own_replace_the_built_in_ones),
        CASE(test_which_num_ctx_is_in_force),
        CASE(test_mistakes_of_the_optimizer),
        CASE(test_what_is_warned_of),
        CASE(test_more_workers_than_slots_are_warned_of),
        CASE(test_as_many_as_there_may_be),
        CASE(test_a_changed_strategy_is_a_change_of_the_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
