/*
 * siphash: SipHash-2-4 of 128 bits: a hash under a secret, so that nobody who does not have it can make two texts with one hash; some ten
 * times as quick as SHA-256 here. https://www.aumasson.jp/siphash/siphash.pdf, and its reference implementation, https://github.com/veorq/SipHash
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include <stddef.h>

enum { SIPHASH_BYTES = 16 };

/* secret: any bytes that were thrown once (sys_random()). */
void siphash(const unsigned char secret[SIPHASH_BYTES], const void *bytes, size_t bytes_n, unsigned char out[SIPHASH_BYTES]);

#endif
