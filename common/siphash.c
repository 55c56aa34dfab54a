/* See siphash.h. The names are those of its paper. */
#include "common/siphash.h"

#include <stdint.h>
#include <string.h>

enum { WORD_BYTES = 8 };

static uint64_t word_of(const unsigned char *at, size_t n)
{
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)at[i] << 8 * i;
    return word;
}

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

static void take_word(uint64_t v[4], uint64_t m)
{
    v[3] ^= m;
    sip_round(v);
    sip_round(v);
    v[0] ^= m;
}

static void write_half(uint64_t v[4], unsigned char *out)
{
    for (int i = 0; i < 4; i++)
        sip_round(v);
    uint64_t word = v[0] ^ v[1] ^ v[2] ^ v[3];
    for (size_t i = 0; i < WORD_BYTES; i++)
        out[i] = (unsigned char)(word >> 8 * i);
}

void siphash(const unsigned char secret[SIPHASH_BYTES], const void *bytes, size_t bytes_n, unsigned char out[SIPHASH_BYTES])
{
    uint64_t k0 = word_of(secret, WORD_BYTES), k1 = word_of(secret + WORD_BYTES, WORD_BYTES);
    uint64_t v[4] = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee, k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    const unsigned char *at = bytes;
    size_t left_n = bytes_n;
    for (; left_n >= WORD_BYTES; left_n -= WORD_BYTES, at += WORD_BYTES)
        take_word(v, word_of(at, WORD_BYTES));
    take_word(v, (uint64_t)bytes_n << 56 | word_of(at, left_n));
    v[2] ^= 0xee;
    write_half(v, out);
    v[1] ^= 0xdd;
    write_half(v, out + WORD_BYTES);
}
