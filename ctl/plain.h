/*
 * plain: foreign words and colours for a person at a terminal.
 */
#ifndef CTL_PLAIN_H
#define CTL_PLAIN_H

#include "common/buf.h"

/* Appends text of others without what could move a cursor or hide something: control characters (lines and tabs stay
 * where is_block), broken UTF-8 and marks of direction become '?'. 0 or -errno. */
int plain_clean(struct buf *out, const char *text, size_t text_n, int is_block) WARN_UNUSED;
/* … a whole text, on one line. */
int plain_text(struct buf *out, const char *text) WARN_UNUSED;

/* The same into a fixed room, cut at whole characters, terminated. */
void plain_clean_to(char *out, size_t out_n, const char *text);

/* Columns on a terminal, taken as one a character. */
size_t plain_width(const char *text);

/* The escape that colours a state's name ("" for an unknown one), and the one that ends it. */
const char *plain_colour(const char *state);
#define PLAIN_COLOUR_END "\033[0m"

/* 1 where stdout takes colours: a terminal that is not dumb, and NO_COLOR is not set. */
int plain_has_colours(void);

#endif
