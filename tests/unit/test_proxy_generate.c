/* proxy/generate, json_blank: what becomes of a request's bytes, which preset it gets, and what is refused with which words. */
#include "proxy/generate.h"
#include "proxy/load_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A whole image of one pixel. */
#define GIF "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

static const char models_json[] =
    "{\"cheap_text\":{\"model\":[\"mistral:7b\",\"tiny\"],\"options\":{\"num_ctx\":1024,\"batch_size\":256}},"
    "\"vision\":{\"model\":[\"liuhaotian\",\"llava:7b\"],\"options\":{\"num_ctx\":2048},\"system\":\"You see.\\n\",\"keep_alive\":\"5m\"},"
    "\"other\":{\"model\":\"qwen3:4b\",\"keep_alive\":-1}}";
static struct presets all, none, text_alone;
enum { NO_PRESET = -1, CHEAP_TEXT, VISION, OTHER };

static void read_presets(struct presets *p, const char *json, size_t json_n)
{
    struct diag d;
    diag_init(&d);
    assert_int_equal(presets_read(p, json, json_n, "models.json", &d), 0);
    diag_fini(&d);
}

static int set_up(void **state)
{
    static const char text[] = "{\"cheap_text\":{\"model\":\"mistral:7b\"}}";
    (void)state;
    read_presets(&all, models_json, sizeof models_json - 1);
    read_presets(&text_alone, text, sizeof text - 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    presets_fini(&all);
    presets_fini(&text_alone);
    return 0;
}

#define CHEAP ",\"model\":\"mistral:7b\",\"options\":{\"num_ctx\":1024,\"num_batch\":256}"

/* The body afterwards, in memory that ends where it ended. The caller frees. */
static char *become(const struct presets *presets, const char *json, int *status, struct generate *g)
{
    struct generate_rules rules = {presets, 1000};
    struct buf body;
    buf_init(&body, strlen(json));
    assert_int_equal(buf_append(&body, json, strlen(json)), 0);
    *status = generate_read(g, &rules, &body);
    char *text = calloc(1, buf_size(&body) + 1);
    assert_non_null(text);
    memcpy(text, buf_data(&body), buf_size(&body));
    buf_fini(&body);
    return text;
}

struct row {
    const char *request, *wanted;
    int preset, is_stream;
};

static void check_rows(const struct presets *presets, const struct row *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n; i++) {
        struct generate g;
        int status;
        char *body = become(presets, rows[i].request, &status, &g);
        if (status)
            fail_msg("%s: %d %s", rows[i].request, status, g.why);
        assert_string_equal(body, rows[i].wanted);
        assert_ptr_equal(g.preset, rows[i].preset < 0 ? NULL : &presets->items[rows[i].preset]);
        assert_int_equal(g.is_stream, rows[i].is_stream);
        assert_string_equal(g.why, "");
        free(body);
    }
}

#define CHECK_ROWS(presets, rows) check_rows(presets, rows, sizeof(rows) / sizeof *(rows))

static void test_what_a_preset_adds(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"prompt\":\"hi\"}", "{\"prompt\":\"hi\"" CHEAP "}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"stream\":true}", "{\"prompt\":\"hi\",\"stream\":true" CHEAP "}", CHEAP_TEXT, 1},
        {" {\n  \"stream\" : false, \"prompt\":\"\"\n}\n", " {\n  \"stream\" : false, \"prompt\":\"\"\n" CHEAP "}\n", CHEAP_TEXT, 0},
        {"{\"prompt\":\"hi\",\"model\":\"\",\"preset\":\"\"}",
         "{\"prompt\":\"hi\"                       " CHEAP "}", CHEAP_TEXT, -1}, /* a form's empty fields */
        {"{\"model\":null,\"prompt\":\"hi\",\"images\":[]}", "{             \"prompt\":\"hi\",\"images\":[]" CHEAP "}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"images\":null}", "{\"prompt\":\"hi\"              " CHEAP "}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"preset\":\"other\"}", "{\"prompt\":\"hi\"                 ,\"model\":\"qwen3:4b\",\"keep_alive\":-1}", OTHER, -1},
        {"{\"preset\":\"other\",\"prompt\":\"hi\",\"keep_alive\":\"1m\"}",
         "{                 \"prompt\":\"hi\",\"keep_alive\":\"1m\",\"model\":\"qwen3:4b\"}", OTHER, -1},
        {"{\"preset\":\"cheap_te\\u0078t\",\"PROMPT\":\"hi\"}", "{                           \"PROMPT\":\"hi\"" CHEAP "}", CHEAP_TEXT, -1},
    };
    CHECK_ROWS(&all, rows);
}

static void test_an_image_picks_the_preset_for_images(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"prompt\":\"hi\",\"images\":[\"" GIF "\"]}",
         "{\"prompt\":\"hi\",\"images\":[\"" GIF "\"],\"model\":\"liuhaotian\",\"system\":\"You see.\\n\",\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":2048}}",
         VISION, -1},
        {"{\"prompt\":\"hi\",\"images\":[\"data:image\\/gif;base64," GIF "\",\"" GIF "\"],\"model\":\"m\",\"system\":\"\"}",
         "{\"prompt\":\"hi\",\"images\":[                       \"" GIF "\",\"" GIF "\"],\"model\":\"m\",\"system\":\"\"}", NO_PRESET, -1},
        {"{\"image\":\"" GIF "\",\"prompt\":\"hi\",\"model\":\"m\"}", "{\"images\":[\"" GIF "\"],\"prompt\":\"hi\",\"model\":\"m\"}", NO_PRESET, -1},
        {"{\"image\":\"x\",\"prompt\":\"hi\",\"model\":\"m\",\"Image\" : \"data:;base64," GIF "\" }",
         "{            \"prompt\":\"hi\",\"model\":\"m\",\"images\":[\"" GIF "\"] }", NO_PRESET, -1},
        {"{\"prompt\":\"hi\",\"preset\":\"cheap_text\",\"image\":\"" GIF "\"}",
         "{\"prompt\":\"hi\",                      \"images\":[\"" GIF "\"]" CHEAP "}", CHEAP_TEXT, -1},
    };
    CHECK_ROWS(&all, rows);
}

static void test_what_the_client_says_wins_key_by_key(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"prompt\":\"hi\",\"options\":{\"num_ctx\":4096,\"seed\":12345678901234567890}}",
         "{\"prompt\":\"hi\",\"options\":{\"num_ctx\":4096,\"seed\":12345678901234567890,\"num_batch\":256},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"options\":{ },\"prompt\":\"hi\"}",
         "{\"options\":{ \"num_ctx\":1024,\"num_batch\":256},\"prompt\":\"hi\",\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":null}", "{\"prompt\":\"hi\"               " CHEAP "}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"num_ctx\":null,\"top_k\":null}}",
         "{\"prompt\":\"hi\",\"options\":{               \"top_k\":null,\"num_ctx\":1024,\"num_batch\":256},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":8}}",
         "{\"prompt\":\"hi\",\"options\":{\"num_batch\" :8,\"num_ctx\":1024},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":8,\"num_batch\":8}}",
         "{\"prompt\":\"hi\",\"options\":{               \"num_batch\":8,\"num_ctx\":1024},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"num_batch\":8,\"batch_size\":8}}",
         "{\"prompt\":\"hi\",\"options\":{\"num_batch\":8               ,\"num_ctx\":1024},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"num_batch\":8,\"batch_size\":null}}", /* who leaves one word empty means the other */
         "{\"prompt\":\"hi\",\"options\":{\"num_batch\":8                  ,\"num_ctx\":1024},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":8,\"num_batch\":null}}",
         "{\"prompt\":\"hi\",\"options\":{\"num_batch\" :8                 ,\"num_ctx\":1024},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":null}}",
         "{\"prompt\":\"hi\",\"options\":{                 \"num_ctx\":1024,\"num_batch\":256},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"model\":\"m\",\"options\":{\"batch_size\":8,\"num_batch\":null}}",
         "{\"prompt\":\"hi\",\"model\":\"m\",\"options\":{\"num_batch\" :8                 }}", NO_PRESET, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"NUM_CTX\":1}}", /* of a map case counts: Ollama would not know it */
         "{\"prompt\":\"hi\",\"options\":{\"NUM_CTX\":1,\"num_ctx\":1024,\"num_batch\":256},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"model\":\"m\",\"options\":{\"batch_size\":8}}",
         "{\"prompt\":\"hi\",\"model\":\"m\",\"options\":{\"num_batch\" :8}}", NO_PRESET, -1},
        {"{\"prompt\":\"hi\",\"model\":\"m\",\"preset\":\"cheap_text\"}", /* the client's model, and the rest of the preset */
         "{\"prompt\":\"hi\",\"model\":\"m\"                      ,\"options\":{\"num_ctx\":1024,\"num_batch\":256}}", NO_PRESET, -1},
    };
    CHECK_ROWS(&all, rows);
}

static void test_names_that_stand_there_twice(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"prompt\":\"hi\",\"options\":{\"num_ctx\":1},\"Options\":{\"seed\":2}}", /* Ollama merges them */
         "{\"prompt\":\"hi\",\"options\":{\"num_ctx\":1},\"Options\":{\"seed\":2,\"num_batch\":256},\"model\":\"mistral:7b\"}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"hi\",\"options\":{\"num_ctx\":1},\"options\":null}", /* … and a null empties them */
         "{\"prompt\":\"hi\",\"options\":{\"num_ctx\":1},\"options\":null" CHEAP "}", CHEAP_TEXT, -1},
        {"{\"model\":\"m\",\"prompt\":\"a\",\"prompt\":\"b\",\"model\":\"n\"}", "{\"model\":\"m\",\"prompt\":\"a\",\"prompt\":\"b\",\"model\":\"n\"}", NO_PRESET, -1},
        {"{\"preset\":\"other\",\"prompt\":\"a\",\"preset\":\"cheap_text\"}",
         "{                 \"prompt\":\"a\"                      " CHEAP "}", CHEAP_TEXT, -1},
        {"{\"prompt\":\"a\",\"model\":\"m\",\"images\":[1],\"images\":[]}", "{\"prompt\":\"a\",\"model\":\"m\",             \"images\":[]}", NO_PRESET, -1},
    };
    CHECK_ROWS(&all, rows);
}

static void test_all_else_stays_byte_for_byte(void **state)
{
    (void)state;
    static const char body[] = "{\"model\":\"m\",\"prompt\":\"a\\u0000\\ud800 \",\"suffix\":\"z\",\"raw\":true,\"context\":[1,2],\"template\":\"{{ .Prompt }}\","
                               "\"format\":{\"type\":\"object\"},\"think\":\"high\",\"keep_alive\":0,\"options\":{\"seed\":99999999999999999999},\"x\":[ ]} tail";
    static const struct row rows[] = {
        {body, body, NO_PRESET, -1},
        {"{\"model\":\"m\"}", "{\"model\":\"m\"}", NO_PRESET, -1}, /* only loads it */
        {"{\"model\":\"m\",\"prompt\":\"\",\"keep_alive\":0}", "{\"model\":\"m\",\"prompt\":\"\",\"keep_alive\":0}", NO_PRESET, -1},
        {"{\"model\":\"m\",\"prompt\":\"x\",\"messages\":[]}", "{\"model\":\"m\",\"prompt\":\"x\",\"messages\":[]}", NO_PRESET, -1},
    };
    CHECK_ROWS(&none, rows);
    CHECK_ROWS(&all, rows);
}

static void check_refused(const struct presets *presets, const char *request, int wanted, const char *why)
{
    struct generate g;
    int status;
    char *body = become(presets, request, &status, &g);
    if (status != wanted || strcmp(g.why, why) != 0)
        fail_msg("%s: %d %s", request, status, g.why);
    assert_null(g.preset);
    assert_int_equal(strlen(body), strlen(request));
    free(body);
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
        const char *why;
    } rows[] = {
        {"", 400, "the body is no JSON object, such as {\"prompt\": \"…\"}: what stands at byte 0 does not belong there, or is missing"},
        {"[]", 400, "the body is no JSON object, such as {\"prompt\": \"…\"}: what stands at byte 0 does not belong there, or is missing"},
        {"{\"prompt\":\"hi\"", 400, "the body is no JSON object, such as {\"prompt\": \"…\"}: what stands at byte 14 does not belong there, or is missing"},
        {"{}", 400, "prompt: missing; it must be a string, of which an empty one only loads the model"},
        {"{\"promt\":\"hi\"}", 400, "prompt: missing; it must be a string, of which an empty one only loads the model"},
        {"{\"prompt\":7}", 400, "prompt: must be a string, not a number"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", 400,
         "prompt: missing; messages go to POST /api/chat, the text of this request is its prompt"},
        {"{\"images\":[\"" GIF "\"]}", 400, "prompt: missing; it must say what is to be done with the image"},
        {"{\"prompt\":\"\",\"image\":\"" GIF "\"}", 400, "prompt: empty; it must say what is to be done with the image"},
        {"{\"prompt\":\"hi\",\"stream\":\"false\"}", 400, "stream: must be true or false, without quotes, not a string"},
        {"{\"prompt\":\"hi\",\"options\":[]}", 400, "options: must be an object, not an array"},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":8,\"num_batch\":9}}", 400,
         "options.batch_size: another number than options.num_batch, and both are one option; leave one out"},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":\"8\"}}", 400, "options.batch_size: must be a number, not a string"},
        {"{\"prompt\":\"hi\",\"preset\":\"nosuch\"}", 400, "preset: there is none of this name; there are cheap_text, vision, other"},
        {"{\"prompt\":\"hi\",\"preset\":3,\"model\":[]}", 400, "model: must be the name of a model, not an array; preset: must be the name of a preset, not a number"},
        {"{\"prompt\":\"hi\",\"images\":\"" GIF "\"}", 400, "images: must be an array of strings of base64, not a string"},
        {"{\"prompt\":\"hi\",\"image\":[\"" GIF "\"]}", 400, "image: must be a string of base64 (several go into images), not an array"},
        {"{\"prompt\":\"hi\",\"image\":\"" GIF "\",\"images\":[\"" GIF "\"]}", 400, "image: the same as images, which is there too; put all into images"},
        {"{\"prompt\":\"hi\",\"images\":[\"" GIF "\",null,7,\"\"]}", 400,
         "images[1]: must be a string of base64, not null; images[2]: must be a string of base64, not a number; images[3]: is empty"},
        {"{\"prompt\":\"hi\",\"images\":[\"AAAAAAAA\"]}", 415, NULL},
        {"{\"stream\":1,\"prompt\":\"hi\",\"images\":[\"AAAAAAAA\"]}", 400, NULL},
        {"{\"prompt\":\"\",\"stream\":1,\"options\":2,\"preset\":\"x\"}", 400,
         "stream: must be true or false, without quotes, not a number; options: must be an object, not a number; preset: there is none of this name; there are cheap_text, vision, other"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct generate g;
        int status;
        if (rows[i].why) {
            check_refused(&all, rows[i].request, rows[i].status, rows[i].why);
            continue;
        }
        char *body = become(&all, rows[i].request, &status, &g);
        assert_int_equal(status, rows[i].status);
        assert_non_null(strstr(g.why, "images[0]: "));
        free(body);
    }
}

static void test_without_a_preset_that_fits(void **state)
{
    (void)state;
    check_refused(&none, "{\"prompt\":\"hi\"}", 400, "model: missing; name one, as no presets are set here, which would choose it (models.json)");
    check_refused(&none, "{\"prompt\":\"hi\",\"preset\":\"vision\"}", 400, "preset: there are none here; models.json has them");
    check_refused(&text_alone, "{\"prompt\":\"hi\",\"image\":\"" GIF "\"}", 400,
                  "model: missing; name one, or a preset (cheap_text), as none is \"for\": \"image\"");
}

static void test_an_image_that_is_too_large(void **state)
{
    (void)state;
    struct generate_rules rules = {&all, 41};
    struct generate g;
    struct buf body;
    buf_init(&body, 0);
    assert_int_equal(buf_text(&body, "{\"prompt\":\"hi\",\"images\":[\"" GIF "\"]}"), 0);
    assert_int_equal(generate_read(&g, &rules, &body), 413);
    assert_memory_equal(g.why, "images[0]: ", 11);
    buf_fini(&body);
}

static void test_which_of_the_options_are_the_preset_s_alone(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned options;
    } rows[] = {
        {"{\"prompt\":\"hi\"}", 1 << LOAD_NUM_CTX | 1 << LOAD_NUM_BATCH},
        {"{\"prompt\":\"hi\",\"options\":{\"batch_size\":1}}", 1 << LOAD_NUM_CTX},
        {"{\"prompt\":\"hi\",\"options\":{\"num_ctx\":1024,\"num_batch\":256}}", 0},
        {"{\"prompt\":\"hi\",\"model\":\"m\"}", 0},
        {"{\"prompt\":\"hi\",\"model\":\"m\",\"preset\":\"vision\"}", 1 << LOAD_NUM_CTX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct generate g;
        int status;
        free(become(&all, rows[i].request, &status, &g));
        assert_int_equal(status, 0);
        assert_int_equal(g.load_options, rows[i].options);
    }
}

static void test_words_for_a_model_that_is_missing(void **state)
{
    (void)state;
    char room[GENERATE_WHY_BYTES];
    assert_string_equal(generate_error(404, "m:1b", "model 'm:1b' not found", room),
                        "model 'm:1b' is not installed; pull it by `ollama pull m:1b`, or set [proxy] pull_missing = yes");
    assert_string_equal(generate_error(404, "m; reboot", "model 'm; reboot' not found", room),
                        "\"m; reboot\" is no model's name: write [HOST/][NAMESPACE/]MODEL[:TAG] with letters, digits, _ - and .");
    assert_string_equal(generate_error(500, "m", "oh", room), "oh");
    assert_string_equal(generate_error(404, "", "model '' not found", room), "model '' not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_preset_adds),
        cmocka_unit_test(test_an_image_picks_the_preset_for_images),
        cmocka_unit_test(test_what_the_client_says_wins_key_by_key),
        cmocka_unit_test(test_names_that_stand_there_twice),
        cmocka_unit_test(test_all_else_stays_byte_for_byte),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_without_a_preset_that_fits),
        cmocka_unit_test(test_an_image_that_is_too_large),
        cmocka_unit_test(test_which_of_the_options_are_the_preset_s_alone),
        cmocka_unit_test(test_words_for_a_model_that_is_missing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
