/* proxy/openai_embed: /v1/embeddings and its answers, as numbers and as base64. */
#include "translate_case.h"

static void test_requests(void **state)
{
    (void)state;
    static const struct {
        const char *request, *wanted;
        int is_base64;
    } rows[] = {
        {"{\"model\":\"m\",\"input\":\"a\\u0000\"}", "{\"model\":\"m\",\"input\":\"a\\u0000\"}", 0},
        {"{\"model\":\"m\",\"input\":\"\"}", "{\"model\":\"m\",\"input\":[\"\"]}", 0},
        {"{\"model\":\"m\",\"input\":[\"a\", \"\"],\"encoding_format\":\"float\",\"user\":\"u\"}", "{\"model\":\"m\",\"input\":[\"a\", \"\"]}", 0},
        {"{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"base64\"}", "{\"model\":\"m\",\"input\":\"a\"}", 1},
        {"{\"model\":\"m\",\"input\":\"a\",\"options\":{\"num_thread\": 2},\"num_ctx\":512,\"temperature\":1}", "{\"model\":\"m\",\"options\":{\"num_thread\": 2,\"num_ctx\":512},\"input\":\"a\"}", 0},
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":8,\"keep_alive\":\"1h\"}", "{\"model\":\"m\",\"keep_alive\":\"1h\",\"dimensions\":8,\"input\":\"a\"}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_OPENAI_EMBED);
        assert_string_equal(c.t.ops->target, "/api/embed");
        assert_null(c.t.ops->nothing);
        assert_int_equal(case_request(&c, rows[i].request), 0);
        assert_string_equal(c.text, rows[i].wanted);
        assert_int_equal(c.t.is_base64, rows[i].is_base64);
        case_fini(&c);
    }
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *request, *why;
    } rows[] = {
        {"{}", "model: missing; it must be the name of a model, as GET /v1/models lists them; input: missing; it must be a string, or an array of strings"},
        {"{\"model\":\"m\",\"input\":5}", "input: must be a string, or an array of strings, not a number"},
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":0}", "dimensions: must be at least 1; where there is to be no limit, leave it out"},
        {"{\"model\":\"m\",\"input\":[]}", "input: empty; at least one text is needed"},
        {"{\"model\":\"m\",\"input\":[\"a\",1,2]}", "input[1]: must be a string; tokens are not taken"},
        {"{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"hex\",\"dimensions\":\"few\"}", "dimensions: must be a whole number, not a string; encoding_format: must be float or base64"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        case_refused(API_OPENAI_EMBED, rows[i].request, rows[i].why);
}

static void answers(int is_base64, const char *object, const char *wanted)
{
    struct translate_case c;
    case_init(&c, API_OPENAI_EMBED);
    c.t.is_base64 = is_base64;
    assert_int_equal(case_object(&c, object), 0);
    assert_string_equal(c.text, wanted);
    case_fini(&c);
}

/* The bytes of the floats: Python's struct.pack("<2f", …), base64.b64encode. */
static void test_answers(void **state)
{
    (void)state;
    answers(0, "{\"model\":\"m\",\"embeddings\":[[1,-2.5e-05],[0.1]],\"prompt_eval_count\":7}",
            "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":[1,-2.5e-05],\"index\":0},{\"object\":\"embedding\",\"embedding\":[0.1],\"index\":1}],"
            "\"model\":\"m\",\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}\n");
    answers(1, "{\"model\":\"m\",\"embeddings\":[[1,-2.5e-05],[0.1],[0.0123456789,-1.5,3],[]]}",
            "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"embedding\":\"AACAPxe30bc=\",\"index\":0},{\"object\":\"embedding\",\"embedding\":\"zczMPQ==\",\"index\":1},"
            "{\"object\":\"embedding\",\"embedding\":\"iEVKPAAAwL8AAEBA\",\"index\":2},{\"object\":\"embedding\",\"embedding\":\"\",\"index\":3}],"
            "\"model\":\"m\",\"usage\":{\"prompt_tokens\":0,\"total_tokens\":0}}\n");
    answers(0, "{\"embeddings\":[]}", "{\"object\":\"list\",\"data\":[],\"model\":\"m\",\"usage\":{\"prompt_tokens\":0,\"total_tokens\":0}}\n");
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const rows[] = {"", "{}", "{\"embeddings\":5}", "{\"embeddings\":[[1]", "[[1]]"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        case_init(&c, API_OPENAI_EMBED);
        assert_int_equal(case_object(&c, rows[i]), -EINVAL);
        case_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_what_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
