/*
 * utf8: foreign text, character by character.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the well-formed character at `at` (RFC 3629: nothing overlong, no surrogates) and its code point; 0 where
 * there is none within left_n (at least 1) bytes. */
size_t utf8_decode(const char *at, size_t left_n, uint32_t *point);

/* How many characters these bytes have; one that belongs to none counts as one. `at` may be NULL where n is 0. */
size_t utf8_count(const char *at, size_t n);
/* Where the first chars_n of them end; at + n where there are not more. */
const char *utf8_skip(const char *at, size_t n, size_t chars_n);

/* Whether a character could move a terminal's cursor, end a line, or turn the writing direction. */
int utf8_is_harmful(uint32_t point);

#endif
