/* ctl/tail: what is asked, and how a line looks. */
#include "ctl/tail.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_question(struct ctl ctl, const char *want)
{
    struct buf out;
    buf_init(&out, 0);
    int code = tail_question(&ctl, &out);
    assert_int_equal(code, want ? CTL_OK : CTL_USAGE);
    if (want)
        assert_string_equal(buf_data(&out), want);
    buf_fini(&out);
}

static void test_questions(void **state)
{
    (void)state;
    static const char *const two[] = {"ollama", "b", NULL}, *const bad[] = {"a b", NULL}, *const dash[] = {"-x", NULL}, *const none[] = {"", NULL};
    assert_question((struct ctl){0}, "tail");
    assert_question((struct ctl){.is_following = 1, .number = "20", .names = two}, "tail -f -n 20 ollama b");
    assert_question((struct ctl){.number = "0"}, "tail -n 0");
    assert_question((struct ctl){.number = "999999"}, "tail -n 999999");
    static const char *const wrong[] = {"", "x", "-1", "1 ollama", "1000000", "+3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_question((struct ctl){.number = wrong[i]}, NULL);
    assert_question((struct ctl){.names = bad}, NULL);
    assert_question((struct ctl){.names = dash}, NULL);
    assert_question((struct ctl){.names = none}, NULL);
    char name[101];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *const many[] = {name, name, name, name, name, name, NULL};
    assert_question((struct ctl){.names = many}, NULL); /* a line of the protocol takes 510 bytes */
}

static void assert_line(const char *json, int has_colours, int error, const char *want)
{
    struct buf out;
    buf_init(&out, 0);
    cJSON *record = cJSON_Parse(json);
    assert_non_null(record);
    assert_int_equal(tail_describe(record, has_colours, &out), error);
    assert_int_equal(buf_append(&out, "", 1), 0);
    if (!error)
        assert_string_equal(buf_data(&out), want);
    cJSON_Delete(record);
    buf_fini(&out);
}

static void test_lines(void **state)
{
    (void)state;
    static const char plain[] = "{\"name\":\"ollama\",\"level\":\"debug\",\"line\":\"hello \\u001b[31m\\u202ered\"}";
    assert_line(plain, 0, 0, "ollama | hello ?[31m?red\n");
    assert_line(plain, 1, 0, "\033[36mollama\033[0m | hello ?[31m?red\n");
    assert_line("{\"name\":\"a\\n\",\"level\":\"warning\",\"line\":\"w\"}", 1, 0, "\033[36ma?\033[0m | \033[33mw\033[0m\n");
    assert_line("{\"name\":\"a\",\"level\":\"error\",\"line\":\"e\"}", 1, 0, "\033[36ma\033[0m | \033[31me\033[0m\n");
    assert_line("{\"line\":\"\"}", 0, 0, " | \n");
    assert_line("{\"dropped\":12}", 0, 0, "(12 lines were lost: they came faster than they were read)\n");
    assert_line("{\"name\":\"a\",\"line\":7}", 0, -EPROTO, NULL);
    assert_line("{}", 0, -EPROTO, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
