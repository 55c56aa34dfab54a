/*
 * See network.h. What `private` and `loopback` mean stands here once, as two tables: for rules that ask it of an address,
 * and for lists that name them. Knows nothing of who is asked, or why.
 */
#include "common/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { V4_AT = 12, V4_BITS = 96, ALL_BITS = 128 };

#define V4(a, b, bits) {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, 0, 0}}, V4_BITS + bits}
#define V6_LOOPBACK {{{[15] = 1}}, ALL_BITS}

static const struct network loopback[] = {V4(127, 0, 8), V6_LOOPBACK};
static const struct network private[] = {
    V4(127, 0, 8),   V6_LOOPBACK,
    V4(10, 0, 8),    V4(172, 16, 12), V4(192, 168, 16), /* RFC 1918 */
    V4(169, 254, 16),                                   /* link-local, RFC 3927 */
    V4(100, 64, 10),                                    /* carrier-grade NAT, RFC 6598 */
    {{{0xfc}}, 7},                                      /* unique local, RFC 4193 */
    {{{0xfe, 0x80}}, 10},                               /* link-local, RFC 4291 */
};
enum { LOOPBACK_N = sizeof loopback / sizeof *loopback, PRIVATE_N = sizeof private / sizeof *private };

static int holds(const struct network *network, const struct ip *ip)
{
    size_t whole_n = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(network->first.bytes, ip->bytes, whole_n) != 0)
        return 0;
    return rest == 0 || ((network->first.bytes[whole_n] ^ ip->bytes[whole_n]) >> (8 - rest)) == 0;
}

static int is_in(const struct network *networks, size_t n, const struct ip *ip)
{
    for (size_t i = 0; i < n; i++)
        if (holds(&networks[i], ip))
            return 1;
    return 0;
}

static void set_v4(struct ip *out, const void *four_bytes)
{
    *out = (struct ip){{[10] = 0xff, [11] = 0xff}};
    memcpy(out->bytes + V4_AT, four_bytes, 4);
}

int ip_parse(const char *text, size_t text_n, struct ip *out)
{
    char plain[IP_TEXT_BYTES];
    const char *zone = memchr(text, '%', text_n);
    size_t n = zone ? (size_t)(zone - text) : text_n;
    struct in_addr v4;
    struct in6_addr v6;
    if (n >= sizeof plain || (zone && n + 1 == text_n))
        return -EINVAL;
    memcpy(plain, text, n);
    plain[n] = '\0';
    if (memchr(plain, '\0', n))
        return -EINVAL;
    if (!zone && inet_pton(AF_INET, plain, &v4) == 1)
        set_v4(out, &v4);
    else if (inet_pton(AF_INET6, plain, &v6) == 1)
        memcpy(out->bytes, &v6, sizeof out->bytes);
    else
        return -EINVAL;
    return 0;
}

void ip_from_sockaddr(const struct sockaddr_storage *from, struct ip *out)
{
    *out = (struct ip){{0}};
    if (from->ss_family == AF_INET)
        set_v4(out, &((const struct sockaddr_in *)from)->sin_addr);
    else if (from->ss_family == AF_INET6)
        memcpy(out->bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, sizeof out->bytes);
    else if (from->ss_family == AF_UNIX)
        out->bytes[15] = 1;
}

int ip_is_v4(const struct ip *ip)
{
    static const struct ip mapped = {{[10] = 0xff, [11] = 0xff}};
    return memcmp(ip->bytes, mapped.bytes, V4_AT) == 0;
}

int ip_is_equal(const struct ip *a, const struct ip *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* inet_ntop(3) would go by way of printf, for each request that comes through a proxy. */
static void v4_text(const uint8_t *bytes, char *out)
{
    for (int i = 0; i < 4; i++) {
        unsigned b = bytes[i];
        if (b >= 100)
            *out++ = (char)('0' + b / 100);
        if (b >= 10)
            *out++ = (char)('0' + b / 10 % 10);
        *out++ = (char)('0' + b % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

void ip_text(const struct ip *ip, char out[IP_TEXT_BYTES])
{
    if (ip_is_v4(ip))
        v4_text(ip->bytes + V4_AT, out);
    else
        inet_ntop(AF_INET6, ip->bytes, out, IP_TEXT_BYTES);
}

int ip_is_loopback(const struct ip *ip)
{
    return is_in(loopback, LOOPBACK_N, ip);
}

int ip_is_private(const struct ip *ip)
{
    return is_in(private, PRIVATE_N, ip);
}

static int append(struct networks *all, const struct network *more, size_t more_n)
{
    struct network *items = realloc(all->items, (all->items_n + more_n) * sizeof *items);
    if (!items)
        return -ENOMEM;
    memcpy(items + all->items_n, more, more_n * sizeof *items);
    all->items = items;
    all->items_n += more_n;
    return 0;
}

/* The network that an address with so many bits is in. */
static struct ip cut(const struct ip *ip, unsigned bits)
{
    struct ip first = *ip;
    for (unsigned i = bits; i < ALL_BITS; i++)
        first.bytes[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
    return first;
}

/* Says what stands in the way of "text" being an address. */
static int bad_address(const char *text, size_t n, char *why)
{
    const char *colon = memchr(text, ':', n);
    struct ip ip;
    const char *what = "write an IP address, a network such as 10.0.0.0/8, loopback, or private; names are not looked up";
    if (n > 0 && text[0] == '[')
        what = "write the IPv6 address alone, without [ ] and port";
    else if (memchr(text, '%', n))
        what = "an IPv6 address has no zone here";
    else if (colon && ip_parse(text, (size_t)(colon - text), &ip) == 0)
        what = "write the address alone: its port is another one each time";
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no address: %s", text, what);
    return -EINVAL;
}

static int parse_range(const char *text, struct network *out, char *why)
{
    const char *slash = strchr(text, '/');
    size_t address_n = slash ? (size_t)(slash - text) : strlen(text);
    char number_why[PARSE_WHY_BYTES], first[IP_TEXT_BYTES];
    int64_t bits;
    struct ip ip;
    if (memchr(text, '%', address_n) || ip_parse(text, address_n, &ip) < 0)
        return bad_address(text, address_n, why);
    int is_v4_text = !memchr(text, ':', address_n);
    int most = is_v4_text ? ALL_BITS - V4_BITS : ALL_BITS;
    if (!slash) {
        bits = most;
    } else if (parse_integer(slash + 1, 0, most, &bits, number_why) < 0) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no network: behind the / stands a number from 0 to %d", text, most);
        return -EINVAL;
    }
    out->bits = (unsigned)bits + (is_v4_text ? V4_BITS : 0);
    out->first = cut(&ip, out->bits);
    if (!ip_is_equal(&out->first, &ip)) {
        ip_text(&out->first, first);
        snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no network: write %s/%d, or the address alone", text, first,
                 (int)out->bits - (ip_is_v4(&out->first) ? V4_BITS : 0));
        return -EINVAL;
    }
    return 0;
}

int networks_add(struct networks *all, const char *text, char *why)
{
    struct network range;
    if (strcasecmp(text, "loopback") == 0)
        return append(all, loopback, LOOPBACK_N);
    if (strcasecmp(text, "private") == 0)
        return append(all, private, PRIVATE_N);
    int error = parse_range(text, &range, why);
    return error ? error : append(all, &range, 1);
}

int networks_hold(const struct networks *all, const struct ip *ip)
{
    return is_in(all->items, all->items_n, ip);
}

void networks_fini(struct networks *all)
{
    free(all->items);
    *all = (struct networks){.items = NULL};
}
