/*
 * The URL of a server with an API below it: the parts of RFC 3986 that such a one has, and no others.
 */
#include "common/parse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* text is not shown: some have a key in it. */
static int refuse(char *why, const char *what)
{
    snprintf(why, PARSE_WHY_BYTES, "%s", what);
    return -EINVAL;
}

int parse_url(const char *text, struct url *out, char *why)
{
    char place[ADDRESS_TEXT_BYTES + 8], address_why[PARSE_WHY_BYTES];
    struct url url = {.is_https = strncasecmp(text, "https://", 8) == 0};
    if (!url.is_https && strncasecmp(text, "http://", 7) != 0)
        return refuse(why, "write http://HOST:PORT or https://HOST, and its path where it has one");
    text += url.is_https ? 8 : 7;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || strchr("\"<>\\^`{|}", *c))
            return refuse(why, "it has a blank or another character that no URL has");
    if (strpbrk(text, "?#"))
        return refuse(why, "it has no place for a query or a fragment; a key is for the row `key`");
    size_t place_n = strcspn(text, "/");
    if (memchr(text, '@', place_n))
        return refuse(why, "it has no place for a user or a password; a key is for the row `key`");
    int has_port = place_n > 0 && memchr(text, ':', place_n) != NULL && text[place_n - 1] != ']';
    int n = snprintf(place, sizeof place, "%.*s%s", (int)(place_n < ADDRESS_TEXT_BYTES ? place_n : ADDRESS_TEXT_BYTES), text,
                     has_port ? "" : url.is_https ? ":443" : ":80");
    if (n >= (int)sizeof place || place_n >= ADDRESS_TEXT_BYTES || place[0] == ':' || parse_address(place, &url.address, address_why) < 0)
        return refuse(why, "the host is a name or an address, [V6] in brackets, and the port a number from 1 to 65535");
    url.path = text + place_n;
    url.path_n = strlen(url.path);
    while (url.path_n > 0 && url.path[url.path_n - 1] == '/')
        url.path_n--;
    *out = url;
    return 0;
}
