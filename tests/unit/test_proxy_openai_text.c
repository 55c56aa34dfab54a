/* proxy/openai_text: /v1/completions and its answers. */
#include "translate_case.h"

#define BEGIN "{\"model\":\"m\",\"stream\":false"
#define OPTIONS ",\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"frequency_penalty\":0.0,\"presence_penalty\":0.0}"
#define CHUNK(text, reason) \
    "data: {\"id\":\"cmpl-abc\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":\"fp_ollama\",\"choices\":[" \
    "{\"text\":" text ",\"index\":0,\"logprobs\":null,\"finish_reason\":" reason "}],\"usage\":null}\n\n"

static void test_requests(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
    } rows[] = {
        {"{\"model\":\"m\",\"prompt\":\"a\\u0000\"}", BEGIN OPTIONS ",\"prompt\":\"a\\u0000\"}"},
        {"{\"model\":\"m\",\"prompt\":[ \"a\" ]}", BEGIN OPTIONS ",\"prompt\":\"a\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"z\"}", BEGIN OPTIONS ",\"prompt\":\"a\",\"suffix\":\"z\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"suffix\":null,\"echo\":false,\"best_of\":1,\"n\":null,\"logprobs\":null}", BEGIN OPTIONS ",\"prompt\":\"a\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":3}", BEGIN OPTIONS ",\"logprobs\":true,\"top_logprobs\":3,\"prompt\":\"a\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":0}", BEGIN OPTIONS ",\"logprobs\":true,\"prompt\":\"a\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":true}", BEGIN OPTIONS ",\"logprobs\":true,\"prompt\":\"a\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":false}", BEGIN OPTIONS ",\"prompt\":\"a\"}"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"frequency_penalty\":0.5,\"presence_penalty\":1,\"max_tokens\":7,\"seed\":1,\"stop\":[\"x\"],\"stream\":true,\"keep_alive\":0}",
         "{\"model\":\"m\",\"stream\":true,\"keep_alive\":0,\"options\":{\"temperature\":1.0,\"top_p\":1.0,\"frequency_penalty\":0.5,\"presence_penalty\":1,\"seed\":1,\"num_predict\":7,\"stop\":[\"x\"]},\"prompt\":\"a\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_becomes(API_OPENAI_TEXT, rows[i].request, rows[i].wanted);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *request, *why;
    } rows[] = {
        {"{}", "model: missing; it must be the name of a model, as GET /v1/models lists them; prompt: missing; it must be a string"},
        {"{\"model\":\"m\",\"prompt\":[]}", "prompt: must be a string, or an array of one string; tokens are not taken"},
        {"{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}", "prompt: one prompt at a time; send a request for each"},
        {"{\"model\":\"m\",\"prompt\":[1]}", "prompt: must be a string, or an array of one string; tokens are not taken"},
        {"{\"model\":\"m\",\"prompt\":[[1,2]]}", "prompt: must be a string, or an array of one string; tokens are not taken"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"n\":3,\"best_of\":2,\"echo\":true}",
         "n: must be 1, as one answer is made; send a request for each; best_of: must be 1, as one answer is made; send a request for each; "
         "echo: must be false, as Ollama does not repeat the prompt; put it before the answer yourself"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"logprobs\":\"many\"}", "logprobs: must be a whole number, not a string"},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"suffix\":1}", "suffix: must be a string, not a number"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_refused(API_OPENAI_TEXT, rows[i].request, rows[i].why);
}

static void test_a_stream(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_TEXT);
    c.t.is_stream = c.t.is_usage_wanted = 1;
    assert_string_equal(c.t.ops->target, "/api/generate");
    assert_int_equal(case_keep(&c, c.t.ops->nothing(&c.t, &c.out)), 0);
    assert_string_equal(c.text, CHUNK("\"\"", "null"));
    assert_int_equal(case_object(&c, "{\"model\":\"m\",\"response\":\"a\xe2\x80\xa9\",\"done\":false}"), 0);
    assert_string_equal(c.text, CHUNK("\"a\\u2029\"", "null"));
    assert_int_equal(case_object(&c, "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"context\":[1,2],\"prompt_eval_count\":5,\"eval_count\":6}"), 0);
    assert_string_equal(c.text, CHUNK("\"\"", "\"length\"")
                        "data: {\"id\":\"cmpl-abc\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":\"fp_ollama\",\"choices\":[],"
                        "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"total_tokens\":11}}\n\ndata: [DONE]\n\n");
    case_fini(&c);
}

static void test_whole_answers(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_TEXT);
    assert_int_equal(case_object(&c, "{\"model\":\"m\",\"response\":\"a\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":1,\"eval_count\":2}"), 0);
    assert_string_equal(c.text, "{\"id\":\"cmpl-abc\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":\"m\",\"system_fingerprint\":\"fp_ollama\",\"choices\":["
                                "{\"text\":\"a\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n");
    assert_int_equal(case_object(&c, "{\"model\":\"m\",\"created_at\":\"x\"}"), -EINVAL);
    assert_int_equal(case_object(&c, "{\"response\":\"a\""), -EINVAL);
    case_fini(&c);
}

static void test_logprobs_are_lists_and_count_characters(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_TEXT);
    c.t.is_stream = 1;
    assert_int_equal(case_object(&c, "{\"response\":\"a\\ud83d\\ude00\",\"done\":false,\"logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5},{\"token\":\"b\",\"logprob\":-2}]},"
                                     "{\"token\":\"\\ud83d\\ude00\\n\",\"logprob\":-1}]}"), 0);
    assert_non_null(strstr(c.text, "\"logprobs\":{\"tokens\":[\"a\",\"\\ud83d\\ude00\\n\"],\"token_logprobs\":[-0.5,-1],\"top_logprobs\":[{\"a\":-0.5,\"b\":-2},{}],\"text_offset\":[0,1]}"));
    assert_int_equal(case_object(&c, "{\"response\":\"\xc3\xa9x\",\"done\":false,\"logprobs\":[{\"token\":\"\xc3\xa9\",\"logprob\":0},{\"token\":\"x\",\"logprob\":0}]}"), 0);
    assert_non_null(strstr(c.text, "\"text_offset\":[3,4]}"));
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_a_stream),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_logprobs_are_lists_and_count_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
