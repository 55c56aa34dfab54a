/* common/conf: [pin:MODEL]: whose pins are whose, and their JSON. */
#include "tests/unit/conf_each.h"

#include <errno.h>

/* What a model's pin sets, as `name=JSON `, options with a dot before them; "none" where there is no pin. */
static const char *pinned(const char *model)
{
    static char text[512];
    struct conf_pin_value values[CONF_PIN_VALUES_MAX];
    const struct conf_pin *p = conf_pin(k.conf, model);
    size_t values_n = p ? conf_pin_values(p, values) : 0, n = 0;
    snprintf(text, sizeof text, "%s", p ? "" : "none");
    for (size_t i = 0; i < values_n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%s ", values[i].is_option ? "." : "", values[i].name, values[i].json);
    return text;
}

static void test_values_in_json(void **state)
{
    (void)state;
    conf_case_load(&k, "[pin:m]\nnum_ctx = 08192\nnum_batch = 256\nnum_gpu = -1\nmain_gpu = 0\nnum_thread = 4\nuse_mmap = ON\nkeep_alive = -1\n", NULL);
    conf_case_good(&k);
    assert_string_equal(pinned("m"), ".num_ctx=8192 .num_batch=256 .num_gpu=-1 .main_gpu=0 .num_thread=4 .use_mmap=true keep_alive=-1 ");
    static const char *const rows[][2] = {
        {"keep_alive = 0", "keep_alive=0 "},
        {"keep_alive = 300", "keep_alive=300 "},
        {"keep_alive = 30m", "keep_alive=\"30m\" "},
        {"keep_alive = 1h30m", "keep_alive=\"1h30m\" "},
        {"keep_alive = 1.5h", "keep_alive=\"1.5h\" "},
        {"keep_alive = -1m", "keep_alive=\"-1m\" "},
        {"keep_alive = 1m2.5s3ms4us5ns", "keep_alive=\"1m2.5s3ms4us5ns\" "},
        {"keep_alive = 604800s", "keep_alive=\"604800s\" "},
        {"keep_alive =", ""},
        {"use_mmap = no", ".use_mmap=false "},
        {"use_mmap = client", ""},
        {"use_mmap =", ""},
        {"num_ctx =", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[128];
        snprintf(text, sizeof text, "[pin:m]\n%s\n", rows[i][0]);
        conf_case_load(&k, text, NULL);
        conf_case_good(&k);
        assert_string_equal(pinned("m"), rows[i][1]);
    }
}

static void test_whose_pin_it_is(void **state)
{
    (void)state;
    conf_case_load(&k, "[pin:*]\nnum_ctx = 1000\n[pin:llama3.2:1b]\nnum_ctx = 2000\n[pin:hf.co/a/b]\nnum_ctx = 3000\n[pin:free]\n", NULL);
    conf_case_good(&k);
    static const char *const rows[][2] = {
        {"llama3.2:1b", ".num_ctx=2000 "},
        {"LLAMA3.2:1B", ".num_ctx=2000 "},
        {"registry.ollama.ai/library/llama3.2:1b", ".num_ctx=2000 "},
        {"llama3.2", ".num_ctx=1000 "},
        {"llama3.2:1b-x", ".num_ctx=1000 "},
        {"hf.co/a/b:latest", ".num_ctx=3000 "},
        {"free", ""},
        {"free:1b", ".num_ctx=1000 "},
        {"*", ".num_ctx=1000 "},
        {"", ".num_ctx=1000 "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(pinned(rows[i][0]), rows[i][1]);
    conf_case_load(&k, "[pin:m]\nnum_ctx = 2000\n", NULL);
    conf_case_good(&k);
    assert_string_equal(pinned("other"), "none");
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int line;
        const char *told;
    } rows[] = {
        {"[pin]\n", 1, "[pin] needs a name: write [pin:NAME]"},
        {"[pin:]\n", 1, "it is empty"},
        {"[pin:a b]\n", 1, "\"a b\" is no model's name"},
        {"[pin:http://x/y]\n", 1, "leave the scheme out"},
        {"[pin:m]\n[pin:m]\n", 2, "[pin:m] stands twice, first in line 1"},
        {"[pin:m]\n[pin:M:latest]\n", 2, "[pin:M:latest] is the model of [pin:m] in line 1"},
        {"[pin:m]\nnum_ctx = 3\n", 2, "[pin:m] num_ctx: "},
        {"[pin:m]\nnum_ctx = 2147483648\n", 2, "[pin:m] num_ctx: "},
        {"[pin:m]\nnum_ctx = 8K\n", 2, "[pin:m] num_ctx: "},
        {"[pin:m]\nnum_ctx = \"8192\"\n", 2, "[pin:m] num_ctx: "},
        {"[pin:m]\nnum_batch = 0\n", 2, "[pin:m] num_batch: "},
        {"[pin:m]\nnum_gpu = -2\n", 2, "[pin:m] num_gpu: "},
        {"[pin:m]\nuse_mmap = auto\n", 2, "\"auto\" is neither yes, no nor client"},
        {"[pin:m]\nkeep_alive = 5 m\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 5m\"\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = m\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = -\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 1.h\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 1d\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = .5h\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = +5m\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 5\xc2\xb5s\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 1234567s\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 1h30\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 1hm\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 1m-5s\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nkeep_alive = 999999h999999h999999h\n", 2, "is neither seconds nor a duration"},
        {"[pin:m]\nnum_cxt = 1\n", 2, "unknown key \"num_cxt\" in [pin]; did you mean num_ctx?"},
        {"[pin:m]\nnum_ctx = 8\nnum_ctx = 9\n", 3, "num_ctx is set twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        conf_case_load(&k, rows[i].text, NULL);
        conf_case_told(&k, rows[i].line, rows[i].told);
    }
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    conf_case_load(&k, "[pin:m]\nnum_ctx = x\nkeep_alive = y\n[pin:M]\nuse_mmap = z\n", NULL);
    conf_case_told(&k, 2, "num_ctx");
    conf_case_told(&k, 3, "keep_alive");
    conf_case_told(&k, 4, "is the model of [pin:m]");
    conf_case_told(&k, 5, "use_mmap");
    assert_int_equal(k.diag.errors_n, 4);
}

static void test_as_many_as_there_may_be(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < CONF_PINS_MAX; i++)
        assert_int_equal(buf_printf(&text, "[pin:m%d]\n", i), 0);
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    conf_case_good(&k);
    assert_int_equal(buf_printf(&text, "[program:x]\ncommand = x\n[pin:last]\nnum_ctx = 8\n"), 0);
    conf_case_load_bytes(&k, buf_data(&text), buf_size(&text), NULL);
    conf_case_told(&k, CONF_PINS_MAX + 3, "more than 64 sections [pin:NAME]");
    assert_int_equal(k.diag.errors_n, 1);
    buf_fini(&text);
}

/* A dump can be read back; and a change of a pin is a change of what the proxy reads. */
static void test_dumped_and_compared(void **state)
{
    (void)state;
    struct buf first, second;
    buf_init(&first, 0);
    buf_init(&second, 0);
    conf_case_load(&k, "[preload]\nmodels = none\n[pin:m:1b]\nnum_ctx = 2000\n", NULL);
    conf_case_good(&k);
    assert_int_equal(conf_dump(k.conf, &first), 0);
    assert_non_null(memmem(buf_data(&first), buf_size(&first), "[pin:m:1b]\nnum_ctx = 2000  ; line 4\n", 36));
    conf_case_load_bytes(&k, buf_data(&first), buf_size(&first), NULL);
    conf_case_good(&k);
    assert_string_equal(pinned("m:1b"), ".num_ctx=2000 ");
    buf_release(&first);
    conf_case_load(&k, "[pin:m]\nnum_ctx = 2000\n", NULL);
    assert_int_equal(conf_section_values(k.conf, "proxy", &first), 0);
    conf_case_load(&k, "[pin:m]\nnum_ctx = 2001\n", NULL);
    assert_int_equal(conf_section_values(k.conf, "proxy", &second), 0);
    assert_int_equal(buf_size(&first), buf_size(&second));
    assert_true(memcmp(buf_data(&first), buf_data(&second), buf_size(&first)) != 0);
    buf_fini(&first);
    buf_fini(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_in_json, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_whose_pin_it_is, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_mistakes, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_all_mistakes_at_once, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_as_many_as_there_may_be, conf_case_setup, conf_case_teardown),
        cmocka_unit_test_setup_teardown(test_dumped_and_compared, conf_case_setup, conf_case_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
