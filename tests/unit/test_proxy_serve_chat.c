/* proxy/serve/serve_chat, proxy/ollama_prompt: POST /chat, member by member; a conversation for a model without a chat template; answers (R1.3). */
#include "proxy/serve/serve_chat.h"
#include "translate_case.h"

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CHAT(members) "{\"model\":\"m\"," HI members "}"
#define BEGUN "{\"model\":\"m\",\"stream\":false"
#define OF_CHAT(options) BEGUN options "," HI "}"
#define UNSAID ",\"temperature\":0.7,\"max_tokens\":512"

static void test_members_of_a_chat(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
    } rows[] = {
        {CHAT(""), OF_CHAT(UNSAID)},
        {CHAT(",\"stream\":null,\"keep_alive\":\"5m\",\"unknown\":[1],\"temperature\":null,\"max_tokens\":null"), OF_CHAT(UNSAID)},
        {CHAT(",\"stream\":true"), "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true}" UNSAID "," HI "}"},
        {CHAT(",\"max_tokens\":7,\"temperature\":0"), OF_CHAT(",\"temperature\":0,\"max_tokens\":7")},
        {CHAT(",\"max_tokens\":\"7\",\"temperature\":\"0.5\""), OF_CHAT(",\"temperature\":0.5,\"max_tokens\":7")},
        {CHAT(",\"top_p\":0.9,\"seed\":12345678901234567,\"stop\":\"x\",\"top_k\":40,\"min_p\":0.05,\"repeat_penalty\":1.1"),
         OF_CHAT(",\"temperature\":0.7,\"top_p\":0.9,\"seed\":12345678901234567,\"max_tokens\":512,\"stop\":\"x\",\"top_k\":40,\"min_p\":0.05,"
                 "\"repeat_penalty\":1.1,\"repetition_penalty\":1.1")},
        {CHAT(",\"options\":{\"temperature\":0.1,\"num_predict\":9}"), OF_CHAT(",\"temperature\":0.1,\"max_tokens\":9")},
        {CHAT(",\"options\":{\"temperature\":0.1,\"num_predict\":9},\"temperature\":0.2,\"max_tokens\":8"), OF_CHAT(",\"temperature\":0.2,\"max_tokens\":8")},
        {CHAT(",\"options\":{\"num_predict\":-1}"), OF_CHAT(",\"temperature\":0.7")},
        {CHAT(",\"tools\":[{\"type\":\"function\"}]"), BEGUN UNSAID ",\"tools\":[{\"type\":\"function\"}]," HI "}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_becomes(API_SERVE_CHAT, rows[i].request, rows[i].wanted);
}

static void test_what_is_no_chat(void **state)
{
    (void)state;
    static const struct {
        const char *request, *why;
    } rows[] = {
        {"", "the body is no JSON object: what stands at byte 0 does not belong there, or is missing"},
        {"[]", "the body is no JSON object: what stands at byte 0 does not belong there, or is missing"},
        {"{\"model\":\"m\"}", "messages: missing; it must be an array of objects with role and content"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages: empty; there is nothing to answer"},
        {"{\"model\":\"m\",\"messages\":\"hi\"}", "messages: must be an array, not a string"},
        {"{" HI "}", "model: missing; it must be the name of a model, as GET /v1/models lists them"},
        {"{\"model\":7," HI "}", "model: must be a string, not a number"},
        {CHAT(",\"max_tokens\":0"), "max_tokens: must be at least 1; where there is to be no limit, leave it out"},
        {CHAT(",\"max_tokens\":-5"), "max_tokens: must be at least 1; where there is to be no limit, leave it out"},
        {CHAT(",\"max_tokens\":1.5"), "max_tokens: must be a whole number"},
        {CHAT(",\"temperature\":\"warm\""), "temperature: must be a number, not a string"},
        {CHAT(",\"stream\":\"false\""), "stream: must be true or false, not a string"},
        {CHAT(",\"stop\":7"), "stop: must be a string, or an array of strings, not a number"},
        {CHAT(",\"options\":[]"), "options: must be an object, not an array"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_refused(API_SERVE_CHAT, rows[i].request, rows[i].why);
}

/* error: of a request for a model that has no chat template. */
static void without_template(enum route_api api, const char *request, int error, const char *wanted)
{
    struct translate_case c;
    case_init(&c, api);
    c.t.lacks = TRANSLATE_TEMPLATE;
    assert_int_equal(case_request(&c, request), error);
    assert_string_equal(error ? c.why : c.text, wanted);
    if (!error)
        assert_string_equal(c.t.ops->target, "/v1/completions");
    case_fini(&c);
}

static void test_a_conversation_becomes_a_prompt(void **state)
{
    (void)state;
    static const char stop[] = "\\nUser:";
    char wanted[512];
    static const char said[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be \\\"brief\\\".\"},null,{\"role\":\"user\",\"content\":\"1+1?\"},"
                               "{\"role\":\"assistant\",\"content\":\"2\\u0000\"},{\"role\":\"developer\",\"content\":null},{\"role\":\"user\",\"content\":\"Hi\\nyou\"}]%s}";
    static const char prompt[] = "\"prompt\":\"System: Be \\\"brief\\\".\\nUser: 1+1?\\nAssistant: 2\\u0000\\nSystem: \\nUser: Hi\\nyou\\nAssistant: \"}";
    char request[512];
    snprintf(request, sizeof request, said, "");
    snprintf(wanted, sizeof wanted, BEGUN UNSAID ",\"stop\":[\"%s\"],%s", stop, prompt);
    without_template(API_SERVE_CHAT, request, 0, wanted);
    snprintf(request, sizeof request, said, ",\"stop\":[\"x\"],\"max_tokens\":3");
    snprintf(wanted, sizeof wanted, BEGUN ",\"temperature\":0.7,\"max_tokens\":3,\"stop\":[\"x\"],%s", prompt);
    without_template(API_SERVE_CHAT, request, 0, wanted);
    snprintf(request, sizeof request, said, ",\"stream\":false,\"options\":{\"stop\":\"y\"}");
    snprintf(wanted, sizeof wanted, BEGUN ",\"max_tokens\":null,\"stop\":\"y\",%s", prompt);
    without_template(API_CHAT, request, 0, wanted);
    without_template(API_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\",\"stream\":false}", 0, BEGUN ",\"max_tokens\":null,\"prompt\":\"s\\np\"}");
    without_template(API_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"stream\":false}", 0, BEGUN ",\"max_tokens\":null,\"prompt\":\"p\"}");
}

static void test_what_a_model_without_template_has_no_place_for(void **state)
{
    (void)state;
    static const struct {
        const char *request, *why;
    } rows[] = {
        {CHAT(",\"tools\":[{}]"), "tools: not for a model that has no chat template"},
        {CHAT(",\"think\":true"), "think: not for a model that has no chat template"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].role: must be system, user or assistant, as the model has no chat template"},
        {"{\"model\":\"m\",\"messages\":[\"x\"]}", "messages[0]: must be an object with role and content"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"images\":[\"eA==\"]}]}", "messages[0]: images and tool_calls are not for a model that has no chat template"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0].content: must be a string, or an array of parts that are texts, not a number"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"x\"},{\"type\":\"image_url\"}]}]}", "messages[0].content[1]: must be a text, as the model has no chat template"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        without_template(API_SERVE_CHAT, rows[i].request, -EINVAL, rows[i].why);
}

#define ENDED(metrics) "\"done\":true,\"done_reason\":\"stop\"," metrics "}\n"
#define HEAD(stamp) "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:" stamp "Z\",\"message\":{\"role\":\"assistant\",\"content\":"

static void asked(struct translate_case *c, int64_t load_ms, const char *request)
{
    case_init(c, API_SERVE_CHAT);
    c->t.began_ms = 1000;
    c->t.now_ms = 1500;
    c->t.load_ms = load_ms;
    assert_int_equal(case_request(c, request), 0);
}

/* R1.3: what nobody knows is null. */
static void test_a_whole_answer_says_what_is_known(void **state)
{
    (void)state;
    struct translate_case c;
    asked(&c, 250, CHAT(""));
    c.t.now_ms = 2500;
    assert_int_equal(case_object(&c, "{\"choices\":[{\"message\":{\"content\":\"hey\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}"), 0);
    assert_string_equal(c.text, HEAD("21.500000000") "\"hey\"}," ENDED("\"total_duration\":1250000000,\"load_duration\":250000000,\"prompt_eval_count\":3,"
                                "\"prompt_eval_duration\":null,\"eval_count\":2,\"eval_duration\":1000000000"));
    case_fini(&c);
    asked(&c, 0, CHAT(""));
    c.t.now_ms = 2500;
    assert_int_equal(case_object(&c, "{\"choices\":[{\"text\":\"hey\",\"finish_reason\":\"stop\"}]}"), 0);
    assert_string_equal(c.text, HEAD("21.500000000") "\"hey\"}," ENDED("\"total_duration\":1000000000,\"load_duration\":0,\"prompt_eval_count\":null,"
                                "\"prompt_eval_duration\":null,\"eval_count\":null,\"eval_duration\":1000000000"));
    case_fini(&c);
    asked(&c, 0, CHAT(""));
    c.t.now_ms = 2500;
    assert_int_equal(case_object(&c, "{\"choices\":[{\"text\":\"hey\"}],\"timings\":{\"prompt_ms\":300.5,\"predicted_ms\":600}}"), 0);
    assert_non_null(strstr(c.text, "\"prompt_eval_duration\":300500000,\"eval_count\":null,\"eval_duration\":600000000}"));
    case_fini(&c);
}

static void test_timings_that_are_none(void **state)
{
    (void)state;
    static const char *const rows[] = {"null", "[]", "{}", "{\"prompt_ms\":-1,\"predicted_ms\":5}", "{\"prompt_ms\":1e300,\"predicted_ms\":5}",
                                       "{\"prompt_ms\":\"1\",\"predicted_ms\":5}", "{\"prompt_ms\":1,\"predicted_ms\":0}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        char object[256];
        asked(&c, 0, CHAT(""));
        snprintf(object, sizeof object, "{\"choices\":[{\"text\":\"x\"}],\"timings\":%s}", rows[i]);
        assert_int_equal(case_object(&c, object), 0);
        assert_non_null(strstr(c.text, "\"prompt_eval_duration\":null"));
        case_fini(&c);
    }
}

static void test_a_stream_is_measured(void **state)
{
    (void)state;
    struct translate_case c;
    asked(&c, 0, CHAT(",\"stream\":true"));
    c.t.now_ms = 1700;
    assert_int_equal(case_object(&c, "{\"choices\":[{\"delta\":{\"content\":\"he\"}}]}"), 0);
    assert_string_equal(c.text, HEAD("20.700000000") "\"he\"},\"done\":false}\n");
    c.t.now_ms = 2000;
    assert_int_equal(case_object(&c, "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}"), 0);
    assert_int_equal(case_object(&c, "[DONE]"), 0);
    assert_string_equal(c.text, HEAD("21.000000000") "\"\"}," ENDED("\"total_duration\":500000000,\"load_duration\":0,\"prompt_eval_count\":null,"
                                "\"prompt_eval_duration\":200000000,\"eval_count\":null,\"eval_duration\":300000000"));
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_of_a_chat),
        cmocka_unit_test(test_what_is_no_chat),
        cmocka_unit_test(test_a_conversation_becomes_a_prompt),
        cmocka_unit_test(test_what_a_model_without_template_has_no_place_for),
        cmocka_unit_test(test_a_whole_answer_says_what_is_known),
        cmocka_unit_test(test_timings_that_are_none),
        cmocka_unit_test(test_a_stream_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
