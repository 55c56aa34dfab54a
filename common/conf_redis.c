/*
 * [redis]: where it is, and its password.
 */
#include "common/conf_internal.h"
#include "common/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Who asks, and his password, as they stand in url: so they may stand in a variable, too. 0 or -ENOMEM. */
static int hide_user(struct conf *c)
{
    const char *scheme = strstr(c->redis.url, "://"), *host = strrchr(c->redis.url, '@');
    if (!scheme || !host || host < scheme + 3)
        return 0;
    const char *user = conf_text(c, scheme + 3, (size_t)(host - scheme - 3));
    return user ? conf_variables_add(c, &c->secrets, "redis:url", strlen("redis:url"), user, 0) : -ENOMEM;
}

int conf_check_redis(struct conf *c, struct diag *d)
{
    struct conf_head *at = (struct conf_head *)&c->redis;
    const char *password;
    char why[PARSE_WHY_BYTES];
    struct redis_url url;
    if (!CONF_HAS_BALANCER) {
        if (*c->redis.url)
            conf_mistake(c, at, "redis", "url", d, CONF_NO_BALANCER);
        return 0;
    }
    if (*c->redis.url && redis_url_parse(c->redis.url, &url, why) < 0)
        conf_mistake(c, at, "redis", "url", d, why);
    if (!*c->redis.prefix || strpbrk(c->redis.prefix, " \t{}*?[]\\") || strlen(c->redis.prefix) > CONF_NAME_N)
        conf_mistake(c, at, "redis", "prefix", d, "take up to 64 letters, digits and marks, without blanks and any of {}*?[]\\");
    int error = hide_user(c);
    return error ? error : conf_take_row_secret(c, at, "redis", "password", "password_file", &password, d);
}
