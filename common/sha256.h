/*
 * sha256: SHA-256 of FIPS 180-4, of a text that is whole: for keys (docs/keys.md), so that no secret is compared byte by byte, and none
 * need stand in a configuration.
 */
#ifndef COMMON_SHA256_H
#define COMMON_SHA256_H

#include <stddef.h>

enum { SHA256_BYTES = 32, SHA256_HEX_BYTES = 2 * SHA256_BYTES + 1 };

/* FIPS 180-4 section 6.2. How long it takes depends on bytes_n alone. */
void sha256(const void *bytes, size_t bytes_n, unsigned char out[SHA256_BYTES]);
/* In small hexadecimal digits, with a NUL. */
void sha256_hex(const unsigned char digest[SHA256_BYTES], char out[SHA256_HEX_BYTES]);

#endif
