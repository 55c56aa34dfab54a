/* proxy/prompt (R4.2, R4.3): the messages of a body of /api/chat, their roles and how long they are. */
#include "proxy/prompt.h"

#include "common/utf8.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct prompt p;

/* In memory that ends where it ends, so that a sanitizer sees who reads on; what is kept of it are places. */
static int read_prompt(const char *json)
{
    static char *exact;
    size_t n = strlen(json);
    prompt_fini(&p);
    free(exact);
    exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, json, n);
    return prompt_read(&p, exact, n);
}

static void stands_there(const struct json_value *value, const char *wanted)
{
    assert_int_equal(value->n, strlen(wanted));
    assert_memory_equal(value->at, wanted, value->n);
}

static void test_R4_2_messages_and_their_roles(void **state)
{
    (void)state;
    assert_int_equal(read_prompt("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"one\"},{\"role\":\"system\",\"content\":\"two\"},"
                                 "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"bc\"},{\"role\":\"tool\",\"content\":\"d\"},"
                                 "{\"role\":\"user\",\"content\":\"e\",\"images\":[\"QUJD\"]},{\"role\":\"control\",\"content\":\"f\"}],"
                                 "\"tools\":[{\"type\":\"function\"}],\"options\":{\"num_ctx\":8192}}"),
                     0);
    static const enum prompt_role wanted[] = {PROMPT_SYSTEM, PROMPT_SYSTEM, PROMPT_USER, PROMPT_ASSISTANT, PROMPT_TOOL, PROMPT_USER, PROMPT_OTHER};
    assert_int_equal(p.messages_n, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(p.messages[i].role, wanted[i]);
    assert_int_equal(p.system_n, 2);
    assert_int_equal(p.last_user, 5);
    stands_there(&p.messages[3].content, "\"bc\"");
    stands_there(&p.messages[5].whole, "{\"role\":\"user\",\"content\":\"e\",\"images\":[\"QUJD\"]}");
    stands_there(&p.tools, "[{\"type\":\"function\"}]");
    stands_there(&p.options, "{\"num_ctx\":8192}");
    assert_int_equal(*p.whole.at, '[');
    assert_int_equal(p.whole.at[p.whole.n - 1], ']');
    assert_int_equal(p.messages[5].chars_n, 1);
    assert_int_equal(p.tools_chars_n, 21);
    assert_int_equal(prompt_chars(&p), 3 + 3 + 1 + 2 + 1 + 1 + 1 + 21);
}

/* As Go would read it: names in other cases, the last of several. */
static void test_names_in_other_cases_and_twice(void **state)
{
    (void)state;
    assert_int_equal(read_prompt("{\"messages\":7,\"MESSAGES\":[{\"Role\":\"user\",\"content\":\"x\",\"Content\":\"yes\"}]}"), 0);
    assert_int_equal(p.messages_n, 1);
    assert_int_equal(p.messages[0].role, PROMPT_USER);
    stands_there(&p.messages[0].content, "\"yes\"");
}

static void test_R4_2_code_points_are_counted_as_they_are_decoded(void **state)
{
    static const struct {
        const char *content;
        size_t chars_n;
    } rows[] = {{"", 0},
                {"abc", 3},
                {"a\\nb\\\"\\\\", 5},
                {"gr\xc3\xbc\xc3\x9f", 4},
                {"\\u00fc", 1},
                {"\\ud83d\\udc22", 1},
                {"\\uD83D\\uDC22\\uD83D\\uDC22", 2},
                {"\\ud83d", 1},
                {"\\ud83d\\ud83d\\udc22", 2},
                {"\\udc22\\ud83d", 2},
                {"\\ud83dx", 2},
                {"\\ud83d\\n", 2},
                {"\xe4\xbd\xa0\xf0\x9f\x90\xa2", 2},
                {"\xff\xff", 2}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[256];
        struct buf text;
        snprintf(json, sizeof json, "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", rows[i].content);
        assert_int_equal(read_prompt(json), 0);
        assert_int_equal(p.messages[0].chars_n, rows[i].chars_n);
        buf_init(&text, 0);
        assert_int_equal(prompt_decode(&p.messages[0].content, &text), 0);
        assert_int_equal(utf8_count(buf_data(&text), buf_size(&text)), rows[i].chars_n);
        buf_fini(&text);
    }
}

static void test_R4_2_calls_count_with_their_json(void **state)
{
    (void)state;
    assert_int_equal(read_prompt("{\"messages\":[{\"role\":\"assistant\",\"content\":\"ab\",\"tool_calls\":[{\"x\":\"\xc3\xbc\"}]}]}"), 0);
    stands_there(&p.messages[0].calls, "[{\"x\":\"\xc3\xbc\"}]");
    assert_int_equal(p.messages[0].chars_n, 2 + 11);
    assert_int_equal(p.last_user, 1);
}

static void test_odd_messages_are_others(void **state)
{
    (void)state;
    assert_int_equal(read_prompt("{\"messages\":[null,7,{},{\"role\":\"user\"},{\"role\":3,\"content\":[\"a\"]}]}"), 0);
    assert_int_equal(p.messages_n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(p.messages[i].role, i == 3 ? PROMPT_USER : PROMPT_OTHER);
        assert_int_equal(p.messages[i].content.kind, JSON_NULL);
        assert_int_equal(p.messages[i].chars_n, 0);
    }
    assert_int_equal(p.last_user, 3);
    assert_int_equal(read_prompt("{\"messages\":[]}"), 0);
    assert_int_equal(p.last_user, 0);
}

static void test_what_is_no_prompt_is_refused(void **state)
{
    static const char *const rows[] = {"", "[]", "{", "{}", "{\"messages\":null}", "{\"messages\":\"a\"}", "{\"messages\":[{]}", "{\"messages\":[1,]}"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(read_prompt(rows[i]), -EINVAL);
        assert_null(p.messages);
    }
}

static void test_too_many_messages_are_refused(void **state)
{
    struct buf json;
    (void)state;
    for (size_t over_n = 0; over_n < 2; over_n++) {
        buf_init(&json, 0);
        assert_int_equal(buf_text(&json, "{\"messages\":[0"), 0);
        for (size_t i = 1; i < PROMPT_MESSAGES_MAX + over_n; i++)
            assert_int_equal(buf_text(&json, ",0"), 0);
        assert_int_equal(buf_append(&json, "]}", 3), 0);
        assert_int_equal(read_prompt(buf_data(&json)), over_n ? -E2BIG : 0);
        assert_int_equal(p.messages_n, over_n ? 0 : PROMPT_MESSAGES_MAX);
        buf_fini(&json);
    }
}

static void test_decoded_is_appended_or_nothing(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text, 8);
    assert_int_equal(buf_text(&text, "x"), 0);
    assert_int_equal(read_prompt("{\"messages\":[{\"content\":\"a\\n\\u00fc\"},{\"content\":\"a\\q\"},{\"content\":7},{\"content\":\"0123456789\"}]}"), 0);
    assert_int_equal(prompt_decode(&p.messages[1].content, &text), -EINVAL);
    assert_int_equal(prompt_decode(&p.messages[2].content, &text), 0);
    assert_int_equal(prompt_decode(&p.messages[3].content, &text), -EFBIG);
    assert_int_equal(buf_size(&text), 1);
    buf_fini(&text);
    buf_init(&text, 0);
    assert_int_equal(prompt_decode(&p.messages[0].content, &text), 0);
    assert_int_equal(buf_size(&text), 4);
    assert_memory_equal(buf_data(&text), "a\n\xc3\xbc", 4);
    buf_fini(&text);
    assert_int_equal(read_prompt(""), -EINVAL); /* what it has is freed */
}

/* R4.2: what the user asked stays the last message of the user's, though results of tools in words are, too. */
static void test_the_task_stands_before_results_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t last_user, task;
    } cases[] = {
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"do\"},{\"role\":\"assistant\",\"content\":\"c\"},"
         "{\"role\":\"user\",\"content\":\"[tool result: f]\\nx\"},{\"role\":\"user\",\"content\":\"[tool result]\\ny\"}]}", 3, 0},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"[tool result: f]\\nx\"},{\"role\":\"user\",\"content\":\"do\"}]}", 1, 1},
        {"{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"[tool result: f]\\nx\"}]}", 1, 1},
        {"{\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]}", 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_prompt(cases[i].json), 0);
        assert_int_equal(p.last_user, cases[i].last_user);
        assert_int_equal(p.task, cases[i].task);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_task_stands_before_results_in_words),
        cmocka_unit_test(test_R4_2_messages_and_their_roles),
        cmocka_unit_test(test_names_in_other_cases_and_twice),
        cmocka_unit_test(test_R4_2_code_points_are_counted_as_they_are_decoded),
        cmocka_unit_test(test_R4_2_calls_count_with_their_json),
        cmocka_unit_test(test_odd_messages_are_others),
        cmocka_unit_test(test_what_is_no_prompt_is_refused),
        cmocka_unit_test(test_too_many_messages_are_refused),
        cmocka_unit_test(test_decoded_is_appended_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
