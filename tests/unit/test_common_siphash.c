/* common/siphash: the vectors of its reference implementation (vectors.h: vectors_sip128), and that each bit of secret and text counts. */
#include "common/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 63 };

/* Byte i of secret and text is i. */
static void begin(unsigned char secret[SIPHASH_BYTES], unsigned char text[TEXT_BYTES])
{
    for (int i = 0; i < SIPHASH_BYTES; i++)
        secret[i] = (unsigned char)i;
    for (int i = 0; i < TEXT_BYTES; i++)
        text[i] = (unsigned char)i;
}

static void test_the_reference_vectors(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *hex;
    } cases[] = {
        {0, "a3817f04ba25a8e66df67214c7550293"},
        {1, "da87c1d86b99af44347659119b22fc45"},
        {2, "8177228da4a45dc7fca38bdef60affe4"},
        {63, "5150d1772f50834a503e069a973fbd7c"},
    };
    unsigned char secret[SIPHASH_BYTES], text[TEXT_BYTES], out[SIPHASH_BYTES];
    begin(secret, text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char hex[2 * SIPHASH_BYTES + 1];
        siphash(secret, text, cases[i].n, out);
        for (size_t k = 0; k < SIPHASH_BYTES; k++)
            snprintf(hex + 2 * k, 3, "%02x", out[k]);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    unsigned char secret[SIPHASH_BYTES], text[TEXT_BYTES], first[SIPHASH_BYTES], other[SIPHASH_BYTES];
    begin(secret, text);
    siphash(secret, text, TEXT_BYTES, first);
    for (int bit = 0; bit < 8 * TEXT_BYTES; bit++) {
        text[bit / 8] ^= (unsigned char)(1 << bit % 8);
        siphash(secret, text, TEXT_BYTES, other);
        assert_memory_not_equal(first, other, SIPHASH_BYTES);
        text[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (int bit = 0; bit < 8 * SIPHASH_BYTES; bit++) {
        secret[bit / 8] ^= (unsigned char)(1 << bit % 8);
        siphash(secret, text, TEXT_BYTES, other);
        assert_memory_not_equal(first, other, SIPHASH_BYTES);
        secret[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_reference_vectors),
        cmocka_unit_test(test_every_bit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
