/*
 * [redis]: where it is, and its password.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is wrong with it; NULL: nothing that the text alone shows. */
static const char *what_is_wrong(const char *url)
{
    if (strncasecmp(url, "rediss://", 9) == 0)
        return "TLS is not spoken to Redis: write redis://HOST:PORT, and let a tunnel on this machine speak it (stunnel)";
    if (strncasecmp(url, "redis://", 8) != 0 && strncasecmp(url, "unix:///", 8) != 0)
        return "write redis://[:PASSWORD@]HOST[:PORT][/DB], or unix:///PATH";
    for (const unsigned char *c = (const unsigned char *)url; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return "it has a blank or another character that no URL has: in a password, write it as %XX (in an ini file %%XX), or use password";
    return NULL;
}

int conf_check_redis(struct conf *c, struct diag *d)
{
    struct conf_head *at = (struct conf_head *)&c->redis;
    const char *password, *what = *c->redis.url ? what_is_wrong(c->redis.url) : NULL;
    if (what)
        conf_mistake(c, at, "redis", "url", d, what);
    if (!*c->redis.prefix || strpbrk(c->redis.prefix, " \t{}*?[]\\") || strlen(c->redis.prefix) > CONF_NAME_N)
        conf_mistake(c, at, "redis", "prefix", d, "take up to 64 letters, digits and marks, without blanks and any of {}*?[]\\");
    return conf_take_row_secret(c, at, "redis", "password", "password_file", &password, d);
}
