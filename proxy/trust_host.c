/*
 * See trust.h. Whether a stranger's web page can be under the name that a request asks for. Such a page has a name that its
 * owner's name server answers for, first with his own address, then with ours (DNS rebinding): so an address itself is no
 * such name, nor is one that no public name server knows. Browsers write addresses in one way, which is the one taken here:
 * what only some resolver would read as an address (0x7f.1, 2130706433) is a name, and a strange one.
 */
#include "proxy/trust.h"

#include <string.h>
#include <strings.h>

enum { NAME_BYTES = 256 };

/* HOST[:PORT] without the port and brackets, in small letters, without one final dot; -1 where it is none. */
static int host_name(const char *host, size_t n, char out[NAME_BYTES], int *is_bracketed)
{
    const char *end = host + n, *after;
    *is_bracketed = n > 0 && host[0] == '[';
    after = memchr(host, *is_bracketed ? ']' : ':', n);
    if (*is_bracketed) {
        if (!after)
            return -1;
        host++;
    }
    size_t name_n = (size_t)((after ? after : end) - host);
    after = after ? after + *is_bracketed : end;
    if (name_n == 0 || name_n >= NAME_BYTES || (after < end && *after != ':'))
        return -1;
    for (after += after < end; after < end; after++)
        if (*after < '0' || *after > '9')
            return -1;
    for (size_t i = 0; i < name_n; i++)
        out[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] + 32) : host[i];
    if (!*is_bracketed && out[name_n - 1] == '.')
        name_n--;
    out[name_n] = '\0';
    return 0;
}

static int is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of letters, digits, - and _, none of them empty. */
static int is_name(const char *name)
{
    for (;;) {
        size_t label_n = 0;
        while (is_label_char(name[label_n])) /* strspn() would make a table first, for each request */
            label_n++;
        if (label_n == 0)
            return 0;
        if (name[label_n] == '\0')
            return 1;
        if (name[label_n] != '.')
            return 0;
        name += label_n + 1;
    }
}

/* One label that a resolver may read as an IPv4 address: digits, or 0x and hexadecimal ones. inet_aton(3) */
static int is_number(const char *label)
{
    int is_hex = label[0] == '0' && label[1] == 'x';
    label += is_hex ? 2 : 0;
    return label[strspn(label, is_hex ? "0123456789abcdef" : "0123456789")] == '\0';
}

static int ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), ending_n = strlen(ending);
    return n > ending_n && strcmp(name + n - ending_n, ending) == 0;
}

/* A name, or `*.` and what follows at least one label. */
static int is_allowed(const struct list *allowed, const char *name)
{
    size_t name_n = strlen(name);
    for (size_t i = 0; allowed && i < allowed->items_n; i++) {
        const char *entry = allowed->items[i];
        size_t ending_n = strlen(entry) - 1;
        if (strcasecmp(name, entry) == 0)
            return 1;
        if (entry[0] == '*' && name_n > ending_n && strcasecmp(name + name_n - ending_n, entry + 1) == 0)
            return 1;
    }
    return 0;
}

int trust_is_local_host(const struct trust_rules *rules, const char *host, size_t host_n)
{
    /* RFC 6761, RFC 6762, ICANN's .internal, RFC 8375; .lan, .svc (Kubernetes) and .flycast are delegated to nobody */
    static const char *const endings[] = {".localhost", ".local", ".internal", ".home.arpa",
                                          ".lan",       ".svc",   ".flycast",  ".test"};
    char name[NAME_BYTES];
    int is_bracketed;
    struct ip ip;
    if (host_n == 0) /* no browser leaves it out */
        return 1;
    if (host_name(host, host_n, name, &is_bracketed) < 0)
        return 0;
    if (ip_parse(name, strlen(name), &ip) == 0)
        return is_bracketed == (strchr(name, ':') != NULL);
    if (is_bracketed || !is_name(name))
        return 0;
    if (!strchr(name, '.') && !is_number(name))
        return 1;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(name, endings[i]))
            return 1;
    return is_allowed(rules->allowed_hosts, name);
}
