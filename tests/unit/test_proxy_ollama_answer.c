/* proxy/ollama_answer and ollama_turn: chat and text completions as Ollama's answers, whole and in pieces. */
#include "translate_case.h"

#define STAMP(ms) "\"created_at\":\"2023-11-14T22:13:2" ms "000000Z\""
#define LINE(ms, said) "{\"model\":\"m\"," STAMP(ms) ",\"message\":{\"role\":\"assistant\",\"content\":" said "},\"done\":false}\n"
#define ENDED(ms, reason, rest) "{\"model\":\"m\"," STAMP(ms) ",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"" reason "\"," rest "}\n"
#define DELTA(delta) "{\"choices\":[{\"index\":0,\"delta\":" delta ",\"finish_reason\":null}]}"
#define FINISH(reason) "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}"

static void start(struct translate_case *c, enum route_api api, int is_stream)
{
    static const char *const bodies[] = {[API_CHAT] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
                                         [API_GENERATE] = "{\"model\":\"m\",\"prompt\":\"x\"}"};
    case_init(c, api);
    c->t.began_ms = 1000;
    c->t.now_ms = 1500;
    assert_int_equal(case_request(c, bodies[api]), 0);
    c->t.is_stream = is_stream;
}

/* One piece, and what it becomes. */
static void piece(struct translate_case *c, int64_t now_ms, const char *json, const char *wanted)
{
    c->t.now_ms = now_ms;
    assert_int_equal(case_object(c, json), 0);
    assert_string_equal(c->text, wanted);
}

static void test_a_stream_becomes_lines(void **state)
{
    (void)state;
    struct translate_case c;
    start(&c, API_CHAT, 1);
    piece(&c, 1600, DELTA("{\"role\":\"assistant\",\"content\":\"\"}"), "");
    piece(&c, 1700, DELTA("{\"reasoning_content\":\"h\\u006d\"}"), LINE("0.700", "\"\",\"thinking\":\"h\\u006d\""));
    piece(&c, 2734, DELTA("{\"content\":\"a\xe2\x80\xa8\\ud83d\"}"), LINE("1.734", "\"a\\u2028\\ud83d\""));
    piece(&c, 2800, FINISH("stop"), "");
    piece(&c, 2800, "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}", "");
    assert_false(c.t.has_ended);
    piece(&c, 2900, "[DONE]",
          ENDED("1.900", "stop", "\"total_duration\":1400000000,\"load_duration\":0,\"prompt_eval_count\":7,\"prompt_eval_duration\":200000000,\"eval_count\":3,\"eval_duration\":1200000000"));
    assert_true(c.t.has_ended);
    case_fini(&c);
}

static void test_what_ends_without_done_has_said_why(void **state)
{
    (void)state;
    struct translate_case c;
    start(&c, API_GENERATE, 1);
    piece(&c, 1500, "{\"choices\":[{\"text\":\"a\"}]}", "{\"model\":\"m\"," STAMP("0.500") ",\"response\":\"a\",\"done\":false}\n");
    assert_int_equal(c.t.ops->end(&c.t, &c.out), 0);
    assert_int_equal(buf_size(&c.out), 0);
    assert_false(c.t.has_ended);
    piece(&c, 1500, "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}", "");
    assert_int_equal(c.t.ops->end(&c.t, &c.out), 0);
    case_keep(&c, 0);
    assert_true(c.t.has_ended);
    assert_string_equal(c.text, "{\"model\":\"m\"," STAMP("0.500") ",\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,\"eval_duration\":0}\n");
    case_fini(&c);
}

static void test_calls_are_whole(void **state)
{
    (void)state;
    struct translate_case c;
    start(&c, API_CHAT, 1);
    piece(&c, 1500, DELTA("{\"tool_calls\":[{\"index\":0,\"id\":\"i\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}"), "");
    piece(&c, 1500, DELTA("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\": \\\"\\ud83d\"}}]}"), "");
    piece(&c, 1500, DELTA("{\"tool_calls\":[{\"index\":1,\"id\":\"k\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]}"), "");
    piece(&c, 1500, DELTA("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\ude00\\\"}\"}}]}"), "");
    piece(&c, 1500, FINISH("tool_calls"), "");
    piece(&c, 1500, " [DONE] ",
          LINE("0.500", "\"\",\"tool_calls\":[{\"id\":\"i\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{\"x\": \"\xf0\x9f\x98\x80\"}}},{\"id\":\"k\",\"function\":{\"index\":1,\"name\":\"g\",\"arguments\":{}}}]")
          ENDED("0.500", "stop", "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,\"eval_duration\":0"));
    case_fini(&c);
}

/* As some servers number them: all 0, or not at all. */
static void test_calls_without_numbers(void **state)
{
    (void)state;
    static const char *const calls[] = {
        "{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}",
        "{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{}}},{\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]}",
        "{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\"}},{\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}},"
        "{\"id\":\"a\",\"function\":{\"arguments\":\"{}\"}},{\"id\":\"b\",\"function\":{\"arguments\":\"}\"}}]}",
    };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        char whole[512];
        struct translate_case c;
        start(&c, API_CHAT, 0);
        snprintf(whole, sizeof whole, "{\"choices\":[{\"message\":%s,\"finish_reason\":\"tool_calls\"}]}", calls[i]);
        piece(&c, 1500, whole,
              "{\"model\":\"m\"," STAMP("0.500") ",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":["
              "{\"id\":\"a\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{}}},{\"id\":\"b\",\"function\":{\"index\":1,\"name\":\"f\",\"arguments\":{}}}]},"
              "\"done\":true,\"done_reason\":\"stop\",\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,\"eval_duration\":0}\n");
        case_fini(&c);
    }
}

static void test_cut_and_broken_calls(void **state)
{
    (void)state;
    static const char call[] = DELTA("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\"}}]}");
    struct translate_case c;
    start(&c, API_CHAT, 1);
    piece(&c, 1500, call, "");
    piece(&c, 1500, FINISH("length"), "");
    piece(&c, 1500, "[DONE]", LINE("0.500", "\"\"") ENDED("0.500", "length", "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,\"eval_duration\":0"));
    case_fini(&c);
    start(&c, API_CHAT, 1);
    piece(&c, 1500, call, "");
    piece(&c, 1500, FINISH("tool_calls"), "");
    assert_int_equal(case_object(&c, "[DONE]"), -EINVAL);
    assert_string_equal(c.t.fault, "a call of a tool whose arguments are no JSON object");
    case_fini(&c);
    start(&c, API_CHAT, 1); /* an escape that JSON does not have */
    piece(&c, 1500, DELTA("{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\\\"\\\\d\\\"}\"}}]}"), "");
    piece(&c, 1500, FINISH("tool_calls"), "");
    assert_int_equal(case_object(&c, "[DONE]"), -EINVAL);
    case_fini(&c);
    start(&c, API_CHAT, 1);
    for (int i = 0; i < 64; i++) {
        char many[160];
        snprintf(many, sizeof many, DELTA("{\"tool_calls\":[{\"index\":%d,\"id\":\"%d\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}"), i, i);
        piece(&c, 1500, many, "");
    }
    assert_int_equal(case_object(&c, DELTA("{\"tool_calls\":[{\"index\":64,\"id\":\"z\",\"function\":{\"name\":\"f\"}}]}")), -EINVAL);
    assert_string_equal(c.t.fault, "more calls of tools, or longer ones, than are taken");
    case_fini(&c);
}

static void test_single_objects(void **state)
{
    (void)state;
    struct translate_case c;
    start(&c, API_CHAT, 0);
    piece(&c, 3500, "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"hi\",\"reasoning\":\"hm\"},\"logprobs\":{\"content\":[{\"token\":\"hi\"}]},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}",
          "{\"model\":\"m\"," STAMP("2.500") ",\"message\":{\"role\":\"assistant\",\"content\":\"hi\",\"thinking\":\"hm\"},\"logprobs\":[{\"token\":\"hi\"}],\"done\":true,\"done_reason\":\"stop\","
          "\"total_duration\":2000000000,\"load_duration\":0,\"prompt_eval_count\":1,\"prompt_eval_duration\":0,\"eval_count\":2,\"eval_duration\":2000000000}\n");
    case_fini(&c);
    start(&c, API_CHAT, 0);
    assert_int_equal(case_object(&c, "{\"status\":\"fine\"}"), -EINVAL);
    assert_int_equal(case_object(&c, "[1]"), -EINVAL);
    case_fini(&c);
    start(&c, API_CHAT, 1); /* asked for in pieces, and answered whole all the same */
    piece(&c, 1500, "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"content_filter\"}]}", LINE("0.500", "\"hi\""));
    assert_int_equal(c.t.ops->end(&c.t, &c.out), 0);
    case_keep(&c, 0);
    assert_string_equal(c.text, ENDED("0.500", "content_filter", "\"total_duration\":0,\"load_duration\":0,\"prompt_eval_duration\":0,\"eval_duration\":0"));
    case_fini(&c);
}

static void test_thinking_that_nobody_wants(void **state)
{
    (void)state;
    struct translate_case c;
    start(&c, API_CHAT, 1);
    c.t.is_thinking_dropped = 1;
    piece(&c, 1500, DELTA("{\"reasoning\":\"hm\"}"), "");
    piece(&c, 1500, "{\"object\":\"progress\"}", "");
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_becomes_lines),
        cmocka_unit_test(test_what_ends_without_done_has_said_why),
        cmocka_unit_test(test_calls_are_whole),
        cmocka_unit_test(test_calls_without_numbers),
        cmocka_unit_test(test_cut_and_broken_calls),
        cmocka_unit_test(test_single_objects),
        cmocka_unit_test(test_thinking_that_nobody_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
