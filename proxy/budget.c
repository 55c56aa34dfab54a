/* See budget.h. A sum, and each one's part in it. */
#include "proxy/budget.h"

#include <errno.h>

static uint64_t counted(uint64_t body_bytes)
{
    return body_bytes > BUDGET_FREE_BYTES ? body_bytes - BUDGET_FREE_BYTES : 0;
}

int budget_has_room(const struct budget *b, const struct budget_share *s, uint64_t body_bytes)
{
    uint64_t more_bytes = counted(body_bytes) > s->counted_bytes ? counted(body_bytes) - s->counted_bytes : 0;
    return more_bytes == 0 || (b->used_bytes <= b->limit_bytes && more_bytes <= b->limit_bytes - b->used_bytes);
}

int budget_grow(struct budget *b, struct budget_share *s, uint64_t body_bytes)
{
    if (!budget_has_room(b, s, body_bytes))
        return -ENOBUFS;
    if (counted(body_bytes) > s->counted_bytes) {
        b->used_bytes += counted(body_bytes) - s->counted_bytes;
        s->counted_bytes = counted(body_bytes);
    }
    if (b->used_bytes > b->most_bytes)
        b->most_bytes = b->used_bytes;
    return 0;
}

int budget_has_shrunk(const struct budget *b)
{
    return b->most_bytes >= BUDGET_MUCH_BYTES && b->used_bytes <= b->most_bytes / 2;
}

void budget_forget_most(struct budget *b)
{
    b->most_bytes = b->used_bytes;
}

void budget_give_back(struct budget *b, struct budget_share *s)
{
    b->used_bytes -= s->counted_bytes;
    s->counted_bytes = 0;
}
