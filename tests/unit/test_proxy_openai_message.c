/* proxy/openai_message and openai_part: messages, their parts, calls of tools and what answers them. */
#include "translate_case.h"

#define BEFORE "{\"model\":\"m\",\"stream\":false,\"options\":{\"temperature\":1.0,\"top_p\":1.0},\"messages\":["

static void becomes(const char *messages, const char *wanted)
{
    char request[4096], all[4096];
    snprintf(request, sizeof request, "{\"model\":\"m\",\"messages\":[%s]}", messages);
    snprintf(all, sizeof all, BEFORE "%s]}", wanted);
    case_becomes(API_OPENAI_CHAT, request, all);
}

static void refused(const char *messages, const char *why)
{
    char request[4096];
    snprintf(request, sizeof request, "{\"model\":\"m\",\"messages\":[%s]}", messages);
    case_refused(API_OPENAI_CHAT, request, why);
}

static void test_roles_and_texts(void **state)
{
    (void)state;
    static const struct {
        const char *message, *wanted;
    } rows[] = {
        {"{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"}", "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"}"},
        {"{\"content\":\"\",\"role\":\"developer\",\"name\":\"x\"}", "{\"role\":\"system\",\"content\":\"\"}"},
        {"{\"role\":\"control\",\"content\":\"thinking\"}", "{\"role\":\"control\",\"content\":\"thinking\"}"},
        {"{\"role\":\"user\",\"content\":\"\\u0000 \\ud83d\\ude00 \\ud800 \xe2\x80\xa8 \\\" \\/ 12345678901234567890\"}",
         "{\"role\":\"user\",\"content\":\"\\u0000 \\ud83d\\ude00 \\ud800 \xe2\x80\xa8 \\\" \\/ 12345678901234567890\"}"},
        {"{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"r\"}", "{\"role\":\"assistant\",\"content\":\"a\",\"thinking\":\"r\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].message, rows[i].wanted);
}

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        const char *content, *wanted;
    } rows[] = {
        {"[]", "\"content\":\"\""},
        {"[{\"type\":\"text\",\"text\":\"a\"}]", "\"content\":\"a\""},
        {"[{\"type\":\"text\",\"text\":\"a\"},{\"text\":\"\\u0000\",\"type\":\"text\"}]", "\"content\":\"a\\n\\n\\u0000\""},
        {"[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,iVBO+/==\",\"detail\":\"low\"}}]", "\"content\":\"\",\"images\":[\"iVBO+/==\"]"},
        {"[{\"type\":\"image_url\",\"image_url\":\"data:image/jpeg;base64,AA\"}]", "\"content\":\"\",\"images\":[\"AA==\"]"},
        {"[{\"type\":\"image_url\",\"image_url\":\"data:image/jpg;base64,AA\"},{\"type\":\"text\",\"text\":\"what\"},"
         "{\"type\":\"image_url\",\"image_url\":\"data:image/webp;base64,BB\"},{\"type\":\"image_url\",\"image_url\":\"data:image/gif;base64,CC\"}]",
         "\"content\":\"what\",\"images\":[\"AA==\",\"BB==\",\"CC==\"]"},
        {"[{\"type\":\"image_url\",\"image_url\":\"data:;base64,AA\"}]", "\"content\":\"\",\"images\":[\"AA==\"]"},
        {"[{\"type\":\"image_url\",\"image_url\":\"data:image\\/png;base64,A\\/A\"}]", "\"content\":\"\",\"images\":[\"A\\/A=\"]"},
        {"[{\"type\":\"image_url\",\"image_url\":\"data:image\\/png;base64,AAAA\\nAAA=\\r\\n\"}]", "\"content\":\"\",\"images\":[\"AAAA\\nAAA=\\r\\n\"]"},
        /* as .NET writes +, and Gson = */
        {"[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,A\\u002BA\\u002b/A\\u003D\\u003d\"}]", "\"content\":\"\",\"images\":[\"A\\u002BA\\u002b/A\\u003D\\u003d\"]"},
        {"[{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,AAAA\"}]", "\"content\":\"\",\"images\":[\"AAAA\"]"},
        /* what is no part is left out; what is text is taken, in whatever shape */
        {"[null,{\"type\":\"text\",\"text\":\"a\"},null,5,true,[],{}]", "\"content\":\"a\""},
        {"[\"a\",{\"text\":\"b\"},{\"type\":\"input_text\",\"text\":\"c\"},{\"type\":\"output_text\",\"text\":\"d\"},{\"type\":\"refusal\",\"refusal\":\"e\"}]",
         "\"content\":\"a\\n\\nb\\n\\nc\\n\\nd\\n\\ne\""},
        {"[{\"type\":\"text\"},{\"type\":\"text\",\"text\":null},{\"type\":\"text\",\"text\":5},{\"type\":\"video\",\"text\":\"v\"},{\"type\":5,\"text\":\"w\"},{\"type\":\"file\",\"file\":{}}]",
         "\"content\":\"5\""},
        {"null", "\"content\":\"\""},
        {"5", "\"content\":\"5\""},
        {"false", "\"content\":\"false\""},
        {"{\"a\":[\"\\u0000\", 12345678901234567890]}", "\"content\":\"{\\\"a\\\":[\\\"\\\\u0000\\\", 12345678901234567890]}\""},
        {"[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklG\",\"format\":\"wav\"}}]", "\"content\":\"\",\"images\":[\"UklG\"]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char message[1024], wanted[1024];
        snprintf(message, sizeof message, "{\"role\":\"user\",\"content\":%s}", rows[i].content);
        snprintf(wanted, sizeof wanted, "{\"role\":\"user\",%s}", rows[i].wanted);
        becomes(message, wanted);
    }
}

static void test_tool_calls(void **state)
{
    (void)state;
    static const struct {
        const char *message, *wanted;
    } rows[] = {
        {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"n\\\":12345678901234567890,\\\"s\\\":\\\"\\\\u0000\\\"}\"}}]}",
         "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":12345678901234567890,\"s\":\"\\u0000\"}}}]}"},
        /* what a model once wrote is sent with every request: it must be JSON for Ollama, whatever it is */
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\n\\\"s\\\":\\\"a\\nb\\u0000\\tc\\\"}\"}}]}",
         "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"s\":\"a\\u000ab\\u0000\\u0009c\"}}}]}"},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"re\\\":\\\"\\\\d\\\"}\"}},{\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"u\\\":\\\"\\\\u12\\\"}\"}}]}",
         "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"arguments\":\"{\\\"re\\\":\\\"\\\\d\\\"}\"}}},{\"function\":{\"name\":\"g\",\"arguments\":{\"arguments\":\"{\\\"u\\\":\\\"\\\\u12\\\"}\"}}}]}"},
        {"{\"role\":\"assistant\",\"tool_calls\":[]}", "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[]}"},
        {"{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"\"}},{\"function\":{\"name\":\"g\"}},{\"function\":{\"name\":\"h\",\"arguments\":\" \"}},{\"function\":{\"name\":\"i\",\"arguments\":{\"a\": 1}}}]}",
         "{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}},{\"function\":{\"name\":\"g\",\"arguments\":{}}},{\"function\":{\"name\":\"h\",\"arguments\":{}}},{\"function\":{\"name\":\"i\",\"arguments\":{\"a\": 1}}}]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].message, rows[i].wanted);
}

/* "Cannot read properties of undefined (reading 'type')" was what one of them came to elsewhere. */
static void test_nothing_that_an_agent_sends_fails(void **state)
{
    (void)state;
#define NEXT ",{\"role\":\"user\",\"content\":\"u\"}"
#define CALLS(calls) "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" calls "]}"
    static const struct {
        const char *message, *wanted;
    } rows[] = {
        {"null" NEXT, "{\"role\":\"user\",\"content\":\"u\"}"},
        {"{},[],7" NEXT ",null", "{\"role\":\"user\",\"content\":\"u\"}"},
        {"\"bare \\u0000\"", "{\"role\":\"user\",\"content\":\"bare \\u0000\"}"},
        {"{\"role\":\"robot\",\"content\":\"a\"}", "{\"role\":\"user\",\"content\":\"a\"}"},
        {"{\"role\":1,\"content\":\"a\"}", "{\"role\":\"user\",\"content\":\"a\"}"},
        {"{\"content\":\"a\"}", "{\"role\":\"user\",\"content\":\"a\"}"},
        {"{\"role\":\"SYSTEM\",\"content\":\"a\"}", "{\"role\":\"system\",\"content\":\"a\"}"},
        {"{\"role\":\"assistant\"}", "{\"role\":\"assistant\",\"content\":\"\"}"},
        {"{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":null,\"reasoning_content\":\"r\",\"audio\":{},\"annotations\":[],\"refusal\":null}", "{\"role\":\"assistant\",\"content\":\"a\",\"thinking\":\"r\"}"},
        {"{\"role\":\"assistant\",\"content\":\"a\",\"thinking\":\"r\",\"reasoning\":5}", "{\"role\":\"assistant\",\"content\":\"a\",\"thinking\":\"r\"}"},
        {"{\"role\":\"assistant\",\"tool_calls\":{}}", CALLS("")},
        {"{\"role\":\"assistant\",\"tool_calls\":\"x\"}", CALLS("")},
        {"{\"role\":\"assistant\",\"tool_calls\":[null,{},5,{\"function\":null},{\"function\":{\"name\":\"\"}},{\"id\":1,\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}",
         CALLS("{\"function\":{\"name\":\"f\",\"arguments\":{\"arguments\":\"{\"}}}")},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"[]\"}},{\"name\":\"g\",\"arguments\":\"{} {}\"},{\"function\":{\"name\":\"h\",\"arguments\":5}}]}",
         CALLS("{\"function\":{\"name\":\"f\",\"arguments\":{\"arguments\":\"[]\"}}},{\"function\":{\"name\":\"g\",\"arguments\":{\"arguments\":\"{} {}\"}}},{\"function\":{\"name\":\"h\",\"arguments\":{\"arguments\":5}}}")},
        {"{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}", CALLS("{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}")},
        {"{\"role\":\"tool\",\"content\":\"\",\"tool_call_id\":5,\"name\":[]}", "{\"role\":\"tool\",\"content\":\"\"}"},
        {"{\"role\":\"tool\",\"content\":{\"ok\":true}}", "{\"role\":\"tool\",\"content\":\"{\\\"ok\\\":true}\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].message, rows[i].wanted);
}

/* What a model without tools of its own is told. */
static void test_calls_and_results_as_text(void **state)
{
    (void)state;
    static const char request[] =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"},"
        "{\"role\":\"assistant\",\"content\":\"I look.\",\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":\"f\\\"\",\"arguments\":\"{\\\"n\\\": 12345678901234567890,\\\"s\\\":\\\"\\\\u0000\\\"}\"}},"
        "{\"id\":\"c2\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}},{\"id\":\"c3\",\"function\":{\"name\":\"h\",\"arguments\":\"{\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"c9\",\"content\":\"2\"},{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"3\"}]},"
        "{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":{\"a\":1}}},{\"role\":\"function\",\"name\":\"f\",\"content\":\"4\"}]}";
    static const char wanted[] = BEFORE
        "{\"role\":\"user\",\"content\":\"u\"},"
        "{\"role\":\"assistant\",\"content\":\"I look.\\n<tool_call>{\\\"name\\\":\\\"f\\\\\\\"\\\",\\\"arguments\\\":{\\\"n\\\": 12345678901234567890,\\\"s\\\":\\\"\\\\u0000\\\"}}</tool_call>"
        "\\n<tool_call>{\\\"name\\\":\\\"g\\\",\\\"arguments\\\":{}}</tool_call>\\n<tool_call>{\\\"name\\\":\\\"h\\\",\\\"arguments\\\":{\\\"arguments\\\":\\\"{\\\"}}</tool_call>\"},"
        "{\"role\":\"user\",\"content\":\"[tool result: f\\\"]\\n1\"},{\"role\":\"user\",\"content\":\"[tool result: c9]\\n2\"},{\"role\":\"user\",\"content\":\"[tool result]\\n3\"},"
        "{\"role\":\"assistant\",\"content\":\"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"a\\\":1}}</tool_call>\"},{\"role\":\"user\",\"content\":\"[tool result: f]\\n4\"}]}";
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    assert_int_equal(case_request(&c, request), 0);
    assert_int_equal(c.t.needs, TRANSLATE_TOOLS);
    c.t.lacks = TRANSLATE_TOOLS;
    assert_int_equal(case_request(&c, request), 0);
    assert_string_equal(c.text, wanted);
    case_fini(&c);
}

static void test_what_a_request_needs_is_noted(void **state)
{
    (void)state;
    static const struct {
        const char *messages;
        unsigned needs;
    } rows[] = {
        {"{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"r\",\"tool_calls\":[]}", 0},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\"}}]}", 0},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,AAAA\"}]}", TRANSLATE_IMAGES},
        {"{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}", TRANSLATE_TOOLS},
        {"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}", TRANSLATE_TOOLS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct translate_case c;
        char request[1024];
        snprintf(request, sizeof request, "{\"model\":\"m\",\"messages\":[%s]}", rows[i].messages);
        case_init(&c, API_OPENAI_CHAT);
        assert_int_equal(case_request(&c, request), 0);
        assert_int_equal(c.t.needs, rows[i].needs);
        case_fini(&c);
    }
}

static void test_a_model_that_sees_nothing(void **state)
{
    (void)state;
    struct translate_case c;
    case_init(&c, API_OPENAI_CHAT);
    c.t.lacks = TRANSLATE_IMAGES;
    assert_int_equal(case_request(&c, "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]}]}"), -EINVAL);
    assert_string_equal(c.why, "messages[0].content[1]: the model \"m\" does not see images; choose one that does, or leave the image out");
    case_fini(&c);
}

#define CALL(id, name) "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"" id "\",\"function\":{\"name\":\"" name "\",\"arguments\":\"{}\"}}]}"
#define CALLED(id, name) "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"" id "\",\"function\":{\"name\":\"" name "\",\"arguments\":{}}}]}"

static void test_what_answers_a_call_names_its_tool(void **state)
{
    (void)state;
    static const struct {
        const char *message, *wanted;
    } rows[] = {
        {CALL("c1", "f") "," CALL("c2", "g") ",{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"1\"}",
         CALLED("c1", "f") "," CALLED("c2", "g") ",{\"role\":\"tool\",\"content\":\"1\",\"tool_name\":\"f\",\"tool_call_id\":\"c1\"}"},
        {CALL("c", "f") "," CALL("c", "g") ",{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"1\"}",
         CALLED("c", "f") "," CALLED("c", "g") ",{\"role\":\"tool\",\"content\":\"1\",\"tool_name\":\"g\",\"tool_call_id\":\"c\"}"},
        {"{\"role\":\"tool\",\"tool_call_id\":\"c\",\"name\":\"h\",\"content\":\"1\"}", "{\"role\":\"tool\",\"content\":\"1\",\"tool_name\":\"h\",\"tool_call_id\":\"c\"}"},
        {"{\"role\":\"tool\",\"tool_call_id\":\"nobody's\",\"name\":\"\",\"content\":\"1\"}", "{\"role\":\"tool\",\"content\":\"1\",\"tool_call_id\":\"nobody's\"}"},
        {"{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}", "{\"role\":\"tool\",\"content\":\"1\",\"tool_name\":\"f\"}"},
        {"{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}", "{\"role\":\"tool\",\"content\":\"a\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        becomes(rows[i].message, rows[i].wanted);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *messages, *why;
    } rows[] = {
        {"{}", "messages: empty; at least one is needed"},
        {"null", "messages: empty; at least one is needed"},
        {"null,5,[],{\"x\":1}", "messages: empty; at least one is needed"},
        {"5,{\"role\":\"user\",\"content\":[null,{\"type\":\"image_url\"}]}", "messages[1].content[1].image_url: must be a string: a data URI such as data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,a-b_\"}]}", "messages[0].content[0].image_url: what stands behind the comma is no base64 (RFC 4648 section 4)"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,AAAAA\"}]}", "messages[0].content[0].image_url: what stands behind the comma is no base64 (RFC 4648 section 4)"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,AA=\"}]}", "messages[0].content[0].image_url: what stands behind the comma is no base64 (RFC 4648 section 4)"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,AA==AA\"}]}", "messages[0].content[0].image_url: what stands behind the comma is no base64 (RFC 4648 section 4)"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,A\\u00e9==\"}]}", "messages[0].content[0].image_url: what stands behind the comma is no base64 (RFC 4648 section 4)"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}", "messages[0].content[0].image_url: must be a string: a data URI such as data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}", "messages[0].content[0].image_url.url: must be a string: a data URI such as data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a.png\"}}]}",
         "messages[0].content[0].image_url.url: addresses of images are not read; send the image itself, as data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"HTTP:\\/\\/example.org\"}]}",
         "messages[0].content[0].image_url: addresses of images are not read; send the image itself, as data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/tiff;base64,AA\"}]}",
         "messages[0].content[0].image_url: must be a data URI with base64 of a jpeg, png, webp or gif: data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,\"}]}",
         "messages[0].content[0].image_url: must be a data URI with base64 of a jpeg, png, webp or gif: data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":\"AAAA\"}]}",
         "messages[0].content[0].image_url: must be a data URI with base64 of a jpeg, png, webp or gif: data:image/png;base64,…"},
        {"{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{}}]}", "messages[0].content[0].input_audio.data: must be base64 in a string"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(rows[i].messages, rows[i].why);
}

/* 64 calls are remembered: of more, the last ones. */
static void test_calls_that_are_remembered_are_bounded(void **state)
{
    (void)state;
    enum { CALLS = 70 };
    static char request[16384];
    struct translate_case c;
    size_t n = (size_t)snprintf(request, sizeof request, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
    for (int i = 0; i < CALLS; i++)
        n += (size_t)snprintf(request + n, sizeof request - n, "%s{\"id\":\"c%d\",\"function\":{\"name\":\"f%d\"}}", i ? "," : "", i, i);
    snprintf(request + n, sizeof request - n, "]},{\"role\":\"tool\",\"content\":\"\",\"tool_call_id\":\"c5\"},{\"role\":\"tool\",\"content\":\"\",\"tool_call_id\":\"c6\"}]}");
    case_init(&c, API_OPENAI_CHAT);
    assert_int_equal(case_request(&c, request), 0);
    assert_null(strstr(c.text, "\"tool_name\":\"f5\""));
    assert_non_null(strstr(c.text, "\"tool_name\":\"f6\""));
    case_fini(&c);
}

/* Each answer would have a name of that length: a small body would become a large one. */
static void test_a_name_that_is_too_long_is_not_repeated(void **state)
{
    (void)state;
    static const struct {
        int name_n, is_named;
    } rows[] = {{64, 1}, {126, 1}, {127, 0}, {4000, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static char request[8192];
        struct translate_case c;
        snprintf(request, sizeof request,
                 "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"%0*d\"}}]},"
                 "{\"role\":\"tool\",\"content\":\"\",\"tool_call_id\":\"c\"}]}", rows[i].name_n, 0);
        case_init(&c, API_OPENAI_CHAT);
        assert_int_equal(case_request(&c, request), 0);
        assert_int_equal(strstr(c.text, "\"tool_name\":\"0") != NULL, rows[i].is_named);
        case_fini(&c);
    }
}

/* An image goes once from the request to where it is sent from: the buffer is made as large as it has to be at once. */
static void test_an_image_of_a_megabyte_is_copied_once(void **state)
{
    (void)state;
    enum { IMAGE = 1 << 20 };
    static const char before[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,";
    static const char after[] = "\"}}]}]}";
    static const char wanted_after[] = "\"]}]}";
    size_t n = sizeof before - 1 + IMAGE + sizeof after - 1;
    char *request = malloc(n), why[TRANSLATE_WHY_BYTES];
    struct translation t = {.ops = translate_ops_of(API_OPENAI_CHAT, BACKEND_API_OLLAMA), .model = "m"};
    struct buf out;
    assert_non_null(request);
    memcpy(request, before, sizeof before - 1);
    memset(request + sizeof before - 1, 'A', IMAGE);
    memcpy(request + n - (sizeof after - 1), after, sizeof after - 1);
    buf_init(&out, 0);
    assert_int_equal(t.ops->request(&t, request, n, &out, why), 0);
    assert_true(buf_size(&out) > IMAGE && buf_size(&out) < n + 64);
    assert_true(out.room_n < 2 * (n + 2048));
    assert_memory_equal(buf_data(&out) + buf_size(&out) - (sizeof wanted_after - 1), wanted_after, sizeof wanted_after - 1);
    const char *image = memchr(buf_data(&out), '[', buf_size(&out));
    image = memmem(image, 200, "\"images\":[\"", 11);
    assert_non_null(image);
    for (size_t i = 0; i < IMAGE; i++)
        assert_true(image[11 + i] == 'A');
    buf_fini(&out);
    free(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roles_and_texts),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_tool_calls),
        cmocka_unit_test(test_what_answers_a_call_names_its_tool),
        cmocka_unit_test(test_nothing_that_an_agent_sends_fails),
        cmocka_unit_test(test_calls_and_results_as_text),
        cmocka_unit_test(test_what_a_request_needs_is_noted),
        cmocka_unit_test(test_a_model_that_sees_nothing),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_calls_that_are_remembered_are_bounded),
        cmocka_unit_test(test_a_name_that_is_too_long_is_not_repeated),
        cmocka_unit_test(test_an_image_of_a_megabyte_is_copied_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
