/*
 * resolve: the addresses behind a host's name, without waiting. A lookup is a thread that shares nothing with us: it has a copy of the name, and
 * writes what it found into a pipe, as a child would. One that hangs holds nobody: who asked may forget it, and it ends by itself.
 *
 * A host that has both IPv4 and IPv6 would count twice: where there is any IPv4 address, the others are left out.
 */
#ifndef PROXY_BALANCE_RESOLVE_H
#define PROXY_BALANCE_RESOLVE_H

#include "common/loop.h"
#include "common/network.h"

enum { RESOLVE_ADDRESSES = 64, RESOLVE_WHY_BYTES = 120 };

struct resolve_found {
    size_t ips_n;       /* 0: why */
    int is_cut;         /* there are more */
    char why[RESOLVE_WHY_BYTES];
    struct ip ips[RESOLVE_ADDRESSES]; /* each once, in the order of their numbers */
};

struct resolve {
    struct loop *loop;
    int fd; /* of the lookup that is under way; -1: none */
    void (*done)(void *context, const struct resolve_found *found);
    void *context;
};

/* done: what came of a lookup, never from within; another one may be begun in it. */
void resolve_init(struct resolve *r, struct loop *loop, void (*done)(void *context, const struct resolve_found *found), void *context);
/* Nothing where one is under way. 0, and done will come; or -errno: no thread, no descriptor, no memory. */
int resolve_start(struct resolve *r, const char *host) WARN_UNUSED;
int resolve_is_under_way(const struct resolve *r);
/* Forgets what is under way. */
void resolve_fini(struct resolve *r);

#endif
