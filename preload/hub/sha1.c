/* See sha1.h. The names are those of FIPS 180-4. */
#include "preload/hub/sha1.h"

#include <string.h>

enum { LENGTH_BYTES = 8, ROUNDS_N = 80 };

static uint32_t rotl(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

/* Section 6.1.2; the functions are those of section 4.1.1, the constants those of 4.2.1. */
static void take_block(uint32_t hash[5], const unsigned char block[SHA1_BLOCK_BYTES])
{
    uint32_t w[ROUNDS_N], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < ROUNDS_N; t++)
        w[t] = rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < ROUNDS_N; t++) {
        uint32_t f = t < 20 ? ((b & c) | (~b & d)) + 0x5a827999 : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1 : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotl(a, 5) + f + e + w[t];
        e = d;
        d = c;
        c = rotl(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

void sha1_init(struct sha1 *s)
{
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(s->hash, start, sizeof s->hash);
    s->bytes_n = 0;
}

void sha1_add(struct sha1 *s, const void *bytes, size_t bytes_n)
{
    const unsigned char *at = bytes;
    while (bytes_n > 0) {
        size_t kept_n = s->bytes_n % SHA1_BLOCK_BYTES, n = SHA1_BLOCK_BYTES - kept_n < bytes_n ? SHA1_BLOCK_BYTES - kept_n : bytes_n;
        memcpy(s->block + kept_n, at, n);
        s->bytes_n += n;
        at += n;
        bytes_n -= n;
        if (s->bytes_n % SHA1_BLOCK_BYTES == 0)
            take_block(s->hash, s->block);
    }
}

void sha1_end(struct sha1 *s, unsigned char out[SHA1_BYTES])
{
    static const unsigned char padding[SHA1_BLOCK_BYTES] = {0x80};
    unsigned char length[LENGTH_BYTES];
    uint64_t bits_n = s->bytes_n * 8;
    size_t kept_n = s->bytes_n % SHA1_BLOCK_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        length[LENGTH_BYTES - 1 - i] = (unsigned char)(bits_n >> 8 * i);
    sha1_add(s, padding, (kept_n + LENGTH_BYTES < SHA1_BLOCK_BYTES ? 1u : 2u) * SHA1_BLOCK_BYTES - LENGTH_BYTES - kept_n);
    sha1_add(s, length, sizeof length);
    for (int i = 0; i < SHA1_BYTES; i++)
        out[i] = (unsigned char)(s->hash[i / 4] >> (24 - 8 * (i % 4)));
}
