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

/* Whether a character could move a terminal's cursor, end a line, or turn the writing direction. */
int utf8_is_harmful(uint32_t point);

#endif
