/* proxy/image_text: base64 and data URIs of images as they stand in JSON; what is refused, and with which words. */
#include "proxy/image_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Whole images of one pixel. */
#define GIF "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
#define WEBP "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"
#define WEBP_LOSSLESS "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
#define JPEG                                                                                                                     \
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////" \
    "wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAA//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"

/* json: the whole value, in memory that ends where it ends. */
static int read_json(struct image_text *t, char **memory, const char *json, uint64_t bytes_max, char *why)
{
    struct json_value value;
    size_t n = strlen(json);
    char *exact = malloc(n);
    struct json_walk w = {exact, exact + n};
    assert_non_null(exact);
    memcpy(exact, json, n);
    assert_int_equal(json_value(&w, &value), 0);
    *memory = exact;
    return image_text_read(t, &value, bytes_max, why, IMAGE_WHY_BYTES);
}

static void test_what_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *json, *bare;
        uint64_t bytes_n;
        enum image_kind kind;
    } rows[] = {
        {"\"" GIF "\"", GIF, 42, IMAGE_GIF},
        {"\"" PNG "\"", PNG, 70, IMAGE_PNG},
        {"\"" WEBP "\"", WEBP, 42, IMAGE_WEBP},
        {"\"" WEBP_LOSSLESS "\"", WEBP_LOSSLESS, 34, IMAGE_WEBP},
        {"\"" JPEG "\"", JPEG, 159, IMAGE_JPEG},
        {"\"data:image/gif;base64," GIF "\"", GIF, 42, IMAGE_GIF},
        {"\"DATA:Image/PNG;name=a%20b.png;Base64," GIF "\"", GIF, 42, IMAGE_GIF}, /* what it says does not matter */
        {"\"data:;base64," GIF "\"", GIF, 42, IMAGE_GIF},
        {"\"data:application/octet-stream;base64," GIF "\"", GIF, 42, IMAGE_GIF},
        {"\"data:image\\/gif;base64,R0lGODlhAQABAIAAAAAAAP\\/\\/\\/yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\"",
         "R0lGODlhAQABAIAAAAAAAP\\/\\/\\/yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", 42, IMAGE_GIF},
        {"\"R0lGODlhAQABAIAAAAAAAP\\u002f\\u002F/\\r\\nyH5BAEAAAAALAAAAAABAAEAAAIBRAA7\\n\"",
         "R0lGODlhAQABAIAAAAAAAP\\u002f\\u002F/\\r\\nyH5BAEAAAAALAAAAAABAAEAAAIBRAA7\\n", 42, IMAGE_GIF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_text t;
        char why[IMAGE_WHY_BYTES], *memory;
        int status = read_json(&t, &memory, rows[i].json, 200, why);
        if (status)
            fail_msg("row %zu: %d %s", i, status, why);
        assert_string_equal(why, "");
        assert_int_equal(t.bare.n, strlen(rows[i].bare));
        assert_memory_equal(t.bare.at, rows[i].bare, t.bare.n);
        assert_int_equal(t.bytes_n, rows[i].bytes_n);
        assert_int_equal(t.kind, rows[i].kind);
        free(memory);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int status;
        const char *why;
    } rows[] = {
        {"null", 400, "must be base64 of an image, in a string"},
        {"[]", 400, "must be base64 of an image, in a string"},
        {"1", 400, "must be base64 of an image, in a string"},
        {"\"\"", 400, "is empty"},
        {"\"\\n\"", 400, "is empty"},
        {"\"data:image/png;base64,\"", 400, "is empty"},
        {"\"data:text/html;base64,PGI+\"", 415, "is a data URI of another type than image/…"},
        {"\"data:image/png," GIF "\"", 400, "is a data URI without ;base64: data:image/png;base64,… is wanted"},
        {"\"data:,\"", 415, "is a data URI of another type than image/…"},
        {"\"data:image/png;base64\"", 400, "begins as a data URI, and has none, or too long a head: data:image/png;base64,… is wanted"},
        {"\"data:image/\\q,\"", 400, "begins as a data URI, and has none, or too long a head: data:image/png;base64,… is wanted"},
        {"\"https://example.com/a.png\"", 400, "is an address, and those are not read; send the image itself, as base64"},
        {"\"data:image/svg+xml;base64,PHN2Zy8+\"", 415, "is SVG, and must be PNG, JPEG, WebP or GIF"},
        {"\"aGVsbG8=\"", 415, "is text, and must be PNG, JPEG, WebP or GIF"},
        {"\"R0lGODlhAQABAIAAAAAAAP___yH5BAEA\"", 400, "is base64url; + and / are wanted in place of - and _"},
        {"\"R0lG ODlh\"", 400, "is no base64: its character 5 is none of it"},
        {"\"R0lGODlh\\u00e9AAA\"", 400, "is no base64: its character 9 is none of it"},
        {"\"R0lGODlh\\xAAA\"", 400, "is no base64: its character 9 is none of it"},
        {"\"R0lGODlhAQABAIAAAAAA\\\\\"", 400, "is no base64: its character 21 is none of it"},
        {"\"R0lGODlhAQABAIAAA\"", 400, "is no base64: it is cut short, or its padding (=) is missing"},
        {"\"R0lGODlhAQABAIAAAAA\"", 400, "is no base64: it is cut short, or its padding (=) is missing"},
        {"\"R0lGODlhAQABAIAAAA==AAAA\"", 400, "is no base64: something stands behind its end, or = where letters are missing"},
        {"\"R0lGODlhAQ==\"", 400, "begins as a GIF, but its header is cut short or broken"},
        {"\"R0lGODlh//////////8=\"", 413, "is a GIF that claims to have 65535 x 65535 pixels; more than 100000000, or none, are not taken"},
        {"\"" JPEG "\"", 413, "has more than the 100 bytes that [proxy] upload_limit takes of one image"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image_text t;
        char why[IMAGE_WHY_BYTES], *memory;
        int status = read_json(&t, &memory, rows[i].json, 100, why);
        if (status != rows[i].status)
            fail_msg("row %zu: %d %s", i, status, why);
        assert_string_equal(why, rows[i].why);
        free(memory);
    }
}

/* Pieces end anywhere: in the middle of four letters, before an escape. */
static void test_a_long_one_with_and_without_line_ends(void **state)
{
    (void)state;
    enum { FOURS = 100000 };
    char *json = malloc(5 * FOURS + 100), *at = json, *memory, why[IMAGE_WHY_BYTES];
    struct image_text t;
    assert_non_null(json);
    at += sprintf(at, "\"%.52s", GIF);
    for (int i = 0; i < FOURS; i++)
        at += sprintf(at, i % 19 == 18 ? "\\nABCD" : "ABCD");
    sprintf(at, "\"");
    assert_int_equal(read_json(&t, &memory, json, 39 + 3 * FOURS, why), 0);
    assert_int_equal(t.bytes_n, 39 + 3 * FOURS);
    free(memory);
    assert_int_equal(read_json(&t, &memory, json, 39 + 3 * FOURS - 1, why), 413);
    free(memory);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_taken),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_a_long_one_with_and_without_line_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
