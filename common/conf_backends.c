/*
 * [backend:NAME]: where it is, and what its rows say together.
 */
#include "common/conf_internal.h"

#include <stdio.h>
#include <string.h>

/* Whether they are one and the same server. */
static int is_same_place(const struct conf_backend *a, const struct conf_backend *b)
{
    struct url first, second;
    char why[PARSE_WHY_BYTES];
    return parse_url(a->url, &first, why) == 0 && parse_url(b->url, &second, why) == 0 && first.is_https == second.is_https &&
           address_equal(&first.address, &second.address) && first.path_n == second.path_n && memcmp(first.path, second.path, first.path_n) == 0;
}

/* An Ollama counts once: its slots, and what is learnt of it. Told beside the first of its names alone, as a mistake of n would be n * n. */
static void check_twice(const struct conf *c, const struct conf_backend *b, struct diag *d)
{
    char what[PARSE_WHY_BYTES];
    const struct conf_backend *other = c->backends;
    while (other < b && !(conf_backend_is_member(other) && is_same_place(b, other)))
        other++;
    if (other == b)
        return;
    snprintf(what, sizeof what, "this is the Ollama of backend \"%.64s\", too: name it once, with slots and weight for all that it can do", other->name);
    conf_mistake(c, (const struct conf_head *)b, "backend", "url", d, what);
}

static int check_backend(struct conf *c, struct conf_backend *b, struct diag *d)
{
    struct conf_head *at = (struct conf_head *)b;
    const char *key;
    struct url url;
    char why[PARSE_WHY_BYTES];
    int has_url = *b->url != '\0';
    if (!has_url && !conf_is_of_containers(b)) /* why an entry has none was told where it was read */
        conf_mistake(c, at, "backend", "url", d, "there is none: write http://HOST:PORT or https://HOST");
    else if (has_url && parse_url(b->url, &url, why) < 0)
        conf_mistake(c, at, "backend", "url", d, why);
    else if (has_url && !url.is_https && conf_is_own_listener(c, &url.address))
        conf_mistake(c, at, "backend", "url", d, CONF_CIRCLE);
    if (conf_backend_is_member(b))
        check_twice(c, b, d);
    if (conf_backend_is_member(b) && b->slots == 0)
        b->slots = c->proxy.slots > 0 ? c->proxy.slots : 1;
    conf_check_models(c, at, "backend", &b->models, d);
    return conf_take_row_secret(c, at, "backend", "key", "key_file", &key, d);
}

int conf_check_backends(struct conf *c, struct diag *d)
{
    int error = 0;
    for (size_t i = 0; i < c->backends_n && !error; i++)
        error = check_backend(c, &c->backends[i], d);
    return error;
}
