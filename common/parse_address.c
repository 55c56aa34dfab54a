/*
 * Addresses: HOST:PORT in the forms of supervisor.ini, and OLLAMA_HOST in the forms that Ollama reads.
 * Names are kept as text; only IP literals and localhost become socket addresses here.
 */
#include "common/parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OLLAMA_PORT = 11434 };

static int bad_address(const char *text, char *why, const char *what)
{
    snprintf(why, PARSE_WHY_BYTES, "\"%.100s\" is no address: %s", text, what);
    return -EINVAL;
}

static int is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* 1 for an IPv6 literal without brackets. */
static int is_v6(const char *host)
{
    struct in6_addr v6;
    return inet_pton(AF_INET6, host, &v6) == 1;
}

static int set_host(const char *text, const char *host, size_t host_n, int is_bracketed,
                    struct address *out, char *why)
{
    if (host_n >= sizeof out->host)
        return bad_address(text, why, "the name is too long");
    memcpy(out->host, host, host_n);
    out->host[host_n] = '\0';
    if (is_bracketed)
        return is_v6(out->host) ? 0 : bad_address(text, why, "what stands in [ ] is not an IPv6 address");
    for (const char *c = out->host; *c; c++)
        if (!is_host_character(*c))
            return bad_address(text, why, "write HOST:PORT, or [V6]:PORT");
    return 0;
}

int parse_address(const char *text, struct address *out, char *why)
{
    struct address a = {0};
    const char *host = text, *colon;
    size_t host_n;
    int is_bracketed = *text == '[';
    if (is_bracketed) {
        const char *end = strchr(text, ']');
        if (!end || end[1] != ':')
            return bad_address(text, why, "write [V6]:PORT");
        host = text + 1;
        host_n = (size_t)(end - host);
        colon = end + 1;
    } else {
        colon = strrchr(text, ':');
        if (!colon)
            return bad_address(text, why, "the port is missing: write HOST:PORT");
        host_n = (size_t)(colon - host);
    }
    int64_t port;
    char number_why[PARSE_WHY_BYTES];
    if (parse_integer(colon + 1, 1, 65535, &port, number_why) < 0)
        return bad_address(text, why, "the port is a number from 1 to 65535");
    int error = set_host(text, host, host_n, is_bracketed, &a, why);
    if (error)
        return error;
    a.port = (uint16_t)port;
    *out = a;
    return 0;
}

/* Go's net.SplitHostPort, as far as OLLAMA_HOST needs it: 1 where text is HOST:PORT. */
static int split_host_port(const char *text, size_t text_n, const char **host, size_t *host_n, const char **port)
{
    const char *colon = memrchr(text, ':', text_n);
    if (!colon)
        return 0;
    *port = colon + 1;
    if (text[0] == '[') {
        const char *end = memchr(text, ']', text_n);
        if (!end || end + 1 != colon)
            return 0;
        *host = text + 1;
        *host_n = (size_t)(end - *host);
        return 1;
    }
    *host = text;
    *host_n = (size_t)(colon - text);
    return memchr(text, ':', *host_n) == NULL; /* a bare IPv6 address has too many colons */
}

static void copy_host(struct address *out, const char *host, size_t host_n)
{
    if (host_n >= sizeof out->host)
        host_n = sizeof out->host - 1;
    memcpy(out->host, host, host_n);
    out->host[host_n] = '\0';
}

void parse_ollama_host(const char *text, struct address *out)
{
    uint16_t port = OLLAMA_PORT;
    *out = (struct address){.host = "127.0.0.1"};
    text += strspn(text, " \t\r\n\"'"); /* Ollama trims spaces and quotes (envconfig Var) */
    size_t text_n = strlen(text);
    while (text_n > 0 && strchr(" \t\r\n\"'", text[text_n - 1]))
        text_n--;
    const char *scheme_end = memmem(text, text_n, "://", 3);
    if (scheme_end) {
        size_t scheme_n = (size_t)(scheme_end - text);
        port = scheme_n == 4 && memcmp(text, "http", 4) == 0    ? 80
               : scheme_n == 5 && memcmp(text, "https", 5) == 0 ? 443
                                                                : OLLAMA_PORT;
        text_n -= scheme_n + 3;
        text = scheme_end + 3;
    }
    const char *slash = memchr(text, '/', text_n);
    if (slash)
        text_n = (size_t)(slash - text);
    const char *host = text, *port_text = NULL;
    size_t host_n = text_n;
    if (split_host_port(text, text_n, &host, &host_n, &port_text)) {
        char digits[8] = "", why[PARSE_WHY_BYTES];
        size_t digits_n = (size_t)(text + text_n - port_text);
        int64_t number;
        if (digits_n < sizeof digits)
            memcpy(digits, port_text, digits_n);
        if (parse_integer(digits, 0, 65535, &number, why) == 0)
            port = (uint16_t)number;
        copy_host(out, host, host_n); /* an empty host means every interface, as Go listens */
    } else if (text_n > 0) {
        while (text_n > 0 && (*text == '[' || *text == ']')) {
            text++;
            text_n--;
        }
        while (text_n > 0 && (text[text_n - 1] == '[' || text[text_n - 1] == ']'))
            text_n--;
        copy_host(out, text, text_n);
    }
    out->port = port;
}

int parse_http_url(const char *text, struct address *out, char *path, size_t path_n, char *why)
{
    char place[ADDRESS_TEXT_BYTES + 8];
    if (strncasecmp(text, "http://", 7) != 0) {
        snprintf(why, PARSE_WHY_BYTES, "\"%.100s\" is no address that can be asked: write http://HOST:PORT", text);
        return -EINVAL;
    }
    text += 7;
    size_t place_n = strcspn(text, "/?#");
    const char *rest = text + place_n;
    int has_port = memchr(text, ':', place_n) != NULL && text[place_n - 1] != ']';
    if (place_n == 0 || place_n + 4 > sizeof place || memchr(text, '@', place_n))
        return bad_address(text, why, "write http://HOST:PORT");
    snprintf(place, sizeof place, "%.*s%s", (int)place_n, text, has_port ? "" : ":80");
    if (strlen(rest) + 2 > path_n || *rest == '#')
        return bad_address(text, why, "the path is too long");
    snprintf(path, path_n, "%s%s", *rest == '/' ? "" : "/", rest);
    return parse_address(place, out, why);
}

int parse_backend(const char *text, struct address *out, char *why)
{
    char path[64];
    if (!strstr(text, "://"))
        return parse_address(text, out, why);
    if (strncasecmp(text, "https://", 8) == 0) {
        snprintf(why, PARSE_WHY_BYTES, "https backends are not served yet: write http://HOST:PORT");
        return -EINVAL;
    }
    int error = parse_http_url(text, out, path, sizeof path, why);
    if (!error && strcmp(path, "/") != 0)
        return bad_address(text, why, "a backend has no path: write http://HOST:PORT");
    return error;
}

void address_text(const struct address *a, char out[ADDRESS_TEXT_BYTES])
{
    snprintf(out, ADDRESS_TEXT_BYTES, strchr(a->host, ':') ? "[%s]:%u" : "%s:%u", a->host, (unsigned)a->port);
}

void address_reachable(const struct address *a, struct address *out)
{
    *out = *a;
    if (a->host[0] == '\0' || strcmp(a->host, "0.0.0.0") == 0)
        snprintf(out->host, sizeof out->host, "127.0.0.1");
    else if (strcmp(a->host, "::") == 0)
        snprintf(out->host, sizeof out->host, "::1");
}

/* localhost and 127.0.0.1, and the many spellings of an IPv6 literal, are one. */
int address_equal(const struct address *a, const struct address *b)
{
    struct sockaddr_storage a_at, b_at;
    socklen_t a_n, b_n;
    if (a->port != b->port)
        return 0;
    if (address_to_sockaddr(a, &a_at, &a_n) < 0 || address_to_sockaddr(b, &b_at, &b_n) < 0)
        return strcasecmp(a->host, b->host) == 0;
    return a_n == b_n && memcmp(&a_at, &b_at, a_n) == 0;
}

int address_to_sockaddr(const struct address *a, struct sockaddr_storage *out, socklen_t *out_n)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_addr = in6addr_any};
    const char *host = strcasecmp(a->host, "localhost") == 0 ? "127.0.0.1" : a->host;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        *out_n = sizeof v4;
        return 0;
    }
    if (host[0] != '\0' && inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
        return -EINVAL;
    memcpy(out, &v6, sizeof v6);
    *out_n = sizeof v6;
    return 0;
}

void address_from_sockaddr(const struct sockaddr_storage *from, struct address *out)
{
    *out = (struct address){0};
    if (from->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, out->host, sizeof out->host);
        out->port = ntohs(v4.sin_port);
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        out->port = ntohs(v6.sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            inet_ntop(AF_INET, (const char *)&v6.sin6_addr + 12, out->host, sizeof out->host);
        else
            inet_ntop(AF_INET6, &v6.sin6_addr, out->host, sizeof out->host);
    }
}

int address_is_loopback(const struct address *a)
{
    struct sockaddr_storage at;
    socklen_t at_n;
    struct address plain;
    struct in_addr v4;
    if (address_to_sockaddr(a, &at, &at_n) < 0)
        return 0;
    address_from_sockaddr(&at, &plain); /* one spelling, and an IPv4 address in an IPv6 coat without it */
    if (strcmp(plain.host, "::1") == 0)
        return 1;
    return inet_pton(AF_INET, plain.host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}
