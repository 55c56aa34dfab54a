/*
 * admit: what becomes of a request, from its head alone: its route, whether its sender may ask, or the refusal.
 */
#ifndef PROXY_ADMIT_H
#define PROXY_ADMIT_H

#include "proxy/keys.h"
#include "proxy/message.h"
#include "proxy/route.h"
#include "proxy/tell.h"
#include "proxy/trust.h"

enum { ADMIT_TEXT_BYTES = TRUST_WHY_BYTES + 96, ADMIT_LINES_BYTES = 128, ADMIT_ID_BYTES = 129 };

struct admission {
    const struct route *route; /* NULL where it was refused for its path */
    enum route_dialect dialect;
    struct sender sender;      /* who asks: sender.client is the client's address */
    struct trust_answer trust;
    const struct conf_key *key; /* it came with this one; NULL: with none, or there are none; borrowed from the rules */
    size_t key_index;          /* … its place in conf->keys */
    struct span origin;        /* in the request; n = 0: none */
    int status;                /* 0: admitted; else the status of the refusal, with code, text and lines */
    const char *code;
    char text[ADMIT_TEXT_BYTES];
    char lines[ADMIT_LINES_BYTES]; /* further header lines, or "" */
};

struct admit_rules {
    const struct trust_rules *trust;
    const struct tell *tell;
    int64_t max_body_bytes; /* of a body that would be held */
    const struct keys *keys;
    const char *backend;    /* for the refusal of a request that went round in a circle */
};

/* peer: borrowed for the life of *a. */
void admit(const struct admit_rules *rules, const struct message *m, const struct peer *peer, struct admission *a);

/* Whether who asked may do what takes another right, too: 1; or 0 with why (TRUST_WHY_BYTES), which names the setting. */
int admit_may(const struct trust_rules *rules, const struct message *m, const struct admission *a, enum route_right right, char *why);

/* Whether the body is passed on as it comes. */
int admit_is_streamed(const struct admission *a, const struct message *m);

/* The client's own X-Request-Id where it is a plain word, else the number in hexadecimal. */
void admit_id(const struct message *m, uint64_t number, char id[ADMIT_ID_BYTES]);

/* Appends the CORS lines that go with our own answers to this origin. 0 or -errno. */
int admit_cors_lines(const struct admission *a, const struct message *m, struct buf *out) WARN_UNUSED;
/* The further lines of an answer to OPTIONS, which is always ours: what the path takes (RFC 9110 section 9.3.7), and for a page that may
 * ask its preflight (WHATWG Fetch section 3.2; Private Network Access section 3.1). 0 or -errno. */
int admit_options_lines(const struct admission *a, const struct message *m, struct buf *out) WARN_UNUSED;

#endif
