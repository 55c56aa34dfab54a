/* See addresses.h. Chains in arrays that are made at boot; the hash has a seed that nobody outside knows. */
#include "proxy/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { V6_BYTES = 8 }; /* of an address that count: a /64 */

struct address_entry {
    struct ip key;
    int next; /* in its chain, or of those that are free; -1: the last */
    unsigned served_n, refused_n;
};

int addresses_init(struct addresses *all, size_t limit_n, size_t clients_max_n)
{
    *all = (struct addresses){.limit_n = limit_n, .first_free = -1};
    if (limit_n == 0)
        return 0;
    all->heads_n = 16;
    while (all->heads_n < clients_max_n * 2)
        all->heads_n *= 2;
    all->entries_n = clients_max_n;
    all->entries = calloc(all->entries_n, sizeof *all->entries);
    all->heads = malloc(all->heads_n * sizeof *all->heads);
    if (!all->entries || !all->heads) {
        addresses_fini(all);
        return -ENOMEM;
    }
    for (size_t i = 0; i < all->heads_n; i++)
        all->heads[i] = -1;
    for (size_t i = 0; i < all->entries_n; i++)
        all->entries[i].next = i + 1 < all->entries_n ? (int)i + 1 : -1;
    all->first_free = 0;
    sys_random(&all->seed, sizeof all->seed);
    return 0;
}

void addresses_fini(struct addresses *all)
{
    free(all->entries);
    free(all->heads);
    *all = (struct addresses){.first_free = -1};
}

/* Whom the peer counts for. 0: for nobody, as it is no IP address, or exempt. */
static int key_of(const struct addresses *all, const struct sockaddr_storage *peer, struct ip *key)
{
    if (peer->ss_family != AF_INET && peer->ss_family != AF_INET6)
        return 0;
    ip_from_sockaddr(peer, key);
    if (all->exempt && networks_hold(all->exempt, key))
        return 0;
    if (!ip_is_v4(key))
        memset(key->bytes + V6_BYTES, 0, sizeof key->bytes - V6_BYTES);
    return 1;
}

/* The finalizer of MurmurHash3 over both halves, each with the seed. */
static uint64_t mixed(uint64_t x)
{
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static int *head_of(const struct addresses *all, const struct ip *key)
{
    uint64_t halves[2];
    memcpy(halves, key->bytes, sizeof halves);
    uint64_t hash = mixed(halves[1] ^ mixed(halves[0] ^ all->seed));
    return &all->heads[hash & (all->heads_n - 1)];
}

static int find(const struct addresses *all, const struct ip *key)
{
    int at = *head_of(all, key);
    while (at >= 0 && !ip_is_equal(&all->entries[at].key, key))
        at = all->entries[at].next;
    return at;
}

static int add(struct addresses *all, const struct ip *key)
{
    int at = all->first_free, *head = head_of(all, key);
    if (at < 0)
        return -1;
    all->first_free = all->entries[at].next;
    all->entries[at] = (struct address_entry){.key = *key, .next = *head};
    *head = at;
    return at;
}

static void drop(struct addresses *all, int at)
{
    int *link = head_of(all, &all->entries[at].key);
    while (*link != at)
        link = &all->entries[*link].next;
    *link = all->entries[at].next;
    all->entries[at].next = all->first_free;
    all->first_free = at;
}

enum address_verdict addresses_enter(struct addresses *all, const struct sockaddr_storage *peer, struct address_place *place)
{
    struct ip key;
    *place = (struct address_place){.entry = -1};
    if (all->limit_n == 0 || !key_of(all, peer, &key))
        return ADDRESS_SERVE;
    int at = find(all, &key);
    at = at >= 0 ? at : add(all, &key);
    if (at < 0)
        return ADDRESS_SERVE; /* more clients than there may be: not for this table to say */
    struct address_entry *entry = &all->entries[at];
    place->is_refused = entry->served_n >= all->limit_n;
    if (place->is_refused && entry->refused_n >= ADDRESSES_REFUSED_MAX)
        return ADDRESS_DROP;
    place->entry = at;
    *(place->is_refused ? &entry->refused_n : &entry->served_n) += 1;
    return place->is_refused ? ADDRESS_REFUSE : ADDRESS_SERVE;
}

void addresses_leave(struct addresses *all, struct address_place *place)
{
    if (place->entry < 0)
        return;
    struct address_entry *entry = &all->entries[place->entry];
    *(place->is_refused ? &entry->refused_n : &entry->served_n) -= 1;
    if (entry->served_n + entry->refused_n == 0)
        drop(all, place->entry);
    place->entry = -1;
}

size_t addresses_n(const struct addresses *all)
{
    size_t free_n = 0;
    for (int at = all->first_free; at >= 0; at = all->entries[at].next)
        free_n++;
    return all->entries_n - free_n;
}
