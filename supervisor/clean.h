/*
 * clean: a line that a program wrote, as it may stand in a log and on a terminal.
 */
#ifndef SUPERVISOR_CLEAN_H
#define SUPERVISOR_CLEAN_H

#include <stddef.h>

/* In place, never longer: whole escape sequences (ECMA-48: CSI, OSC and the other strings, two-byte ones) go, as they say
 * nothing to a reader; what else could move a cursor, end a line or turn the writing direction becomes '?', a tab a space,
 * and bytes that are no UTF-8 '?' each. is_cut: the line's end is missing, so half a character there is left out.
 * Returns the length; NUL-terminated where there is room in line_n + 1 bytes, as the caller must have. */
size_t clean_line(char *line, size_t line_n, int is_cut);

#endif
