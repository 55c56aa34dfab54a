/* See keys.h. */
#include "proxy/keys.h"

#include "common/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 4096 /* as conf_row_secrets.c takes them: what is longer need not be hashed */ };

static void read_hex(const char *hex, unsigned char out[SHA256_BYTES])
{
    for (size_t i = 0; i < SHA256_BYTES; i++)
        out[i] = (unsigned char)(parse_hex_digit(hex[2 * i]) << 4 | parse_hex_digit(hex[2 * i + 1]));
}

/* 1 where they are the same; each byte is looked at, whatever the ones before it. */
static unsigned is_same(const unsigned char *a, const unsigned char *b)
{
    volatile unsigned differs = 0;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return (differs - 1u) >> 31;
}

/* The place of a digest, + 1; 0 where nobody has it. There are no two of one digest. */
static size_t place_of(const struct keys *k, const unsigned char digest[SHA256_BYTES])
{
    size_t place = 0;
    for (size_t i = 0; i < k->items_n; i++)
        place |= (i + 1) & -(size_t)is_same(k->items[i].digest, digest);
    return place;
}

int keys_init(struct keys *k, const struct conf *conf)
{
    if (conf->keys_n == 0)
        return 0;
    k->items = calloc(conf->keys_n, sizeof *k->items);
    if (!k->items)
        return -ENOMEM;
    for (size_t i = 0; i < conf->keys_n; i++) {
        const struct conf_key *c = &conf->keys[i];
        struct keys_item item = {.conf = c, .index = i};
        if (*c->secret)
            sha256(c->secret, strlen(c->secret), item.digest);
        else if (*c->secret_hash)
            read_hex(c->secret_hash + strlen("sha256:"), item.digest);
        else
            continue; /* its file was not read for us: nobody comes in by it */
        if (place_of(k, item.digest)) /* one by its secret, one by its hash: only here it shows */
            log_event(LOG_WARNING, "key_ignored", "key=%s same_as=%s hint=\"two keys have one secret, and the first counts: give each its own\"",
                      c->name, k->items[place_of(k, item.digest) - 1].conf->name);
        else
            k->items[k->items_n++] = item;
    }
    return 0;
}

void keys_fini(struct keys *k)
{
    free(k->items);
    *k = (struct keys){.items = NULL};
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int keys_bearer(const char *text, size_t n, const char **key, size_t *key_n)
{
    static const char scheme[] = "bearer";
    size_t at = sizeof scheme - 1;
    if (n <= at || !text_is(text, at, scheme) || !is_blank(text[at]))
        return -EINVAL;
    while (at < n && is_blank(text[at]))
        at++;
    while (n > at && is_blank(text[n - 1]))
        n--;
    *key = text + at;
    *key_n = n - at;
    return *key_n > 0 && !memchr(*key, ' ', *key_n) && !memchr(*key, '\t', *key_n) ? 0 : -EINVAL;
}

enum keys_found keys_find(const struct keys *k, const struct message *m, size_t *at)
{
    static const char *const names[] = {"authorization", "x-api-key"};
    const char *key = NULL;
    size_t key_n = 0;
    for (int i = 0; i < 2 && k->items_n > 0; i++) {
        int place = message_find(m, names[i], 0);
        if (place < 0)
            continue;
        const char *value = message_at(m, m->fields[place].value), *before = key;
        size_t value_n = m->fields[place].value.n, before_n = key_n;
        if (message_find(m, names[i], (size_t)place + 1) >= 0)
            return KEYS_SEVERAL;
        key = value;
        key_n = value_n;
        if (i == 0 ? keys_bearer(value, value_n, &key, &key_n) < 0 : value_n == 0 || memchr(value, ' ', value_n) || memchr(value, '\t', value_n))
            return KEYS_MALFORMED;
        if (before && (before_n != key_n || memcmp(before, key, key_n) != 0)) /* both are the sender's own: this tells him nothing */
            return KEYS_SEVERAL;
    }
    unsigned char digest[SHA256_BYTES];
    if (!key)
        return KEYS_NONE;
    if (key_n > KEY_BYTES_MAX)
        return KEYS_UNKNOWN;
    sha256(key, key_n, digest);
    size_t place = place_of(k, digest);
    *at = place - 1;
    return place ? KEYS_KNOWN : KEYS_UNKNOWN;
}
