/*
 * hash: FNV-1a of 64 bits: quick, the same on every machine and in every run, and against accidents only, as anybody can make two
 * texts with one hash. http://www.isthe.com/chongo/tech/comp/fnv/
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of nothing: what each of the others goes on from. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

/* A byte more, or a number as if it were one. */
static inline uint64_t hash_add(uint64_t h, uint64_t value)
{
    return (h ^ value) * UINT64_C(0x100000001b3);
}

/* So many bytes more. */
static inline uint64_t hash_bytes(uint64_t h, const char *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n; i++)
        h = hash_add(h, (unsigned char)bytes[i]);
    return h;
}

#endif
