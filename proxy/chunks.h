/*
 * chunks: a long conversation, as text, in parts that a model can take one by one. Each byte is in just one part, in the order of the
 * text. Pure, and linear in the text's length.
 *
 * A part ends before a message, else behind a paragraph, a line, a word, or a character, whichever is found first in its second half: so
 * there are never more than twice as many parts as there must be.
 */
#ifndef PROXY_CHUNKS_H
#define PROXY_CHUNKS_H

#include <stddef.h>

/* The text, UTF-8, and how far it was cut. */
struct chunks {
    const char *text;     /* borrowed */
    size_t n;
    const size_t *starts; /* where messages begin, ascending; borrowed */
    size_t starts_n;
    size_t most_chars;    /* code points that a part may have */
    size_t at;            /* the next part begins here */
    size_t start;         /* the first of starts that is not before it */
};

/* A part. */
struct chunk {
    size_t at, n;   /* bytes of the text */
    size_t chars_n; /* code points */
    size_t message; /* in which it begins, as an index into starts; starts_n where the text begins before all of them */
    int is_inside;  /* … in the middle of it: that message began in the part before */
};

/* most_chars: at least 1. */
void chunks_init(struct chunks *c, const char *text, size_t n, const size_t *starts, size_t starts_n, size_t most_chars);
/* 1 and the next part, or 0 where there is none. */
int chunks_next(struct chunks *c, struct chunk *out);

#endif
