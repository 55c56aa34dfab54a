/* common/conf: what no single row can state: listeners, the backend, dependencies. */
#include "tests/unit/conf_each.h"

#include <errno.h>

struct rule {
    const char *text;
    int line; /* 0: no mistake */
    const char *told;
};

static void check(const struct rule *rules, size_t rules_n)
{
    for (size_t i = 0; i < rules_n; i++) {
        conf_case_load(&k, rules[i].text, NULL);
        if (rules[i].line)
            conf_case_told(&k, rules[i].line, rules[i].told);
        else
            conf_case_good(&k);
    }
}

static void test_listeners(void **state)
{
    (void)state;
    static const struct rule rules[] = {
        {"[proxy]\nlisten = 127.0.0.1:1, 127.0.0.1:1\n", 2, "the same listener stands twice"},
        {"[proxy]\nlisten = 127.0.0.1:1, localhost:1\n", 2, "the same listener stands twice"},
        {"[proxy]\nlisten = [::1]:1, [0:0::1]:1\n", 2, "the same listener stands twice"},
        {"[proxy]\nlisten = :1, [::]:1\n", 2, "the same listener stands twice"},
        {"[proxy]\nlisten = 127.0.0.1:1, 127.0.0.1:2, [::1]:1\n", 0, NULL},
        {"[proxy]\nlisten = [::]:1, 127.0.0.1:1\n", 2, "overlap"},
        {"[proxy]\nlisten = 10.0.0.1:1, 0.0.0.0:1\n", 2, "overlap"},
        {"[proxy]\nlisten = 0.0.0.0:1, [::]:1\n", 2, "overlap"},
        {"[proxy]\nlisten = 0.0.0.0:1, [::1]:1\n", 0, NULL},
        {"[proxy]\nlisten =\n", 2, "there is no listener"},
        {"[proxy]\nlisten = ,\n", 2, "there is no listener"},
        {"[proxy]\nlisten = gpu.example:80\n", 2, "is a name: a listener needs an IP address"},
        {"[proxy]\nlisten = 127.0.0.1:0\n", 2, "from 1 to 65535"},
        {"[proxy]\nlisten = http://127.0.0.1:80\n", 2, "write HOST:PORT"},
        {"[proxy]\nlisten = :1,:2,:3,:4,:5,:6,:7,:8,:9,:10,:11,:12,:13,:14,:15,:16\n", 0, NULL},
        {"[proxy]\nlisten = :1,:2,:3,:4,:5,:6,:7,:8,:9,:10,:11,:12,:13,:14,:15,:16,:17\n", 2, "more than 16"},
    };
    check(rules, sizeof rules / sizeof *rules);
}

static void test_a_backend_is_not_one_of_our_listeners(void **state)
{
    (void)state;
    static const struct rule rules[] = {
        {"[proxy]\nbackend = http://127.0.0.1:11434\n", 2, "in a circle"},
        {"[proxy]\nbackend = 127.0.0.1:11434\n", 2, "in a circle"},
        {"[proxy]\nbackend = http://localhost:11434\n", 2, "in a circle"},
        {"[proxy]\nlisten = 0.0.0.0:80\nbackend = http://127.0.0.1\n", 3, "in a circle"},
        {"[proxy]\nlisten = :80\nbackend = http://localhost:80\n", 3, "in a circle"},
        {"[proxy]\nlisten = [::]:80\nbackend = http://[::1]:80\n", 3, "in a circle"},
        {"[proxy]\nlisten = 127.0.0.1:80\nbackend = http://0.0.0.0:80\n", 3, "in a circle"},
        {"[proxy]\nlisten = 127.0.0.1:80\nbackend = http://10.0.0.1:80\n", 0, NULL},
        {"[proxy]\nbackend = http://127.0.0.1:11435\n", 0, NULL},
        {"[proxy]\nbackend = https://gpu:443\n", 2, "https backends are not served yet"},
        {"[proxy]\nbackend = http://gpu/ollama\n", 2, "a backend has no path"},
        {"[proxy]\nbackend = gpu\n", 2, "port is missing"},
    };
    check(rules, sizeof rules / sizeof *rules);
}

static void test_the_backend_is_ours_by_any_of_its_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int is_ours;
    } cases[] = {{"", 1},
                 {"[proxy]\nbackend = http://127.0.0.1:11435\n", 1},
                 {"[proxy]\nbackend = http://localhost:11435\n", 1},
                 {"[proxy]\nbackend = http://127.0.0.1:11436\n", 0},
                 {"[proxy]\nbackend = http://gpu:11435\n", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        conf_case_load(&k, cases[i].text, NULL);
        conf_case_good(&k);
        assert_int_equal(k.conf->is_backend_ours, cases[i].is_ours);
        assert_int_equal(conf_program(k.conf, "preload")->depends.items_n, cases[i].is_ours);
    }
}

/* scenario 47: the names of those that are in the circle, and of nobody who only leads to it */
static void test_dependencies(void **state)
{
    (void)state;
    static const struct rule rules[] = {
        {"[program:a]\ncommand = x\ndepends = b\n[program:b]\ncommand = x\n", 0, NULL},
        {"[program:a]\ncommand = x\ndepends = a\n", 3, "depend on each other in a circle: a -> a"},
        {"[program:a]\ncommand = x\ndepends = b\n[program:b]\ncommand = x\ndepends = a\n", 3, "in a circle: a -> b -> a"},
        {"[program:a]\ncommand = x\ndepends = b\n[program:b]\ncommand = x\ndepends = c\n[program:c]\ncommand = x\ndepends = b\n",
         6, "in a circle: b -> c -> b"},
        {"[program:ollama]\ndepends = preload\n", 2, "in a circle: ollama -> preload -> ollama"}, /* the preloader needs ollama */
        {"[program:a]\ncommand = x\ndepends = ollama, b\n", 3, "there is no program \"b\""},
        {"[program:a]\ncommand = x\ndepends = b, c\n[program:b]\ncommand = x\ndepends = c\n[program:c]\ncommand = x\n", 0,
         NULL},
        {"[proxy]\nstart = ready\n", 0, NULL},
        {"[program:proxy]\ndepends = ollama\n[program:ollama]\ndepends = proxy\n", 4, "in a circle"},
    };
    check(rules, sizeof rules / sizeof *rules);
}

static void test_a_circle_of_all_programs_is_told_once(void **state)
{
    (void)state;
    char text[4096] = "";
    for (int i = 0; i < 29; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "[program:p%d]\ncommand = x\ndepends = p%d\n", i,
                 (i + 1) % 29);
    conf_case_load(&k, text, NULL);
    assert_int_equal(k.diag.errors_n, 1);
    assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "in a circle: p0 -> p1 -> ", 25));
    assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "p28 -> p0", 9));
}

/* Names may be long; what is told of them is bounded. */
static void test_a_circle_of_long_names_is_cut(void **state)
{
    (void)state;
    char name[65], text[4096] = "";
    for (int i = 0; i < 8; i++) {
        memset(name, 'a' + i, sizeof name - 1);
        name[sizeof name - 1] = '\0';
        snprintf(text + strlen(text), sizeof text - strlen(text), "[program:%s]\ncommand = x\n", name);
        memset(name, 'a' + (i + 1) % 8, sizeof name - 1);
        snprintf(text + strlen(text), sizeof text - strlen(text), "depends = %s\n", name);
    }
    conf_case_load(&k, text, NULL);
    assert_int_equal(k.diag.errors_n, 1);
    assert_non_null(memmem(buf_data(&k.diag.text), buf_size(&k.diag.text), "...\n", 4));
}

static void test_the_strict_order_waits_for_everything(void **state)
{
    (void)state;
    conf_case_load(&k, "[proxy]\nstart = ready\n", NULL);
    conf_case_good(&k);
    const struct conf_program *p = conf_program(k.conf, "proxy");
    assert_int_equal(p->depends.items_n, 2);
    assert_string_equal(p->depends.items[0], "ollama");
    assert_string_equal(p->depends.items[1], "preload");
    conf_case_load(&k, "[proxy]\nstart = ready\nbackend = http://gpu:11434\n", NULL);
    conf_case_good(&k);
    assert_int_equal(conf_program(k.conf, "proxy")->depends.items_n, 1);
}

static void test_built_in_programs_take_what_the_file_says(void **state)
{
    (void)state;
    conf_case_load(&k, "[program:ollama]\ncommand = /opt/ollama serve -x\nready = none\n[preload]\nrequired = yes\n"
                       "[program:proxy]\nautostart = no\n", NULL);
    conf_case_good(&k);
    const struct conf_program *p = conf_program(k.conf, "ollama");
    assert_int_equal(k.conf->programs_n, 3);
    assert_int_equal(p->command.items_n, 3);
    assert_string_equal(p->command.items[0], "/opt/ollama");
    assert_string_equal(p->ready, "none");
    assert_string_equal(conf_program(k.conf, "proxy")->ready, "notify");
    assert_int_equal(conf_program(k.conf, "proxy")->autostart, 0);
    assert_int_equal(conf_program(k.conf, "preload")->required, 1);
    assert_null(conf_program(k.conf, "nobody"));
}

static void test_stop_needs_an_ollama_that_a_request_can_start_again(void **state)
{
    (void)state;
    conf_case_load(&k, "[supervisor]\nidle_action = stop\nidle_timeout = 5m\n", NULL);
    conf_case_good(&k);
    assert_false(conf_case_has(&k, "warning", k.file, 2, "stop"));
    conf_case_load(&k, "[supervisor]\nidle_action = stop\n[proxy]\nbackend = http://10.0.0.1:80\n", NULL);
    conf_case_good(&k);
    assert_true(conf_case_has(&k, "warning", k.file, 2, "no request would start it again"));
}

/* The warnings on a machine of Fly.io's: text of the file, FLY_VM_MEMORY_MB, what is told (NULL: nothing of Fly's). */
static void test_what_can_not_work_on_fly_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *memory, *told;
        int line;
    } rows[] = {
        {"[proxy]\nlisten = [::]:1\n", "FLY_VM_MEMORY_MB=2048", NULL, 0},
        {"[proxy]\nlisten = :1\n", "FLY_VM_MEMORY_MB=2048", NULL, 0},
        {"[proxy]\nlisten = [fdaa::3]:1\n", "FLY_VM_MEMORY_MB=2048", NULL, 0},
        {"[proxy]\nlisten = 127.0.0.1:1\n", "FLY_VM_MEMORY_MB=2048", "APP.flycast neither", 2},
        {"[proxy]\nlisten = 127.0.0.1:1, [::1]:1\n", "FLY_VM_MEMORY_MB=2048", "APP.flycast neither", 2},
        {"[proxy]\nlisten = 0.0.0.0:1\n", "FLY_VM_MEMORY_MB=2048", "APP.internal has IPv6", 2},
        {"[proxy]\nlisten = 0.0.0.0:1, [::1]:1\n", "FLY_VM_MEMORY_MB=2048", "APP.internal has IPv6", 2},
        {"[program:proxy]\nautostart = no\n", "FLY_VM_MEMORY_MB=2048", NULL, 0},
        {"[proxy]\nlisten = :1\n[supervisor]\nidle_action = stop\n", "FLY_VM_MEMORY_MB=2048", NULL, 0},
        {"[proxy]\nlisten = :1\n[supervisor]\nidle_timeout = 5m\nidle_action = stop\n", "FLY_VM_MEMORY_MB=2048", "goes on running, and is paid for", 5},
        {"[proxy]\nlisten = :1\n[supervisor]\nidle_timeout = 5m\nidle_action = suspend\n", "FLY_VM_MEMORY_MB=2049", "advises against a suspend", 5},
        {"[proxy]\nlisten = :1\n[supervisor]\nidle_timeout = 5m\n", "FLY_VM_MEMORY_MB=8192", NULL, 0},
        {"[proxy]\nlisten = :1\n[supervisor]\nshutdown_timeout = 5m\n", "FLY_VM_MEMORY_MB=x", "which is 5m at the most", 4},
        {"[proxy]\nlisten = :1\n[supervisor]\nshutdown_timeout = 4m\n", "FLY_VM_MEMORY_MB=x", NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *on_fly[] = {(char[]){"FLY_APP_NAME=app"}, (char *)rows[i].memory, NULL}, *elsewhere[] = {(char *)rows[i].memory, NULL};
        conf_case_load(&k, rows[i].text, on_fly);
        conf_case_good(&k);
        size_t told_n = k.diag.warnings_n;
        assert_true(!rows[i].told || conf_case_has(&k, "warning", k.file, rows[i].line, rows[i].told));
        conf_case_load(&k, rows[i].text, elsewhere);
        assert_int_equal(told_n - k.diag.warnings_n, rows[i].told ? 1 : 0);
    }
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, conf_case_setup, conf_case_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_listeners),
        CASE(test_a_backend_is_not_one_of_our_listeners),
        CASE(test_the_backend_is_ours_by_any_of_its_names),
        CASE(test_dependencies),
        CASE(test_a_circle_of_all_programs_is_told_once),
        CASE(test_a_circle_of_long_names_is_cut),
        CASE(test_the_strict_order_waits_for_everything),
        CASE(test_stop_needs_an_ollama_that_a_request_can_start_again),
        CASE(test_built_in_programs_take_what_the_file_says),
        CASE(test_what_can_not_work_on_fly_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
