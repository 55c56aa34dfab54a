/*
 * [proxy] listen: the addresses, and who is one of them.
 */
#include "common/conf_internal.h"

#include <stdio.h>
#include <string.h>

static int is_wildcard(const struct address *a)
{
    return a->host[0] == '\0' || strcmp(a->host, "0.0.0.0") == 0 || strcmp(a->host, "::") == 0;
}

/* `wide` listens on every interface, and so on the other's too; 0.0.0.0 does so for IPv4 alone. */
static int is_covered_by(const struct address *wide, const struct address *other)
{
    return is_wildcard(wide) && (strcmp(wide->host, "0.0.0.0") != 0 || !strchr(other->host, ':') || !strcmp(other->host, "::"));
}

static void check_overlap(const struct conf *c, const struct address *a, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->proxy;
    char first[ADDRESS_TEXT_BYTES], second[ADDRESS_TEXT_BYTES], why[PARSE_WHY_BYTES];
    for (size_t k = 0; k < c->listen_n; k++) {
        const struct address *other = &c->listen[k];
        if (address_equal(other, a)) {
            conf_mistake(c, at, "proxy", "listen", d, "the same listener stands twice");
        } else if (other->port == a->port && (is_covered_by(other, a) || is_covered_by(a, other))) {
            address_text(other, first);
            address_text(a, second);
            snprintf(why, sizeof why, "%.100s and %.100s overlap: one of them is enough", first, second);
            conf_mistake(c, at, "proxy", "listen", d, why);
        }
    }
}

void conf_check_listen(struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->proxy;
    if (c->proxy.listen.items_n == 0)
        conf_mistake(c, at, "proxy", "listen", d, "there is no listener: write HOST:PORT");
    for (size_t i = 0; i < c->proxy.listen.items_n; i++) {
        struct address a;
        char why[PARSE_WHY_BYTES];
        struct sockaddr_storage address;
        socklen_t address_n;
        if (c->listen_n == CONF_LISTEN_MAX) {
            conf_mistake(c, at, "proxy", "listen", d, "more than 16 listeners");
            return;
        }
        if (parse_address(c->proxy.listen.items[i], &a, why) < 0) {
            conf_mistake(c, at, "proxy", "listen", d, why);
            continue;
        }
        if (address_to_sockaddr(&a, &address, &address_n) < 0) {
            snprintf(why, sizeof why, "\"%.100s\" is a name: a listener needs an IP address, or localhost", a.host);
            conf_mistake(c, at, "proxy", "listen", d, why);
            continue;
        }
        check_overlap(c, &a, d);
        c->listen[c->listen_n++] = a;
    }
}

int conf_is_own_listener(const struct conf *c, const struct address *a)
{
    for (size_t i = 0; i < c->listen_n; i++) {
        const struct address *l = &c->listen[i];
        if (l->port == a->port && (address_equal(l, a) || (is_wildcard(l) && address_is_loopback(a)) || (address_is_loopback(l) && is_wildcard(a))))
            return 1;
    }
    return 0;
}
