/* proxy/repair: the grammar of docs/tool-calls.md, row by row, in whatever pieces the text comes; and what must be left alone. */
#include "proxy/repair.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const char tools[] = "[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":{}}},7,{\"function\":{\"name\":\"\"}},"
                            "{\"type\":\"function\",\"function\":{\"name\":\"say\\u005fit\"}}]";

/* What came of a text: the text that is left, with `<<name arguments>>` where a call was. */
static struct buf came;
static size_t calls_n;

static void on_text(void *context, const char *text, size_t text_n)
{
    (void)context;
    assert_true(text_n > 0);
    assert_int_equal(buf_append(&came, text, text_n), 0);
}

static void on_call(void *context, struct json_text name, struct json_text arguments)
{
    (void)context;
    calls_n++;
    assert_int_equal(buf_printf(&came, "<<%.*s %.*s>>", (int)name.n, name.at, (int)arguments.n, arguments.at), 0);
}

static const struct repair_ops ops = {on_text, on_call};

static struct repair *begin(void)
{
    struct json_value list = {JSON_ARRAY, tools, sizeof tools - 1};
    struct repair *r = repair_new(&list);
    assert_non_null(r);
    buf_fini(&came);
    buf_init(&came, 0);
    calls_n = 0;
    return r;
}

/* In memory that ends where it ends, so that a sanitizer sees who reads on; as the translator gives it. */
static void give(struct repair *r, const char *text, size_t n)
{
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, text, n);
    int is_plain = !memchr(text, '"', n) && !memchr(text, '\n', n) && !memchr(text, '\r', n);
    if (is_plain && repair_passes(r, (struct json_text){exact, n}))
        on_text(NULL, exact, n);
    else
        repair_take(r, exact, n, &ops, NULL);
    free(exact);
}

static const char *finish(struct repair *r)
{
    repair_end(r, &ops, NULL);
    repair_free(&r);
    assert_null(r);
    assert_int_equal(buf_append(&came, "", 1), 0);
    return buf_data(&came);
}

/* The same in every cut into two, and in pieces of each size. */
static void becomes(const char *text, const char *wanted)
{
    size_t n = strlen(text);
    for (size_t cut = 0; cut <= n; cut++) {
        struct repair *r = begin();
        if (cut > 0)
            give(r, text, cut);
        if (cut < n)
            give(r, text + cut, n - cut);
        const char *got = finish(r);
        if (strcmp(got, wanted) != 0)
            fail_msg("%s\ncut at %zu becomes\n%s\nnot\n%s", text, cut, got, wanted);
    }
    for (size_t size = 1; size < 9; size++) {
        struct repair *r = begin();
        for (size_t at = 0; at < n; at += size)
            give(r, text + at, n - at < size ? n - at : size);
        const char *got = finish(r);
        if (strcmp(got, wanted) != 0)
            fail_msg("%s\nin pieces of %zu becomes\n%s\nnot\n%s", text, size, got, wanted);
    }
}

#define LOOK "{\"name\":\"look\",\"arguments\":{\"at\":1}}"
#define SAY "{\"name\": \"say_it\", \"parameters\": {}}"
#define SCHEMA "{\"type\":\"object\",\"properties\":{\"at\":{\"type\":\"integer\"}}}"
#define DEFINITION "{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":" SCHEMA "}}"
#define LOOKED "<<look {\"at\":1}>>"
#define SAID "<<say_it {}>>"

static void test_each_row_of_the_grammar(void **state)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        /* tags */
        {"<tool_call>" LOOK "</tool_call>", LOOKED},
        {"<tool_call>\n" LOOK "\n</tool_call>\n", LOOKED},
        {"\n\n<tool_call>\n" LOOK "\n</tool_call>\n<tool_call>\n" SAY "\n</tool_call>", LOOKED SAID},
        {"I'll look.\n<tool_call>" LOOK "</tool_call>", "I'll look.\n" LOOKED},
        {"<tool_call>" LOOK "</tool_call>\nThen: that.", LOOKED "\nThen: that."},
        {"<tool_call>" LOOK "\n" SAY "</tool_call>", LOOKED SAID},
        {"<tool_call>[" LOOK "," SAY "]</tool_call>", LOOKED SAID},
        {"<function_call>" LOOK "</function_call>", LOOKED},
        {"<tools>\n" LOOK "\n</tools>", LOOKED},
        {"<function=look>{\"at\":1}</function>", LOOKED},
        {"So: <function=look> {\"at\":1}\n</function> ok", "So: " LOOKED " ok"},
        {"[TOOL_CALLS][" LOOK "," SAY "]", LOOKED SAID},
        {"[TOOL_CALLS] [" LOOK "]", LOOKED},
        {"[TOOL_CALLS]look[ARGS]{\"at\":1}", LOOKED},
        {"[TOOL_CALLS]look[ARGS]{\"at\":1}[TOOL_CALLS]say_it[ARGS]{}", LOOKED SAID},
        /* a closing tag that is missing */
        {"<tool_call>" LOOK, LOOKED},
        {"<tool_call>\n" LOOK "\n", LOOKED},
        {"<tool_call>" LOOK "\n<tool_call>" SAY "</tool_call>", LOOKED SAID},
        {"<function=look>{\"at\":1}", LOOKED},
        {"<function=look>{\"at\":1}<function=say_it>{}</function>", LOOKED SAID},
        /* fences */
        {"```json\n" LOOK "\n```", LOOKED},
        {"```json\r\n" LOOK "\r\n```\r\n", LOOKED},
        {"```\n" LOOK "\n```\n", LOOKED},
        {"```tool_call\n" LOOK "\n```", LOOKED},
        {"```json\n" LOOK "\n" SAY "\n```", LOOKED SAID},
        {"```json\n[" LOOK "," SAY "]\n```", LOOKED SAID},
        {"```json\n" LOOK "\n```\n\n```json\n" SAY "\n```", LOOKED SAID},
        {"I'll look at it:\n```json\n" LOOK "\n```", "I'll look at it:\n" LOOKED},
        {"```json\n" LOOK, LOOKED},
        /* bare */
        {LOOK, LOOKED},
        {" \n" LOOK "\n ", LOOKED},
        {LOOK "\n" SAY, LOOKED SAID},
        {LOOK "; " SAY, LOOKED SAID},
        {"[" LOOK ", " SAY "]", LOOKED SAID},
        {"{\"tool_calls\":[" LOOK "," SAY "]}", LOOKED SAID},
        {"{\"tool_calls\":[{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"look\",\"arguments\":\"{\\\"at\\\":1}\"}}]}", LOOKED},
        {"{\"type\":\"function\",\"function\":" LOOK "}", LOOKED},
        {"{\"type\":\"function\",\"name\":\"look\",\"parameters\":{\"at\":1}}", LOOKED},
        {"{\"tool_name\":\"look\",\"parameters\":{\"at\":1}}", LOOKED},
        {"{\"function\":\"look\",\"arguments\":{\"at\":1}}", LOOKED},
        {"{\"arguments\":{\"at\":1},\"name\":\"look\"}", LOOKED},
        /* behind what was thought */
        {"<think>I look with <tool_call>" LOOK "</tool_call></think>\n\n<tool_call>" LOOK "</tool_call>", "<think>I look with <tool_call>" LOOK "</tool_call></think>" LOOKED},
        {"<think>\nhm\n</think>\n" LOOK, "<think>\nhm\n</think>" LOOKED},
        {"\n<think></think>```json\n" LOOK "\n```", "\n<think></think>```json\n" LOOK "\n```"},
        /* arguments as they stand */
        {"{\"name\":\"look\",\"arguments\":{\"n\":12345678901234567890,\"s\":\"\\u0000}\\\"{\",\"d\":{\"a\":[1, 2]}}}", "<<look {\"n\":12345678901234567890,\"s\":\"\\u0000}\\\"{\",\"d\":{\"a\":[1, 2]}}>>"},
        {"{\"name\":\"look\",\"arguments\":{\"s\":\"a\nb\tc\"}}", "<<look {\"s\":\"a\\u000ab\\u0009c\"}>>"},
        {"{\"name\":\"look\",\"arguments\":{\n  \"s\": 1\n}}", "<<look {  \"s\": 1}>>"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].text, rows[i].wanted);
}

static void test_what_must_not_be_repaired(void **state)
{
    static const char *const rows[] = {
        "", " ", "\n\n", "Hello.", "a < b && c > d [1] {2} `x`", "\xc3\xa9\xf0\x9f\x98\x80 <\xe2\x80\xa8",
        /* Cline's own */
        "<read_file>\n<path>a.c</path>\n</read_file>", "<thinking>hm</thinking>\n<execute_command>\n<command>ls</command>\n</execute_command>",
        "<use_mcp_tool><tool_name>look</tool_name><arguments>{\"at\":1}</arguments></use_mcp_tool>",
        /* no tool of the request's */
        "<tool_call>{\"name\":\"other\",\"arguments\":{}}</tool_call>", "```json\n{\"name\":\"other\",\"arguments\":{}}\n```", "{\"name\":\"other\",\"arguments\":{}}",
        "<function=other>{}</function>", "[TOOL_CALLS][{\"name\":\"other\",\"arguments\":{}}]", "[TOOL_CALLS]other[ARGS]{}", "{\"name\":\"LOOK\",\"arguments\":{}}",
        "[" LOOK ",{\"name\":\"other\",\"arguments\":{}}]", LOOK "\n{\"name\":\"other\",\"arguments\":{}}",
        /* no call's shape */
        "{\"name\":\"look\"}", "{\"name\":\"look\",\"arguments\":null}", "{\"name\":\"look\",\"arguments\":[1]}", "{\"name\":\"look\",\"arguments\":\"text\"}",
        "{\"name\":\"look\",\"arguments\":{},\"age\":7}", "{\"name\":[\"look\"],\"arguments\":{}}", "{\"city\":\"Rome\",\"name\":\"look\",\"arguments\":{}}", "[]", "{}", "[[]]", "[1,2]",
        "{\"tool_calls\":[]}", "{\"tool_calls\":[{\"tool_calls\":[{\"tool_calls\":[" LOOK "]}]}]}", "```json\n{\"a\":1}\n```", "```json\n```", "```\nint main;\n```",
        /* a tool's definition, as the model was told of it */
        "<tools>\n" DEFINITION "\n</tools>", DEFINITION, "My tools:\n```json\n[" DEFINITION "]\n```", "[{\"name\":\"look\",\"parameters\":" SCHEMA "}]",
        /* examples in prose */
        "I could write:\n```json\n" LOOK "\n```\nbut I won't.", "```json\n" LOOK "\n```\n\nThis would call it.", "Use " LOOK " for that.", LOOK " is how.", "The tool look takes {\"at\":1}.", "look",
        "1. Write:\n   ```\n   <tool_call>" LOOK "</tool_call>\n   ```\n   so.", "> ```\n> <function=look>{}</function>\n> ```", "~~~\n<tool_call>" LOOK "</tool_call>\n```\n<tool_call>" LOOK "</tool_call>\n~~~",
        "`<tool_call>" LOOK "</tool_call>` is the form.", "```xml\n<tool_call>" LOOK "</tool_call>\n```", "```\n<function=look>{}</function>\n```\nSo.", "```python\nx = [" LOOK "]\n```",
        /* broken */
        "<tool_call>{\"name\":\"look\",\"arguments\":{\"at\":1}</tool_call>", "<tool_call>{\"name\":\"look\",\"arguments\":{\"at\":1}", "<tool_call>", "<tool_call></tool_call>", "<tool_call>look(1)</tool_call>",
        "{\"name\":\"look\",\"arguments\":{\"at\":1,}}", "{'name':'look','arguments':{}}", "{\"name\":\"look\",\"arguments\":{\"re\":\"\\d\"}}", "{\"name\":\"look\",\"arguments\":{\"u\":\"\\u12\"}}", "{\"name\":\"look\",\"arguments\":\"{\\\"u\\\":\\\"\\\\u12\\\"}\"}", "```json\n{\"name\":\"look\",", "<function=look>", "<function=look>{\"at\":1}x</function>",
        "<tool_call>" LOOK "</tool", "<tool_call>" LOOK " and more", "[TOOL_CALLS]", "[TOOL_CALLS]look", "[TOOL_CALLS][", "<function=look", "``", "```js", "{\"name", "<thin",
        "<function=look><parameter=at>1</parameter></function>", "<think><tool_call>" LOOK "</tool_call>", "<think>" LOOK "</thin",
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i], rows[i]);
}

/* How much has come of a text that may go on. */
static size_t passed(const char *text)
{
    struct repair *r = begin();
    give(r, text, strlen(text));
    size_t n = buf_size(&came);
    repair_free(&r);
    return n;
}

static void test_only_what_may_become_a_call_is_held(void **state)
{
    static const struct {
        const char *text;
        size_t held_n;
    } rows[] = {
        {"Hello", 0},        {"Hello <", 1},          {"Hello <t", 2},     {"Hello <th", 0},          {"a [", 1},       {"a [1", 0},           {"a {", 0},
        {"{", 1},            {"{\"name", 6},          {"{\"names", 0},     {"{\"city\"", 0},          {"[{\"a", 4},     {"[{\"b", 0},          {"[1", 0},
        {"```", 3},          {"```js", 4 + 1},        {"```jsx", 0},       {"```python", 0},          {"a ```json", 0}, {"```json\n{\"k\"", 0}, {"```json\n{\"na", 12},
        {"<function=l", 11}, {"<function=look>{", 16}, {"<function=x>", 0}, {"<tool_call>{\"name\":", 19}, {"<tool_call>look", 0}, {" ", 1}, {"a ", 0},
        {"<think>{\"name\"", 0}, {"<think>a</thi", 5}, {"x\n`", 1},         {"<tool_call>" LOOK, 11 + 36}, {"<tool_call>" LOOK "</tool_call>  ", 0 + 51 + 12},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].text);
        if (i + 1 == sizeof rows / sizeof *rows) /* a call is told as soon as it is closed */
            assert_int_equal(passed(rows[i].text), strlen(LOOKED));
        else if (passed(rows[i].text) != n - rows[i].held_n)
            fail_msg("%s: %zu held", rows[i].text, n - passed(rows[i].text));
    }
}

static void test_no_more_is_held_than_that(void **state)
{
    static const char *const starts[] = {"<tool_call>{\"name\":\"look\",\"arguments\":{\"s\":\"", "{\"name\":\"look\",\"arguments\":{\"s\":\"", "```json\n{\"name\":\"look\",\"arguments\":{\"s\":\"", " \n"};
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        for (size_t size = 1; size <= 200000; size = size * 7 + 1) {
            size_t n = 200000, start_n = strlen(starts[i]);
            char *text = malloc(n);
            assert_non_null(text);
            memset(text, i == 3 ? ' ' : 'x', n);
            memcpy(text, starts[i], start_n);
            struct repair *r = begin();
            for (size_t at = 0; at < n; at += size) {
                give(r, text + at, n - at < size ? n - at : size);
                assert_true(at + size < 2 * REPAIR_HELD_BYTES + size || buf_size(&came) > 0);
            }
            give(r, LOOK, strlen(LOOK));
            finish(r);
            assert_int_equal(calls_n, 0);
            assert_int_equal(buf_size(&came), n + strlen(LOOK) + 1);
            assert_memory_equal(buf_data(&came), text, n);
            free(text);
        }
    }
}

static void test_a_call_may_be_as_long_as_that(void **state)
{
    (void)state;
    for (size_t n = REPAIR_HELD_BYTES - 60; n < REPAIR_HELD_BYTES + 5; n++) { /* of the whole call */
        size_t first_n = 0;
        for (size_t size = 977; size <= 100000; size *= 50) {
            char *text = malloc(n + 1);
            assert_non_null(text);
            memset(text, 'x', n);
            memcpy(text, "<tool_call>{\"name\":\"look\",\"arguments\":{\"s\":\"", 44);
            memcpy(text + n - 15, "\"}}</tool_call>", 15);
            struct repair *r = begin();
            for (size_t at = 0; at < n; at += size)
                give(r, text + at, n - at < size ? n - at : size);
            finish(r);
            first_n = size == 977 ? calls_n : first_n;
            assert_int_equal(calls_n, first_n); /* whatever the cut */
            assert_int_equal(calls_n, n <= REPAIR_HELD_BYTES);
            free(text);
        }
    }
}

static void test_what_begins_like_a_call_again_and_again_is_read_once(void **state)
{
    static const char *const units[] = {"<tool_call>{", "<tool_call>[{\"x", "[TOOL_CALLS][", "```json\n{\n"};
    enum { TEXT_BYTES = 1024 * 1024, MOST_S = 5 };
    char *text = malloc(TEXT_BYTES);
    assert_non_null(text);
    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t unit_n = strlen(units[i]);
        for (size_t at = 0; at < TEXT_BYTES; at++)
            text[at] = units[i][at % unit_n];
        clock_t began = clock();
        struct repair *r = begin();
        give(r, text, TEXT_BYTES);
        finish(r);
        assert_true((clock() - began) / CLOCKS_PER_SEC < MOST_S);
        assert_memory_equal(buf_data(&came), text, TEXT_BYTES);
    }
    free(text);
}

static void test_a_model_that_calls_by_itself_is_left_alone(void **state)
{
    (void)state;
    struct repair *r = begin();
    give(r, "<tool_call>{\"na", 15);
    assert_int_equal(buf_size(&came), 0);
    repair_stop(r, &ops, NULL);
    assert_int_equal(buf_size(&came), 15);
    give(r, LOOK, strlen(LOOK));
    assert_string_equal(finish(r), "<tool_call>{\"na" LOOK);
}

static void test_without_names_there_is_nothing_to_repair(void **state)
{
    (void)state;
    static const char *const rows[] = {"[]", "{}", "null", "[7,{\"function\":{}},{\"function\":{\"name\":7}},{\"function\":{\"name\":\"a\\u0000b\"}}]"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct json_value list = {*rows[i] == '[' ? JSON_ARRAY : JSON_OBJECT, rows[i], strlen(rows[i])};
        assert_null(repair_new(&list));
    }
    struct repair *none = NULL;
    assert_true(repair_passes(none, (struct json_text){"<", 1}));
    repair_free(&none);
}

static int release(void **state)
{
    (void)state;
    buf_fini(&came);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_of_the_grammar),
        cmocka_unit_test(test_what_must_not_be_repaired),
        cmocka_unit_test(test_only_what_may_become_a_call_is_held),
        cmocka_unit_test(test_no_more_is_held_than_that),
        cmocka_unit_test(test_a_call_may_be_as_long_as_that),
        cmocka_unit_test(test_what_begins_like_a_call_again_and_again_is_read_once),
        cmocka_unit_test(test_a_model_that_calls_by_itself_is_left_alone),
        cmocka_unit_test(test_without_names_there_is_nothing_to_repair),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
