/*
 * clean: what a text that people see must not have, whoever wrote it.
 */
#ifndef TESTS_FUZZ_CLEAN_H
#define TESTS_FUZZ_CLEAN_H

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Whole characters, none of which moves a cursor or turns the writing round. is_block: lines and tabs may be there. */
static inline void must_be_clean(const char *text, size_t n, int is_block)
{
    for (size_t i = 0; i < n;) {
        uint32_t point;
        size_t length = utf8_decode(text + i, n - i, &point);
        if (length == 0 || (utf8_is_harmful(point) && !(is_block && (point == '\n' || point == '\t'))))
            abort();
        i += length;
    }
}

#endif
