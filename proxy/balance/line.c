/* See line.h. */
#include "proxy/balance/line.h"

#include "common/hash.h"

static uint64_t chance_of(const struct balance_ticket *t)
{
    uint64_t h = hash_bytes(HASH_START, (const char *)&t->sequence, sizeof t->sequence);
    return h ^ h >> 32;
}

static size_t count(const struct balance_ticket *t)
{
    return t ? t->below_n : 0;
}

static void recount(struct balance_ticket *t)
{
    t->below_n = 1 + count(t->left) + count(t->right);
}

/* Where what is above t points to it. */
static struct balance_ticket **link_to(struct line *l, struct balance_ticket *t)
{
    if (!t->up)
        return &l->root;
    return t->up->left == t ? &t->up->left : &t->up->right;
}

/* t takes the place of the one above it, which goes below t. */
static void rise(struct line *l, struct balance_ticket *t)
{
    struct balance_ticket *p = t->up, **inner = p->left == t ? &t->right : &t->left;
    *link_to(l, p) = t;
    *(p->left == t ? &p->left : &p->right) = *inner;
    if (*inner)
        (*inner)->up = p;
    *inner = p;
    t->up = p->up;
    p->up = t;
    recount(p);
    recount(t);
}

void line_add(struct line *l, struct balance_ticket *t)
{
    struct balance_ticket **at = &l->root;
    t->up = t->left = t->right = NULL;
    t->below_n = 1;
    while (*at) {
        t->up = *at;
        t->up->below_n++;
        at = line_is_before(t, *at) ? &(*at)->left : &(*at)->right;
    }
    *at = t;
    while (t->up && chance_of(t) < chance_of(t->up))
        rise(l, t);
}

void line_remove(struct line *l, struct balance_ticket *t)
{
    while (t->left && t->right)
        rise(l, chance_of(t->left) < chance_of(t->right) ? t->left : t->right);
    struct balance_ticket *only = t->left ? t->left : t->right;
    *link_to(l, t) = only;
    if (only)
        only->up = t->up;
    for (struct balance_ticket *p = t->up; p; p = p->up)
        p->below_n--;
    t->up = t->left = t->right = NULL;
}

struct balance_ticket *line_first(const struct line *l)
{
    struct balance_ticket *t = l->root;
    while (t && t->left)
        t = t->left;
    return t;
}

struct balance_ticket *line_next(const struct balance_ticket *t)
{
    if (t->right) {
        struct balance_ticket *next = t->right;
        while (next->left)
            next = next->left;
        return next;
    }
    while (t->up && t->up->right == t)
        t = t->up;
    return t->up;
}

size_t line_before_n(const struct line *l, const struct balance_ticket *t)
{
    size_t before_n = 0;
    const struct balance_ticket *at = l->root;
    while (at) {
        if (line_is_before(at, t)) {
            before_n += 1 + count(at->left);
            at = at->right;
        } else {
            at = at->left;
        }
    }
    return before_n;
}
