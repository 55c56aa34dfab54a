/* common/conf: --dump names the origin of each value, and what it says can be read back. */
#include "tests/unit/conf_case.h"

#include <errno.h>

static struct conf_case k;

static int setup(void **state)
{
    (void)state;
    conf_case_begin(&k);
    scratch_text(&k.scratch, "preload-models.txt", "llama3.2:1b\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conf_case_end(&k);
    return 0;
}

/* The dump of the configuration in hand, NUL-terminated; the caller frees. */
static char *dump(void)
{
    struct buf text;
    conf_case_good(&k);
    buf_init(&text, 0);
    assert_int_equal(conf_dump(k.conf, &text), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    char *copy = strdup(buf_data(&text));
    assert_non_null(copy);
    buf_fini(&text);
    return copy;
}

static void has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no \"%s\" in:\n%s", line, text);
}

/* Without where values come from, and without remarks: what a second reading must give again. */
static void strip(char *text)
{
    char *out = text;
    for (char *line = text, *next; *line; line = next) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : line + strlen(line);
        size_t n = (size_t)(next - line);
        char *origin = memmem(line, n, "  ; ", 4);
        if (*line == ';')
            continue;
        if (origin)
            n = (size_t)(origin - line);
        memmove(out, line, n);
        out += n;
        if (origin)
            *out++ = '\n';
    }
    *out = '\0';
}

static void reads_back(const char *ini, char **environment)
{
    conf_case_load(&k, ini, environment);
    char *first = dump();
    conf_case_load(&k, first, NULL);
    char *second = dump();
    strip(first);
    strip(second);
    assert_string_equal(first, second);
    free(first);
    free(second);
}

static void test_each_value_has_its_origin(void **state)
{
    (void)state;
    static char v0[] = "SIDECAR_PROXY_MAX_QUEUE=9";
    static char v1[] = "OLLAMA_HOST=0.0.0.0:11434";
    static char *environment[] = {v0, v1, NULL};
    conf_case_load(&k, "[supervisor]\nidle_timeout = 5m\n[environment]\nA = b\n", environment);
    char *text = dump();
    has(text, "idle_timeout = 5m  ; line 2\n");
    has(text, "max_queue = 9  ; SIDECAR_PROXY_MAX_QUEUE\n");
    has(text, "idle_action = exit  ; default\n");
    has(text, "[program:ollama]\ncommand = ollama serve  ; built in\n");
    has(text, "ready = http://127.0.0.1:11435/api/tags  ; built in\n");
    has(text, "[environment]\nA = b  ; ini line 4\n");
    has(text, "; backend: 127.0.0.1:11435 (our ollama)\n");
    has(text, "; OLLAMA_HOST=127.0.0.1:11435 (moved: its port is one of our listeners')\n");
    has(text, "; OLLAMA_NUM_PARALLEL=1\n");
    free(text);
}

static void test_a_dump_can_be_read_back_and_gives_the_same_values(void **state)
{
    (void)state;
    static char v0[] = "X=100%";
    static char v1[] = "PORT=8080";
    static char v2[] = "OLLAMA_PRELOAD_MODELS=a,b";
    static char *environment[] = {v0, v1, v2, NULL};
    reads_back("", NULL);
    reads_back("[supervisor]\nidle_timeout = 5m\nlog_format = json\n[proxy]\nlisten = [::]:80, 127.0.0.1:81\nstart = ready\n"
               "backend = http://gpu:11434\n[program:a]\ncommand = sh -c 'a \"b\" c'\ndepends = ollama\n"
               "environment = A=1, B=2\nmax_restarts = 0\n[preload]\nmodels = a, b\n",
               environment);
}

static void test_percent_signs_survive(void **state)
{
    (void)state;
    static char v0[] = "X=50% of %(ENV_Y)s";
    static char *environment[] = {v0, NULL};
    reads_back("[program:a]\ncommand = date +%%s %(ENV_X)s\n", environment);
    reads_back("[environment]\nA = 100%%\nB = %(ENV_X)s\n", environment);
}

static void test_a_value_may_start_with_a_semicolon(void **state)
{
    (void)state;
    reads_back("[environment]\nA=;b c\nB = x;y\n", NULL);
}

/* Only the environment can bring such values; the dump says what they are without claiming that a file could. */
static void test_what_no_file_can_say_is_a_remark(void **state)
{
    (void)state;
    static const char *const texts[] = {"a ;b", " a", "a "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char variable[64], line[64];
        char *environment[] = {variable, NULL};
        scratch_text(&k.scratch, texts[i], "");
        snprintf(variable, sizeof variable, "SIDECAR_SUPERVISOR_ENV_FILE=%s", texts[i]);
        snprintf(line, sizeof line, "\n; env_file = %s  ; SIDECAR_SUPERVISOR_ENV_FILE", texts[i]);
        conf_case_load(&k, "", environment);
        char *text = dump();
        has(text, line);
        free(text);
    }
}

static void test_variables_of_an_env_file_do_not_collide(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "vars.env", "A=file\nB=100%\nOLLAMA_KEEP_ALIVE=1m\n");
    reads_back("[supervisor]\nenv_file = vars.env\n[environment]\nA = ini\n", NULL);
}

static void test_long_values_survive(void **state)
{
    (void)state;
    char ini[3000] = "[environment]\nOLLAMA_ORIGINS = ";
    while (strlen(ini) < 2500)
        strncat(ini, "http://*.example.com,", sizeof ini - strlen(ini) - 1);
    strncat(ini, "x\nZ = last\n", sizeof ini - strlen(ini) - 1);
    reads_back(ini, NULL);
    assert_int_equal(k.conf->environment.items_n, 2);
}

static void test_line_ends_in_a_variable_stay_on_their_line(void **state)
{
    (void)state;
    static char v0[] = "OLLAMA_X=a\n[nonsense]\nb = c\x1b[2J";
    static char *environment[] = {v0, NULL};
    conf_case_load(&k, "", environment);
    char *text = dump();
    conf_case_load(&k, text, NULL);
    conf_case_good(&k);
    assert_null(strchr(text, '\x1b'));
    free(text);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* Programs share the strings of our own environment: a dump must not write to them. */
static void test_a_dump_changes_nothing(void **state)
{
    (void)state;
    char path[] = "PATH=/usr/bin:/bin", parallel[] = "OLLAMA_NUM_PARALLEL=3", token[] = "HF_TOKEN=a-secret-of-mine";
    char *environment[] = {path, parallel, token, NULL};
    conf_case_load(&k, "[environment]\nHF_TOKEN_HINT = x\n", environment);
    char *first = dump(), *second = dump();
    assert_string_equal(first, second);
    assert_string_equal(path, "PATH=/usr/bin:/bin");
    assert_string_equal(parallel, "OLLAMA_NUM_PARALLEL=3");
    assert_string_equal(token, "HF_TOKEN=a-secret-of-mine");
    free(first);
    free(second);
}

/* What conf_settings() says of the configuration in hand; the caller frees. */
static char *settings(void)
{
    struct buf text;
    conf_case_good(&k);
    buf_init(&text, 0);
    assert_int_equal(conf_settings(k.conf, &text), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    char *copy = strdup(buf_data(&text));
    assert_non_null(copy);
    buf_fini(&text);
    return copy;
}

static void test_settings_say_who_has_said_so(void **state)
{
    (void)state;
    char line[SCRATCH_PATH_BYTES + 160];
    static char v0[] = "SIDECAR_PROXY_MAX_QUEUE=9";
    static char *environment[] = {v0, NULL};
    conf_case_load(&k, "[supervisor]\nidle_timeout = 5m\n[environment]\nA = b \"c\"\n[pin:m]\nnum_ctx = 7\n", environment);
    char *text = settings();
    has(text, "[{\"section\":\"supervisor\",\"key\":\"idle_timeout\",\"value\":\"5m\",\"source\":\"file\",\"where\":\"");
    snprintf(line, sizeof line, "\"where\":\"%s:2\",\"default\":\"0\"},{", k.file);
    has(text, line);
    has(text, "{\"section\":\"proxy\",\"key\":\"max_queue\",\"value\":\"9\",\"source\":\"environment\",\"where\":\"SIDECAR_PROXY_MAX_QUEUE\",\"default\":\"256\"}");
    has(text, "{\"section\":\"supervisor\",\"key\":\"idle_action\",\"value\":\"exit\",\"source\":\"default\",\"where\":null,\"default\":\"exit\"}");
    has(text, "{\"section\":\"program:ollama\",\"key\":\"command\",\"value\":\"ollama serve\",\"source\":\"built in\",\"where\":null,");
    has(text, "{\"section\":\"pin:m\",\"key\":\"num_ctx\",\"value\":\"7\",\"source\":\"file\",");
    snprintf(line, sizeof line, "{\"section\":\"environment\",\"key\":\"A\",\"value\":\"b \\\"c\\\"\",\"source\":\"file\",\"where\":\"%s:4\",\"default\":null}]", k.file);
    has(text, line);
    free(text);
}

static void test_settings_show_no_secret(void **state)
{
    (void)state;
    static char v0[] = "OLLAMA_API_KEY=sesame-of-the-environment";
    static char *environment[] = {v0, NULL};
    conf_case_load(&k, "[key:a]\nsecret = sesame-plain-0123456789\n[key:b]\nsecret_hash = "
                       "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n[environment]\nHF_TOKEN = sesame-of-the-hub\n"
                       "B = x sesame-of-the-hub y\n[program:ollama]\nenvironment = HF_TOKEN=sesame-of-a-program\n", environment);
    char *text = settings();
    has(text, "{\"section\":\"key:a\",\"key\":\"secret\",\"value\":\"***\",");
    has(text, "{\"section\":\"key:b\",\"key\":\"secret_hash\",\"value\":\"***\",");
    has(text, "{\"section\":\"environment\",\"key\":\"HF_TOKEN\",\"value\":\"***\",");
    has(text, "\"value\":\"HF_TOKEN=***\"");
    assert_null(strstr(text, "sesame"));
    assert_null(strstr(text, "0123456789abcdef"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_dump_changes_nothing),
        CASE(test_each_value_has_its_origin),
        CASE(test_a_dump_can_be_read_back_and_gives_the_same_values),
        CASE(test_percent_signs_survive),
        CASE(test_a_value_may_start_with_a_semicolon),
        CASE(test_what_no_file_can_say_is_a_remark),
        CASE(test_variables_of_an_env_file_do_not_collide),
        CASE(test_long_values_survive),
        CASE(test_line_ends_in_a_variable_stay_on_their_line),
        CASE(test_settings_say_who_has_said_so),
        CASE(test_settings_show_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
