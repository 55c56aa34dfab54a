/*
 * The lists of [proxy] that say whom to believe (trusted_proxies) and who may ask (allowed_hosts, cors_origins). An entry
 * that could never match, or that means more than it seems to, is told at the start: a wrong one fails in silence. So does a
 * way around all of them.
 */
#include "common/conf_internal.h"
#include "common/network.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int check_trusted(const struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->proxy;
    struct networks networks = {.items = NULL};
    char why[PARSE_WHY_BYTES];
    int error = 0;
    for (size_t i = 0; i < c->proxy.trusted_proxies.items_n && error != -ENOMEM; i++) {
        error = networks_add(&networks, c->proxy.trusted_proxies.items[i], why);
        if (error == -EINVAL)
            conf_mistake(c, at, "proxy", "trusted_proxies", d, why);
    }
    for (size_t i = 0; i < networks.items_n; i++)
        if (networks.items[i].bits == 0 || (networks.items[i].bits == 96 && ip_is_v4(&networks.items[i].first)))
            conf_warning(c, at, "proxy", "trusted_proxies", d,
                         "everybody is believed: whoever sends X-Forwarded-For: 127.0.0.1 counts as a program on this machine");
    networks_fini(&networks);
    return error == -ENOMEM ? error : 0;
}

static int is_name(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i]))
            return 0;
    return n > 0 && text[0] != '.' && !memmem(text, n, "..", 2);
}

/* box.example.com or *.example.com, and no more. */
static int check_host(const char *entry, char *why)
{
    const char *name = strncmp(entry, "*.", 2) == 0 ? entry + 2 : entry;
    if (is_name(name, strlen(name)))
        return 0;
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" is no host name: write it without scheme, port and path, as box.example.com or "
             "*.example.com (IP addresses need no entry)", entry);
    return -EINVAL;
}

/* SCHEME://HOST[:PORT] with at most one *, `*`, or `null`, as a browser's Origin has it (RFC 6454 section 7). */
static int check_origin(const char *entry, char *why)
{
    const char *rest = strstr(entry, "://"), *star = strchr(entry, '*');
    const char *what = NULL;
    if (strcmp(entry, "*") == 0 || strcmp(entry, "null") == 0)
        return 0;
    if (!rest || rest == entry)
        what = "write SCHEME://HOST or SCHEME://HOST:PORT, as https://app.example.com";
    else if (strpbrk(rest + 3, "/?#@ \t"))
        what = "an origin has no path, no user and no slash at its end";
    else if (star && strchr(star + 1, '*'))
        what = "only one * is understood";
    if (!what)
        return 0;
    snprintf(why, PARSE_WHY_BYTES, "\"%.60s\" matches no web origin: %s", entry, what);
    return -EINVAL;
}

/* Who reaches Ollama itself goes around all of that, and around what holds, sleeps and counts. */
static void check_way_around(const struct conf *c, struct diag *d)
{
    if (c->reader == CONF_READER_CHILD || c->proxy.open == CONF_OPEN_YES || !conf_program(c, "ollama")->autostart ||
        address_is_loopback(&c->ollama))
        return;
    diag_add(d, DIAG_WARNING, "OLLAMA_HOST", 0,
             "Ollama itself listens on %.100s, port %u, for all who reach that, whatever [proxy] open says: set 127.0.0.1, or the port of "
             "[proxy] listen, which moves Ollama out of its way", c->ollama.host, (unsigned)c->ollama.port);
}

int conf_check_trust(const struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->proxy;
    char why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < c->proxy.allowed_hosts.items_n; i++)
        if (check_host(c->proxy.allowed_hosts.items[i], why) < 0)
            conf_mistake(c, at, "proxy", "allowed_hosts", d, why);
    for (size_t i = 0; i < c->proxy.cors_origins.items_n; i++)
        if (check_origin(c->proxy.cors_origins.items[i], why) < 0)
            conf_warning(c, at, "proxy", "cors_origins", d, why); /* it lets nobody in */
    check_way_around(c, d);
    return check_trusted(c, d);
}
