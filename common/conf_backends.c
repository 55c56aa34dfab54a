/*
 * [backend:NAME]: where it is, and what its rows say together.
 */
#include "common/conf_internal.h"

static int check_backend(struct conf *c, struct conf_backend *b, struct diag *d)
{
    struct conf_head *at = (struct conf_head *)b;
    const char *key;
    struct url url;
    char why[PARSE_WHY_BYTES];
    if (*b->url == '\0')
        conf_mistake(c, at, "backend", "url", d, "there is none: write http://HOST:PORT or https://HOST");
    else if (parse_url(b->url, &url, why) < 0)
        conf_mistake(c, at, "backend", "url", d, why);
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

void conf_find_fleet(struct conf *c)
{
    for (size_t i = 0; i < c->backends_n; i++)
        c->is_fleet |= conf_backend_is_member(&c->backends[i]);
}
