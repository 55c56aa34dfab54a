/*
 * trust: who may do what, decided from the connection and the request alone. Pure.
 */
#ifndef PROXY_TRUST_H
#define PROXY_TRUST_H

#include "common/conf.h"
#include "proxy/route.h"
#include "proxy/sender.h"

enum { TRUST_WHY_BYTES = 320 };

/* From the configuration. */
struct trust_rules {
    enum conf_open open;
    enum conf_manage manage_from;
    const struct list *allowed_hosts;  /* borrowed, as the next two */
    const struct list *cors_origins;
    const struct list *ollama_origins; /* OLLAMA_ORIGINS */
    int is_builtin_narrow;             /* of Ollama's own list of origins localhost and 127.0.0.1 alone */
    struct networks trusted;           /* whose Forwarded headers are believed */
};

/* Everything but ollama_origins, and its end. 0 or -ENOMEM. */
int trust_rules_init(struct trust_rules *rules, const struct conf *conf) WARN_UNUSED;
void trust_rules_fini(struct trust_rules *rules);

struct trust_name {
    const char *text; /* a host with its port, as it was written; n = 0: none */
    size_t n;
};

struct trust_request {
    enum route_right right;
    const struct sender *sender;
    struct trust_name host;      /* Host */
    struct trust_name asked;     /* what a trusted proxy says that it was asked for */
    const char *origin;          /* NULL: none */
    size_t origin_n;
    int is_cross_site;           /* a browser says that a page asks which may not ask so. Fetch Metadata, 2.1 */
};

enum trust_origin {
    TRUST_ORIGIN_NONE,    /* no browser asks, or one that says nothing */
    TRUST_ORIGIN_BUILTIN, /* one of Ollama's own list */
    TRUST_ORIGIN_OURS,    /* we allow it */
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
enum trust_origin trust_origin(const struct trust_rules *rules, const struct trust_request *r);
/* An IP literal, a name that no public name server answers for, one of allowed_hosts, or none at all. What a page of a
 * stranger can't be under: a name that was rebound to our address by DNS is none of these. */
int trust_is_local_host(const struct trust_rules *rules, const char *host, size_t host_n);

#endif
