/* proxy/form_field: what becomes of each field; images in all their forms; what is wrong with them. */
#include "form_case.h"

static void test_texts(void **state)
{
    (void)state;
    GIVES(FIELD("prompt") "a\"b\\c\n\td\r\ne\x01 Ol\xc3\xa1 \xe2\x82\xac \xf0\x9f\x99\x82\xe2\x80\xa8" END, "{\"prompt\":\"a\\\"b\\\\c\\n\\td\\r\\ne\\u0001 Ol\xc3\xa1 \xe2\x82\xac \xf0\x9f\x99\x82\\u2028\"}");
    GIVES(FIELD("system") "s\r\n" FIELD("suffix") "x\r\n" FIELD("template") "{{ .Prompt }}\r\n" FIELD("model") "m:1b\r\n" FIELD("preset") "p" END,
          "{\"system\":\"s\",\"suffix\":\"x\",\"template\":\"{{ .Prompt }}\",\"model\":\"m:1b\",\"preset\":\"p\"}");
    GIVES(FILE_FIELD("prompt", "question.txt") "a" END, "{\"prompt\":\"a\"}");
    GIVES(FIELD("prompt") "\0a" END, "{\"prompt\":\"\\u0000a\"}");
    GIVES(FIELD("model") "\r\n" FIELD("preset") "\r\n" FIELD("prompt") "" END, "{\"prompt\":\"\"}"); /* inputs that were left empty */
}

static void test_texts_that_are_no_utf8(void **state)
{
    (void)state;
    REFUSED(FIELD("prompt") "Ol\xe1!" END, 400, "prompt: must be UTF-8");
    REFUSED(FIELD("prompt") "\xe2\x82" END, 400, "prompt: must be UTF-8");
    REFUSED(FIELD("prompt") "a\x80" END, 400, "prompt: must be UTF-8");
    REFUSED(FIELD("prompt") "\xf3-\r\n", 400, "prompt: must be UTF-8; the form is cut short: its last boundary, with -- behind it, is missing"); /* however it is cut into pieces */
    REFUSED(FIELD("prompt") "\xf3\x80-\r\n", 400, "prompt: must be UTF-8; the form is cut short: its last boundary, with -- behind it, is missing");
    REFUSED(FIELD("prompt") "\xed\xa0\x80" END, 400, "prompt: must be UTF-8");
    REFUSED(FIELD("prompt") "\xc0\x80" END, 400, "prompt: must be UTF-8");
    REFUSED(FIELD("options") "{\"stop\":\"\xff\"}" END, 400, "options: must be UTF-8");
#define TEN "\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb\xdb\xbb"
    REFUSED(FIELD("image") "data:image/gif;" TEN TEN TEN TEN TEN ",R0lG" END, 400,
            "image: begins as a data URI, and has none, or too long a head: data:image/png;base64,\xe2\x80\xa6 is wanted");
    REFUSED("--b\r\nContent-Disposition: form-data; name=prompt\r\nContent-Type: text/plain; charset=latin1\r\n\r\na" END, 400, "prompt: must be UTF-8");
}

#define VALUE(name, sent, wanted) {name, FIELD(name) sent END, sizeof(FIELD(name) sent END) - 1, wanted}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        size_t body_n;
        const char *wanted; /* behind the name; NULL: left out */
    } rows[] = {
        VALUE("stream", "true", "true"), VALUE("stream", "False", "false"), VALUE("stream", " 1\r\n", "true"), VALUE("stream", "0", "false"), VALUE("stream", "", NULL),
        VALUE("raw", "TRUE", "true"),
        VALUE("options", "{\"num_ctx\": 1024, \"seed\": 12345678901234567890}", "{\"num_ctx\": 1024, \"seed\": 12345678901234567890}"),
        VALUE("options", " {}\n", " {}\n"), VALUE("options", " \t", NULL),
        VALUE("priority", "7", "7"), VALUE("priority", "", NULL), VALUE("format", "json", "\"json\""), VALUE("format", "\"json\"", "\"json\""), VALUE("format", "{\"type\":\"object\"}", "{\"type\":\"object\"}"), VALUE("format", "", NULL),
        VALUE("keep_alive", "5m", "\"5m\""), VALUE("keep_alive", "-1", "-1"), VALUE("keep_alive", "300", "300"), VALUE("keep_alive", "\"1h30m\"", "\"1h30m\""), VALUE("keep_alive", "0", "0"),
        VALUE("think", "true", "true"), VALUE("think", "high", "\"high\""),
        VALUE("context", "[1, 2,3]", "[1, 2,3]"), VALUE("context", "[]", "[]"), VALUE("context", "[ ]", "[ ]"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[256] = "{}";
        if (rows[i].wanted)
            snprintf(wanted, sizeof wanted, "{\"%s\":%s}", rows[i].name, rows[i].wanted);
        form_gives(FORM_TYPE, rows[i].body, rows[i].body_n, 0, wanted);
    }
}

static void test_values_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        size_t body_n;
        const char *wanted;
    } rows[] = {
        VALUE("stream", "yes please", "must be true or false"),
        VALUE("stream", "\"false\"", "must be true or false"),
        VALUE("options", "{\"num_ctx\":1024},\"model\":\"x\"", "must be a JSON object, such as {\"num_ctx\":1024}"),
        VALUE("options", "{\"num_ctx\":}", "must be a JSON object, such as {\"num_ctx\":1024}"),
        VALUE("options", "{", "must be a JSON object, such as {\"num_ctx\":1024}"),
        VALUE("options", "\"{}\"", "must be a JSON object, such as {\"num_ctx\":1024}"),
        VALUE("options", "null", "must be a JSON object, such as {\"num_ctx\":1024}"),
        VALUE("priority", "high", "must be a whole number from 0 to 9"),
        VALUE("priority", "\"7\"", "must be a whole number from 0 to 9"),
        VALUE("format", "xml", "must be json, or a JSON schema"),
        VALUE("format", "[]", "must be json, or a JSON schema"),
        VALUE("keep_alive", "5 minutes", "must be a duration such as 5m, or a number of seconds"),
        VALUE("keep_alive", "5m\",\"a\":\"1", "must be a duration such as 5m, or a number of seconds"),
        VALUE("keep_alive", "\\u0035m", "must be a duration such as 5m, or a number of seconds"),
        VALUE("keep_alive", "true", "must be a duration such as 5m, or a number of seconds"),
        VALUE("think", "deep", "must be true, false, low, medium or high"),
        VALUE("context", "[1,\"2\"]", "must be a JSON array of numbers"),
        VALUE("context", "1,2", "must be a JSON array of numbers"),
        VALUE("raw", "true\0", "must be true or false"),
        VALUE("stream", "0123456789012345678901234567890123456789012345678901234567890123456789", "must be true or false"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[256];
        snprintf(wanted, sizeof wanted, "%s: %s", rows[i].name, rows[i].wanted);
        form_gives(FORM_TYPE, rows[i].body, rows[i].body_n, 400, wanted);
    }
}

static void test_images_proxy_scenario_39(void **state)
{
    (void)state;
    static const char wanted[] = "{\"images\":[\"" GIF_TEXT "\"]}";
    GIVES(FILE_FIELD("image", "a.png") GIF_BYTES END, wanted);
    GIVES(FILE_FIELD("images", "../../etc/passwd") GIF_BYTES END, wanted);
    GIVES(FILE_FIELD("images[]", "\\\\host\\share\\a.svg") GIF_BYTES END, wanted);
    GIVES(FIELD("image") GIF_BYTES END, wanted); /* bytes of which nobody said that they are a file */
    GIVES(FIELD("image") GIF_TEXT END, wanted);
    GIVES(FIELD("image") "data:image/png;base64," GIF_TEXT END, "{\"images\":[\"data:image/png;base64," GIF_TEXT "\"]}"); /* made bare with those of JSON */
    GIVES(FIELD("image") "R0lGODlhAQABAIAAAAAAAP//\r\n/yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\n" END, "{\"images\":[\"R0lGODlhAQABAIAAAAAAAP//\\r\\n/yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\\n\"]}");
    GIVES(FILE_FIELD("image", "a.png") GIF_BYTES "\r\n" FIELD("prompt") "a" END, "{\"images\":[\"" GIF_TEXT "\"],\"prompt\":\"a\"}");
}

static void test_files_that_were_not_chosen(void **state)
{
    (void)state;
    GIVES(FILE_FIELD("image", "") "\r\n" FIELD("prompt") "a" END, "{\"prompt\":\"a\"}");
    GIVES(FILE_FIELD("image", "") "\r\n" FILE_FIELD("images", "a.gif") GIF_BYTES "\r\n" FILE_FIELD("image", "") END, "{\"images\":[\"" GIF_TEXT "\"]}");
    GIVES(FIELD("image") END, "{}");
    REFUSED(FILE_FIELD("image", "a.png") END, 400, "image: is empty");
}

static void test_images_that_are_none_proxy_scenario_39(void **state)
{
    (void)state;
    REFUSED(FILE_FIELD("image", "a.png") "hello" END, 415, "image: is text, and must be PNG, JPEG, WebP or GIF");
    REFUSED(FILE_FIELD("image", "a.heic") "\0\0\0\x18" "ftypheic\0\0\0\0mif1heic" END, 415, "image: is HEIC, and must be PNG, JPEG, WebP or GIF");
    REFUSED(FILE_FIELD("images", "a.svg") "<svg xmlns=\"http://www.w3.org/2000/svg\"/>" END, 415, "images: is SVG, and must be PNG, JPEG, WebP or GIF");
    REFUSED(FILE_FIELD("image", "a.gif") "GIF89a\1\0" END, 400, "image: begins as a GIF, but its header is cut short or broken");
    REFUSED(FIELD("image") "aGVsbG8=" END, 415, "image: is text, and must be PNG, JPEG, WebP or GIF");
    REFUSED(FIELD("image") "exemplo.jpg" END, 400, "image: is no base64: its character 8 is none of it");
    REFUSED(FIELD("image") "\xff\xfe\xfd" END, 400, "image: is no base64: its character 1 is none of it");
    REFUSED(FIELD("image") "data:text/plain;base64,aGVsbG8=" END, 415, "image: is a data URI of another type than image/…");
    REFUSED(FILE_FIELD("image", "a.png") "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60", 413,
            "image: is a PNG that claims to have 60000 x 60000 pixels; more than 100000000, or none, are not taken");
    REFUSED(FILE_FIELD("image", "a.gif") GIF_BYTES "\r\n" FILE_FIELD("image", "b.gif") GIF_BYTES "\r\n" FIELD("stream") "x" END, 400,
            "image: is there more than once; one image is taken; stream: must be true or false");
    REFUSED(FIELD("prompt") "a\r\n" FILE_FIELD("image", "a.gif") GIF_BYTES "\r\n" FILE_FIELD("images", "b.gif") GIF_BYTES "\r\n" FIELD("prompt") "b" END, 400,
            "images: is there more than once; one image is taken; prompt: is there more than once");
}

/* Nothing more is read than shows that it is too much. */
static void test_an_image_that_is_too_large(void **state)
{
    (void)state;
    static const char why[] = "image: has more than the 200 bytes that [proxy] upload_limit takes of one image";
    char bytes[CASE_IMAGE_MAX - 42 + 1], letters[1024];
    struct buf body;
    buf_init(&body, 0);
    memset(bytes, 'x', sizeof bytes);
    memset(letters, 'A', sizeof letters);
    for (int is_over = 0; is_over <= 1; is_over++) {
        struct form_case c;
        assert_int_equal(buf_append(&body, FILE_FIELD("image", "a.gif") GIF_BYTES, sizeof(FILE_FIELD("image", "a.gif") GIF_BYTES) - 1), 0);
        assert_int_equal(buf_append(&body, bytes, sizeof bytes - 1 + (size_t)is_over), 0);
        assert_int_equal(buf_text(&body, is_over ? "" : END), 0); /* it need not come */
        form_case(&c, FORM_TYPE, buf_data(&body), buf_size(&body), 7);
        assert_int_equal(c.status, is_over ? 413 : 0);
        assert_string_equal(c.why, is_over ? why : "");
        buf_release(&body);
    }
    assert_int_equal(buf_text(&body, FIELD("image")), 0);
    assert_int_equal(buf_append(&body, letters, sizeof letters), 0);
    form_gives(FORM_TYPE, buf_data(&body), buf_size(&body), 413, why);
    buf_release(&body);
}

static void test_fields_that_are_not_known(void **state)
{
    (void)state;
    REFUSED(FIELD("Prompt") "a" END, 400, "Prompt: there is no such field; did you mean prompt?");
    REFUSED(FIELD("xyzzy") "a" END, 400, "xyzzy: there is no such field here");
    REFUSED(FIELD("") "a" END, 400, "part 1: its name is empty");
    REFUSED(FIELD("\x1b[31mred") "a" END, 400, "part 1: its header has a control character");
    for (size_t i = 0; form_field_name(i); i++)
        assert_true(strlen(form_field_name(i)) < FORM_NAME_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_texts_that_are_no_utf8),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_that_are_none),
        cmocka_unit_test(test_images_proxy_scenario_39),
        cmocka_unit_test(test_files_that_were_not_chosen),
        cmocka_unit_test(test_images_that_are_none_proxy_scenario_39),
        cmocka_unit_test(test_an_image_that_is_too_large),
        cmocka_unit_test(test_fields_that_are_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
