/*
 * network: IP addresses and networks of them: text to value, and which holds which. Pure.
 *
 * An IPv4 address is kept as IPv6 has it (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so that its two spellings are one.
 */
#ifndef COMMON_NETWORK_H
#define COMMON_NETWORK_H

#include "common/parse.h"

enum { IP_TEXT_BYTES = 46 };

struct ip {
    uint8_t bytes[16];
};

/* Those that begin with the first `bits` of `first`; 96 more than written for IPv4. */
struct network {
    struct ip first;
    unsigned bits;
};

/* A growing list; freed by networks_fini. */
struct networks {
    struct network *items;
    size_t items_n;
};

/* `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0` (the zone is left out); no port, no brackets. 0 or -EINVAL. */
int ip_parse(const char *text, size_t text_n, struct ip *out) WARN_UNUSED;
/* Who is behind a socket; a UNIX socket's other end is on this machine and so ::1. Any other family: ::, which is nobody. */
void ip_from_sockaddr(const struct sockaddr_storage *from, struct ip *out);
/* As is usual: 192.0.2.1, or as RFC 5952 has IPv6. */
void ip_text(const struct ip *ip, char out[IP_TEXT_BYTES]);
int ip_is_v4(const struct ip *ip);
int ip_is_equal(const struct ip *a, const struct ip *b);
/* 127.0.0.0/8 and ::1. */
int ip_is_loopback(const struct ip *ip);
/* Loopback, RFC 1918, unique local, link-local, or carrier-grade NAT (RFC 6598). */
int ip_is_private(const struct ip *ip);

/* Appends what one word means: an address, ADDRESS/BITS, `loopback`, or `private` (as ip_is_private). 0; -EINVAL with a
 * sentence in why (PARSE_WHY_BYTES) that says what to write; -ENOMEM. */
int networks_add(struct networks *all, const char *text, char *why) WARN_UNUSED;
int networks_hold(const struct networks *all, const struct ip *ip);
void networks_fini(struct networks *all);

#endif
