/* common/conf: environment over ini over default; the names of other houses; %(ENV_X)s; what programs are given. */
#include "tests/unit/conf_each.h"

#include <errno.h>

/* Loads with up to three variables. */
static void load(const char *text, const char *a, const char *b, const char *c)
{
    static char room[3][400];
    static char *environment[4];
    const char *given[] = {a, b, c};
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        if (!given[i])
            continue;
        snprintf(room[n], sizeof room[n], "%s", given[i]);
        environment[n] = room[n];
        n++;
    }
    environment[n] = NULL;
    conf_case_load(&k, text, environment);
}

static void good(const char *text, const char *a, const char *b, const char *c)
{
    load(text, a, b, c);
    conf_case_good(&k);
}

static void listens(const char *first)
{
    char text[ADDRESS_TEXT_BYTES];
    conf_case_good(&k);
    address_text(&k.conf->listen[0], text);
    assert_string_equal(text, first);
}

static void ollama_at(const char *expected, int is_moved)
{
    char text[ADDRESS_TEXT_BYTES];
    conf_case_good(&k);
    address_text(&k.conf->ollama, text);
    assert_string_equal(text, expected);
    assert_int_equal(k.conf->is_ollama_moved, is_moved);
}

static void test_environment_over_ini_over_default(void **state)
{
    (void)state;
    static const char ini[] = "[supervisor]\nidle_timeout = 5m\n";
    good("", NULL, NULL, NULL);
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 0);
    good(ini, NULL, NULL, NULL);
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 300000);
    good(ini, "SIDECAR_SUPERVISOR_IDLE_TIMEOUT=90s", NULL, NULL);
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 90000);
    good("", "SIDECAR_SUPERVISOR_IDLE_TIMEOUT=90s", NULL, NULL);
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 90000);
}

static void test_an_empty_variable_counts_as_not_set(void **state)
{
    (void)state;
    good("[supervisor]\nidle_timeout = 5m\n", "SIDECAR_SUPERVISOR_IDLE_TIMEOUT=", "PORT=", "OLLAMA_HOST=");
    assert_int_equal(k.conf->supervisor.idle_timeout_ms, 300000);
    listens("127.0.0.1:11434");
    ollama_at("127.0.0.1:11435", 0);
}

static void test_a_bad_variable_is_told_by_its_name(void **state)
{
    (void)state;
    load("[supervisor]\nidle_timeout = 5m\n", "SIDECAR_SUPERVISOR_IDLE_TIMEOUT=90", NULL, NULL);
    conf_case_told_of(&k, "error", "SIDECAR_SUPERVISOR_IDLE_TIMEOUT", "has no unit: write 90s");
    assert_null(k.conf);
    load("", "SIDECAR_PROXY_LISTEN=nowhere", NULL, NULL);
    conf_case_told_of(&k, "error", "SIDECAR_PROXY_LISTEN", "port is missing");
}

static void test_an_unknown_variable_of_ours_warns_with_the_nearest(void **state)
{
    (void)state;
    good("", "SIDECAR_PROXY_LISTN=127.0.0.1:1", "SIDECAR_UTTER_NONSENSE_OF_MINE=1", NULL);
    assert_int_equal(k.diag.warnings_n, 2);
    conf_case_told_of(&k, "warning", "SIDECAR_PROXY_LISTN", "did you mean SIDECAR_PROXY_LISTEN?");
    conf_case_told_of(&k, "warning", "SIDECAR_UTTER_NONSENSE_OF_MINE", "it has no effect");
    listens("127.0.0.1:11434");
    good("", "SIDECAR_CHANNEL_FD=5", "SIDECAR_PAGE_LINE=3", "SIDECAR_PAGE_FD=4"); /* the contract's */
    assert_int_equal(k.diag.warnings_n, 0);
    good("", "SIDECAR_RUN=1.2", NULL, NULL);
    assert_int_equal(k.diag.warnings_n, 0);
    good("", "SIDECAR_PORT=tcp://10.0.0.1:80", "SIDECAR_SERVICE_HOST=10.0.0.1", "SIDECAR_PORT_80_TCP_ADDR=10.0.0.1");
    assert_int_equal(k.diag.warnings_n, 0); /* a Kubernetes service of the name sidecar */
}

static void test_the_public_port_of_platforms(void **state)
{
    (void)state;
    static const char ini[] = "[proxy]\nlisten = 0.0.0.0:7000, 127.0.0.1:7001\n";
    load("", "PORT=8080", NULL, NULL);
    listens("127.0.0.1:8080");
    load(ini, "PORT=8080", NULL, NULL);
    listens("0.0.0.0:8080");
    assert_int_equal(k.conf->listen_n, 2);
    assert_int_equal(k.conf->listen[1].port, 7001);
    load("[proxy]\nlisten = [::]:7000\n", "PORT=8080", NULL, NULL);
    listens("[::]:8080");
    load("", "PORT=8080", "OLLAMA_HTTP_PORT=9090", NULL);
    listens("127.0.0.1:9090");
    load(ini, "PORT=8080", "OLLAMA_HTTP_PORT=9090", "SIDECAR_PROXY_LISTEN=127.0.0.1:6060");
    listens("127.0.0.1:6060");
    load("", "PORT=1", NULL, NULL);
    listens("127.0.0.1:1");
    load("", "PORT=65535", NULL, NULL);
    listens("127.0.0.1:65535");
}

static void test_a_public_port_that_is_none_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {"PORT=0", "PORT=65536", "PORT=-1", "PORT=http", "PORT=80 ", "PORT=0x50"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        load("", bad[i], NULL, NULL);
        conf_case_told_of(&k, "error", "PORT", "the public port is a number from 1 to 65535");
        assert_null(k.conf);
    }
    load("", "OLLAMA_HTTP_PORT=0", "PORT=80", NULL);
    conf_case_told_of(&k, "error", "OLLAMA_HTTP_PORT", "the public port is a number from 1 to 65535");
}

static void test_links_to_services_are_no_ports(void **state)
{
    (void)state;
    load("", "PORT=tcp://10.0.0.1:80", NULL, NULL);
    listens("127.0.0.1:11434");
    conf_case_told_of(&k, "warning", "PORT", "is a link to a service");
    load("", "OLLAMA_HTTP_PORT=tcp://10.0.0.1:80", "PORT=8080", NULL);
    listens("127.0.0.1:8080");
    load("", "PORT=udp://10.0.0.1:80", NULL, NULL);
    listens("127.0.0.1:11434");
}

/* A port must not turn a listener that is wrong into one on every interface. */
static void test_a_port_does_not_hide_a_bad_listener(void **state)
{
    (void)state;
    load("[proxy]\nlisten = 127.0.0.1\n", "PORT=8080", NULL, NULL);
    conf_case_told(&k, 2, "port is missing");
    load("[proxy]\nlisten = [::1]\n", "PORT=8080", NULL, NULL);
    conf_case_told(&k, 2, "write [V6]:PORT");
    load("[proxy]\nlisten =\n", "PORT=8080", NULL, NULL);
    conf_case_told(&k, 2, "there is no listener");
}

static void test_ollama_moves_out_of_the_way_of_our_listeners(void **state)
{
    (void)state;
    load("", "OLLAMA_HOST=0.0.0.0:11434", NULL, NULL); /* the official image */
    ollama_at("127.0.0.1:11435", 1);
    load("", "OLLAMA_HOST=0.0.0.0", NULL, NULL);
    ollama_at("127.0.0.1:11435", 1);
    load("", "OLLAMA_HOST=http://[::]:11434/", NULL, NULL);
    ollama_at("127.0.0.1:11435", 1);
    load("[proxy]\nlisten = 0.0.0.0:11434, 127.0.0.1:11435\n", "OLLAMA_HOST=0.0.0.0:11434", NULL, NULL);
    ollama_at("127.0.0.1:11436", 1);
    load("[proxy]\nlisten = 0.0.0.0:8080\n", "OLLAMA_HOST=0.0.0.0:11434", NULL, NULL);
    ollama_at("0.0.0.0:11434", 0);
    load("", "OLLAMA_HOST=0.0.0.0:11434", "PORT=8080", NULL);
    ollama_at("0.0.0.0:11434", 0);
    load("[environment]\nOLLAMA_HOST = 127.0.0.1:11434\n", NULL, NULL, NULL);
    ollama_at("127.0.0.1:11435", 1);
    load("[program:ollama]\nenvironment = OLLAMA_HOST=127.0.0.1:5555\n", "OLLAMA_HOST=0.0.0.0:11434", NULL, NULL);
    ollama_at("127.0.0.1:5555", 0);
}

static void test_a_way_around_who_may_ask_is_told(void **state)
{
    (void)state;
    static const struct { const char *text, *host; int is_told; } rows[] = {
        {"[proxy]\nlisten = 0.0.0.0:8080\n", "OLLAMA_HOST=0.0.0.0:11434", 1},
        {"[proxy]\nlisten = [::]:8080\nopen = private\n", "OLLAMA_HOST=[::]:11434", 1},
        {"", "OLLAMA_HOST=10.0.0.1:5000", 1}, {"", "OLLAMA_HOST=127.0.0.1:5000", 0},
        {"[proxy]\nlisten = 0.0.0.0:8080\nopen = yes\n", "OLLAMA_HOST=0.0.0.0:11434", 0},
        {"", "OLLAMA_HOST=0.0.0.0:11434", 0}, /* it is moved */
        {"[program:ollama]\nautostart = no\n", "OLLAMA_HOST=0.0.0.0:5000", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        load(rows[i].text, rows[i].host, NULL, NULL);
        assert_int_equal(conf_case_has(&k, "warning", "OLLAMA_HOST", 0, "whatever [proxy] open says"), rows[i].is_told);
    }
}

static void test_backend_and_probe_follow_ollama(void **state)
{
    (void)state;
    static const struct {
        const char *host, *backend;
    } cases[] = {{"OLLAMA_HOST=0.0.0.0:5000", "127.0.0.1:5000"},
                 {"OLLAMA_HOST=[::]:5000", "[::1]:5000"},
                 {"OLLAMA_HOST=:5000", "127.0.0.1:5000"},
                 {"OLLAMA_HOST=10.0.0.1:5000", "10.0.0.1:5000"},
                 {"OLLAMA_HOST=0.0.0.0:11434", "127.0.0.1:11435"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[ADDRESS_TEXT_BYTES], url[ADDRESS_TEXT_BYTES + 32];
        good("", cases[i].host, NULL, NULL);
        address_text(&k.conf->backend, text);
        assert_string_equal(text, cases[i].backend);
        assert_true(k.conf->is_backend_ours);
        snprintf(url, sizeof url, "http://%s/api/tags", cases[i].backend);
        assert_string_equal(conf_program(k.conf, "ollama")->ready, url);
    }
}

static void test_a_name_is_no_place_for_our_ollama(void **state)
{
    (void)state;
    load("", "OLLAMA_HOST=gpu:11434", NULL, NULL); /* a client's setting */
    conf_case_told_of(&k, "error", "OLLAMA_HOST", "is a name");
    assert_int_equal(k.diag.errors_n, 1);
    good("[proxy]\nbackend = 127.0.0.1:5000\n[program:ollama]\nautostart = no\n", "OLLAMA_HOST=gpu:11434", NULL, NULL);
}

/* Port 0 lets Ollama choose, and nobody would know what. */
static void test_ollama_is_never_left_on_port_0(void **state)
{
    (void)state;
    good("", "OLLAMA_HOST=:0", NULL, NULL);
    assert_int_equal(k.conf->ollama.port, 11435);
    assert_int_equal(k.conf->backend.port, 11435);
}

static const char *given(const char *program, const char *name)
{
    static char value[200];
    char **environment = conf_environment(k.conf, conf_program(k.conf, program), NULL);
    assert_non_null(environment);
    const char *found = conf_variable(environment, name);
    snprintf(value, sizeof value, "%s", found ? found : "(unset)");
    conf_environment_free(environment);
    return value;
}

static void test_ollama_has_defaults_that_the_environment_overrides(void **state)
{
    (void)state;
    good("", NULL, NULL, NULL);
    assert_string_equal(given("ollama", "OLLAMA_NUM_PARALLEL"), "1");
    assert_string_equal(given("ollama", "OLLAMA_MAX_QUEUE"), "64");
    assert_string_equal(given("ollama", "OLLAMA_KEEP_ALIVE"), "5m");
    good("[environment]\nOLLAMA_KEEP_ALIVE = 10m\n", "OLLAMA_NUM_PARALLEL=4", "OLLAMA_NEW_THING=yes", NULL);
    assert_string_equal(given("ollama", "OLLAMA_NUM_PARALLEL"), "4");
    assert_string_equal(given("ollama", "OLLAMA_KEEP_ALIVE"), "10m");
    assert_string_equal(given("ollama", "OLLAMA_NEW_THING"), "yes");
}

static void test_an_empty_default_of_ollamas_is_as_good_as_none(void **state)
{
    (void)state;
    good("", "OLLAMA_NUM_PARALLEL=", "OLLAMA_KEEP_ALIVE=", "OLLAMA_DEBUG=");
    assert_string_equal(given("ollama", "OLLAMA_NUM_PARALLEL"), "1");
    assert_string_equal(given("ollama", "OLLAMA_KEEP_ALIVE"), "5m");
    assert_string_equal(given("ollama", "OLLAMA_DEBUG"), "");
    assert_int_equal(k.conf->ollama_parallel, 1);
}

/* What is exported to Ollama, as Ollama reads it. */
static void test_how_many_requests_ollama_takes_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t parallel;
    } cases[] = {{"4", 4}, {" '8' ", 8}, {"\"2\"", 2}, {"007", 7}, {"0", 0}, {"-1", 0}, {"+1", 0}, {"1.5", 0}, {"two", 0},
                 {"1 2", 0}, {"''", 0}, {"99999999999999999999", 0}, {"111111111111111111111111111111", 0}};
    good("", NULL, NULL, NULL);
    assert_int_equal(k.conf->ollama_parallel, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char pair[80];
        snprintf(pair, sizeof pair, "OLLAMA_NUM_PARALLEL=%s", cases[i].text);
        good("", pair, NULL, NULL);
        assert_int_equal(k.conf->ollama_parallel, cases[i].parallel);
    }
    good("[program:ollama]\nenvironment = OLLAMA_NUM_PARALLEL=3\n[program:proxy]\nenvironment = OLLAMA_NUM_PARALLEL=5\n",
         "OLLAMA_NUM_PARALLEL=2", NULL, NULL);
    assert_int_equal(k.conf->ollama_parallel, 3);
}

/* As Ollama reads it; milliseconds. */
static void test_how_long_ollama_keeps_a_model(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"10m", 600000}, {" '1h30m' ", 5400000}, {"30", 30000}, {"0", 0}, {"-1", -1}, {"-1m", -1}, {"1.5s", 1500},
                 {"forever", 300000}, {"5 m", 300000}, {"''", 300000}, {"99999999999999999999", 300000}};
    good("", NULL, NULL, NULL);
    assert_int_equal(k.conf->ollama_keep_alive_ms, 300000);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char pair[80];
        snprintf(pair, sizeof pair, "OLLAMA_KEEP_ALIVE=%s", cases[i].text);
        good("", pair, NULL, NULL);
        assert_int_equal(k.conf->ollama_keep_alive_ms, cases[i].ms);
    }
}

static void test_who_wins_among_a_programs_variables(void **state)
{
    (void)state;
    static const char ini[] = "[environment]\nA = default\nB = default\nC = default\n"
                              "[program:x]\ncommand = x\nenvironment = A=own\n";
    good(ini, "A=process", "B=process", "NOTIFY_SOCKET=/run/outer");
    assert_string_equal(given("x", "A"), "own");
    assert_string_equal(given("x", "B"), "process");
    assert_string_equal(given("x", "C"), "default");
    assert_string_equal(given("ollama", "A"), "process");
    assert_string_equal(given("x", "NOTIFY_SOCKET"), "(unset)"); /* meant for us alone */
    static const char *const extra[] = {"A=extra", NULL};
    char **environment = conf_environment(k.conf, conf_program(k.conf, "x"), extra);
    assert_non_null(environment);
    assert_string_equal(conf_variable(environment, "A"), "extra");
    assert_null(conf_variable(environment, "AB"));
    conf_environment_free(environment);
}

static void test_the_models_folder_has_two_names(void **state)
{
    (void)state;
    good("", "OLLAMA_MODEL_CACHE_DIR=/cache", NULL, NULL);
    assert_string_equal(given("ollama", "OLLAMA_MODELS"), "/cache");
    good("", "OLLAMA_MODEL_CACHE_DIR=/cache", "OLLAMA_MODELS=/models", NULL);
    assert_string_equal(given("ollama", "OLLAMA_MODELS"), "/models");
    good("", "OLLAMA_MODELS=", "OLLAMA_MODEL_CACHE_DIR=/cache", NULL);
    assert_string_equal(given("ollama", "OLLAMA_MODELS"), "/cache");
    good("", "OLLAMA_MODEL_CACHE_DIR=", NULL, NULL);
    assert_string_equal(given("ollama", "OLLAMA_MODELS"), "(unset)");
    good("[environment]\nOLLAMA_MODEL_CACHE_DIR = /cache\n", NULL, NULL, NULL);
    assert_string_equal(given("ollama", "OLLAMA_MODELS"), "/cache");
}

static void test_variables_are_filled_into_values(void **state)
{
    (void)state;
    static const struct {
        const char *value, *filled;
    } cases[] = {
        {"%(ENV_A)s", "one"},
        {"x%(ENV_A)sy%(ENV_B)sz", "xoney%(ENV_A)sz"}, /* what comes in is not expanded again */
        {"%(ENV_NONE:-two)s", "two"},
        {"%(ENV_NONE:-)s", ""},
        {"%(ENV_A:-two)s", "one"},
        {"%(ENV_EMPTY:-two)s", "two"},
        {"%(ENV_NONE:-a:-b)s", "a:-b"},
        {"100%%", "100%"},
        {"%%(ENV_A)s", "%(ENV_A)s"},
        {"%%%(ENV_A)s%%", "%one%"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "[environment]\nV = %s\n", cases[i].value);
        good(text, "A=one", "B=%(ENV_A)s", "EMPTY=");
        assert_string_equal(k.conf->environment.items[0].value, cases[i].filled);
    }
}

static void test_placeholders_that_are_wrong_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *value, *told;
    } cases[] = {
        {"%(ENV_NONE)s", "NONE is not set in the environment"},
        {"%(ENV_EMPTY)s", "EMPTY is not set in the environment"},
        {"100%", "a lone %"},
        {"%d", "a lone %"},
        {"%(ENV_A)", "a lone %"},
        {"%(ENV_A", "a lone %"},
        {"%(HOME)s", "%(HOME)s is unknown"},
        {"%(ENV_)s", "is unknown"},
        {"%()s", "is unknown"},
        {"%(path)s", "is unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        snprintf(text, sizeof text, "[proxy]\nbackend = %s\n", cases[i].value);
        load(text, "A=one", "EMPTY=", NULL);
        conf_case_told(&k, 2, cases[i].told);
        assert_int_equal(k.diag.errors_n, 1);
    }
}

static void test_a_value_that_grows_too_long_is_told(void **state)
{
    (void)state;
    char text[8192] = "[environment]\nV = ";
    while (strlen(text) < 3000)
        strncat(text, "%(ENV_A)s", sizeof text - strlen(text) - 1);
    char long_value[398] = "A=";
    memset(long_value + 2, 'a', sizeof long_value - 3);
    load(text, long_value, NULL, NULL);
    conf_case_told(&k, 2, "longer than 64 KB");
}

static void test_an_env_file_gives_way_to_the_environment(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "vars.env",
                 "\xef\xbb\xbf# comment\r\nA=file\r\nexport B='in quotes'\r\n\r\n  C=\"x y\"  \nD=\n"
                 "SIDECAR_PROXY_MAX_QUEUE=7\nPORT=8080\nE=a=b#c\n");
    static const char ini[] = "[supervisor]\nenv_file = vars.env\n[proxy]\nmax_queue = 3\n"
                              "[program:x]\ncommand = %(ENV_B)s\n[environment]\nA = ini\nC = ini\n";
    good(ini, "A=process", NULL, NULL);
    assert_string_equal(given("x", "A"), "process");
    assert_string_equal(given("x", "B"), "in quotes");
    assert_string_equal(given("x", "C"), "x y");
    assert_string_equal(given("x", "E"), "a=b#c");
    assert_int_equal(k.conf->proxy.max_queue, 7);
    assert_string_equal(conf_program(k.conf, "x")->command.items[0], "in");
    listens("127.0.0.1:8080");
    good(ini, "SIDECAR_PROXY_MAX_QUEUE=9", NULL, NULL);
    assert_int_equal(k.conf->proxy.max_queue, 9);
}

static void test_a_byte_order_mark_does_not_hide_the_first_variable(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "vars.env", "\xef\xbb\xbf" "FIRST=1\n");
    good("[supervisor]\nenv_file = vars.env\n", NULL, NULL, NULL);
    assert_string_equal(given("ollama", "FIRST"), "1");
}

static void test_the_name_of_an_env_file_may_have_variables(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "prod.env", "A=file\n");
    good("[supervisor]\nenv_file = %(ENV_STAGE)s.env\n", "STAGE=prod", NULL, NULL);
    assert_string_equal(given("ollama", "A"), "file");
    load("[supervisor]\nenv_file = %(ENV_STAGE)s.env\n", NULL, NULL, NULL);
    conf_case_told(&k, 2, "STAGE is not set");
    assert_int_equal(k.diag.errors_n, 1);
}

static void test_mistakes_of_an_env_file_are_told_with_their_line(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    scratch_path(&k.scratch, "vars.env", path);
    scratch_text(&k.scratch, "vars.env", "A=1\nB\n=2\nC D=3\n\"E\"=4\n");
    load("[supervisor]\nenv_file = vars.env\n", NULL, NULL, NULL);
    for (int line = 2; line <= 5; line++)
        assert_true(conf_case_has(&k, "error", path, line, "is not NAME=value"));
    assert_int_equal(k.diag.errors_n, 4);
    load("[supervisor]\nenv_file = absent.env\n", NULL, NULL, NULL);
    conf_case_told(&k, 2, "can't be read");
    load("[supervisor]\nenv_file = .\n", NULL, NULL, NULL);
    conf_case_told(&k, 2, "can't be read");
    load("", "SIDECAR_SUPERVISOR_ENV_FILE=absent.env", NULL, NULL);
    conf_case_told_of(&k, "error", "SIDECAR_SUPERVISOR_ENV_FILE", "can't be read");
    scratch_write(&k.scratch, "vars.env", "A=1\0B=2\nC\n", 10);
    load("[supervisor]\nenv_file = vars.env\n", NULL, NULL, NULL);
    assert_true(conf_case_has(&k, "error", path, 1, "NUL"));
    assert_true(conf_case_has(&k, "error", path, 2, "is not NAME=value"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_environment_over_ini_over_default),
        CASE(test_an_empty_variable_counts_as_not_set),
        CASE(test_a_bad_variable_is_told_by_its_name),
        CASE(test_an_unknown_variable_of_ours_warns_with_the_nearest),
        CASE(test_the_public_port_of_platforms),
        CASE(test_a_public_port_that_is_none_is_told),
        CASE(test_links_to_services_are_no_ports),
        CASE(test_a_port_does_not_hide_a_bad_listener),
        CASE(test_ollama_moves_out_of_the_way_of_our_listeners),
        CASE(test_a_way_around_who_may_ask_is_told),
        CASE(test_backend_and_probe_follow_ollama),
        CASE(test_a_name_is_no_place_for_our_ollama),
        CASE(test_ollama_is_never_left_on_port_0),
        CASE(test_ollama_has_defaults_that_the_environment_overrides),
        CASE(test_an_empty_default_of_ollamas_is_as_good_as_none),
        CASE(test_how_many_requests_ollama_takes_at_once),
        CASE(test_how_long_ollama_keeps_a_model),
        CASE(test_who_wins_among_a_programs_variables),
        CASE(test_the_models_folder_has_two_names),
        CASE(test_variables_are_filled_into_values),
        CASE(test_placeholders_that_are_wrong_are_told),
        CASE(test_a_value_that_grows_too_long_is_told),
        CASE(test_an_env_file_gives_way_to_the_environment),
        CASE(test_a_byte_order_mark_does_not_hide_the_first_variable),
        CASE(test_the_name_of_an_env_file_may_have_variables),
        CASE(test_mistakes_of_an_env_file_are_told_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
