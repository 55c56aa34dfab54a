/* proxy/openai_chat_answer: Ollama's objects as chunks and as whole chat completions. */
#include "translate_case.h"

#define FRAME(object) "{\"id\":\"cmpl-abc\",\"object\":\"" object "\",\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":\"fp_ollama\",\"choices\":["
#define EVENT "data: " FRAME("chat.completion.chunk")
#define CHUNK(delta, reason) EVENT "{\"index\":0,\"delta\":" delta ",\"finish_reason\":" reason "}]}\n\n"
#define NO_USAGE_YET(delta, reason) EVENT "{\"index\":0,\"delta\":" delta ",\"finish_reason\":" reason "}],\"usage\":null}\n\n"
#define DONE "data: [DONE]\n\n"
#define SAID(message) "{\"model\":\"m\",\"created_at\":\"2025-01-01T00:00:00Z\",\"message\":{\"role\":\"assistant\"," message "},\"done\":false}"
#define LAST(message, reason) "{\"model\":\"m\",\"message\":{\"role\":\"assistant\"," message "},\"done_reason\":\"" reason "\",\"done\":true,\"prompt_eval_count\":3,\"eval_count\":4}\n"

static void stream_init(struct translate_case *c)
{
    case_init(c, API_OPENAI_CHAT);
    c->t.is_stream = 1;
}

static void becomes(struct translate_case *c, const char *object, const char *wanted)
{
    assert_int_equal(case_object(c, object), 0);
    assert_string_equal(c->text, wanted);
}

static void test_a_stream(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    becomes(&c, SAID("\"content\":\"He\\u0000\""), CHUNK("{\"role\":\"assistant\",\"content\":\"He\\u0000\"}", "null"));
    becomes(&c, SAID("\"content\":\"llo\xe2\x80\xa8\""), CHUNK("{\"content\":\"llo\\u2028\"}", "null"));
    becomes(&c, LAST("\"content\":\"\"", "stop"), CHUNK("{}", "\"stop\"") DONE);
    case_fini(&c);
}

static void test_the_last_object_may_say_something(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    becomes(&c, LAST("\"content\":\"\"", "length"), CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null") CHUNK("{}", "\"length\"") DONE);
    case_fini(&c);
    stream_init(&c);
    becomes(&c, SAID("\"content\":\"\""), CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null"));
    becomes(&c, LAST("\"content\":\"x\"", "stop"), CHUNK("{\"content\":\"x\"}", "null") CHUNK("{}", "\"stop\"") DONE);
    case_fini(&c);
}

static void test_usage_where_it_was_asked_for(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    c.t.is_usage_wanted = 1;
    becomes(&c, SAID("\"content\":\"x\""), NO_USAGE_YET("{\"role\":\"assistant\",\"content\":\"x\"}", "null"));
    assert_int_equal(case_keep(&c, c.t.ops->nothing(&c.t, &c.out)), 0);
    assert_string_equal(c.text, NO_USAGE_YET("{}", "null"));
    becomes(&c, LAST("\"content\":\"\"", "stop"),
            NO_USAGE_YET("{}", "\"stop\"") EVENT "],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n" DONE);
    case_fini(&c);
}

static void test_what_only_loads_or_unloads_has_stopped(void **state)
{
    (void)state;
    static const char *const reasons[] = {"load", "unload", ""};
    for (size_t i = 0; i < 3; i++) {
        struct translate_case c;
        char object[256];
        stream_init(&c);
        snprintf(object, sizeof object, "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"%s\",\"done\":true}", reasons[i]);
        becomes(&c, object, CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null") CHUNK("{}", "\"stop\"") DONE);
        case_fini(&c);
    }
}

static void test_thinking_is_reasoning(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    becomes(&c, SAID("\"content\":\"\",\"thinking\":\"hm\xc2\x85\""), CHUNK("{\"role\":\"assistant\",\"content\":\"\",\"reasoning\":\"hm\\u0085\",\"reasoning_content\":\"hm\\u0085\"}", "null"));
    becomes(&c, SAID("\"content\":\"so\",\"thinking\":\"ah\""), CHUNK("{\"reasoning\":\"ah\",\"reasoning_content\":\"ah\"}", "null") CHUNK("{\"content\":\"so\"}", "null"));
    case_fini(&c);
}

#define CALLS "\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\": \"\\\"\\u0000\", \"n\":12345678901234567890}}},{\"id\":\"their\",\"function\":{\"index\":1,\"name\":\"g\",\"arguments\":{}}}]"
#define CALLED_WITH(first, second) "\"tool_calls\":[{" first "\"id\":\"call_abc_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": \\\"\\\\\\\"\\\\u0000\\\", \\\"n\\\":12345678901234567890}\"}}," \
               "{" second "\"id\":\"their\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]"
#define CALLED CALLED_WITH("\"index\":0,", "\"index\":1,")

static void test_calls_of_tools(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    becomes(&c, SAID(CALLS), CHUNK("{\"role\":\"assistant\",\"content\":null," CALLED "}", "null"));
    becomes(&c, SAID("\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"h\"}}]"),
            CHUNK("{\"content\":null,\"tool_calls\":[{\"index\":2,\"id\":\"call_abc_2\",\"type\":\"function\",\"function\":{\"name\":\"h\",\"arguments\":\"{}\"}}]}", "null"));
    becomes(&c, LAST("\"content\":\"\"", "stop"), CHUNK("{}", "\"tool_calls\"") DONE);
    case_fini(&c);
    stream_init(&c);
    becomes(&c, SAID("\"content\":\"\",\"tool_calls\":[]"), CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null"));
    becomes(&c, LAST("\"content\":\"\"", "length"), CHUNK("{}", "\"length\"") DONE);
    case_fini(&c);
}

static void test_logprobs_are_handed_on(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    becomes(&c, "{\"model\":\"m\",\"message\":{\"content\":\"x\"},\"done\":false,\"logprobs\":[{\"token\":\"x\",\"logprob\":-0.1}]}",
            EVENT "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"x\"},\"finish_reason\":null,\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-0.1,\"bytes\":null,\"top_logprobs\":[]}],\"refusal\":null}}]}\n\n");
    case_fini(&c);
}

#define WHOLE(message, reason, usage) FRAME("chat.completion") "{\"index\":0,\"message\":" message ",\"finish_reason\":" reason ",\"logprobs\":null}],\"usage\":{" usage "}}\n"
#define USAGE "\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7"
#define NO_USAGE "\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0"

static void test_whole_answers(void **state)
{
    (void)state;
    static const struct {
        const char *object, *wanted;
    } rows[] = {
        {LAST("\"content\":\"hi\"", "stop"), WHOLE("{\"role\":\"assistant\",\"content\":\"hi\",\"refusal\":null}", "\"stop\"", USAGE)},
        {LAST("\"content\":\"hi\",\"thinking\":\"hm\"", "length"), WHOLE("{\"role\":\"assistant\",\"content\":\"hi\",\"reasoning\":\"hm\",\"reasoning_content\":\"hm\",\"refusal\":null}", "\"length\"", USAGE)},
        {LAST(CALLS, "stop"), WHOLE("{\"role\":\"assistant\",\"content\":null," CALLED_WITH("", "") ",\"refusal\":null}", "\"tool_calls\"", USAGE)},
        {"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done_reason\":\"load\",\"done\":true}",
         WHOLE("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "\"stop\"", NO_USAGE)},
        {LAST("\"content\":\"hi\"", "strange"), WHOLE("{\"role\":\"assistant\",\"content\":\"hi\",\"refusal\":null}", "\"stop\"", USAGE)},
        {LAST("\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":7,\"arguments\":\"{\\\"a\\\":1}\"}}]", "stop"),
         WHOLE("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_abc_0\",\"type\":\"function\",\"function\":{\"name\":\"\",\"arguments\":\"{\\\"a\\\":1}\"}}],\"refusal\":null}",
               "\"tool_calls\"", USAGE)},
        {SAID("\"content\":\"cut\""), WHOLE("{\"role\":\"assistant\",\"content\":\"cut\",\"refusal\":null}", "\"length\"", NO_USAGE)},
        {"{\"message\":{\"content\":null},\"done\":true,\"eval_count\":-1,\"prompt_eval_count\":\"x\"}", WHOLE("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "\"stop\"", NO_USAGE)},
        {"{\"done\":true}", WHOLE("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "\"stop\"", NO_USAGE)},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_OPENAI_CHAT);
        becomes(&c, rows[i].object, rows[i].wanted);
        case_fini(&c);
    }
}

static void test_functions_are_one_call(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    c.t.is_function_wanted = 1;
    becomes(&c, LAST(CALLS, "stop"), WHOLE("{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": \\\"\\\\\\\"\\\\u0000\\\", \\\"n\\\":12345678901234567890}\"},\"refusal\":null}",
                                         "\"function_call\"", USAGE));
    case_fini(&c);
    stream_init(&c);
    c.t.is_function_wanted = 1;
    becomes(&c, SAID("\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"h\"}}]"),
            CHUNK("{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"h\",\"arguments\":\"{}\"}}", "null"));
    becomes(&c, LAST("\"content\":\"\"", "stop"), CHUNK("{}", "\"function_call\"") DONE);
    case_fini(&c);
}

static void with_tools(struct translate_case *c)
{
    assert_int_equal(case_request(c, "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}"), 0);
    assert_non_null(c->t.repair);
}

static void test_a_call_that_is_written_as_text(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    with_tools(&c);
    becomes(&c, SAID("\"content\":\"a \\u003ctool_call\\u003e{\\\"name\\\": \\\"f\\\", \\\"arg\""), CHUNK("{\"role\":\"assistant\",\"content\":\"a \"}", "null"));
    becomes(&c, SAID("\"content\":\"uments\\\": {\\\"a\\\": 1}}\""), CHUNK("{\"content\":\"\"}", "null"));
    becomes(&c, SAID("\"content\":\"\\u003c/tool_call\\u003e\""),
            CHUNK("{\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_abc_0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}}]}", "null"));
    becomes(&c, LAST("\"content\":\"\\n\"", "stop"), CHUNK("{}", "\"tool_calls\"") DONE);
    assert_int_equal(c.t.repaired_n, 1);
    case_fini(&c);
}

static void test_what_is_held_is_told_where_the_stream_breaks(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    with_tools(&c);
    becomes(&c, SAID("\"content\":\"{\\\"na\""), CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null"));
    assert_int_equal(case_keep(&c, c.t.ops->rest(&c.t, &c.out)), 0);
    assert_string_equal(c.text, CHUNK("{\"content\":\"{\\\"na\"}", "null"));
    assert_int_equal(case_keep(&c, c.t.ops->rest(&c.t, &c.out)), 0);
    assert_string_equal(c.text, "");
    case_fini(&c);
}

static void test_logprobs_have_all_members(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    assert_int_equal(case_object(&c, "{\"message\":{\"content\":\"x\"},\"done\":true,\"logprobs\":[{\"token\":\"\\u00e9\",\"logprob\":-1e-3,\"bytes\":[195,169],"
                                     "\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-2,\"bytes\":[97]},{\"logprob\":\"x\"}]},7]}"), 0);
    assert_non_null(strstr(c.text, "\"logprobs\":{\"content\":[{\"token\":\"\\u00e9\",\"logprob\":-1e-3,\"bytes\":[195,169],\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-2,\"bytes\":[97]},"
                                   "{\"token\":\"\",\"logprob\":0,\"bytes\":null}]},{\"token\":\"\",\"logprob\":0,\"bytes\":null,\"top_logprobs\":[]}],\"refusal\":null}"));
    case_fini(&c);
}

static void test_the_model_is_the_one_that_answered(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    assert_int_equal(case_object(&c, "{\"model\":\"other\",\"message\":{},\"done\":true}"), 0);
    assert_non_null(strstr(c.text, "\"model\":\"other\","));
    case_fini(&c);
}

static void test_an_event_that_says_nothing(void **state)
{
    (void)state;
    struct translate_case c;
    stream_init(&c);
    c.t.model = "a\"b";
    assert_int_equal(case_keep(&c, c.t.ops->nothing(&c.t, &c.out)), 0);
    assert_string_equal(c.text, "data: {\"id\":\"cmpl-abc\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"a\\\"b\","
                                "\"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":null}]}\n\n");
    becomes(&c, SAID("\"content\":\"x\""), CHUNK("{\"role\":\"assistant\",\"content\":\"x\"}", "null"));
    case_fini(&c);
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "{", "[]", "{}", "{\"model\":\"m\"}", "{\"message\":\"text\"}", "{\"message\":{}", "nonsense", "{\"done\":false}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        stream_init(&c);
        if (case_object(&c, rows[i]) != -EINVAL)
            fail_msg("taken: %s", rows[i]);
        case_fini(&c);
    }
}

static void test_no_more_than_the_buffer_takes(void **state)
{
    (void)state;
    struct translate_case c;
    for (size_t limit = 1; limit < 600; limit++) {
        stream_init(&c);
        buf_init(&c.out, limit);
        int error = case_object(&c, LAST("\"content\":\"x\"", "stop"));
        assert_true(error == 0 || error == -EFBIG);
        case_fini(&c);
    }
    assert_true(strlen(c.text) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream),
        cmocka_unit_test(test_the_last_object_may_say_something),
        cmocka_unit_test(test_usage_where_it_was_asked_for),
        cmocka_unit_test(test_what_only_loads_or_unloads_has_stopped),
        cmocka_unit_test(test_thinking_is_reasoning),
        cmocka_unit_test(test_calls_of_tools),
        cmocka_unit_test(test_logprobs_are_handed_on),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_functions_are_one_call),
        cmocka_unit_test(test_a_call_that_is_written_as_text),
        cmocka_unit_test(test_what_is_held_is_told_where_the_stream_breaks),
        cmocka_unit_test(test_logprobs_have_all_members),
        cmocka_unit_test(test_the_model_is_the_one_that_answered),
        cmocka_unit_test(test_an_event_that_says_nothing),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_no_more_than_the_buffer_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
