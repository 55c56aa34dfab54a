/*
 * trust: who may do what, decided from the connection and the request alone. Pure.
 */
#ifndef PROXY_TRUST_H
#define PROXY_TRUST_H

#include "common/conf.h"
#include "proxy/route.h"

enum { TRUST_WHY_BYTES = 320 };

/* From the configuration; all borrowed. */
struct trust_rules {
    enum conf_open open;
    enum conf_manage manage_from;
    const struct list *allowed_hosts;
    const struct list *cors_origins;
    const struct list *ollama_origins; /* OLLAMA_ORIGINS */
};

struct trust_request {
    enum route_right right;
    const struct sockaddr_storage *peer;
    const char *host; /* with its port, as the client wrote it; "" where it sent none */
    size_t host_n;
    const char *origin; /* NULL: none */
    size_t origin_n;
    int is_forwarded; /* has Forwarded or X-Forwarded-For */
};

enum trust_origin {
    TRUST_ORIGIN_NONE,    /* no browser asks, or one that says nothing */
    TRUST_ORIGIN_BUILTIN, /* Ollama allows it by itself, and answers CORS itself */
    TRUST_ORIGIN_OURS,    /* we allow it: Origin is kept from the backend, and CORS is ours */
    TRUST_ORIGIN_FOREIGN
};

struct trust_answer {
    int is_allowed;
    enum trust_origin origin;
    char why[TRUST_WHY_BYTES]; /* of a refusal: what, and which setting would permit it */
};

/* Whether the request may do what its route needs; pure: the origin first, then the right by peer and Host. */
void trust_decide(const struct trust_rules *rules, const struct trust_request *request, struct trust_answer *answer);

/* Parts of it, for tests. */
enum trust_origin trust_origin(const struct trust_rules *rules, const char *origin, size_t origin_n, const char *host,
                               size_t host_n);
int trust_is_loopback(const struct sockaddr_storage *peer);
/* Loopback, RFC 1918, unique local, link-local, or carrier-grade NAT (RFC 6598). */
int trust_is_private(const struct sockaddr_storage *peer);
/* An IP literal, a name that no public name server answers for, one of allowed_hosts, or none at all. */
int trust_is_local_host(const struct trust_rules *rules, const char *host, size_t host_n);

#endif
