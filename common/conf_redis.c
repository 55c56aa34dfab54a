/*
 * [redis]: where it is, and its password.
 */
#include "common/conf_internal.h"
#include "common/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int conf_check_redis(struct conf *c, struct diag *d)
{
    struct conf_head *at = (struct conf_head *)&c->redis;
    const char *password;
    char why[PARSE_WHY_BYTES];
    struct redis_url url;
    if (*c->redis.url && redis_url_parse(c->redis.url, &url, why) < 0)
        conf_mistake(c, at, "redis", "url", d, why);
    if (!*c->redis.prefix || strpbrk(c->redis.prefix, " \t{}*?[]\\") || strlen(c->redis.prefix) > CONF_NAME_N)
        conf_mistake(c, at, "redis", "prefix", d, "take up to 64 letters, digits and marks, without blanks and any of {}*?[]\\");
    return conf_take_row_secret(c, at, "redis", "password", "password_file", &password, d);
}
