/* proxy/form: boundaries in any pieces; what is no form; its bounds. */
#include "form_case.h"

static void test_a_form(void **state)
{
    (void)state;
    GIVES(FIELD("prompt") "What is this?\r\n" FILE_FIELD("image", "exemplo.jpg") GIF_BYTES END, "{\"prompt\":\"What is this?\",\"images\":[\"" GIF_TEXT "\"]}");
    GIVES("preamble\r\n--bx\r\n" FIELD("prompt") "a" END "epilogue\r\n--b\r\nX", "{\"prompt\":\"a\"}");
    GIVES("--b--", "{}");
    GIVES("\r\n--b--\r\n", "{}");
    GIVES(FIELD("prompt") "\r\n--b--", "{\"prompt\":\"\"}");
    GIVES("--b  \t\r\nContent-Disposition: form-data; name=prompt\r\n\r\na\r\n--b \t\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--b--", "{\"prompt\":\"a\",\"model\":\"m\"}");
    GIVES("--b\r\nContent-Disposition: form-data; name=prompt\r\n\r\n--b--", "{\"prompt\":\"\"}"); /* no content, not even its line end: RFC 2046, body-part */
}

/* All that is nearly a boundary is content. */
static void test_boundaries_in_the_content(void **state)
{
    (void)state;
    GIVES(FIELD("prompt") "x--b--\r\n--\r\n-b\r\n\r\n--bb\r\n--b-\r\n--b -\r\n--b\r\r\n--b \t.\r\r\n\r" END,
          "{\"prompt\":\"x--b--\\r\\n--\\r\\n-b\\r\\n\\r\\n--bb\\r\\n--b-\\r\\n--b -\\r\\n--b\\r\\r\\n--b \\t.\\r\\r\\n\\r\"}");
    GIVES(FIELD("prompt") "--bc\r\n--b                                                                  \r\n" END, /* more white space than anybody has there */
          "{\"prompt\":\"--bc\\r\\n--b                                                                  \\r\\n\"}");
    GIVES(FIELD("prompt") "\n--b\n" END, "{\"prompt\":\"\\n--b\\n\"}");
}

static void test_boundaries_as_they_are_quoted(void **state)
{
    (void)state;
    static const char body[] = "--a b:c=?\r\nContent-Disposition: form-data; name=prompt\r\n\r\na\r\n--a b:c=?--";
    static const char webkit[] = "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n";
    static const char longest[] = "--0123456789012345678901234567890123456789012345678901234567890123456789--";
    form_gives("multipart/form-data; boundary=\"a b:c=?\"", body, sizeof body - 1, 0, "{\"prompt\":\"a\"}");
    form_gives("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", webkit, sizeof webkit - 1, 0, "{\"prompt\":\"a\"}");
    form_gives("multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789", longest, sizeof longest - 1, 0, "{}");
}

static void test_bad_boundaries(void **state)
{
    (void)state;
    static const char bad[] = "Content-Type: its boundary must have 1 to 70 characters, letters, digits and '()+_,-./:=? only";
    static const struct {
        const char *type, *why;
    } rows[] = {
        {"multipart/form-data", "Content-Type: multipart/form-data without a boundary; leave this header to your client, which knows it"},
        {"multipart/form-data; boundary=b; boundary=c", "Content-Type: its parameters can't be read; multipart/form-data; boundary=… is wanted"},
        {"multipart/form-data; boundary=\"b", "Content-Type: its parameters can't be read; multipart/form-data; boundary=… is wanted"},
        {"multipart/form-data; boundary=", bad},
        {"multipart/form-data; boundary=\"\"", bad},
        {"multipart/form-data; boundary=\"a \"", bad},
        {"multipart/form-data; boundary=a*b", bad},
        {"multipart/form-data; boundary=a\xc3\xa9", bad},
        {"multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890", bad},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        form_gives(rows[i].type, "--b--", 5, 400, rows[i].why);
}

static void test_what_is_no_form_proxy_scenario_39(void **state)
{
    (void)state;
    static const char cut[] = "the form is cut short: its last boundary, with -- behind it, is missing", lf[] = "the form's lines end in LF; they must end in CR LF";
    REFUSED("", 400, "no line of the body is the boundary that Content-Type names");
    REFUSED("{\"prompt\":\"a\"}", 400, "no line of the body is the boundary that Content-Type names");
    REFUSED("--c\r\nContent-Disposition: form-data; name=prompt\r\n\r\na\r\n--c--", 400, "no line of the body is the boundary that Content-Type names");
    REFUSED("--b", 400, cut);
    REFUSED("--b\r\n", 400, cut);
    REFUSED("--b\r\nContent-Disposition: form-data", 400, cut);
    REFUSED(FIELD("prompt"), 400, cut);
    REFUSED(FIELD("prompt") "a", 400, cut);
    REFUSED(FIELD("prompt") "a\r\n--b", 400, cut);
    REFUSED(FIELD("prompt") "a\r\n--b-", 400, cut);
    REFUSED(FIELD("prompt") "a\r\n--b\r\n", 400, cut);
    REFUSED("--b\nContent-Disposition: form-data; name=prompt\n\na\n--b--\n", 400, lf);
    REFUSED("--b \n", 400, lf);
    REFUSED("--b\r\nContent-Disposition: form-data; name=prompt\n\na\r\n--b--", 400, lf);
    REFUSED("--b\r\n\r\na\r\n--b--", 400, "part 1: has no Content-Disposition; form-data; name=\"prompt\" is wanted");
    REFUSED("--b\r\nContent-Disposition: form-data; name=image\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--" END, 400,
            "part 1: is a multipart of its own, which is not taken here: each file and field is a part of the form");
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    REFUSED(FIELD("promt") "a\r\n" FIELD("stream") "maybe\r\n--b\r\n\r\nx\r\n" FIELD("model") "m\r\n" FIELD("model") "n\r\n" FIELD("options") "[1]\r\n" FIELD("system") "\xff" END, 400,
            "promt: there is no such field; did you mean prompt?; stream: must be true or false; part 3: has no Content-Disposition; form-data; name=\"prompt\" is wanted; "
            "model: is there more than once; options: must be a JSON object, such as {\"num_ctx\":1024}; system: must be UTF-8");
    /* … also with what ends it at once */
    REFUSED(FIELD("promt") "a\r\n" FILE_FIELD("image", "a.pdf") "%PDF-1.7 and further" , 415, "promt: there is no such field; did you mean prompt?; image: is PDF, and must be PNG, JPEG, WebP or GIF");
}

static void test_heads_and_parts_are_bounded_proxy_scenario_39(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 0);
    assert_int_equal(buf_text(&body, "--b\r\nContent-Disposition: form-data; name=prompt\r\nX-Long: "), 0);
    for (int i = 0; i < 9000; i++)
        assert_int_equal(buf_text(&body, "x"), 0);
    form_gives(FORM_TYPE, buf_data(&body), buf_size(&body), 400, "a part's header has more than 8192 bytes");
    buf_release(&body);
    for (int i = 0; i < 102; i++)
        assert_int_equal(buf_text(&body, "--b\r\nContent-Disposition: form-data; name=image; filename=\"\"\r\n\r\n\r\n"), 0);
    struct form_case c;
    form_case(&c, FORM_TYPE, buf_data(&body), buf_size(&body), 100);
    assert_int_equal(c.status, 400);
    assert_string_equal(c.why, "the form has more than 100 parts");
    buf_release(&body);
}

/* The object's bound is the buffer's. */
static void test_an_object_that_does_not_fit(void **state)
{
    (void)state;
    static const char body[] = FIELD("prompt") "0123456789012345678901234567890123456789" END;
    struct form form;
    struct buf out;
    buf_init(&out, 40);
    assert_int_equal(form_begin(&form, FORM_TYPE, strlen(FORM_TYPE), 100, &out), 0);
    assert_int_equal(form_feed(&form, body, sizeof body - 1), -EFBIG);
    assert_int_equal(form_feed(&form, body, 1), -EFBIG);
    assert_int_equal(form_end(&form), -EFBIG);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_form),
        cmocka_unit_test(test_boundaries_in_the_content),
        cmocka_unit_test(test_boundaries_as_they_are_quoted),
        cmocka_unit_test(test_bad_boundaries),
        cmocka_unit_test(test_what_is_no_form_proxy_scenario_39),
        cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_heads_and_parts_are_bounded_proxy_scenario_39),
        cmocka_unit_test(test_an_object_that_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
