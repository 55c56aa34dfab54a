/*
 * human: numbers as people read them.
 */
#ifndef COMMON_HUMAN_H
#define COMMON_HUMAN_H

#include <stdint.h>

enum { HUMAN_BYTES = 32 };

/* `12s`, `3m12s`, `2h05m`, `3d04h`; `-` below zero. */
void human_duration(char out[HUMAN_BYTES], int64_t seconds);

#endif
