/*
 * addresses: how many connections each address has, and whether it may have one more.
 *
 * IPv4 counts by address, also where it comes as IPv6 (::ffff:a.b.c.d); IPv6 by its first 64 bits, as that is what one
 * subscriber gets. The table has as many places as there may be clients, so it never grows and is never full.
 */
#ifndef PROXY_ADDRESSES_H
#define PROXY_ADDRESSES_H

#include "common/network.h"

enum { ADDRESSES_REFUSED_MAX = 8 }; /* of one address, that are told so at once; more are closed without a word */

enum address_verdict { ADDRESS_SERVE, ADDRESS_REFUSE, ADDRESS_DROP };

struct address_entry;

struct addresses {
    size_t limit_n; /* 0: nobody is counted */
    const struct networks *exempt; /* borrowed; who is not counted, or NULL */
    struct address_entry *entries;
    int *heads;     /* of chains, by hash */
    size_t entries_n, heads_n;
    int first_free;
    uint64_t seed;
};

/* The place of a connection in the table. */
struct address_place {
    int entry;      /* -1: not counted */
    int is_refused;
};

/* limit_n: connections for each address, 0: any number, and no memory. clients_max_n: how many are counted at most.
 * 0 or -ENOMEM. */
int addresses_init(struct addresses *all, size_t limit_n, size_t clients_max_n) WARN_UNUSED;
void addresses_fini(struct addresses *all);

/* One more connection: it is counted unless it is to be dropped. *place: for addresses_leave(). */
enum address_verdict addresses_enter(struct addresses *all, const struct sockaddr_storage *peer, struct address_place *place);
/* It has ended; once for each that entered. */
void addresses_leave(struct addresses *all, struct address_place *place);
/* How many addresses have any. */
size_t addresses_n(const struct addresses *all);

#endif
