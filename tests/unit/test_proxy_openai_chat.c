/* proxy/openai_chat and openai_ask: requests of /v1/chat/completions, member by member and mistake by mistake. */
#include "translate_case.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define BEGIN "{\"model\":\"m\",\"stream\":false"
#define OPTIONS ",\"options\":{\"temperature\":1.0,\"top_p\":1.0}"
#define END "," MESSAGES "}"
#define REQUEST(members) "{\"model\":\"m\"," MESSAGES members "}"

static void becomes(const char *request, const char *wanted)
{
    case_becomes(API_OPENAI_CHAT, request, wanted);
}

static void refused(const char *request, const char *why)
{
    case_refused(API_OPENAI_CHAT, request, why);
}

static void test_members(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
    } rows[] = {
        {REQUEST(""), BEGIN OPTIONS END},
        {" { \"MESSAGES\" : [ { \"Role\":\"user\", \"Content\" : \"hi\" } ] , \"Model\":\"m\" } behind", BEGIN OPTIONS END},
        {REQUEST(",\"stream\":true"), "{\"model\":\"m\",\"stream\":true" OPTIONS END},
        {REQUEST(",\"stream\":true,\"stream\":null"), BEGIN OPTIONS END},
        {REQUEST(",\"temperature\":0"), BEGIN ",\"options\":{\"temperature\":0,\"top_p\":1.0}" END},
        {REQUEST(",\"temperature\":null,\"top_p\":0.50"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":0.50}" END},
        {REQUEST(",\"seed\":12345678901234567890"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"seed\":12345678901234567890}" END},
        {REQUEST(",\"frequency_penalty\":1e-1,\"presence_penalty\":-2"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"frequency_penalty\":1e-1,\"presence_penalty\":-2}" END},
        {REQUEST(",\"max_tokens\":5"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"num_predict\":5}" END},
        {REQUEST(",\"max_completion_tokens\":6,\"max_tokens\":5"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"num_predict\":6}" END},
        {REQUEST(",\"stop\":\"\\u0000x\""), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"stop\":[\"\\u0000x\"]}" END},
        {REQUEST(",\"stop\":[\"a\", \"b\"]"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"stop\":[\"a\",\"b\"]}" END},
        {REQUEST(",\"stop\":[null,\"\", \"a\"]"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"stop\":[\"a\"]}" END},
        {REQUEST(",\"stop\":\"\""), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"stop\":[]}" END},
        {REQUEST(",\"temperature\":\"0.3\",\"max_tokens\":\"5\",\"seed\":\"-1\""), BEGIN ",\"options\":{\"temperature\":0.3,\"top_p\":1.0,\"seed\":-1,\"num_predict\":5}" END},
        {REQUEST(",\"top_k\":40,\"min_p\":0.05,\"repeat_penalty\":1.1,\"num_ctx\":8192"),
         BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"top_k\":40,\"min_p\":0.05,\"repeat_penalty\":1.1,\"num_ctx\":8192}" END},
        {REQUEST(",\"options\":{ \"num_ctx\": 12345678901234567890, \"mirostat\":1 }"), BEGIN ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"num_ctx\": 12345678901234567890, \"mirostat\":1 }" END},
        {REQUEST(",\"options\":{\"temperature\":0.1},\"temperature\":0.2,\"num_ctx\":5"), BEGIN ",\"options\":{\"top_p\":1.0,\"temperature\":0.1,\"temperature\":0.2,\"num_ctx\":5}" END},
        {REQUEST(",\"options\":{}"), BEGIN OPTIONS END},
        {REQUEST(",\"n\":1"), BEGIN OPTIONS END},
        {REQUEST(",\"n\":null"), BEGIN OPTIONS END},
        {REQUEST(",\"response_format\":{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,\"schema\":{\"const\":1}}"), BEGIN OPTIONS ",\"format\":{\"const\":1}" END},
        {REQUEST(",\"think\":true"), BEGIN OPTIONS ",\"think\":true" END},
        {REQUEST(",\"think\":\"low\""), BEGIN OPTIONS ",\"think\":\"low\"" END},
        {REQUEST(",\"think\":true,\"reasoning_effort\":\"none\""), BEGIN OPTIONS ",\"think\":false" END},
        {REQUEST(",\"keep_alive\":\"5m\""), BEGIN ",\"keep_alive\":\"5m\"" OPTIONS END},
        {REQUEST(",\"keep_alive\":-1"), BEGIN ",\"keep_alive\":-1" OPTIONS END},
        {REQUEST(",\"response_format\":{\"type\":\"text\"}"), BEGIN OPTIONS END},
        {REQUEST(",\"response_format\":{\"type\":\"json_object\"}"), BEGIN OPTIONS ",\"format\":\"json\"" END},
        {REQUEST(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"strict\":true,\"schema\":{\"const\": 12345678901234567890 }}}"),
         BEGIN OPTIONS ",\"format\":{\"const\": 12345678901234567890 }" END},
        {REQUEST(",\"tools\":[ {\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"x\":1.0e400}}} ]"),
         BEGIN OPTIONS ",\"tools\":[ {\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"x\":1.0e400}}} ]" END},
        {REQUEST(",\"logprobs\":true,\"top_logprobs\":3"), BEGIN OPTIONS ",\"logprobs\":true,\"top_logprobs\":3" END},
        {REQUEST(",\"reasoning_effort\":\"none\""), BEGIN OPTIONS ",\"think\":false" END},
        {REQUEST(",\"reasoning_effort\":\"minimal\""), BEGIN OPTIONS ",\"think\":\"low\"" END},
        {REQUEST(",\"reasoning_effort\":\"xhigh\""), BEGIN OPTIONS ",\"think\":\"max\"" END},
        {REQUEST(",\"reasoning_effort\":\"low\",\"reasoning\":{\"effort\":\"high\"}"), BEGIN OPTIONS ",\"think\":\"high\"" END},
        {REQUEST(",\"reasoning\":{\"effort\":null}"), BEGIN OPTIONS END},
        {REQUEST(",\"user\":\"u\",\"tool_choice\":\"auto\",\"logit_bias\":{},\"unknown\":[1]"), BEGIN OPTIONS END},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].request, rows[i].wanted);
}

static void test_what_the_answer_needs_is_noted(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int is_stream, is_usage_wanted;
    } rows[] = {
        {REQUEST(""), 0, 0},
        {REQUEST(",\"stream\":true"), 1, 0},
        {REQUEST(",\"stream\":true,\"stream_options\":{}"), 1, 0},
        {REQUEST(",\"stream\":true,\"stream_options\":{\"include_usage\":false}"), 1, 0},
        {REQUEST(",\"stream\":true,\"stream_options\":{\"include_usage\":true}"), 1, 1},
        {REQUEST(",\"stream\":true,\"stream_options\":null"), 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_OPENAI_CHAT);
        assert_string_equal(c.t.ops->target, "/api/chat");
        assert_int_equal(case_request(&c, rows[i].request), 0);
        assert_int_equal(c.t.is_stream, rows[i].is_stream);
        assert_int_equal(c.t.is_usage_wanted, rows[i].is_usage_wanted);
        case_fini(&c);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *request, *why;
    } rows[] = {
        {"", "the body is no JSON object: what stands at byte 0 does not belong there, or is missing"},
        {"[1]", "the body is no JSON object: what stands at byte 0 does not belong there, or is missing"},
        {"{\"model\":\"m\",", "the body is no JSON object: what stands at byte 13 does not belong there, or is missing"},
        {"{\"model\":tru}", "the body is no JSON object: what stands at byte 9 does not belong there, or is missing"},
        {"{" MESSAGES "}", "model: missing; it must be the name of a model, as GET /v1/models lists them"},
        {"{\"model\":\"\"," MESSAGES "}", "model: empty; it must be the name of a model, as GET /v1/models lists them"},
        {"{\"model\":5," MESSAGES "}", "model: must be a string, not a number"},
        {"{\"model\":\"m\"}", "messages: missing; it must be an array of messages"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages: empty; at least one is needed"},
        {"{\"model\":\"m\",\"messages\":{}}", "messages: must be an array"},
        {REQUEST(",\"stream\":\"yes\""), "stream: must be true or false, not a string"},
        {REQUEST(",\"stream_options\":true"), "stream_options: must be an object, not true"},
        {REQUEST(",\"stream_options\":{\"include_usage\":1}"), "stream_options.include_usage: must be true or false, not a number"},
        {REQUEST(",\"temperature\":\"hot\""), "temperature: must be a number, not a string"},
        {REQUEST(",\"top_p\":[]"), "top_p: must be a number, not an array"},
        {REQUEST(",\"frequency_penalty\":{}"), "frequency_penalty: must be a number, not an object"},
        {REQUEST(",\"seed\":1.5"), "seed: must be a whole number"},
        {REQUEST(",\"max_tokens\":1e2"), "max_tokens: must be a whole number"},
        {REQUEST(",\"max_completion_tokens\":\"five\""), "max_completion_tokens: must be a whole number, not a string"},
        {REQUEST(",\"max_tokens\":0"), "max_tokens: must be at least 1; where there is to be no limit, leave it out"},
        {REQUEST(",\"max_tokens\":\"-1\""), "max_tokens: must be at least 1; where there is to be no limit, leave it out"},
        {REQUEST(",\"num_ctx\":0,\"options\":[]"), "options: must be an object, not an array; num_ctx: must be at least 1; where there is to be no limit, leave it out"},
        {REQUEST(",\"n\":2"), "n: must be 1, as one answer is made; send a request for each"},
        {REQUEST(",\"n\":\"1 \""), "n: must be a whole number, not a string"},
        {REQUEST(",\"temperature\":\"\""), "temperature: must be a number, not a string"},
        {REQUEST(",\"temperature\":\"0x1\""), "temperature: must be a number, not a string"},
        {REQUEST(",\"temperature\":\"1 2\""), "temperature: must be a number, not a string"},
        {REQUEST(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\"}}"), "response_format.json_schema: must be an object with a schema"},
        {REQUEST(",\"response_format\":{\"type\":\"json_schema\",\"schema\":5}"), "response_format.schema: must be an object, not a number"},
        {REQUEST(",\"think\":5"), "think: must be true, false or a step such as \"low\", not a number"},
        {REQUEST(",\"stop\":1"), "stop: must be a string, or an array of strings, not a number"},
        {REQUEST(",\"stop\":[\"a\",null,2]"), "stop[2]: must be a string, not a number"},
        {REQUEST(",\"keep_alive\":true"), "keep_alive: must be a duration such as \"5m\", or a number of seconds, not true"},
        {REQUEST(",\"response_format\":\"json\""), "response_format: must be an object, not a string"},
        {REQUEST(",\"response_format\":{}"), "response_format.type: must be text, json_object or json_schema"},
        {REQUEST(",\"response_format\":{\"type\":\"json_schema\"}"), "response_format.json_schema: must be an object with a schema"},
        {REQUEST(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":[]}}"), "response_format.json_schema.schema: must be an object, not an array"},
        {REQUEST(",\"tools\":{}"), "tools: must be an array, not an object"},
        {REQUEST(",\"logprobs\":5"), "logprobs: must be true or false, not a number"},
        {REQUEST(",\"reasoning_effort\":\"some\""), "reasoning_effort: must be none, minimal, low, medium, high, xhigh or max"},
        {REQUEST(",\"reasoning\":{\"effort\":1}"), "reasoning.effort: must be none, minimal, low, medium, high, xhigh or max"},
        {"{\"temperature\":\"x\",\"messages\":[{\"role\":1,\"content\":\"a\"},5,{\"role\":\"user\",\"content\":[{\"type\":\"video\"},{\"type\":\"image_url\"}]}]}",
         "model: missing; it must be the name of a model, as GET /v1/models lists them; temperature: must be a number, not a string; "
         "messages[2].content[1].image_url: must be a string: a data URI such as data:image/png;base64,…"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(rows[i].request, rows[i].why);
}

static void test_mistakes_without_end_are_counted(void **state)
{
    (void)state;
    struct translate_case c;
    char request[8192] = "{\"model\":\"m\"," MESSAGES ",\"stop\":[0";
    for (int i = 1; i < 1000; i++)
        strcat(request, ",0");
    strcat(request, "]}");
    case_init(&c, API_OPENAI_CHAT);
    assert_int_equal(case_request(&c, request), -EINVAL);
    assert_non_null(strstr(c.why, "stop[0]: must be a string, not a number; stop[1]: "));
    assert_non_null(strstr(c.why, " more, or yet others"));
    case_fini(&c);
}

#define F(name) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":{\"x\": 12345678901234567890,\"x\":1.0e400}}}"
#define TOOLS(list) ",\"tools\":[" list "]"
#define SYSTEM(text) ",\"messages\":[{\"role\":\"system\",\"content\":\"" text "\"},{\"role\":\"user\",\"content\":\"hi\"}]}"

static void test_tools(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
    } rows[] = {
        {REQUEST(TOOLS("") ",\"tool_choice\":\"auto\""), BEGIN OPTIONS END},
        {REQUEST(",\"tools\":null,\"tool_choice\":null,\"parallel_tool_calls\":false"), BEGIN OPTIONS END},
        {REQUEST(TOOLS(F("f") ", " F("g"))), BEGIN OPTIONS TOOLS(F("f") ", " F("g")) END},
        {REQUEST(TOOLS("null,5,{}," F("f") ",{\"type\":\"web_search\"},{\"type\":\"custom\",\"name\":\"c\"},{\"type\":\"function\",\"function\":null}")), BEGIN OPTIONS TOOLS(F("f")) END},
        {REQUEST(TOOLS("{\"type\":\"function\",\"name\":\"f\",\"strict\":true},{\"function\":{\"name\":\"g\"}}")),
         BEGIN OPTIONS TOOLS("{\"type\":\"function\",\"function\":{\"type\":\"function\",\"name\":\"f\",\"strict\":true}},{\"type\":\"function\",\"function\":{\"name\":\"g\"}}") END},
        {REQUEST(",\"functions\":[{\"name\":\"f\"}],\"function_call\":\"auto\""), BEGIN OPTIONS TOOLS("{\"type\":\"function\",\"function\":{\"name\":\"f\"}}") END},
        {REQUEST(TOOLS(F("f")) ",\"functions\":[{\"name\":\"g\"}]"), BEGIN OPTIONS TOOLS(F("f")) END},
        {REQUEST(TOOLS(F("f")) ",\"tool_choice\":\"none\""), BEGIN OPTIONS END},
        {REQUEST(TOOLS(F("f")) ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[]}}"), BEGIN OPTIONS TOOLS(F("f")) END},
        {REQUEST(TOOLS(F("f") "," F("g")) ",\"tool_choice\":\"required\""), BEGIN OPTIONS TOOLS(F("f") "," F("g")) SYSTEM("Answer with a call of one of the tools.")},
        {REQUEST(TOOLS(F("f") "," F("g")) ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"), BEGIN OPTIONS TOOLS(F("g")) SYSTEM("Answer with a call of the tool g.")},
        {REQUEST(TOOLS(F("f") "," F("g")) ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"), BEGIN OPTIONS TOOLS(F("f")) SYSTEM("Answer with a call of the tool f.")},
        {REQUEST(",\"functions\":[{\"name\":\"f\"},{\"name\":\"g\"}],\"function_call\":{\"name\":\"g\"}"),
         BEGIN OPTIONS TOOLS("{\"type\":\"function\",\"function\":{\"name\":\"g\"}}") SYSTEM("Answer with a call of the tool g.")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].request, rows[i].wanted);
    refused(REQUEST(",\"tool_choice\":\"required\""), "tool_choice: there are no tools that could be called");
    refused(REQUEST(TOOLS(F("f")) ",\"tool_choice\":\"always\""), "tool_choice: must be none, auto, required or an object that names a function");
    refused(REQUEST(TOOLS(F("f")) ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}}"), "tool_choice: no function of this name is among the tools");
    refused(REQUEST(TOOLS(F("f")) ",\"tool_choice\":{}"), "tool_choice: must name a function: {\"type\":\"function\",\"function\":{\"name\":…}}");
    refused(REQUEST(",\"functions\":{}"), "functions: must be an array, not an object");
}

#define EXPLAINED                                                                                                                              \
    "You can call tools. To call one, write a block of just this form, and nothing behind it:\\n"                                              \
    "<tool_call>{\\\"name\\\":\\\"NAME\\\",\\\"arguments\\\":{…}}</tool_call>\\n"                                                              \
    "Several calls are several such blocks. What a tool says comes in the next message, as [tool result: NAME]. "                              \
    "Where no tool is needed, answer without a block. These are the tools, with the JSON schemas of their arguments:\\n"
#define F_TEXT "{\\\"name\\\":\\\"f\\\",\\\"parameters\\\":{\\\"x\\\": 12345678901234567890,\\\"x\\\":1.0e400}}\\n"

/* Its template has no place for them: they are told behind what the system says, and nowhere else. */
static void test_tools_of_a_model_without(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
    } rows[] = {
        {REQUEST(TOOLS(F("f"))), BEGIN OPTIONS SYSTEM(EXPLAINED F_TEXT)},
        {REQUEST(TOOLS(F("f")) ",\"tool_choice\":\"required\""), BEGIN OPTIONS SYSTEM(EXPLAINED F_TEXT "Answer with a call of one of the tools.")},
        {REQUEST(TOOLS(F("f")) ",\"tool_choice\":\"none\""), BEGIN OPTIONS END},
        {REQUEST(TOOLS("")), BEGIN OPTIONS END},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"system\",\"content\":\"t\"}]" TOOLS(F("f")) "}",
         BEGIN OPTIONS ",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"system\",\"content\":\"" EXPLAINED F_TEXT "\"},{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"system\",\"content\":\"t\"}]}"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]" TOOLS(F("f")) "}",
         BEGIN OPTIONS ",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"system\",\"content\":\"" EXPLAINED F_TEXT "\"}]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_OPENAI_CHAT);
        c.t.lacks = TRANSLATE_TOOLS;
        assert_int_equal(case_request(&c, rows[i].request), 0);
        assert_string_equal(c.text, rows[i].wanted);
        case_fini(&c);
    }
}

/* Steps of thinking are a hint: a model that does not think is not asked to. */
static void test_a_model_that_does_not_think(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
        unsigned needs;
    } rows[] = {
        {REQUEST(",\"reasoning_effort\":\"high\""), BEGIN OPTIONS END, TRANSLATE_THINKING},
        {REQUEST(",\"think\":true"), BEGIN OPTIONS END, TRANSLATE_THINKING},
        {REQUEST(",\"reasoning_effort\":\"none\""), BEGIN OPTIONS ",\"think\":false" END, 0},
        {REQUEST(""), BEGIN OPTIONS END, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_OPENAI_CHAT);
        c.t.lacks = TRANSLATE_THINKING;
        assert_int_equal(case_request(&c, rows[i].request), 0);
        assert_string_equal(c.text, rows[i].wanted);
        assert_int_equal(c.t.needs, rows[i].needs);
        case_fini(&c);
    }
}

/* A request nested without end is refused, and costs no stack. */
static void test_depth_is_bounded(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    static char request[2 * DEPTH + 100];
    struct translate_case c;
    strcpy(request, "{\"model\":\"m\",\"messages\":");
    size_t n = strlen(request);
    memset(request + n, '[', DEPTH);
    memset(request + n + DEPTH, ']', DEPTH);
    strcpy(request + n + 2 * DEPTH, "}");
    case_init(&c, API_OPENAI_CHAT);
    assert_int_equal(case_request(&c, request), -EINVAL);
    case_fini(&c);
}

static void test_no_more_than_the_buffer_takes(void **state)
{
    (void)state;
    static const char request[] = REQUEST("");
    struct translate_case c;
    for (size_t limit = 1; limit < 200; limit++) {
        case_init(&c, API_OPENAI_CHAT);
        buf_init(&c.out, limit);
        int error = case_request(&c, request);
        assert_true(error == 0 || (error == -EFBIG && c.text[0] == '\0'));
        assert_int_equal(error == 0, strlen(c.text) > 0);
        case_fini(&c);
    }
    assert_string_equal(c.text, BEGIN OPTIONS END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_what_the_answer_needs_is_noted),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_mistakes_without_end_are_counted),
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_tools_of_a_model_without),
        cmocka_unit_test(test_a_model_that_does_not_think),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_no_more_than_the_buffer_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
