/* common/conf: user, groups, umask, nice, oom_score_adj, limits, env_file of a program; every mistake in them. Scenario 64. */
#include "tests/unit/conf_each.h"
#include "tests/unit/in_child.h"

#include <errno.h>
#include <grp.h>
#include <sys/resource.h>

/* [program:x] with these lines, from line 3 on. */
static void load_with(const char *lines, char **environment)
{
    char text[4000];
    snprintf(text, sizeof text, "[program:x]\ncommand = x\n%s\n", lines);
    conf_case_load(&k, text, environment);
}

static const struct conf_rights *good(const char *lines)
{
    load_with(lines, NULL);
    conf_case_good(&k);
    return conf_rights(k.conf, conf_program(k.conf, "x"));
}

static void bad(const char *line, const char *what)
{
    load_with(line, NULL);
    conf_case_told(&k, 3, what);
    assert_int_equal(k.diag.errors_n, 1);
}

static void skip_without_root(void)
{
    if (geteuid() != 0) {
        print_message("SKIPPED: only root may become somebody else\n");
        skip();
    }
}

static void test_nothing_said_changes_nothing(void **state)
{
    (void)state;
    const struct conf_rights *r = good("");
    assert_false(r->has_ids || r->has_groups || r->no_new_privileges);
    assert_null(r->home);
    assert_int_equal(r->umask, -1);
    assert_int_equal(r->nice, 0);
    assert_int_equal(r->limits_n, 0);
    assert_string_equal(r->oom_score_adj, "");
}

static void test_users_by_name_and_number(void **state)
{
    (void)state;
    skip_without_root();
    const struct conf_rights *r = good("user = daemon");
    assert_true(r->has_ids && r->has_groups);
    assert_int_equal(r->uid, 1);
    assert_int_equal(r->gid, 1);
    assert_string_equal(r->user, "daemon");
    assert_string_equal(r->home, "/usr/sbin");
    r = good("user = 1");
    assert_int_equal(r->gid, 1);
    assert_string_equal(r->user, "daemon");
    r = good("user = daemon:mail");
    assert_int_equal(r->uid, 1);
    assert_int_equal(r->gid, 8);
    assert_int_equal(r->groups[0], 8);
    r = good("user = 54321:54320"); /* nobody's numbers, as in containers */
    assert_int_equal(r->uid, 54321);
    assert_int_equal(r->gid, 54320);
    assert_int_equal(r->groups_n, 1);
    assert_int_equal(r->groups[0], 54320);
    assert_string_equal(r->home, "/");
    assert_string_equal(r->user, "");
    r = good("user = root"); /* us: there is nothing to change */
    assert_false(r->has_ids || r->has_groups);
    assert_null(r->home);
    r = good("user = root:mail");
    assert_true(r->has_ids);
    assert_null(r->home);
}

static void test_supplementary_groups(void **state)
{
    (void)state;
    skip_without_root();
    const struct conf_rights *r = good("user = daemon\ngroups = mail, 4321");
    assert_int_equal(r->groups_n, 2);
    assert_int_equal(r->groups[0], 8);
    assert_int_equal(r->groups[1], 4321);
    r = good("user = daemon\ngroups = none");
    assert_true(r->has_groups);
    assert_int_equal(r->groups_n, 0);
    r = good("groups = mail"); /* without another user */
    assert_true(r->has_groups && !r->has_ids);
}

static void test_mistakes_in_user_and_groups(void **state)
{
    (void)state;
    skip_without_root();
    bad("user = no-such-user", "[program:x] user: there is no user \"no-such-user\": make it, or write numbers, UID:GID");
    bad("user = daemon:no-such-group", "there is no group \"no-such-group\": make it, or write its number");
    bad("user = 54321", "uid 54321 has no entry in /etc/passwd that says its group: write 54321:GID");
    bad("user = :mail", "\":mail\" is none: write NAME, UID, NAME:GROUP or UID:GID");
    bad("user = daemon:", "\"daemon:\" is none");
    bad("user = 4294967295", "there is no user \"4294967295\""); /* -1 would mean to leave it */
    bad("groups = no-such-group, mail", "[program:x] groups: there is no group \"no-such-group\"");
    bad("groups = mail, none", "there is no group \"none\"");
    load_with("user = no-such-user:no-such-group\ngroups = nor-this, nor-that", NULL);
    assert_int_equal(k.diag.errors_n, 4); /* all at once */
}

/* Where user_required = no: what keeps us from changing is a warning, and it runs as we do; a mistake in writing stays one. */
static const struct conf_rights *as_we_do(const char *line, const char *what)
{
    char lines[200];
    snprintf(lines, sizeof lines, "user_required = no\n%s", line);
    load_with(lines, NULL);
    conf_case_good(&k);
    assert_true(conf_case_has(&k, "warning", k.file, 4, what));
    return conf_rights(k.conf, conf_program(k.conf, "x"));
}

static void test_a_user_that_is_not_required(void **state)
{
    (void)state;
    skip_without_root();
    assert_true(good("user_required = no\nuser = daemon")->has_ids);
    const struct conf_rights *r = as_we_do("user = no-such-user", "[program:x] user: there is no user \"no-such-user\": make it, or write numbers, UID:GID; it runs as root");
    assert_false(r->has_ids || r->has_groups);
    assert_null(r->home);
    r = as_we_do("user = daemon:no-such-group", "there is no group \"no-such-group\": make it, or write its number; it runs as root");
    assert_false(r->has_ids);
    load_with("user_required = no\nuser = :mail", NULL);
    assert_int_equal(k.diag.errors_n, 1);
}

static void test_umask_nice_and_oom(void **state)
{
    (void)state;
    assert_int_equal(good("umask = 027")->umask, 027);
    assert_int_equal(good("umask = 0")->umask, 0);
    assert_int_equal(good("umask = 0777")->umask, 0777);
    bad("umask = 888", "[program:x] umask: \"888\" is none: write octal digits, such as 027 (at most 0777)");
    bad("umask = 1000", "\"1000\" is none");
    bad("umask = 00027", "\"00027\" is none");
    bad("umask = u=rwx", "\"u=rwx\" is none");
    bad("umask = -1", "\"-1\" is none");
    assert_int_equal(good("nice = 19")->nice, 19);
    bad("nice = 20", "is out of range: -20 to 19");
    bad("nice = --1", "is no whole number");
    bad("nice = -", "is no whole number");
    assert_string_equal(good("oom_score_adj = -0")->oom_score_adj, "0");
    assert_string_equal(good("oom_score_adj = 1000")->oom_score_adj, "1000");
    assert_string_equal(good("oom_score_adj = -1000")->oom_score_adj, "-1000");
    bad("oom_score_adj = 1001", "is out of range: -1000 to 1000");
    bad("oom_score_adj = low", "is no whole number");
    assert_true(good("no_new_privileges = yes")->no_new_privileges);
    bad("no_new_privileges = maybe", "no_new_privileges");
}

static void limit(const struct conf_rights *r, size_t at, int resource, uint64_t soft, uint64_t hard)
{
    assert_true(at < r->limits_n);
    assert_int_equal(r->limits[at].resource, resource);
    assert_true(r->limits[at].soft == soft && r->limits[at].hard == hard);
}

static void test_limits(void **state)
{
    (void)state;
    const struct conf_rights *r = good("limits = nofile=20, core=0, as=4G, nproc=10:20, memlock=1K:2K, cpu=unlimited");
    assert_int_equal(r->limits_n, 6);
    limit(r, 0, RLIMIT_NOFILE, 20, 20);
    limit(r, 1, RLIMIT_CORE, 0, 0);
    limit(r, 2, RLIMIT_AS, 4ULL << 30, 4ULL << 30);
    limit(r, 3, RLIMIT_NPROC, 10, 20);
    limit(r, 4, RLIMIT_MEMLOCK, 1 << 10, 2 << 10);
    limit(r, 5, RLIMIT_CPU, SYS_UNLIMITED, SYS_UNLIMITED);
    r = good("limits = as=1, core=1, cpu=1, data=1, fsize=1, locks=1, memlock=1, msgqueue=1, nice=0, nofile=1, nproc=1, rss=1,\n"
             " rtprio=0, rttime=1, sigpending=1, stack=1");
    assert_int_equal(r->limits_n, 16); /* every one there is */
}

static void test_mistakes_in_limits(void **state)
{
    (void)state;
    bad("limits = nofiles=20", "[program:x] limits: there is no limit \"nofiles\"; did you mean nofile?");
    bad("limits = quuxquux=20", "there is no limit \"quuxquux\"; see setrlimit(2): nofile");
    bad("limits = nofile", "\"nofile\" is not NAME=VALUE, such as nofile=20000");
    bad("limits = =5", "\"=5\" is not NAME=VALUE");
    bad("limits = nofile=", "nofile: \"\" is no whole number; or write unlimited");
    bad("limits = nofile=64K", "nofile: \"64K\" is no whole number");
    bad("limits = nofile=-1", "nofile: \"-1\" is no whole number");
    bad("limits = as=4X", "as: \"4X\" is no size");
    bad("limits = nofile=30:20", "nofile: the soft limit is above the hard one: write SOFT:HARD");
    bad("limits = nofile=20:", "nofile: \"\" is no whole number");
    bad("limits = core=unlimited:0", "core: the soft limit is above the hard one");
    bad("limits = nofile=20, core=0, nofile=30", "nofile stands twice");
    bad("limits = nofile=99999999999999999999", "nofile: ");
    load_with("limits = nofile=x, oops=1\numask = 9\nuser = no-such-user\nnice = 99", NULL);
    assert_int_equal(k.diag.errors_n, 5);
}

/* What somebody who is not root can't have. */
static void without_root(void *context)
{
    (void)context;
    struct rlimit few = {50, 100}, none = {0, 0};
    char line[200];
    CHILD_CHECK(chmod(k.scratch.dir, 0777) == 0 && chmod(k.file, 0666) == 0);
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0 && setrlimit(RLIMIT_NICE, &none) == 0);
    CHILD_CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0); /* whatever we were started with */
    CHILD_CHECK(setgroups(0, NULL) == 0 && setresgid(1, 1, 1) == 0 && setresuid(1, 1, 1) == 0);
    bad("user = root", "[program:x] user: we run as uid 1, gid 1, and may not change: that takes root, or CAP_SETUID, CAP_SETGID and CAP_KILL");
    bad("user = daemon:mail", "and may not change: that takes root");
    bad("groups = daemon", "[program:x] groups: we run as uid 1, and may not set groups: that takes root, or CAP_SETGID");
    bad("nice = -5", "[program:x] nice: we may not go below 0: that takes CAP_SYS_NICE");
    bad("limits = nofile=101", "[program:x] limits: nofile: we may not go above our own hard limit, 100: that takes CAP_SYS_RESOURCE");
    bad("limits = nofile=5:unlimited", "we may not go above our own hard limit, 100");
    CHILD_CHECK(good("limits = nofile=100")->limits_n == 1);
    const struct conf_rights *r = good("user = daemon\nnice = 5"); /* that is us */
    CHILD_CHECK(!r->has_ids && !r->has_groups && r->home == NULL && r->nice == 5);
    CHILD_CHECK(good("user = 1:1")->has_ids == 0);
    r = good("user = root\nuser_required = no"); /* nothing is told to who can't be otherwise */
    CHILD_CHECK(!r->has_ids && !r->has_groups && r->home == NULL);
    r = good("user = no-such-user\nuser_required = no");
    CHILD_CHECK(!r->has_ids && k.diag.errors_n == 0);
    /* Who only reads, such as sidecarctl, is not told what the supervisor could not do. */
    static char *empty[] = {NULL};
    struct conf *c = NULL;
    struct diag d;
    snprintf(line, sizeof line, "user = root\nlimits = nofile=101");
    load_with(line, NULL);
    diag_init(&d);
    CHILD_CHECK(conf_load(&c, k.file, empty, &d) == 0);
    conf_free(&c);
    diag_fini(&d);
}

static void test_without_root(void **state)
{
    (void)state;
    skip_without_root();
    load_with("", NULL);
    assert_int_equal(in_child(without_root, NULL), 0);
}

/* ---- the environment ---- */

static char **environment_of_x;

static void variable(const char *name, const char *value)
{
    conf_environment_free(environment_of_x);
    environment_of_x = conf_environment(k.conf, conf_program(k.conf, "x"), NULL);
    const char *got = conf_variable(environment_of_x, name);
    if (value && got)
        assert_string_equal(got, value);
    else if (value || got)
        fail_msg("%s is %s", name, got ? got : "not set");
}

static void test_another_user_has_another_home(void **state)
{
    (void)state;
    skip_without_root();
    static char home[] = "HOME=/root", user[] = "USER=root", logname[] = "LOGNAME=root", shell[] = "SHELL=/bin/zsh",
                mail[] = "MAIL=/var/mail/root", runtime[] = "XDG_RUNTIME_DIR=/run/user/0", other[] = "OTHER=1";
    static char *environment[] = {home, user, logname, shell, mail, runtime, other, NULL};
    load_with("user = daemon", environment);
    conf_case_good(&k);
    variable("HOME", "/usr/sbin");
    variable("USER", "daemon");
    variable("LOGNAME", "daemon");
    variable("SHELL", "/usr/sbin/nologin");
    variable("MAIL", NULL);
    variable("XDG_RUNTIME_DIR", NULL);
    variable("OTHER", "1");
    load_with("user = daemon\nenvironment = HOME=/own\n[environment]\nUSER = said", environment);
    conf_case_good(&k);
    variable("HOME", "/own");
    variable("USER", "said");
    scratch_text(&k.scratch, "x.env", "SHELL=/bin/false\nMAIL=x\n");
    load_with("user = daemon\nenv_file = x.env", environment);
    conf_case_good(&k);
    variable("SHELL", "/bin/false");
    variable("MAIL", "x");
    load_with("user = 54321:54321", environment);
    conf_case_good(&k);
    variable("HOME", "/");
    variable("USER", NULL);
    load_with("user = root", environment); /* nobody else */
    conf_case_good(&k);
    variable("HOME", "/root");
    variable("MAIL", "/var/mail/root");
}

/* Scenario 63, as far as a program's own file goes. */
static void test_a_programs_own_env_file(void **state)
{
    (void)state;
    static char process[] = "BOTH=process", only[] = "P=process";
    static char *environment[] = {process, only, NULL};
    scratch_text(&k.scratch, "x.env",
                 "# a comment\nexport BOTH=file\nPERCENT=100%% %(ENV_P)s $P `x`\nQUOTED=\" a 'b' \"\nSINGLE='$HOME'\nEMPTY=\n"
                 "EQUALS=a=b=c\nOWN=file\nHASH=a # b\n");
    load_with("env_file = x.env\nenvironment = OWN=ini", environment);
    conf_case_good(&k);
    variable("BOTH", "file"); /* it is this program's alone: nearer than what all share */
    variable("OWN", "ini");
    variable("PERCENT", "100%% %(ENV_P)s $P `x`"); /* nothing is expanded */
    variable("QUOTED", " a 'b' ");
    variable("SINGLE", "$HOME");
    variable("EMPTY", "");
    variable("EQUALS", "a=b=c");
    variable("HASH", "a # b");
    variable("UNSET", NULL);
    char **shared = conf_environment(k.conf, conf_program(k.conf, "ollama"), NULL);
    assert_null(conf_variable(shared, "OWN")); /* nobody else's */
    conf_environment_free(shared);
    bad("env_file = missing.env", "missing.env can't be read: No such file or directory");
    char path[SCRATCH_PATH_BYTES];
    scratch_text(&k.scratch, "x.env", "A=1\nhf_a-token-in-the-wrong-place\n");
    load_with("env_file = x.env", NULL);
    assert_true(conf_case_has(&k, "error", scratch_path(&k.scratch, "x.env", path), 2, "the line is not NAME=value"));
    assert_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "hf_", 3)); /* it may be a secret */
}

static void test_it_may_say_where_ollama_binds(void **state)
{
    (void)state;
    scratch_text(&k.scratch, "o.env", "OLLAMA_HOST=127.0.0.1:12345\n");
    conf_case_load(&k, "[program:ollama]\nenv_file = o.env\n", NULL);
    conf_case_good(&k);
    assert_int_equal(k.conf->ollama.port, 12345);
    assert_int_equal(k.conf->backend.port, 12345);
}

/* A child reads what the supervisor handed to it, with what it stood for, and opens no file of others. */
static void test_a_child_takes_what_it_is_handed(void **state)
{
    (void)state;
    static char a[] = "A=supervisors", b[] = "B_FILE=x";
    static char *environment[] = {a, b, NULL};
    struct buf text;
    struct diag d;
    struct conf *c = NULL;
    scratch_text(&k.scratch, "o.env", "OLLAMA_HOST=127.0.0.1:12345\nOLLAMA_NUM_PARALLEL=6\n");
    conf_case_load(&k, "[supervisor]\nenv_file = o.env\n[program:ollama]\nenv_file = o.env\n[proxy]\ncors_origins = %(ENV_A)s, %(ENV_B_FILE)s, "
                       "%(ENV_C:-none)s\n", environment);
    conf_case_good(&k);
    buf_init(&text, 0);
    assert_int_equal(conf_handed_text(k.conf, &text), 0);
    int fd = sys_memfd_text("x", buf_data(&text), buf_size(&text));
    assert_true(fd > 2);
    buf_fini(&text);
    assert_int_equal(k.conf->ollama_parallel, 6);
    char config[40], path[SCRATCH_PATH_BYTES];
    static char ollama[] = "SIDECAR_OLLAMA=127.0.0.1:12345", parallel[] = "SIDECAR_OLLAMA_PARALLEL=6";
    static char mine[] = "A=mine", other[] = "C=mine", keep_alive[] = "SIDECAR_OLLAMA_KEEP_ALIVE=-1", memory[] = "SIDECAR_OLLAMA_MEMORY=2048:34:1:0";
    snprintf(config, sizeof config, "SIDECAR_CONFIG_FD=%d", fd);
    char *childs[] = {ollama, parallel, keep_alive, memory, config, mine, other, NULL};
    assert_int_equal(unlink(scratch_path(&k.scratch, "o.env", path)), 0);
    assert_int_equal(unlink(k.file), 0);
    diag_init(&d);
    int error = conf_load(&c, k.file, childs, &d);
    if (error)
        print_error("%.*s", (int)buf_size(&d.text), buf_data(&d.text));
    assert_int_equal(error, 0);
    assert_int_equal(c->backend.port, 12345);
    assert_int_equal(c->ollama_parallel, 6); /* of a file that it does not read */
    assert_int_equal(c->ollama_keep_alive_ms, -1);
    char handed[CONF_OLLAMA_MEMORY_BYTES];
    conf_ollama_memory_write(&c->ollama_memory, handed);
    assert_string_equal(handed, "2048:34:1:0");
    assert_int_equal(c->proxy.cors_origins.items_n, 3);
    assert_string_equal(c->proxy.cors_origins.items[0], "supervisors");
    assert_string_equal(c->proxy.cors_origins.items[1], "x");
    assert_string_equal(c->proxy.cors_origins.items[2], "none");
    conf_free(&c);
    diag_fini(&d);
    close(fd);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing_said_changes_nothing),
        CASE(test_users_by_name_and_number),
        CASE(test_supplementary_groups),
        CASE(test_mistakes_in_user_and_groups), CASE(test_a_user_that_is_not_required),
        CASE(test_umask_nice_and_oom),
        CASE(test_limits),
        CASE(test_mistakes_in_limits),
        CASE(test_without_root),
        CASE(test_another_user_has_another_home),
        CASE(test_a_programs_own_env_file),
        CASE(test_it_may_say_where_ollama_binds),
        CASE(test_a_child_takes_what_it_is_handed),
    };
    int failed_n = cmocka_run_group_tests(tests, NULL, NULL);
    conf_environment_free(environment_of_x);
    return failed_n;
}
