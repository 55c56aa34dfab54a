/*
 * forwarded: what a proxy in front says of its client: Forwarded (RFC 7239), and X-Forwarded-For, -Host and -Proto. Pure.
 *
 * The client is the right-most address that is not itself a trusted proxy's: whatever stands left of it, it may have
 * written itself. Where all are trusted, it is the left-most. What can't be read is nobody's address.
 */
#ifndef PROXY_FORWARDED_H
#define PROXY_FORWARDED_H

#include "common/network.h"
#include "proxy/message.h"

enum forwarded_proto { FORWARDED_NO_PROTO, FORWARDED_HTTP, FORWARDED_HTTPS };

/* What one kind of field says. */
struct forwarded {
    int is_there;              /* there is such a field */
    int is_known;              /* client is its address: of the right-most that is not trusted */
    int is_malformed;          /* it can't be read (RFC 7239 section 4); then nothing of it counts */
    struct ip client;
    struct span host;          /* in the message; n = 0: not said */
    enum forwarded_proto proto;
};

/* Forwarded, all its lines: host and proto are those of the client's element. */
void forwarded_read_standard(const struct message *m, const struct networks *trusted, struct forwarded *out);
/* X-Forwarded-For, and the last entries of X-Forwarded-Host and X-Forwarded-Proto: the nearest proxy's. */
void forwarded_read_usual(const struct message *m, const struct networks *trusted, struct forwarded *out);

/* `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`, `2001:db8::1`: the address. RFC 7239 section 6. -EINVAL for all else,
 * as `unknown` and `_name`. */
int forwarded_node(const char *text, size_t text_n, struct ip *out) WARN_UNUSED;

#endif
