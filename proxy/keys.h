/*
 * keys: what clients send as a key, and whose it is ([key:NAME]). Only digests are kept here. What a client sends is compared with the
 * digest of every key, all bytes of all of them: how long that takes says nothing of a key.
 */
#ifndef PROXY_KEYS_H
#define PROXY_KEYS_H

#include "common/conf.h"
#include "common/sha256.h"
#include "proxy/message.h"

struct keys_item {
    unsigned char digest[SHA256_BYTES];
    const struct conf_key *conf; /* borrowed */
    size_t index;                /* in conf->keys */
};

/* All zero: there are no keys, and nothing is looked for. */
struct keys {
    struct keys_item *items;
    size_t items_n;
};

enum keys_found {
    KEYS_NONE,      /* none was sent, or there are none */
    KEYS_KNOWN,
    KEYS_UNKNOWN,   /* nobody's */
    KEYS_MALFORMED, /* another scheme than Bearer, nothing behind it, or more than one word */
    KEYS_SEVERAL,   /* two fields of one name, or Authorization and x-api-key that differ: whose would count? */
};

/* Of a configuration, which is borrowed. 0 or -ENOMEM. */
int keys_init(struct keys *k, const struct conf *conf) WARN_UNUSED;
void keys_fini(struct keys *k);

/* What a request brings: `Authorization: Bearer KEY` (RFC 6750 section 2.1), or `x-api-key: KEY` as Anthropic's clients have it. *at: the place
 * of the key, where it is KEYS_KNOWN. */
enum keys_found keys_find(const struct keys *k, const struct message *m, size_t *at);

/* The key in an Authorization field, within the text. 0, or -EINVAL where it has none. */
int keys_bearer(const char *text, size_t n, const char **key, size_t *key_n) WARN_UNUSED;

#endif
