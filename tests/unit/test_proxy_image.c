/* proxy/image: what an image is, in pieces of every size; how large; what is none, and what is too much. */
#include "proxy/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(t) t, sizeof(t) - 1

#define PNG_OF(w, h) "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" w h "\x08\x06\0\0\0"
#define WEBP(chunk) "RIFF\x22\0\0\0WEBP" chunk
/* A start of image, JFIF's segment, quantisation tables of two bytes, a comment with markers in it, fill bytes. */
#define JPEG_BEGIN "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\1\0\x48\0\x48\0\0\xff\xdb\0\4xy\xff\xfe\0\6\xff\xc0\xff\xda\xff\xff\xff"

struct row {
    const char *bytes;
    size_t bytes_n;
    enum image_kind kind;
    int status;
    uint32_t width, height;
    const char *why;
};

static const struct row rows[] = {
    {TEXT(PNG_OF("\0\0\1\2", "\0\0\3\4")), IMAGE_PNG, 0, 258, 772, ""},
    {TEXT("GIF89a\x05\0\x06\x01\xf0\0"), IMAGE_GIF, 0, 5, 262, ""},
    {TEXT("GIF87a\x05\0\x06\x01"), IMAGE_GIF, 0, 5, 262, ""},
    {TEXT(WEBP("VP8 \x16\0\0\0\x30\1\0\x9d\1\x2a\x40\x81\x20\x40\0")), IMAGE_WEBP, 0, 320, 32, ""},
    {TEXT(WEBP("VP8L\x0d\0\0\0\x2f\x3f\xc1\x07\0\0\x07\x10\x11\x11")), IMAGE_WEBP, 0, 320, 32, ""},
    {TEXT(WEBP("VP8X\x0a\0\0\0\0\0\0\0\x3f\1\0\x1f\0\0")), IMAGE_WEBP, 0, 320, 32, ""},
    {TEXT(JPEG_BEGIN "\xc0\0\x11\x08\1\2\3\4\3\1\x22"), IMAGE_JPEG, 0, 772, 258, ""},
    {TEXT(JPEG_BEGIN "\xc2\0\x0b\x08\1\2\3\4\1"), IMAGE_JPEG, 0, 772, 258, ""},
    {TEXT(JPEG_BEGIN "\xc4\0\4hi\xff\xd0..\xff\xcf\0\x0b\x08\1\2\3\4\1"), IMAGE_JPEG, 0, 772, 258, ""},

    {TEXT(PNG_OF("\0\0\xea\x60", "\0\0\xea\x60")), IMAGE_PNG, 413, 60000, 60000, "is a PNG that claims to have 60000 x 60000 pixels; more than 100000000, or none, are not taken"},
    {TEXT(PNG_OF("\xff\xff\xff\xff", "\xff\xff\xff\xff")), IMAGE_PNG, 413, UINT32_MAX, UINT32_MAX, NULL},
    {TEXT(PNG_OF("\0\0\x27\x10", "\0\0\x27\x10")), IMAGE_PNG, 0, 10000, 10000, ""},
    {TEXT(PNG_OF("\0\0\x27\x11", "\0\0\x27\x10")), IMAGE_PNG, 413, 10001, 10000, NULL},
    {TEXT(PNG_OF("\0\0\0\0", "\0\0\0\1")), IMAGE_PNG, 413, 0, 1, NULL},
    {TEXT("GIF89a\0\0\0\0"), IMAGE_GIF, 413, 0, 0, NULL},
    {TEXT(JPEG_BEGIN "\xc0\0\x11\x08\0\0\3\4\3\1\x22"), IMAGE_JPEG, 413, 772, 0, NULL},

    {TEXT(""), IMAGE_NONE, 400, 0, 0, "is empty"},
    {TEXT("\x89PNG\r\n\x1a\n"), IMAGE_PNG, 400, 0, 0, "begins as a PNG, but its header is cut short or broken"},
    {TEXT("\x89PNG\r\n\x1a\n\0\0\0\x04" "CgBI\x50\0\x20\2\x2b\xd5\xb3\x7f\0\0\0\0"), IMAGE_PNG, 400, 0, 0, NULL},
    {TEXT("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\1"), IMAGE_JPEG, 400, 0, 0, "begins as a JPEG, but its header is cut short or broken"},
    {TEXT(JPEG_BEGIN "\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0"), IMAGE_JPEG, 400, 0, 0, NULL},
    {TEXT(JPEG_BEGIN "\xc0\0\7\x08\1\2\3\4\3\1\x22"), IMAGE_JPEG, 400, 0, 0, NULL},
    {TEXT(JPEG_BEGIN "\xe1\0\1\x08\1\2\3\4\3\1\x22"), IMAGE_JPEG, 400, 0, 0, NULL},
    {TEXT(JPEG_BEGIN "\xd9......................"), IMAGE_JPEG, 400, 0, 0, NULL},
    {TEXT(WEBP("VP8 \x16\0\0\0\x30\1\0\x9d\1\x2b\x40\x81\x20\x40\0")), IMAGE_WEBP, 400, 0, 0, NULL},
    {TEXT(WEBP("ALPH\x16\0\0\0\x30\1\0\x9d\1\x2b\x40\x81\x20\x40\0")), IMAGE_WEBP, 400, 0, 0, NULL},
    {TEXT("GIF89a\5\0"), IMAGE_GIF, 400, 0, 0, NULL},

    {TEXT("\0\0\0\x18" "ftypheic\0\0\0\0mif1heic"), IMAGE_NONE, 415, 0, 0, "is HEIC, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("\0\0\0\x18" "ftypmif1\0\0\0\0mif1heic"), IMAGE_NONE, 415, 0, 0, "is HEIC, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("\0\0\0\x18" "ftypavif\0\0\0\0mif1avif"), IMAGE_NONE, 415, 0, 0, "is AVIF, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("\0\0\0\x18" "ftypisom\0\0\0\0isomavc1"), IMAGE_NONE, 415, 0, 0, "is a video (MP4), and must be PNG, JPEG, WebP or GIF"},
    {TEXT("BM\x46\0\0\0\0\0\0\0\x36\0\0\0"), IMAGE_NONE, 415, 0, 0, "is BMP, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("%PDF-1.7\n%\xe2\xe3\xcf\xd3"), IMAGE_NONE, 415, 0, 0, "is PDF, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("RIFF\x22\0\0\0WAVEfmt "), IMAGE_NONE, 415, 0, 0, "is a sound or a video (RIFF), and must be PNG, JPEG, WebP or GIF"},
    {TEXT("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), IMAGE_NONE, 415, 0, 0, "is SVG, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("\xef\xbb\xbf <?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"60000\"/>"), IMAGE_NONE, 415, 0, 0, "is SVG, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("<!doctype HTML><title>404</title>"), IMAGE_NONE, 415, 0, 0, "is HTML, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("hello"), IMAGE_NONE, 415, 0, 0, "is text, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("h"), IMAGE_NONE, 415, 0, 0, "is text, and must be PNG, JPEG, WebP or GIF"},
    {TEXT("\0\1\2\3\4\5\6\7\x08"), IMAGE_NONE, 415, 0, 0, "is no image that is known here, and must be PNG, JPEG, WebP or GIF"},
};

static int feed_all(struct image *im, const struct row *row, size_t piece)
{
    for (size_t at = 0; at < row->bytes_n; at += piece) {
        size_t n = row->bytes_n - at < piece ? row->bytes_n - at : piece;
        char *exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, row->bytes + at, n);
        (void)image_feed(im, exact, n);
        free(exact);
    }
    return image_end(im);
}

static void test_kinds_sizes_and_what_is_none_proxy_scenario_39(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t piece = 1; piece < 80; piece += 1 + piece / 8) {
            struct image im;
            char why[IMAGE_WHY_BYTES];
            image_init(&im, 1000);
            int status = feed_all(&im, &rows[i], piece);
            image_why(&im, why, sizeof why);
            if (status != rows[i].status || im.kind != rows[i].kind || im.width != rows[i].width || im.height != rows[i].height)
                fail_msg("row %zu, pieces of %zu: %d, kind %d, %u x %u: %s", i, piece, status, (int)im.kind, im.width, im.height, why);
            if (rows[i].why)
                assert_string_equal(why, rows[i].why);
            assert_true(status == 0 || strlen(why) > 0);
        }
    }
}

/* What comes is told as soon as it can be known, not at the end. */
static void test_a_refusal_comes_at_once(void **state)
{
    (void)state;
    struct image im;
    char zeros[100] = "";
    image_init(&im, 1000);
    assert_int_equal(image_feed(&im, "%PDF-1.7 is", 11), 0);
    assert_int_equal(image_feed(&im, " ", 1), 415);
    image_init(&im, 1000);
    assert_int_equal(image_feed(&im, zeros, 63), 0);
    assert_int_equal(image_feed(&im, zeros, 1), 415);
    assert_int_equal(image_feed(&im, "GIF89a", 6), 415);
    image_init(&im, 1000);
    assert_int_equal(image_feed(&im, PNG_OF("\0\0\xea\x60", "\0\0\xea\x60"), 23), 0);
    assert_int_equal(image_feed(&im, "\x60", 1), 413);
}

static void test_more_bytes_than_are_taken(void **state)
{
    (void)state;
    static const char gif[] = "GIF89a\5\0\5\0\0\0";
    char zeros[100] = "", why[IMAGE_WHY_BYTES];
    struct image im;
    image_init(&im, 112);
    assert_int_equal(image_feed(&im, gif, 12), 0);
    assert_int_equal(image_feed(&im, zeros, 100), 0);
    assert_int_equal(image_end(&im), 0);
    assert_int_equal(im.bytes_n, 112);
    assert_int_equal(image_feed(&im, zeros, 1), 413);
    image_why(&im, why, sizeof why);
    assert_string_equal(why, "has more than the 112 bytes that [proxy] upload_limit takes of one image");
}

/* A profile and a thumbnail of many segments stand before the frame header of a camera's picture. */
static void test_a_jpeg_with_long_segments(void **state)
{
    (void)state;
    static char zeros[65533];
    struct image im;
    image_init(&im, 10 << 20);
    assert_int_equal(image_feed(&im, "\xff\xd8", 2), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(image_feed(&im, "\xff\xe1\xff\xff", 4), 0);
        assert_int_equal(image_feed(&im, zeros, sizeof zeros), 0);
    }
    assert_int_equal(image_feed(&im, "\xff\xc0\0\x0b\x08\x0b\xd0\x0f\xc0\1", 10), 0);
    assert_int_equal(image_end(&im), 0);
    assert_int_equal(im.width, 4032);
    assert_int_equal(im.height, 3024);
    assert_int_equal(im.kind, IMAGE_JPEG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_sizes_and_what_is_none_proxy_scenario_39),
        cmocka_unit_test(test_a_refusal_comes_at_once),
        cmocka_unit_test(test_more_bytes_than_are_taken),
        cmocka_unit_test(test_a_jpeg_with_long_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
