/* supervisor/launch: the words, variables and descriptors of a process, laid out beforehand. */
#include "supervisor/launch.h"

#include "common/contract.h"
#include "tests/unit/conf_case.h"

#include <errno.h>

static struct conf_case k;
static struct launch_site site;
static struct doors doors;
static struct launch launch;

static int setup(void **state)
{
    (void)state;
    conf_case_begin(&k);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    launch_fini(&launch);
    launch_fini(&launch);
    conf_case_end(&k);
    return 0;
}

static void prepare(const char *ini, char **environment, const char *program)
{
    launch_fini(&launch);
    conf_case_load(&k, ini, environment);
    conf_case_good(&k);
    doors = (struct doors){.open = {.fds = {10, 11}, .n = 2}, .kept_fds = {-1, -1}};
    site = (struct launch_site){.conf = k.conf, .notify_path = "@12345", .own_dir = "/opt/bin", .doors = &doors,
                                .listen_n = 2, .page_fd = 12, .config_fd = -1};
    assert_int_equal(launch_init(&launch, &site, conf_program(k.conf, program)), 0);
}

static void variable(const char *name, const char *value)
{
    const char *got = conf_variable(launch.envp, name);
    if (value && got)
        assert_string_equal(got, value);
    else if (value || got)
        fail_msg("%s is %s", name, got ? got : "not set");
}

static void words(const char *joined)
{
    char got[2000] = "";
    for (char **a = launch.argv; *a; a++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "<%s>", *a);
    assert_string_equal(got, joined);
}

static void test_the_proxy_gets_listeners_channel_and_page(void **state)
{
    (void)state;
    struct spawn_plan plan;
    char joined[SCRATCH_PATH_BYTES + 64];
    prepare("", NULL, "proxy");
    snprintf(joined, sizeof joined, "<ollama-proxy><-c><%s>", k.file);
    words(joined);
    variable("LISTEN_FDS", "2");
    variable("LISTEN_PID", "0000000000");
    variable("LISTEN_FDNAMES", "listen0:listen1");
    variable(CONTRACT_ENV_CHANNEL, "5"); /* behind the listeners, 3 and 4 */
    variable(CONTRACT_ENV_PAGE, "6");
    variable(CONTRACT_ENV_LINE, "00");
    variable("NOTIFY_SOCKET", "@12345");
    variable(CONTRACT_ENV_OLLAMA, "127.0.0.1:11435");
    variable(CONTRACT_ENV_PARALLEL, "1");
    variable(CONTRACT_ENV_KEEP_ALIVE, "300000");
    variable(CONTRACT_ENV_MEMORY, "4096:64:0:0");
    variable("OLLAMA_NOPRUNE", NULL);
    launch_plan(&launch, &site, 20, 21, 13, 0, &plan);
    variable(CONTRACT_ENV_LINE, "13");
    assert_int_equal(plan.fds_n, 4);
    static const int wanted[] = {10, 11, 20, 12};
    assert_memory_equal(plan.fds, wanted, sizeof wanted);
    assert_int_equal(plan.output_fd, 21);
    assert_ptr_equal(plan.listen_pid_at, conf_variable(launch.envp, "LISTEN_PID"));
    assert_string_equal(plan.first_dir, "/opt/bin");
    launch_plan(&launch, &site, 20, -1, 3, 0, &plan);
    variable(CONTRACT_ENV_LINE, "03");
}

static void test_the_preloader_gets_no_listeners(void **state)
{
    (void)state;
    struct spawn_plan plan;
    prepare("", NULL, "preload");
    variable("LISTEN_FDS", NULL);
    variable("LISTEN_PID", NULL);
    variable(CONTRACT_ENV_PARALLEL, NULL);
    variable(CONTRACT_ENV_KEEP_ALIVE, NULL);
    variable(CONTRACT_ENV_MEMORY, NULL);
    variable(CONTRACT_ENV_CHANNEL, "3");
    variable(CONTRACT_ENV_PAGE, "4");
    variable("NOTIFY_SOCKET", "@12345");
    launch_plan(&launch, &site, 20, -1, 0, 0, &plan);
    assert_int_equal(plan.fds_n, 2);
    assert_int_equal(plan.fds[0], 20);
    assert_int_equal(plan.fds[1], 12);
    assert_null(plan.listen_pid_at);
}

static void test_ollama_gets_nothing_of_the_contract(void **state)
{
    (void)state;
    struct spawn_plan plan;
    static char host[] = "OLLAMA_HOST=0.0.0.0:11434", notify[] = "NOTIFY_SOCKET=/run/outer", pid[] = "LISTEN_PID=1";
    static char *environment[] = {host, notify, pid, NULL};
    prepare("", environment, "ollama");
    words("<ollama><serve>");
    variable("OLLAMA_HOST", "127.0.0.1:11435"); /* moved */
    variable("NOTIFY_SOCKET", NULL);
    variable("LISTEN_PID", NULL);
    variable(CONTRACT_ENV_CHANNEL, NULL);
    variable(CONTRACT_ENV_OLLAMA, NULL);
    launch_plan(&launch, &site, -1, 21, -1, 0, &plan);
    assert_int_equal(plan.fds_n, 0);
    assert_null(plan.first_dir);
}

static void test_ollama_prunes_only_when_nothing_is_wanted_any_more(void **state)
{
    (void)state;
    struct spawn_plan plan;
    prepare("", NULL, "ollama");
    launch_plan(&launch, &site, -1, -1, -1, 0, &plan);
    variable("OLLAMA_NOPRUNE", "1");
    launch_plan(&launch, &site, -1, -1, -1, 1, &plan);
    variable("OLLAMA_NOPRUNE", NULL);
    launch_plan(&launch, &site, -1, -1, -1, 0, &plan);
    variable("OLLAMA_NOPRUNE", "1");
    static char own[] = "OLLAMA_NOPRUNE=0"; /* the owner's word stays */
    static char *environment[] = {own, NULL};
    prepare("", environment, "ollama");
    launch_plan(&launch, &site, -1, -1, -1, 1, &plan);
    variable("OLLAMA_NOPRUNE", "0");
    launch_plan(&launch, &site, -1, -1, -1, 0, &plan);
    variable("OLLAMA_NOPRUNE", "0");
}

static void test_another_command_for_the_proxy_is_a_stranger(void **state)
{
    (void)state;
    prepare("[program:proxy]\ncommand = nginx -g 'daemon off;'\nready = none\n", NULL, "proxy");
    words("<nginx><-g><daemon off;>");
    assert_false(launch.has_contract);
    assert_false(launch.has_listeners);
    variable(CONTRACT_ENV_CHANNEL, NULL);
    variable("NOTIFY_SOCKET", NULL);
}

/* As in a file that --dump wrote. */
static void test_our_own_command_written_out_is_still_ours(void **state)
{
    (void)state;
    prepare("[program:proxy]\ncommand = ollama-proxy\n[program:preload]\ncommand = ollama-preload\n", NULL, "proxy");
    assert_true(launch.has_contract);
    assert_true(launch.has_listeners);
}

static void test_programs_that_notify_are_told_where(void **state)
{
    (void)state;
    prepare("[program:x]\ncommand = x\nready = notify\ndirectory = sub\n", NULL, "x");
    char path[SCRATCH_PATH_BYTES];
    variable("NOTIFY_SOCKET", "@12345");
    assert_string_equal(launch.directory, scratch_path(&k.scratch, "sub", path));
    assert_false(launch.has_contract);
    prepare("[program:x]\ncommand = x\n", NULL, "x");
    variable("NOTIFY_SOCKET", NULL);
    assert_null(launch.directory);
}

static uint64_t signature(const char *ini, char **environment, const char *program)
{
    prepare(ini, environment, program);
    return launch.signature;
}

static void test_what_a_reload_restarts(void **state)
{
    (void)state;
    static const char *const programs[] = {"ollama", "proxy", "preload"};
    static char a[] = "OLLAMA_DEBUG=1";
    static char *environment[] = {a, NULL};
    scratch_text(&k.scratch, "preload-models.txt", "x\n");
    for (size_t i = 0; i < 3; i++) {
        uint64_t before = signature("[proxy]\nmax_queue = 1\n", NULL, programs[i]);
        assert_true(before == signature("[proxy]\nmax_queue = 1\n", NULL, programs[i]));
        assert_true(before == signature("; a comment moves lines\n\n[proxy]\nmax_queue = 1\n", NULL, programs[i]));
        assert_true(before == signature("[proxy]\nmax_queue = 1\n[supervisor]\nidle_timeout = 1h\n", NULL, programs[i]));
        assert_true(before != signature("[proxy]\nmax_queue = 1\n", environment, programs[i]));
    }
    uint64_t ollama = signature("", NULL, "ollama"), proxy = signature("", NULL, "proxy");
    assert_true(ollama == signature("[proxy]\nmax_queue = 2\n", NULL, "ollama"));
    assert_true(proxy != signature("[proxy]\nmax_queue = 2\n", NULL, "proxy"));
    assert_true(proxy != signature("[preload]\nload = last\n", NULL, "proxy"));
    assert_true(ollama != signature("[program:ollama]\ncommand = ollama serve -x\n", NULL, "ollama"));
    assert_true(ollama != signature("[program:ollama]\ndirectory = /\n", NULL, "ollama"));
    uint64_t preload = signature("", NULL, "preload");
    scratch_text(&k.scratch, "preload-models.txt", "x\ny\n");
    assert_true(preload != signature("", NULL, "preload"));
    assert_true(ollama == signature("", NULL, "ollama"));
}

static void test_a_reload_restarts_what_is_started_otherwise(void **state)
{
    (void)state;
    static const char *const rows[] = {"umask = 027", "nice = 5", "oom_score_adj = 7", "no_new_privileges = yes",
                                       "limits = nofile=100", "limits = nofile=101", "limits = core=100",
                                       "limits = nofile=100:101", "env_file = x.env", "environment = A=1"};
    char ini[200];
    uint64_t signatures[sizeof rows / sizeof *rows + 1];
    scratch_text(&k.scratch, "x.env", "A=2\n");
    signatures[0] = signature("[program:x]\ncommand = x\n", NULL, "x");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(ini, sizeof ini, "[program:x]\ncommand = x\n%s\n", rows[i]);
        signatures[i + 1] = signature(ini, NULL, "x");
        for (size_t j = 0; j <= i; j++)
            assert_true(signatures[i + 1] != signatures[j]);
        assert_true(signatures[i + 1] == signature(ini, NULL, "x"));
    }
    uint64_t before = signature("[program:x]\ncommand = x\nenv_file = x.env\n", NULL, "x");
    scratch_text(&k.scratch, "x.env", "A=3\n");
    assert_true(before != signature("[program:x]\ncommand = x\nenv_file = x.env\n", NULL, "x"));
    static char variable[] = "HF_TOKEN_FILE=token"; /* a secret that was changed, below the ini file's folder */
    static char *environment[] = {variable, NULL};
    scratch_text(&k.scratch, "token", "one\n");
    before = signature("", environment, "ollama");
    scratch_text(&k.scratch, "token", "two\n");
    assert_true(before != signature("", environment, "ollama"));
}

static void test_users_in_a_plan(void **state)
{
    (void)state;
    struct spawn_plan plan;
    if (geteuid() != 0)
        skip();
    uint64_t before = signature("", NULL, "ollama"), group = signature("[program:ollama]\nuser = daemon:mail\n", NULL, "ollama");
    uint64_t changed = signature("[program:ollama]\nuser = daemon\n", NULL, "ollama");
    assert_true(before != changed && group != changed);
    assert_true(changed != signature("[program:ollama]\nuser = daemon\ngroups = none\n", NULL, "ollama"));
    launch_plan(&launch, &site, -1, -1, -1, 0, &plan);
    assert_true(plan.rights->has_ids && plan.rights->uid == 1);
    site.is_ollama_kept = 1; /* it could not write its models: it stays what we are, in that user's home */
    launch_fini(&launch);
    assert_int_equal(launch_init(&launch, &site, conf_program(k.conf, "ollama")), 0);
    launch_plan(&launch, &site, -1, -1, -1, 0, &plan);
    assert_false(plan.rights->has_ids || plan.rights->has_groups);
    variable("HOME", "/usr/sbin");
}

static void test_sixteen_listeners_fit(void **state)
{
    (void)state;
    struct spawn_plan plan;
    prepare("", NULL, "proxy");
    launch_fini(&launch);
    doors.open.n = site.listen_n = CONF_LISTEN_MAX;
    assert_int_equal(launch_init(&launch, &site, conf_program(k.conf, "proxy")), 0);
    variable("LISTEN_FDS", "16");
    variable(CONTRACT_ENV_PAGE, "20");
    assert_non_null(strstr(conf_variable(launch.envp, "LISTEN_FDNAMES"), ":listen15"));
    launch_plan(&launch, &site, 1, 1, 15, 0, &plan);
    assert_int_equal(plan.fds_n, 18);
    assert_true(plan.fds_n <= SPAWN_FDS_MAX);
}

static uint64_t launch_with_kept(void)
{
    launch_fini(&launch);
    doors.kept_fds[0] = 30;
    doors.kept_fds[1] = 31;
    site.config_fd = 13;
    assert_int_equal(launch_init(&launch, &site, conf_program(k.conf, "proxy")), 0);
    return launch.signature;
}

static void test_what_is_leaving_comes_last_and_is_no_reason_to_restart(void **state)
{
    (void)state;
    struct spawn_plan plan;
    prepare("", NULL, "proxy");
    uint64_t signature = launch_with_kept();
    variable(CONTRACT_ENV_CONFIG, "7");
    variable(CONTRACT_ENV_KEPT, "8");
    launch_plan(&launch, &site, 20, -1, 0, 0, &plan);
    variable(CONTRACT_ENV_LEAVING, "10:00");
    assert_int_equal(plan.fds_n, 7);
    doors.leaving.fds[0] = 40;
    doors.leaving.fds[1] = 41;
    doors.leaving.n = 2;
    launch_plan(&launch, &site, 20, -1, 0, 0, &plan);
    variable("LISTEN_FDS", "2");
    variable(CONTRACT_ENV_LEAVING, "10:02");
    static const int expected[] = {10, 11, 20, 12, 13, 30, 31, 40, 41};
    assert_int_equal(plan.fds_n, sizeof expected / sizeof *expected);
    assert_memory_equal(plan.fds, expected, sizeof expected);
    assert_true(launch_with_kept() == signature);
    doors.open.n = site.listen_n = doors.leaving.n = CONF_LISTEN_MAX; /* the most that there can be */
    launch_plan(&launch, &site, 20, -1, 0, 0, &plan);
    assert_true(plan.fds_n <= SPAWN_FDS_MAX);
    prepare("", NULL, "preload");
    variable(CONTRACT_ENV_LEAVING, NULL);
    variable(CONTRACT_ENV_KEPT, NULL);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_proxy_gets_listeners_channel_and_page),
        CASE(test_the_preloader_gets_no_listeners),
        CASE(test_ollama_gets_nothing_of_the_contract),
        CASE(test_ollama_prunes_only_when_nothing_is_wanted_any_more),
        CASE(test_another_command_for_the_proxy_is_a_stranger),
        CASE(test_our_own_command_written_out_is_still_ours),
        CASE(test_programs_that_notify_are_told_where),
        CASE(test_what_a_reload_restarts),
        CASE(test_a_reload_restarts_what_is_started_otherwise),
        CASE(test_users_in_a_plan),
        CASE(test_sixteen_listeners_fit),
        CASE(test_what_is_leaving_comes_last_and_is_no_reason_to_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
