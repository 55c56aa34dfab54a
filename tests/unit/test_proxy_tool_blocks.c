/*
 * proxy/tool_blocks (R4.3): the grammar of docs/truncation.md, form by form, and what is none of them. In a test's text « and » stand around what must be found,
 * ‹ and › around a frame; they are taken out first.
 */
#include "proxy/tool_blocks.h"

#include "common/buf.h"
#include "proxy/tool_found.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WANTED_MAX = 64 };

struct wanted {
    size_t at, end;
    int is_frame;
};

/* Takes the marks out. How many pieces are wanted. */
static size_t read_marks(const char *marked, struct buf *text, struct wanted *wanted)
{
    static const char *const marks[] = {"«", "»", "‹", "›"};
    size_t wanted_n = 0;
    while (*marked) {
        size_t i = 0;
        while (i < 4 && strncmp(marked, marks[i], strlen(marks[i])) != 0)
            i++;
        if (i == 4) {
            assert_int_equal(buf_append(text, marked++, 1), 0);
            continue;
        }
        if (i % 2 == 0)
            wanted[wanted_n] = (struct wanted){.at = buf_size(text), .is_frame = i == 2};
        else
            wanted[wanted_n++].end = buf_size(text);
        assert_true(wanted_n < WANTED_MAX);
        marked += strlen(marks[i]);
    }
    return wanted_n;
}

static void finds(const char *marked)
{
    struct wanted wanted[WANTED_MAX];
    struct tool_blocks b;
    struct buf text;
    size_t tools_n = 0;
    buf_init(&text, 0);
    size_t wanted_n = read_marks(marked, &text, wanted);
    char *exact = malloc(buf_size(&text) + 1); /* so that a sanitizer sees who reads on */
    assert_non_null(exact);
    memcpy(exact, buf_data(&text), buf_size(&text));
    assert_int_equal(tool_blocks_find(&b, exact, buf_size(&text)), 0);
    for (size_t i = 0; i < b.items_n || i < wanted_n; i++) {
        int is_found = i < b.items_n && i < wanted_n && b.items[i].at == wanted[i].at && b.items[i].end == wanted[i].end && b.items[i].is_frame == wanted[i].is_frame;
        if (!is_found && i < b.items_n)
            print_message("found: %.*s\n", (int)(b.items[i].end - b.items[i].at), exact + b.items[i].at);
        if (!is_found && i < wanted_n)
            print_message("wanted: %.*s\n", (int)(wanted[i].end - wanted[i].at), exact + wanted[i].at);
        assert_true(is_found);
        tools_n += !b.items[i].is_frame;
    }
    assert_int_equal(b.tools_n, tools_n);
    assert_int_equal(b.lost_n, 0);
    tool_blocks_fini(&b);
    free(exact);
    buf_fini(&text);
}

static void test_R4_3_a_heading_that_names_a_tool(void **state)
{
    (void)state;
    finds("You are an agent.\n\n«## execute_command\nDescription: runs a command.\nParameters:\n- command: (required) what\nUsage:\n<execute_command>\n<command>ls</command>\n"
          "</execute_command>»\n\n«## read_file\nDescription: reads.»\n\n# Rules\nBe kind.\n");
    finds("«### `deploy_site`\n**Parameters:** none»\n\n====\n\nOBJECTIVE\n");
    finds("# file_tools\n\n«## my_own_tool\n<my_own_tool>\n<a>1</a>\n</my_own_tool>»\n");
}

static void test_R4_3_a_block_named_as_a_tool(void **state)
{
    (void)state;
    finds("Tools:\n\n«<read_file>\n<path>a path</path>\n</read_file>»\n\n  «<my_own_tool><at>1</at></my_own_tool>»\n\nand so on\n");
    finds("«<attempt_completion>what was done</attempt_completion>»");
    finds("«<tool_name>\n<parameter1_name>value1</parameter1_name>\n...\n</tool_name>»\n");
    finds("«<list_files></list_files>»\n");
    finds("«<tool_name>look</tool_name>»\n«<tool_name>say</tool_name>»\n");
    finds("«<tool_spec>\n<name>a</name>\n</tool_spec>»\n«<tool_spec>\n<name>b</name>\n</tool_spec>»\n");
    finds("«<agent_skill name=\"a\">\n<does>x</does>\n</agent_skill>»\n«<agent_skill name=\"b\"><does>y</does></agent_skill>»\n");
}

static void test_R4_3_an_example_of_what_is_defined_is_none(void **state)
{
    (void)state;
    finds("For example:\n\n<read_file>\n<path>src/main.js</path>\n</read_file>\n\n«## read_file\nDescription: reads.\nUsage:\n<read_file>\n<path>p</path>\n</read_file>»\n\n"
          "# Examples\n\n<read_file>\n<path>b</path>\n</read_file>\n");
    finds("<search_tool><for>a</for></search_tool>\n\n«## search_tool\nUsage:\n<search_tool><for>b</for></search_tool>»\n\n# Rules\n<search_tool><for>c</for></search_tool>\n");
    finds("«<new_task>\n<context>a</context>\n</new_task>»\n\n<new_task>\n<context>b</context>\n</new_task>\n");
    finds("«{\"name\":\"read_file\",\"input_schema\":{\"type\":\"object\"}}»\n<read_file>\n<path>b</path>\n</read_file>\n");
}

static void test_R4_3_sections_of_tools(void **state)
{
    (void)state;
    finds("# You\n\n‹## Tools›\nThese are yours.\n\n«### look\nLooks at things.\n\n#### Arguments\nat»\n\n«### say»\n\n## Rules\n- be kind\n");
    finds("‹# Tools›\n\n«- `look`: looks at things,\n  whatever they are»\n«- **say**: says»\n\nNot a tool.\n\n«1. sing»\n«2) dance»\n\n# Rules\n");
    finds("«## Available Tools\n\nYou can look and say.»\n\n## Rules\n");
    finds("## files (`npx files`)\n\n‹### Available Tools›\n«- look: looks at a file\n\nof any kind\n    Input Schema:\n    {\n      \"type\": \"object\"\n    }»\n\n"
          "«- say: says»\n\nWords.\n\n### Direct Resources\n- a://b (c): d\n");
    finds("‹## TOOLS:›\n\n«### one»\n\n====\n\n- no item\n");
}

static void test_R4_3_a_block_of_tools(void **state)
{
    (void)state;
    finds("You have:\n‹<tools>›\n«{\"type\": \"function\", \"function\": {\"name\": \"look\", \"parameters\": {\"type\": \"object\"}}}»\n«{\"name\": \"say\", \"description\": \"says\"}»\n"
          "‹</tools>›\n\nFor each call write:\n‹<tool_call>\n{\"name\": \"NAME\", \"arguments\": {}}\n</tool_call>›\n");
    finds("‹<tools>›«<tool name=\"look\"><arg>at</arg></tool>»\n«<tool>\n<name>say</name>\n</tool>»\n‹</tools>›");
    finds("«<tools>\nlook(at): looks\nsay(what): says\n</tools>»\n");
    finds("‹# Tools›\n\nSignatures are within <tools></tools> XML tags:\n‹<tools>›\n«{\"type\":\"function\",\"function\":{\"name\":\"a\",\"parameters\":{}}}»\n‹</tools>›\n");
    finds("‹<functions>›\n«<function>{\"name\": \"a\", \"parameters\": {\"type\": \"object\"}}</function>»\n‹</functions>›\n");
}

static void test_R4_3_schemas(void **state)
{
    (void)state;
    finds("```json\n«{\"name\": \"look\", \"parameters\": {\"type\": \"object\", \"properties\": {}}}»\n```\n");
    finds("{\"tools\": [\n  «{\"type\": \"function\", \"function\": {\"name\": \"a\", \"description\": \"}{\"}}»,\n  «{\"name\": \"b\", \"inputSchema\": {\"properties\": {}}}»\n]}\n");
    finds("A tool «{\"name\":\"c\",\"input_schema\":{}}» stands in a line, too.\n");
}

static void test_R4_3_what_the_proxy_itself_writes(void **state)
{
    (void)state;
    finds("Be kind.\n\n‹You can call tools. To call one, write a block of just this form, and nothing behind it:\n<tool_call>{\"name\":\"NAME\",\"arguments\":{…}}</tool_call>\n"
          "Several calls are several such blocks. These are the tools, with the JSON schemas of their arguments:›\n"
          "«{\"name\":\"look\",\"parameters\":{\"type\":\"object\"}}»\n«{\"name\":\"say\"}»\n\n{\"name\":\"a person\"}\nAnswer with a call of one of the tools.");
}

static void test_R4_3_what_is_no_definition(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "Use <read_file> to read a file, and <write_to_file> to write one. </read_file>",
        "The tool `<read_file>` and {\"name\": \"x\"}",
        "<read_file>",
        "</read_file>\n<read_file>",
        "<environment_details>\nfiles are here\n</environment_details>\n",
        "<path>\n<b>x</b>\n</path>\n",
        "<read_file with care>\n</read_file>\n",
        "<project_file name=\"a.c\">\nint a;\n</project_file>\n",
        "## Rules\n- a\n- b\n\n## read_file\nwhat a name\n",
        "```sh\n# Tools\n## read_file\nDescription: no\n```\n",
        "{\"name\": \"look\", \"arguments\": {\"at\": 1}}",
        "{\"name\": \"look\", \"parameters\": {\"at\": 1}}",
        "{\"name\": \"a package\", \"version\": \"1\"}",
        "{\"name\": \"cut\", \"parameters\": {\"type\": \"object\"",
        "<tool_call>{}</tool_call>\n",
        "#Tools\n- a\n",
        "Tools\n- a\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        finds(rows[i]);
}

/* Headings, items and blanks that stand in an example, or in code, end nothing. */
static void test_what_stands_in_a_definition_does_not_end_it(void **state)
{
    (void)state;
    finds("«## write_to_file\nDescription: writes.\nUsage:\n<write_to_file>\n<content>\n# Title\n\n====\n\n## read_file\nDescription: x\n</content>\n</write_to_file>»\n\n## Rules\n");
    finds("«## execute_command\nDescription: runs.\n```sh\n# a comment\n```\nand ends here»\n# Rules\n");
    finds("‹## Tools›\n«- look: looks\n```json\n{\"a\": 1}\n```»\n«- say»\n");
    finds("‹## Tools›\n«- look: {\"name\": \"look\", \"parameters\": {\n\n\"type\": \"object\"}}»\n\nwords\n");
}

/* Code that nobody ends would hide all that is behind it. */
static void test_code_without_an_end_is_none(void **state)
{
    (void)state;
    finds("```sh\nls\n\n«## read_file\nDescription: reads.»\n\n# Rules\n");
    finds("````md\n# Tools\n- a\n```\n- b\n````\n\n«## read_file\nDescription: reads.»\n");
}

static void test_more_than_there_is_a_place_for_is_counted(void **state)
{
    struct tool_blocks b;
    struct buf text;
    (void)state;
    buf_init(&text, 0);
    for (size_t i = 0; i < TOOL_FOUND_MAX + 7; i++)
        assert_int_equal(buf_printf(&text, "{\"name\":\"t%zu\",\"parameters\":{}}\n", i), 0);
    assert_int_equal(tool_blocks_find(&b, buf_data(&text), buf_size(&text)), 0);
    assert_int_equal(b.tools_n, TOOL_FOUND_MAX + 7);
    assert_int_equal(b.items_n, TOOL_FOUND_MAX);
    assert_int_equal(b.lost_n, 7);
    tool_blocks_fini(&b);
    buf_fini(&text);
}

static void test_places_are_told_in_code_points_too(void **state)
{
    static const char text[] = "gr\xc3\xbc\xc3\x9f dich\n{\"name\":\"\xc3\xbc\",\"parameters\":{}}\n\xf0\x9f\x90\xa2";
    struct tool_blocks b;
    (void)state;
    assert_int_equal(tool_blocks_find(&b, text, sizeof text - 1), 0);
    assert_int_equal(b.items_n, 1);
    assert_int_equal(b.items[0].at, 12);
    assert_int_equal(b.items[0].at_chars, 10);
    assert_int_equal(b.items[0].end - b.items[0].at, 29);
    assert_int_equal(b.items[0].end_chars - b.items[0].at_chars, 28);
    assert_int_equal(b.chars_n, 40);
    tool_blocks_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R4_3_a_heading_that_names_a_tool),
        cmocka_unit_test(test_R4_3_a_block_named_as_a_tool),
        cmocka_unit_test(test_R4_3_an_example_of_what_is_defined_is_none),
        cmocka_unit_test(test_R4_3_sections_of_tools),
        cmocka_unit_test(test_R4_3_a_block_of_tools),
        cmocka_unit_test(test_R4_3_schemas),
        cmocka_unit_test(test_R4_3_what_the_proxy_itself_writes),
        cmocka_unit_test(test_R4_3_what_is_no_definition),
        cmocka_unit_test(test_what_stands_in_a_definition_does_not_end_it),
        cmocka_unit_test(test_code_without_an_end_is_none),
        cmocka_unit_test(test_more_than_there_is_a_place_for_is_counted),
        cmocka_unit_test(test_places_are_told_in_code_points_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
