/*
 * See trust.h. Two dangers are met here: a web page in the user's browser that speaks to localhost (Origin, and
 * names that were rebound by DNS), and strangers on the network (the peer's address). Forwarded headers are
 * never believed, only feared: whoever sends one is behind a proxy, so the peer's address says nothing.
 */
#include "proxy/trust.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { NAME_BYTES = 256 };

static int is_loopback4(uint32_t a)
{
    return a >> 24 == 127;
}

static int is_private4(uint32_t a)
{
    return is_loopback4(a) || a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 16 == 0xa9fe ||
           a >> 22 == 0x191; /* 100.64.0.0/10 */
}

/* 1 and *a for an IPv4 address, also where it came mapped into IPv6. */
static int ipv4_of(const struct sockaddr_storage *peer, uint32_t *a)
{
    if (peer->ss_family == AF_INET) {
        *a = ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr);
        return 1;
    }
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (peer->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(in6))
        return 0;
    uint32_t net;
    memcpy(&net, in6->s6_addr + 12, sizeof net);
    *a = ntohl(net);
    return 1;
}

int trust_is_loopback(const struct sockaddr_storage *peer)
{
    uint32_t a;
    if (ipv4_of(peer, &a))
        return is_loopback4(a);
    return peer->ss_family == AF_UNIX ||
           (peer->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)peer)->sin6_addr));
}

int trust_is_private(const struct sockaddr_storage *peer)
{
    uint32_t a;
    if (ipv4_of(peer, &a))
        return is_private4(a);
    if (trust_is_loopback(peer))
        return 1;
    if (peer->ss_family != AF_INET6)
        return 0;
    const uint8_t *in6 = ((const struct sockaddr_in6 *)peer)->sin6_addr.s6_addr;
    return (in6[0] & 0xfe) == 0xfc || (in6[0] == 0xfe && (in6[1] & 0xc0) == 0x80);
}

/* HOST[:PORT] without the port, the brackets and a final dot, in small letters; -1 where it is too long or no host. */
static int host_name(const char *host, size_t n, char out[NAME_BYTES], int *is_literal)
{
    size_t name_n = n;
    *is_literal = 0;
    if (n > 0 && host[0] == '[') {
        const char *end = memchr(host, ']', n);
        if (!end)
            return -1;
        host++;
        name_n = (size_t)(end - host);
        *is_literal = 1;
    } else {
        const char *colon = memchr(host, ':', n);
        name_n = colon ? (size_t)(colon - host) : n;
    }
    if (name_n >= NAME_BYTES)
        return -1;
    for (size_t i = 0; i < name_n; i++)
        out[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] + 32) : host[i];
    if (name_n > 0 && out[name_n - 1] == '.')
        name_n--;
    out[name_n] = '\0';
    return 0;
}

static int is_ip_literal(const char *name, int is_bracketed)
{
    struct in6_addr in6;
    struct in_addr in4;
    char plain[NAME_BYTES];
    if (!is_bracketed)
        return inet_pton(AF_INET, name, &in4) == 1;
    snprintf(plain, sizeof plain, "%s", name);
    char *zone = strchr(plain, '%');
    if (zone)
        *zone = '\0';
    return inet_pton(AF_INET6, plain, &in6) == 1;
}

static int ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), ending_n = strlen(ending);
    return n > ending_n && strcmp(name + n - ending_n, ending) == 0;
}

int trust_is_local_host(const struct trust_rules *rules, const char *host, size_t host_n)
{
    static const char *const endings[] = {".localhost", ".local", ".internal", ".flycast"};
    char name[NAME_BYTES];
    int is_bracketed;
    if (host_n == 0) /* no browser leaves it out */
        return 1;
    if (host_name(host, host_n, name, &is_bracketed) < 0)
        return 0;
    if (is_ip_literal(name, is_bracketed))
        return 1;
    if (is_bracketed || *name == '\0')
        return 0;
    if (!strchr(name, '.')) /* one label; but 2130706433 is a number in disguise */
        return name[0] < '0' || name[0] > '9' || strspn(name, "0123456789") != strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, endings[i]))
            return 1;
    for (size_t i = 0; rules->allowed_hosts && i < rules->allowed_hosts->items_n; i++)
        if (strcasecmp(name, rules->allowed_hosts->items[i]) == 0)
            return 1;
    return 0;
}

/* One `*` stands for at least one character of a host or port, never for a slash or an @; alone, for any origin. */
static int glob(const char *pattern, const char *text, size_t n)
{
    const char *star = strchr(pattern, '*');
    size_t front_n = star ? (size_t)(star - pattern) : strlen(pattern);
    size_t back_n = star ? strlen(star + 1) : 0;
    if (strcmp(pattern, "*") == 0)
        return 1;
    if (!star)
        return n == front_n && strncasecmp(pattern, text, n) == 0;
    if (n <= front_n + back_n || strncasecmp(pattern, text, front_n) != 0 ||
        strncasecmp(star + 1, text + n - back_n, back_n) != 0)
        return 0;
    for (size_t i = front_n; i < n - back_n; i++)
        if (strchr("/@\\?#", text[i]))
            return 0;
    return 1;
}

static int is_listed(const struct list *patterns, const char *origin, size_t n)
{
    for (size_t i = 0; patterns && i < patterns->items_n; i++)
        if (glob(patterns->items[i], origin, n))
            return 1;
    return 0;
}

/* SCHEME://HOST[:digits] for one of Ollama's own hosts, with any port. */
static int is_local_origin(const char *origin, size_t n, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t scheme_n = strlen(schemes[i]), host_n = strlen(host), at = scheme_n + host_n;
        if (n < at || strncasecmp(origin, schemes[i], scheme_n) != 0 ||
            strncasecmp(origin + scheme_n, host, host_n) != 0)
            continue;
        if (n == at)
            return 1;
        if (origin[at++] != ':' || at == n)
            continue;
        while (at < n && origin[at] >= '0' && origin[at] <= '9')
            at++;
        if (at == n)
            return 1;
    }
    return 0;
}

/* What Ollama lets in unasked. envconfig AllowedOrigins, v0.9.5 */
static int is_builtin(const char *origin, size_t n)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "0.0.0.0"};
    static const char *const schemes[] = {"app://", "file://", "tauri://", "vscode-webview://", "vscode-file://"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (is_local_origin(origin, n, hosts[i]))
            return 1;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (n >= strlen(schemes[i]) && strncasecmp(origin, schemes[i], strlen(schemes[i])) == 0)
            return 1;
    return 0;
}

/* http or https before exactly what Host says. */
static int is_same(const char *origin, size_t n, const char *host, size_t host_n)
{
    for (size_t scheme_n = 7; scheme_n <= 8; scheme_n++)
        if (host_n > 0 && n == scheme_n + host_n &&
            strncasecmp(origin, scheme_n == 7 ? "http://" : "https://", scheme_n) == 0 &&
            strncasecmp(origin + scheme_n, host, host_n) == 0)
            return 1;
    return 0;
}

enum trust_origin trust_origin(const struct trust_rules *rules, const char *origin, size_t origin_n, const char *host,
                               size_t host_n)
{
    if (!origin || origin_n == 0)
        return TRUST_ORIGIN_NONE;
    if (is_builtin(origin, origin_n))
        return TRUST_ORIGIN_BUILTIN;
    if (is_same(origin, origin_n, host, host_n) || is_local_origin(origin, origin_n, "[::1]") ||
        is_listed(rules->cors_origins, origin, origin_n) || is_listed(rules->ollama_origins, origin, origin_n))
        return TRUST_ORIGIN_OURS;
    return TRUST_ORIGIN_FOREIGN;
}

static void refuse(struct trust_answer *answer, const char *format, ...) PRINTF_LIKE(2, 3);
static void refuse(struct trust_answer *answer, const char *format, ...)
{
    va_list args;
    answer->is_allowed = 0;
    va_start(args, format);
    vsnprintf(answer->why, sizeof answer->why, format, args);
    va_end(args);
}

/* For %.*s: hostile texts are shown, but not at length. */
static int shown(size_t n)
{
    return n > 100 ? 100 : (int)n;
}

/* Inference and observation: `open` says from where, and only a loopback door fears rebound names. */
static void decide_use(const struct trust_rules *rules, const struct trust_request *r, struct trust_answer *answer)
{
    switch (rules->open) {
    case CONF_OPEN_YES:
        return;
    case CONF_OPEN_PRIVATE:
        if (!trust_is_private(r->peer))
            refuse(answer, "requests are taken from private addresses only; [proxy] open = yes would let anybody in");
        return;
    case CONF_OPEN_NO:
        if (!trust_is_loopback(r->peer))
            refuse(answer,
                   "requests are taken from this machine only; [proxy] open = private would let private addresses in");
        else if (!trust_is_local_host(rules, r->host, r->host_n))
            refuse(answer, "the host name %.*s is not known here; [proxy] allowed_hosts would permit it", shown(r->host_n),
                   r->host);
        return;
    }
}

static void decide_manage(const struct trust_rules *rules, const struct trust_request *r, struct trust_answer *answer)
{
    int is_near = rules->manage_from == CONF_MANAGE_PRIVATE ? trust_is_private(r->peer) : trust_is_loopback(r->peer);
    if (!is_near && rules->manage_from == CONF_MANAGE_PRIVATE)
        refuse(answer, "models may be changed from private addresses only ([proxy] manage_from = private)");
    else if (!is_near)
        refuse(answer,
               "models may be changed from this machine only; [proxy] manage_from = private would let private "
               "addresses do it");
    else if (r->is_forwarded)
        refuse(answer,
               "models may not be changed through a proxy (the request has Forwarded or X-Forwarded-For, and "
               "[proxy] trusted_proxies names nobody)");
    else if (!trust_is_local_host(rules, r->host, r->host_n))
        refuse(answer, "models may not be changed under the host name %.*s; [proxy] allowed_hosts would permit it",
               shown(r->host_n), r->host);
}

void trust_decide(const struct trust_rules *rules, const struct trust_request *r, struct trust_answer *answer)
{
    *answer = (struct trust_answer){.is_allowed = 1};
    answer->origin = trust_origin(rules, r->origin, r->origin_n, r->host, r->host_n);
    if (answer->origin == TRUST_ORIGIN_FOREIGN) {
        refuse(answer, "the web origin %.*s may not ask; [proxy] cors_origins would permit it", shown(r->origin_n), r->origin);
        return;
    }
    switch (r->right) {
    case RIGHT_NONE:
        return;
    case RIGHT_INFERENCE:
    case RIGHT_OBSERVE:
        decide_use(rules, r, answer);
        return;
    case RIGHT_MANAGE:
        decide_manage(rules, r, answer);
        return;
    }
}
