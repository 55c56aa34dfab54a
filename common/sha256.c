/* See sha256.h. The names are those of FIPS 180-4. */
#include "common/sha256.h"

#include <string.h>

enum { LENGTH_BYTES = 8, ROUNDS_N = 64 };

/* Section 4.2.2: the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[ROUNDS_N] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* Section 5.3.3: … of the square roots of the first eight. */
static const uint32_t start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* Section 6.2.2, step 1. */
static void schedule(const unsigned char block[SHA256_BLOCK_BYTES], uint32_t w[ROUNDS_N])
{
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 | (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (int t = 16; t < ROUNDS_N; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10) + w[t - 7] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + w[t - 16];
    }
}

/* … steps 2 to 4. */
static void take_block(uint32_t hash[8], const unsigned char block[SHA256_BLOCK_BYTES])
{
    uint32_t w[ROUNDS_N], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4], f = hash[5], g = hash[6], h = hash[7];
    schedule(block, w);
    for (int t = 0; t < ROUNDS_N; t++) {
        uint32_t t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + (g ^ (e & (f ^ g))) + constants[t] + w[t];
        uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) | (c & (a | b)));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
    hash[5] += f;
    hash[6] += g;
    hash[7] += h;
}

void sha256_init(struct sha256 *s)
{
    memcpy(s->hash, start, sizeof s->hash);
    s->bytes_n = 0;
}

void sha256_add(struct sha256 *s, const void *bytes, size_t bytes_n)
{
    const unsigned char *at = bytes;
    size_t kept_n = s->bytes_n % SHA256_BLOCK_BYTES;
    s->bytes_n += bytes_n;
    if (kept_n > 0 && kept_n + bytes_n >= SHA256_BLOCK_BYTES) {
        size_t n = SHA256_BLOCK_BYTES - kept_n;
        memcpy(s->block + kept_n, at, n);
        take_block(s->hash, s->block);
        at += n;
        bytes_n -= n;
        kept_n = 0;
    }
    for (; kept_n == 0 && bytes_n >= SHA256_BLOCK_BYTES; bytes_n -= SHA256_BLOCK_BYTES, at += SHA256_BLOCK_BYTES)
        take_block(s->hash, at);
    if (bytes_n > 0)
        memcpy(s->block + kept_n, at, bytes_n);
}

/* The last block, or the last two: a bit that is 1, zeroes, and the length in bits. Section 5.1.1 */
void sha256_end(struct sha256 *s, unsigned char out[SHA256_BYTES])
{
    static const unsigned char padding[SHA256_BLOCK_BYTES] = {0x80};
    unsigned char length[LENGTH_BYTES];
    uint64_t bits_n = s->bytes_n * 8;
    size_t kept_n = s->bytes_n % SHA256_BLOCK_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        length[LENGTH_BYTES - 1 - i] = (unsigned char)(bits_n >> 8 * i);
    sha256_add(s, padding, (kept_n + LENGTH_BYTES < SHA256_BLOCK_BYTES ? 1u : 2u) * SHA256_BLOCK_BYTES - LENGTH_BYTES - kept_n);
    sha256_add(s, length, sizeof length);
    for (int i = 0; i < SHA256_BYTES; i++)
        out[i] = (unsigned char)(s->hash[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(const void *bytes, size_t bytes_n, unsigned char out[SHA256_BYTES])
{
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, bytes, bytes_n);
    sha256_end(&s, out);
}

void sha256_hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * SHA256_BYTES] = '\0';
}
