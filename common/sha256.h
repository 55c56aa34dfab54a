/*
 * sha256: SHA-256 of FIPS 180-4, of a text that is whole: for keys (docs/keys.md), so that no secret is compared byte by byte, and none
 * need stand in a configuration; and of files in pieces, as they come.
 */
#ifndef COMMON_SHA256_H
#define COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_BLOCK_BYTES = 64, SHA256_HEX_BYTES = 2 * SHA256_BYTES + 1 };

/* FIPS 180-4 section 6.2. How long it takes depends on bytes_n alone. */
void sha256(const void *bytes, size_t bytes_n, unsigned char out[SHA256_BYTES]);

/* The same in pieces: init, add as often as there is something, end once. */
struct sha256 {
    uint32_t hash[8];
    unsigned char block[SHA256_BLOCK_BYTES]; /* what is left of bytes_n behind the last whole block */
    uint64_t bytes_n;
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *bytes, size_t bytes_n);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_BYTES]);

/* In small hexadecimal digits, with a NUL. */
void sha256_hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX_BYTES]);

#endif
