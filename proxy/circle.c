/* See circle.h. Asks the kernel's routes, sends nothing. A request that goes round all the same is found by its Via: tell.c. */
#include "proxy/circle.h"

#include "common/network.h"

#include <arpa/inet.h>

static uint16_t port_of(const struct sockaddr_storage *at)
{
    return ntohs(at->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)at)->sin6_port : ((const struct sockaddr_in *)at)->sin_port);
}

/* To an address of this machine the kernel would send from that address. Connecting a datagram socket sends nothing.
 * connect(2), ip(7) */
static int is_own(const struct sockaddr_storage *at, socklen_t at_n, const struct ip *ip)
{
    struct sockaddr_storage from;
    socklen_t from_n;
    struct ip from_ip;
    if (ip_is_loopback(ip))
        return 1;
    int fd = sys_socket(at->ss_family, SOCK_DGRAM, 0);
    int is_known = fd >= 0 && sys_connect(fd, (const struct sockaddr *)at, at_n) == 0 && sys_socket_name(fd, &from, &from_n) == 0;
    if (fd >= 0)
        sys_close(fd);
    if (!is_known)
        return 0;
    ip_from_sockaddr(&from, &from_ip);
    return ip_is_equal(&from_ip, ip);
}

/* Whether who listens there is reached by that address. */
static int is_reached(const struct address *listener, const struct sockaddr_storage *at, socklen_t at_n)
{
    static const struct ip any, any_v4 = {{[10] = 0xff, [11] = 0xff}};
    struct sockaddr_storage bound;
    socklen_t bound_n;
    struct ip own, ip;
    ip_from_sockaddr(at, &ip);
    if (listener->port != port_of(at) || address_to_sockaddr(listener, &bound, &bound_n) < 0)
        return 0;
    ip_from_sockaddr(&bound, &own);
    int is_wildcard = ip_is_equal(&own, &any) || (ip_is_equal(&own, &any_v4) && ip_is_v4(&ip));
    return ip_is_equal(&own, &ip) || (is_wildcard && is_own(at, at_n, &ip));
}

int circle_find(const struct backend *b, const struct conf *conf, const struct address **listener)
{
    for (size_t i = 0; i < b->addresses_n; i++)
        for (size_t k = 0; k < conf->listen_n; k++)
            if (is_reached(&conf->listen[k], &b->addresses[i], b->addresses_bytes[i])) {
                *listener = &conf->listen[k];
                return 1;
            }
    return 0;
}
