/* common/sha256: the examples of FIPS 180 and of NIST's test vectors, and every length around the ends of blocks. */
#include "common/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void is(const void *bytes, size_t n, const char *expected)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256(bytes, n, digest);
    sha256_hex(digest, hex);
    assert_string_equal(hex, expected);
}

/* https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values */
static void test_the_examples_of_the_standard(void **state)
{
    (void)state;
    static char many[1000000];
    memset(many, 'a', sizeof many);
    is("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    is("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    is(many, sizeof many, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    is("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Byte i of a text of n is i * 7 + n; the sums are those of Python's hashlib. */
static void test_lengths_around_blocks(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *hex;
    } cases[] = {
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"},
        {55, "81afe5b788dc2ce138ff83d9b20164db75a94d75d2b2432eea4a0ef605088c72"},
        {56, "2aba54f0ac632420a2b502431408866e40e1d5e430df4cd822642c78ab2eb9c1"},
        {57, "903284efbf9100e8ba1614ec65eacacad125e03f857cae7acbf8b73b23e0fdfe"},
        {63, "733d3d4ee79ee67145bf73da13588f6f235d37414fc64b14a2f00f1762792f5e"},
        {64, "79322907b3e9d013d7dc2c2f256674dbf733045cde01df3539271c6f5605feb8"},
        {65, "d85c007c6eb440f085afa2b84f6f2bce4658b240e9f62cb1364bf0485a57e720"},
        {119, "6c87eedf096b345de205b702e5223b73b447a3207791ded3ea007ba15ed6736e"},
        {120, "42500cf6a1e3936d6b9e0bcfe296d654b63255e525487d3634d0b15fde591c4d"},
        {127, "68f6ff710276900c0ffbbc57426f67e00c2e01f0750c7edc25ac06b8ce7a8095"},
        {128, "489d55fea9a73af36b6dd0be7b4117d8e5683386d39544e8a44c99a87f368707"},
        {1000, "6b0df76627243d095b0c4400cb658b7e804dd03461cc03aee8fc8fe0bcada168"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        unsigned char text[1000];
        for (size_t i = 0; i < cases[k].n; i++)
            text[i] = (unsigned char)(i * 7 + cases[k].n);
        is(text, cases[k].n, cases[k].hex);
    }
}

/* Any cut of any of these lengths gives the same. */
static void test_pieces_are_as_good_as_the_whole(void **state)
{
    (void)state;
    unsigned char text[200], whole[SHA256_BYTES], pieces[SHA256_BYTES];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(i * 13);
    for (size_t n = 0; n <= sizeof text; n++) {
        sha256(text, n, whole);
        for (size_t cut = 0; cut <= n; cut++) {
            struct sha256 s;
            sha256_init(&s);
            sha256_add(&s, text, cut / 2);
            sha256_add(&s, text + cut / 2, cut - cut / 2);
            sha256_add(&s, text + cut, n - cut);
            sha256_end(&s, pieces);
            assert_memory_equal(whole, pieces, SHA256_BYTES);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_examples_of_the_standard),
        cmocka_unit_test(test_lengths_around_blocks),
        cmocka_unit_test(test_pieces_are_as_good_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
