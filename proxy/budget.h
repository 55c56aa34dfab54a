/*
 * budget: how many bytes of request bodies may be held at once, by all requests together. Pure.
 *
 * A body's first BUDGET_FREE_BYTES are not counted: whoever holds large ones does not shut out those who only ask. So what
 * is held at most is the limit, and that for each client.
 */
#ifndef PROXY_BUDGET_H
#define PROXY_BUDGET_H

#include <stdint.h>

enum { BUDGET_FREE_BYTES = 16 * 1024, BUDGET_MUCH_BYTES = 1 << 20 };

struct budget {
    uint64_t limit_bytes, used_bytes;
    uint64_t most_bytes; /* used at once, since budget_forget_most() */
};

/* What one body has of it; all zero at first. */
struct budget_share {
    uint64_t counted_bytes;
};

/* Whether a body of this length would fit now. */
int budget_has_room(const struct budget *b, const struct budget_share *s, uint64_t body_bytes);
/* The body has this length now. 0; or -ENOBUFS: it does not fit, and nothing has changed. */
int budget_grow(struct budget *b, struct budget_share *s, uint64_t body_bytes) __attribute__((warn_unused_result));
/* Whether much less is used than was: what was freed is worth giving back to the kernel. */
int budget_has_shrunk(const struct budget *b);
void budget_forget_most(struct budget *b);
/* The body is gone. Harmless where it was before. */
void budget_give_back(struct budget *b, struct budget_share *s);

#endif
