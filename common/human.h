/*
 * human: numbers as people read them.
 */
#ifndef COMMON_HUMAN_H
#define COMMON_HUMAN_H

#include <stdint.h>

enum { HUMAN_BYTES = 32 };

/* `812 B`, `2.0 GiB`, `512 MiB`: binary units, as limits on memory are set; `-` below zero. */
void human_bytes(char out[HUMAN_BYTES], int64_t bytes);

/* `12s`, `3m12s`, `2h05m`, `3d04h`; `-` below zero. */
void human_duration(char out[HUMAN_BYTES], int64_t seconds);

/* The same of milliseconds, with a tenth of a second below a minute: `0.0s`, `12.4s`, `3m12s`. */
void human_time(char out[HUMAN_BYTES], int64_t ms);

#endif
