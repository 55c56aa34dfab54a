/* See peer.h. Knows addresses alone; what a request says of its way is sender.c's business. */
#include "proxy/peer.h"

#include <string.h>

void peer_init(struct peer *peer, const struct sockaddr_storage *from, const struct networks *trusted)
{
    ip_from_sockaddr(from, &peer->ip);
    ip_text(&peer->ip, peer->text);
    peer->text_n = (unsigned char)strlen(peer->text);
    peer->is_loopback = ip_is_loopback(&peer->ip) != 0;
    peer->is_private = ip_is_private(&peer->ip) != 0;
    peer->is_trusted = networks_hold(trusted, &peer->ip) != 0;
}
