/* proxy/form_head: parameters, and the fields before a part. */
#include "proxy/form_head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *value, *name;
        ssize_t n;
        const char *text;
    } rows[] = {
        {"multipart/form-data; boundary=abc", "boundary", 3, "abc"},
        {"multipart/form-data;BOUNDARY=\"a b\" ; charset=utf-8", "boundary", 3, "a b"},
        {"multipart/form-data; charset=utf-8; boundary=a:b/c=d?", "boundary", 8, "a:b/c=d?"},
        {"form-data; name=\"a\\\"b\\\\c\\d\"; filename=\"C:\\\\x;y.png\"", "name", 7, "a\"b\\c\\d"},
        {"form-data; name=\"a\"; filename=\"..\\..\\x.png\"", "filename", 11, "..\\..\\x.png"},
        {"form-data; filename*=UTF-8''%e2; name=x;", "name", 1, "x"},
        {"form-data; filename*=UTF-8''%e2", "filename", -ENOENT, NULL},
        {"form-data; name=\"\"", "name", 0, ""},
        {"form-data; name=", "name", 0, ""},
        {"form-data", "name", -ENOENT, NULL},
        {"form-data;", "name", -ENOENT, NULL},
        {"form-data; xname=a", "name", -ENOENT, NULL},
        {"form-data; name=a; name=b", "name", -EINVAL, NULL},
        {"form-data; name=\"a", "name", -EINVAL, NULL},
        {"form-data; name", "name", -EINVAL, NULL},
        {"form-data; name=a b", "name", -EINVAL, NULL},
        {"form-data; name=\"a\"b", "name", -EINVAL, NULL},
        {"form-data; name=a\"b\"", "name", -EINVAL, NULL},
        {"form-data; =a; name=b", "name", -EINVAL, NULL},
        {"form-data; name=0123456789abcdef", "name", -ENOSPC, NULL},
        {"", "name", -ENOENT, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[16], *exact = malloc(strlen(rows[i].value) + 1);
        assert_non_null(exact);
        memcpy(exact, rows[i].value, strlen(rows[i].value));
        ssize_t n = form_param(exact, strlen(rows[i].value), rows[i].name, out, sizeof out);
        if (n != rows[i].n)
            fail_msg("%s: %zd", rows[i].value, n);
        if (rows[i].text)
            assert_string_equal(out, rows[i].text);
        free(exact);
    }
}

static void test_first_words(void **state)
{
    (void)state;
    assert_true(form_is("Multipart/Form-Data ; boundary=b", 32, "multipart/form-data"));
    assert_false(form_is("multipart/form-datax", 20, "multipart/form-data"));
    assert_false(form_is("", 0, "multipart/form-data"));
    assert_true(form_is_prefix("MULTIPART/mixed; boundary=b", 27, "multipart/"));
    assert_false(form_is_prefix("image/png; x=multipart/", 23, "multipart/"));
}

#define DISPOSITION "Content-Disposition: form-data; name=\"image\""

static void test_heads_proxy_scenario_39(void **state)
{
    (void)state;
    static const struct {
        const char *head, *why; /* why NULL: taken */
        struct form_part part;
    } rows[] = {
        {DISPOSITION "\r\n", NULL, {"image", 0, 0, 0}},
        {"content-disposition:FORM-DATA;name=image;filename=a.png\r\ncontent-type:image/png\r\nX-Other: y\r\n", NULL, {"image", 1, 0, 0}},
        {DISPOSITION "; filename=\"../../etc/passwd\"; filename*=UTF-8''..%2f\r\n", NULL, {"image", 1, 0, 0}},
        {DISPOSITION "; filename=\"\"\r\nContent-Type: application/octet-stream\r\n", NULL, {"image", 1, 1, 0}},
        {DISPOSITION "\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n", NULL, {"image", 0, 0, 0}},
        {DISPOSITION "\r\nContent-Type: text/plain; charset=iso-8859-1\r\n", NULL, {"image", 0, 0, 1}},
        {DISPOSITION "\r\nContent-Type: text/plain; charset=\r\n", NULL, {"image", 0, 0, 1}},
        {"", "has no Content-Disposition; form-data; name=\"prompt\" is wanted", {"", 0, 0, 0}},
        {"Content-Type: image/png\r\n", "has no Content-Disposition; form-data; name=\"prompt\" is wanted", {"", 0, 0, 0}},
        {"Content-Disposition: attachment; name=a\r\n", "its Content-Disposition is not form-data", {"", 0, 0, 0}},
        {"Content-Disposition: form-data; filename=a\r\n", "its Content-Disposition has no name", {"", 0, 0, 0}},
        {"Content-Disposition: form-data; name=\"a\r\n", "its Content-Disposition can't be read; form-data; name=\"prompt\" is wanted", {"", 0, 0, 0}},
        {DISPOSITION "\r\n" DISPOSITION "\r\n", "its header names a field twice", {"", 0, 0, 0}},
        {DISPOSITION "\r\nContent-Type: multipart/mixed; boundary=c\r\n", "is a multipart of its own, which is not taken here: each file and field is a part of the form", {"", 0, 0, 0}},
        {DISPOSITION "\r\nContent-Transfer-Encoding: base64\r\n", "has a Content-Transfer-Encoding; its bytes are wanted as they are", {"", 0, 0, 0}},
        {DISPOSITION ";\r\n filename=a\r\n", "its header has a line that is no NAME: VALUE", {"", 0, 0, 0}},
        {DISPOSITION "\r\nnonsense\r\n", "its header has a line that is no NAME: VALUE", {"", 0, 0, 0}},
        {DISPOSITION "\r\nX : y\r\n", "its header has a line that is no NAME: VALUE", {"", 0, 0, 0}},
        {DISPOSITION "\r\n: y\r\n", "its header has a line that is no NAME: VALUE", {"", 0, 0, 0}},
        {DISPOSITION "\rX\r\n", "a line of its header does not end in CR LF", {"", 0, 0, 0}},
        {DISPOSITION "; x=\x01\r\n", "its header has a control character", {"", 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct form_part p;
        char why[FORM_HEAD_WHY_BYTES] = "", *exact = malloc(strlen(rows[i].head) + 1);
        assert_non_null(exact);
        memcpy(exact, rows[i].head, strlen(rows[i].head));
        int status = form_head_read(&p, exact, strlen(rows[i].head), why, sizeof why);
        if (status != (rows[i].why ? 400 : 0))
            fail_msg("row %zu: %d %s", i, status, why);
        assert_string_equal(why, rows[i].why ? rows[i].why : "");
        if (!status) {
            assert_string_equal(p.name, rows[i].part.name);
            assert_int_equal(p.is_file, rows[i].part.is_file);
            assert_int_equal(p.is_unnamed, rows[i].part.is_unnamed);
            assert_int_equal(p.is_foreign_charset, rows[i].part.is_foreign_charset);
        }
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_first_words),
        cmocka_unit_test(test_heads_proxy_scenario_39),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
