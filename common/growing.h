/*
 * growing: pauses that grow with each failure in a row. Pure.
 */
#ifndef COMMON_GROWING_H
#define COMMON_GROWING_H

#include "common/sys.h"

/* The pause in ms behind one of before_ms (0: there was none): first_ms, then times as long as the one before, up to longest_ms,
 * which may be any, also less than first_ms. */
int64_t growing_next_ms(int64_t before_ms, int64_t first_ms, int64_t times, int64_t longest_ms);

#endif
