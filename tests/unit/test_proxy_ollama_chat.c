/* proxy/ollama_chat and those below it: requests of /api/chat and /api/generate for an OpenAI-speaking backend, member by member. */
#include "translate_case.h"

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
#define STREAM "\"stream\":true,\"stream_options\":{\"include_usage\":true}"
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CHAT(members) "{\"model\":\"m\"," HI members "}"
#define OF_CHAT(members) "{\"model\":\"m\"," STREAM members "," HI "}"
#define SAID(messages) "{\"model\":\"m\",\"stream\":false,\"messages\":[" messages "]}"

static void test_members_of_a_chat(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
    } rows[] = {
        {CHAT(""), OF_CHAT("")},
        {CHAT(",\"stream\":null,\"keep_alive\":\"5m\",\"unknown\":[1]"), OF_CHAT("")},
        {CHAT(",\"stream\":false"), "{\"model\":\"m\",\"stream\":false," HI "}"},
        {CHAT(",\"options\":{\"temperature\":0.50,\"top_p\":1,\"seed\":12345678901234567,\"stop\":[\"\\u0000\",\"b\"],\"frequency_penalty\":1e-1,\"presence_penalty\":-2}"),
         OF_CHAT(",\"temperature\":0.50,\"top_p\":1,\"frequency_penalty\":1e-1,\"presence_penalty\":-2,\"seed\":12345678901234567,\"stop\":[\"\\u0000\",\"b\"]")},
        {CHAT(",\"options\":{\"num_predict\":7.9,\"seed\":3.0}"), OF_CHAT(",\"seed\":3,\"max_tokens\":7")},
        {CHAT(",\"options\":{\"num_predict\":-1,\"seed\":-1,\"num_ctx\":4096,\"stop\":[]}"), OF_CHAT("")},
        {CHAT(",\"options\":{\"top_k\":40,\"min_p\":0.05,\"repeat_penalty\":1.1}"),
         OF_CHAT(",\"top_k\":40,\"min_p\":0.05,\"repeat_penalty\":1.1,\"repetition_penalty\":1.1")},
        {CHAT(",\"format\":\"json\""), OF_CHAT(",\"response_format\":{\"type\":\"json_object\"}")},
        {CHAT(",\"format\":\"\""), OF_CHAT("")},
        {CHAT(",\"format\":{\"const\": 12345678901234567890 }"),
         OF_CHAT(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":{\"const\": 12345678901234567890 }}}")},
        {CHAT(",\"think\":true"), OF_CHAT(",\"reasoning_effort\":\"medium\"")},
        {CHAT(",\"think\":false"), OF_CHAT(",\"reasoning_effort\":\"none\",\"chat_template_kwargs\":{\"enable_thinking\":false}")},
        {CHAT(",\"think\":\"high\""), OF_CHAT(",\"reasoning_effort\":\"high\"")},
        {CHAT(",\"logprobs\":true,\"top_logprobs\":3"), OF_CHAT(",\"logprobs\":true,\"top_logprobs\":3")},
        {CHAT(",\"tools\":[]"), OF_CHAT("")},
        {CHAT(",\"tools\":[ {\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"x\":1.0e400}}} ]"),
         "{\"model\":\"m\"," STREAM ",\"tools\":[ {\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"x\":1.0e400}}} ]," HI "}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_becomes(API_CHAT, rows[i].request, rows[i].wanted);
}

static void test_messages(void **state)
{
    (void)state;
    static const struct {
        const char *messages, *wanted;
    } rows[] = {
        {"{\"role\":\"system\",\"content\":\"s\"},null,{\"Role\":\"user\",\"Content\":\"\\ud83d\\ude00\"}",
         "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"\\ud83d\\ude00\"}"},
        {"{\"role\":\"assistant\",\"thinking\":\"hm\"}", "{\"role\":\"assistant\",\"content\":\"\"}"},
        {"{\"role\":\"user\",\"content\":\"see\",\"images\":[\"" PNG "\"]}",
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]}"},
        {"{\"role\":\"user\",\"content\":\"see\",\"images\":[\"\\u002F9j\\/\\u000a4AAQSkZJRgABAQ\\u002b\"]}",
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpeg;base64,\\u002F9j\\/4AAQSkZJRgABAQ\\u002b\"}}]}"},
        {"{\"role\":\"user\",\"content\":\"see\",\"images\":[\"\\/9j\\/\\n4AAQSkZJRgABAQ\\/\"]}",
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/jpeg;base64,\\/9j\\/4AAQSkZJRgABAQ\\/\"}}]}"},
        {"{\"role\":\"user\",\"content\":\"see\",\"images\":[\"data:image/png;base64," PNG "\",null]}",
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]}"},
        {"{\"role\":\"user\",\"content\":\"x\",\"images\":[]}", "{\"role\":\"user\",\"content\":\"x\"}"},
        /* Calls without ids, answered by name, and by order. */
        {"{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"n\": 12345678901234567890}}},{\"function\":{\"name\":\"g\"}}]},"
         "{\"role\":\"tool\",\"content\":\"b\",\"tool_name\":\"g\"},{\"role\":\"tool\",\"content\":\"a\"},{\"role\":\"tool\",\"content\":\"?\"}",
         "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call00000\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\": 12345678901234567890}\"}},"
         "{\"id\":\"call00001\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},"
         "{\"role\":\"tool\",\"content\":\"b\",\"tool_call_id\":\"call00001\"},{\"role\":\"tool\",\"content\":\"a\",\"tool_call_id\":\"call00000\"},"
         "{\"role\":\"tool\",\"content\":\"?\",\"tool_call_id\":\"call00002\"}"},
        /* … and with them. */
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"i\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]},{\"role\":\"tool\",\"content\":\"1\",\"tool_call_id\":\"i\"},"
         "{\"role\":\"tool\",\"content\":\"2\",\"tool_call_id\":\"orphan\"}",
         "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
         "{\"role\":\"tool\",\"content\":\"1\",\"tool_call_id\":\"i\"},{\"role\":\"tool\",\"content\":\"2\",\"tool_call_id\":\"orphan\"}"},
        {"{\"role\":\"assistant\",\"content\":\"x\",\"tool_calls\":[]}", "{\"role\":\"assistant\",\"content\":\"x\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char request[2048], wanted[2048];
        snprintf(request, sizeof request, "{\"model\":\"m\",\"stream\":false,\"messages\":[%s]}", rows[i].messages);
        snprintf(wanted, sizeof wanted, "{\"model\":\"m\",\"stream\":false,\"messages\":[%s]}", rows[i].wanted);
        case_becomes(API_CHAT, request, wanted);
    }
}

static void test_prompts(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted, *target;
    } rows[] = {
        {"{\"model\":\"m\",\"prompt\":\"p\",\"template\":\"t\",\"context\":[]}", "{\"model\":\"m\"," STREAM ",\"messages\":[{\"role\":\"user\",\"content\":\"p\"}]}", "/v1/chat/completions"},
        {"{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\",\"stream\":false,\"images\":[\"" PNG "\"]}",
         "{\"model\":\"m\",\"stream\":false,\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"p\"},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," PNG "\"}}]}]}", "/v1/chat/completions"},
        {"{\"model\":\"m\",\"prompt\":\"p\",\"raw\":true,\"stream\":false}", "{\"model\":\"m\",\"stream\":false,\"max_tokens\":null,\"prompt\":\"p\"}", "/v1/completions"},
        {"{\"model\":\"m\",\"prompt\":\"p\",\"suffix\":\"s\",\"options\":{\"num_predict\":5}}", "{\"model\":\"m\"," STREAM ",\"max_tokens\":5,\"prompt\":\"p\",\"suffix\":\"s\"}", "/v1/completions"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_GENERATE);
        if (case_request(&c, rows[i].request) != 0)
            fail_msg("%s: %s", rows[i].request, c.why);
        assert_string_equal(c.text, rows[i].wanted);
        assert_string_equal(c.t.ops->target, rows[i].target);
        case_fini(&c);
    }
}

static void test_what_loads_or_unloads_is_answered_here(void **state)
{
    (void)state;
    static const struct {
        enum route_api api;
        const char *request, *wanted;
    } rows[] = {
        {API_CHAT, "{\"model\":\"m\"}", "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:20.000000000Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"load\"}"},
        {API_CHAT, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":0}", "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:20.000000000Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"unload\"}"},
        {API_GENERATE, "{\"model\":\"m\",\"keep_alive\":\"10m\"}", "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:20.000000000Z\",\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}"},
        {API_GENERATE, "{\"model\":\"m\",\"prompt\":\"\",\"keep_alive\":\"0s\"}", "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:20.000000000Z\",\"response\":\"\",\"done\":true,\"done_reason\":\"unload\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_answered(rows[i].api, rows[i].request, rows[i].wanted);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        enum route_api api;
        const char *request, *why;
    } rows[] = {
        {API_CHAT, "", "the body is no JSON object: what stands at byte 0 does not belong there, or is missing"},
        {API_CHAT, "{" HI "}", "model: missing; it must be the name of a model, as GET /v1/models lists them"},
        {API_CHAT, "{\"model\":\"m\",\"messages\":\"hi\"}", "messages: must be an array, not a string"},
        {API_CHAT, CHAT(",\"stream\":\"false\",\"options\":{\"temperature\":\"1\",\"stop\":1},\"format\":\"xml\",\"think\":1"),
         "stream: must be true or false, not a string; options.temperature: must be a number, not a string; options.stop: must be an array of strings, not a number; "
         "format: must be \"json\", or a JSON schema, which is an object; think: must be true, false, \"low\", \"medium\", \"high\" or \"max\""},
        {API_CHAT, "{\"model\":\"m\",\"messages\":[1,{},{\"role\":\"user\",\"content\":[]},{\"role\":\"user\",\"content\":\"x\",\"images\":[1,\"aGVsbG8gd29ybGQgaGVsbG8=\"]}]}",
         "messages[0]: must be an object with role and content; messages[1].role: must be a string: system, user, assistant or tool; messages[2].content: must be a string, not an array; "
         "messages[3].images[0]: must be base64 of a PNG, JPEG, WebP or GIF; messages[3].images[1]: must be base64 of a PNG, JPEG, WebP or GIF"},
        {API_CHAT, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":1,\"arguments\":\"{}\"}}]}]}",
         "messages[0].tool_calls[0].function.name: must be a string; messages[0].tool_calls[0].function.arguments: must be an object"},
        {API_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"context\":[1,2]}", "context: tokens of another answer mean nothing to this model's server; send the conversation to /api/chat"},
        {API_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"raw\":true,\"images\":[\"" PNG "\"]}", "images: not with raw"},
        {API_GENERATE, "{\"model\":\"m\",\"prompt\":[1]}", "prompt: must be a string, not an array"},
        {API_GENERATE, "{\"model\":\"m\",\"keep_alive\":\"soon\"}", "keep_alive: must be a duration such as \"5m\", or a number of seconds"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_refused(rows[i].api, rows[i].request, rows[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_of_a_chat),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_what_loads_or_unloads_is_answered_here),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
