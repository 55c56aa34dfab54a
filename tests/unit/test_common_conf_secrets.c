/* common/conf: secrets by NAME_FILE, and that no secret is shown. Scenario 63. */
#include "tests/unit/conf_case.h"

#include <errno.h>

static struct conf_case k;
static char **got;

static int setup(void **state)
{
    (void)state;
    conf_case_begin(&k);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conf_environment_free(got);
    got = NULL;
    conf_case_end(&k);
    return 0;
}

static char variables[4][SCRATCH_PATH_BYTES + 64];

/* A variable with the path of a file of the scratch folder. */
static char *names_file(size_t at, const char *variable, const char *file)
{
    char path[SCRATCH_PATH_BYTES];
    snprintf(variables[at], sizeof variables[at], "%s=%s", variable, scratch_path(&k.scratch, file, path));
    return variables[at];
}

static void variable(const char *program, const char *name, const char *value)
{
    conf_case_good(&k);
    conf_environment_free(got);
    got = conf_environment(k.conf, conf_program(k.conf, program), NULL);
    const char *is = conf_variable(got, name);
    if (value && is)
        assert_string_equal(is, value);
    else if (value || is)
        fail_msg("%s is %s", name, is ? is : "not set");
}

static void test_each_secret_by_its_file(void **state)
{
    (void)state;
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OLLAMA_API_KEY"};
    for (size_t i = 0; i < 3; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s_FILE", names[i]);
        char *environment[] = {names_file(0, file, "token"), NULL};
        scratch_text(&k.scratch, "token", "a%b$c \"d\"\n");
        conf_case_load(&k, "", environment);
        variable("ollama", names[i], "a%b$c \"d\"");
        variable("ollama", file, NULL);
        variable("preload", names[i], "a%b$c \"d\"");
    }
    char *environment[] = {names_file(0, "OLLAMA_HOST_FILE", "token"), NULL}; /* no secret: nobody's business */
    conf_case_load(&k, "", environment);
    variable("ollama", "OLLAMA_HOST_FILE", environment[0] + strlen("OLLAMA_HOST_FILE="));
    variable("ollama", "OLLAMA_HOST", NULL);
}

static void content(const char *bytes, size_t bytes_n, const char *value)
{
    char *environment[] = {names_file(0, "HF_TOKEN_FILE", "token"), NULL};
    scratch_write(&k.scratch, "token", bytes, bytes_n);
    conf_case_load(&k, "", environment);
    if (value)
        variable("ollama", "HF_TOKEN", value);
}

static void test_one_line_end_goes(void **state)
{
    (void)state;
    content("t", 1, "t");
    content("t\n", 2, "t");
    content("t\r\n", 3, "t");
    content("t\n\n", 3, "t\n");
    content(" t ", 3, " t ");
}

static void test_files_that_are_no_secret(void **state)
{
    (void)state;
    char what[SCRATCH_PATH_BYTES + 200], path[SCRATCH_PATH_BYTES];
    scratch_path(&k.scratch, "token", path);
    static const char *const empty[] = {"", "\n", "\r\n"};
    for (size_t i = 0; i < 3; i++) {
        content(empty[i], strlen(empty[i]), NULL);
        snprintf(what, sizeof what, "HF_TOKEN_FILE names %s: it is empty", path);
        conf_case_told_of(&k, "error", "HF_TOKEN_FILE", what);
        assert_int_equal(k.diag.errors_n, 1); /* once, and not for each program */
    }
    content("a\0b", 3, NULL);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", "it has a NUL byte");
    static char much[(64 << 10) + 1];
    memset(much, 'x', sizeof much);
    content(much, sizeof much, NULL);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", "it has more than 64 KiB");
    much[sizeof much - 1] = '\0';
    content(much, sizeof much - 1, much);
    assert_int_equal(unlink(path), 0);
    char *environment[] = {names_file(0, "HF_TOKEN_FILE", "token"), NULL};
    conf_case_load(&k, "", environment);
    snprintf(what, sizeof what, "HF_TOKEN_FILE names %s: it can't be read: No such file or directory", path);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", what);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes to it: we don't wait */
    conf_case_load(&k, "", environment);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", "it is empty");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    conf_case_load(&k, "", environment);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", "it can't be read: Is a directory");
}

static void test_wherever_it_is_named(void **state)
{
    (void)state;
    char what[SCRATCH_PATH_BYTES + 200];
    scratch_text(&k.scratch, "token", "one-two-three\n");
    conf_case_load(&k, "[environment]\nHF_TOKEN_FILE = token\n", NULL); /* relative to the ini file */
    variable("ollama", "HF_TOKEN", "one-two-three");
    conf_case_load(&k, "\n[environment]\nHF_TOKEN_FILE = nowhere\n", NULL);
    snprintf(what, sizeof what, "HF_TOKEN_FILE names %s/nowhere: it can't be read", k.scratch.dir);
    conf_case_told(&k, 3, what);
    scratch_text(&k.scratch, "x.env", "HF_TOKEN_FILE=token\n");
    conf_case_load(&k, "[supervisor]\nenv_file = x.env\n", NULL);
    variable("preload", "HF_TOKEN", "one-two-three");
    conf_case_load(&k, "[program:ollama]\nenv_file = x.env\n", NULL);
    variable("ollama", "HF_TOKEN", "one-two-three");
    variable("preload", "HF_TOKEN", NULL);
    conf_case_load(&k, "[program:ollama]\nenvironment = HF_TOKEN_FILE=token\n", NULL);
    variable("ollama", "HF_TOKEN", "one-two-three");
    variable("ollama", "HF_TOKEN_FILE", NULL);
    variable("proxy", "HF_TOKEN", NULL);
}

static void test_both_are_one_too_many(void **state)
{
    (void)state;
    static char token[] = "HF_TOKEN=abc", unset[] = "HF_TOKEN=";
    scratch_text(&k.scratch, "token", "x");
    char *environment[] = {names_file(0, "HF_TOKEN_FILE", "token"), token, NULL};
    conf_case_load(&k, "", environment);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", "HF_TOKEN and HF_TOKEN_FILE are both set: unset one of them");
    assert_int_equal(k.diag.errors_n, 1);
    environment[1] = unset; /* set and empty counts as not set */
    conf_case_load(&k, "", environment);
    variable("ollama", "HF_TOKEN", "x");
    size_t named_n = 0;
    for (char **e = got; *e; e++)
        named_n += strncmp(*e, "HF_TOKEN", 8) == 0;
    assert_int_equal(named_n, 1);
    static char no_file[] = "HF_TOKEN_FILE=";
    char *other[] = {no_file, token, NULL};
    conf_case_load(&k, "", other);
    variable("ollama", "HF_TOKEN", "abc");
    environment[1] = NULL;
    conf_case_load(&k, "[environment]\nHF_TOKEN = y\n", environment);
    conf_case_told_of(&k, "error", "HF_TOKEN_FILE", "are both set");
}

static const char *dumped(struct buf *text)
{
    conf_case_good(&k);
    buf_init(text, 0);
    assert_int_equal(conf_dump(k.conf, text), 0);
    assert_int_equal(buf_append(text, "", 1), 0);
    return buf_data(text);
}

static void test_no_secret_is_shown(void **state)
{
    (void)state;
    struct buf text;
    static char direct[] = "OLLAMA_API_KEY=sesame-1";
    scratch_text(&k.scratch, "token", "sesame-2-%-from-a-file\n");
    scratch_text(&k.scratch, "x.env", "HUGGING_FACE_HUB_TOKEN=sesame-3\nPLAIN=sight\n");
    char *environment[] = {names_file(0, "HF_TOKEN_FILE", "token"), direct, NULL};
    conf_case_load(&k, "[supervisor]\nenv_file = x.env\n"
                       "[program:x]\ncommand = x --key %(ENV_HUGGING_FACE_HUB_TOKEN)s\nenv_file = x.env\n"
                       "[program:y]\ncommand = y\nenvironment = A=1, OLLAMA_API_KEY=sesame, B=2\n", environment);
    const char *dump = dumped(&text);
    if (strstr(dump, "sesame"))
        fail_msg("shown:\n%s", dump);
    assert_non_null(strstr(dump, "\n; HUGGING_FACE_HUB_TOKEN=***  (env_file line 1)\n"));
    assert_non_null(strstr(dump, "\n; PLAIN=sight  (env_file line 2)\n"));
    assert_non_null(strstr(dump, "\n; OLLAMA_API_KEY=***\n")); /* what ollama gets */
    assert_non_null(strstr(dump, "\n; command = x --key ***")); /* a remark: read back, it would be wrong */
    assert_non_null(strstr(dump, "\n; environment = A=1, OLLAMA_API_KEY=***, B=2"));
    assert_non_null(strstr(dump, "\ncommand = y"));
    buf_fini(&text);
    conf_case_load(&k, "[environment]\nHF_TOKEN = abc\nOTHER = abc\n", NULL);
    dump = dumped(&text);
    assert_non_null(strstr(dump, "\n; HF_TOKEN = ***"));
    assert_non_null(strstr(dump, "\nOTHER = abc")); /* too short to be looked for elsewhere */
    buf_fini(&text);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_secret_by_its_file),
        CASE(test_one_line_end_goes),
        CASE(test_files_that_are_no_secret),
        CASE(test_wherever_it_is_named),
        CASE(test_both_are_one_too_many),
        CASE(test_no_secret_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
