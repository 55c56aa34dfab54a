/*
 * line: the tickets that wait for one model, by tag, those with the same by arrival. A treap: a search tree that is also a heap of random
 * numbers, and so balanced as far as chance goes (Seidel, Aragon, 1996): to enter, to leave and to tell a place takes some log2(n) steps. The
 * links are in the tickets, so that nothing is allocated. A ticket's random number is made of its sequence.
 */
#ifndef PROXY_BALANCE_LINE_H
#define PROXY_BALANCE_LINE_H

#include "proxy/balance/ticket.h"

/* All zero: nobody. */
struct line {
    struct balance_ticket *root;
};

/* Whether a is served before b: of all lines. */
static inline int line_is_before(const struct balance_ticket *a, const struct balance_ticket *b)
{
    return a->tag_ms != b->tag_ms ? a->tag_ms < b->tag_ms : a->sequence < b->sequence;
}

/* t->tag_ms and t->sequence are set; no two have the same sequence. */
void line_add(struct line *l, struct balance_ticket *t);
/* It is in this line. */
void line_remove(struct line *l, struct balance_ticket *t);
/* NULL: none. */
struct balance_ticket *line_first(const struct line *l);
struct balance_ticket *line_next(const struct balance_ticket *t);
/* How many are served before t, which may be in another line. */
size_t line_before_n(const struct line *l, const struct balance_ticket *t);
static inline size_t line_n(const struct line *l)
{
    return l->root ? l->root->below_n : 0;
}

#endif
