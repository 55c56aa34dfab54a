/*
 * sha1: SHA-1 of FIPS 180-4 in pieces, by which git names files. It tells a file that was broken on its way; it is no proof against who means to
 * deceive, and nothing here takes it for one.
 */
#ifndef PRELOAD_HUB_SHA1_H
#define PRELOAD_HUB_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20, SHA1_BLOCK_BYTES = 64 };

struct sha1 {
    uint32_t hash[5];
    unsigned char block[SHA1_BLOCK_BYTES]; /* what is left of bytes_n behind the last whole block */
    uint64_t bytes_n;
};

/* Init, add as often as there is something, end once. */
void sha1_init(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *bytes, size_t bytes_n);
void sha1_end(struct sha1 *s, unsigned char out[SHA1_BYTES]);

#endif
