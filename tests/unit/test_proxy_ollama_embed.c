/* proxy/ollama_embed: /api/embed and /api/embeddings for an OpenAI-speaking backend, and its answers. */
#include "translate_case.h"

static void test_requests(void **state)
{
    (void)state;
    case_becomes(API_EMBED, "{\"model\":\"m\",\"input\":\"a\",\"truncate\":true,\"keep_alive\":\"5m\",\"options\":{}}", "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"float\"}");
    case_becomes(API_EMBED, "{\"model\":\"m\",\"input\":[\"a\", \"\\u0000\"],\"dimensions\":3}", "{\"model\":\"m\",\"input\":[\"a\", \"\\u0000\"],\"dimensions\":3,\"encoding_format\":\"float\"}");
    case_becomes(API_EMBED_ONE, "{\"model\":\"m\",\"prompt\":\"a\"}", "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"float\"}");
    case_refused(API_EMBED, "{\"model\":\"m\",\"input\":[\"a\",1]}", "input[1]: must be a string, not a number");
    case_refused(API_EMBED, "{\"input\":{}}", "input: must be a string, or an array of strings, not an object; model: missing; it must be the name of a model, as GET /v1/models lists them");
    case_refused(API_EMBED_ONE, "{\"model\":\"m\",\"prompt\":[\"a\"]}", "prompt: must be a string, not an array");
}

static void test_nothing_to_embed(void **state)
{
    (void)state;
    static const struct {
        enum route_api api;
        const char *request, *wanted;
    } rows[] = {
        {API_EMBED, "{\"model\":\"m\"}", "{\"model\":\"m\",\"embeddings\":[]}"},
        {API_EMBED, "{\"model\":\"m\",\"input\":\"\"}", "{\"model\":\"m\",\"embeddings\":[]}"},
        {API_EMBED, "{\"model\":\"m\",\"input\":[]}", "{\"model\":\"m\",\"embeddings\":[]}"},
        {API_EMBED_ONE, "{\"model\":\"m\",\"prompt\":\"\"}", "{\"embedding\":[]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_answered(rows[i].api, rows[i].request, rows[i].wanted);
}

static void becomes(enum route_api api, const char *answer, const char *wanted)
{
    struct translate_case c;
    case_init(&c, api);
    c.t.now_ms = 1000;
    assert_int_equal(case_request(&c, api == API_EMBED ? "{\"model\":\"m\",\"input\":\"a\"}" : "{\"model\":\"m\",\"prompt\":\"a\"}"), 0);
    c.t.now_ms = 1003;
    int error = case_object(&c, answer);
    assert_int_equal(error, wanted ? 0 : -EINVAL);
    if (wanted)
        assert_string_equal(c.text, wanted);
    case_fini(&c);
}

#define REST ",\"total_duration\":3000000,\"load_duration\":0,\"prompt_eval_count\":4}"
#define USAGE ",\"usage\":{\"prompt_tokens\":4,\"total_tokens\":4}}"

static void test_answers(void **state)
{
    (void)state;
    becomes(API_EMBED, "{\"data\":[{\"index\":0,\"embedding\":[0.10, -1e-3]},{\"index\":1,\"embedding\":[2]}]" USAGE, "{\"model\":\"m\",\"embeddings\":[[0.10, -1e-3],[2]]" REST);
    becomes(API_EMBED, "{\"data\":[{\"index\":1,\"embedding\":[1]},{\"index\":0,\"embedding\":[0]}]" USAGE, "{\"model\":\"m\",\"embeddings\":[[0],[1]]" REST);
    becomes(API_EMBED, "{\"data\":[{\"embedding\":\"AAAAPwAAgL4=\"}]" USAGE, "{\"model\":\"m\",\"embeddings\":[[0.5,-0.25]]" REST);
    becomes(API_EMBED_ONE, "{\"data\":[{\"index\":0,\"embedding\":[1,2]}]" USAGE, "{\"embedding\":[1,2]}");
    becomes(API_EMBED, "{\"data\":[{\"index\":1,\"embedding\":[1]}]}", NULL);
    becomes(API_EMBED, "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[2]}]}", NULL);
    becomes(API_EMBED, "{\"data\":[{\"index\":0},{\"index\":1,\"embedding\":[2]}]}", NULL);
    becomes(API_EMBED, "{\"data\":[{\"embedding\":\"AAAAPw\"}]}", NULL);
    becomes(API_EMBED, "{\"data\":[{\"embedding\":\"AAAA\"}]}", NULL);
    becomes(API_EMBED, "{\"data\":[{\"embedding\":\"AADAfw==\"}]}", NULL); /* no number */
    becomes(API_EMBED, "{\"data\":[{}]}", NULL);
    becomes(API_EMBED_ONE, "{\"data\":[]}", NULL);
    becomes(API_EMBED, "{}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_nothing_to_embed), cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
