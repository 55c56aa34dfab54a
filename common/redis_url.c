/* See redis_url.h. */
#include "common/redis_url.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int refuse(char *why, const char *what)
{
    snprintf(why, PARSE_WHY_BYTES, "%s", what);
    return -EINVAL;
}

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* A byte that is NUL would end the text: it is refused, as everything else that is no %XX. */
static int decode(const char *text, size_t text_n, char *out, size_t room_n)
{
    size_t n = 0;
    for (size_t i = 0; i < text_n; i++) {
        int byte = (unsigned char)text[i];
        if (text[i] == '%') {
            int high = i + 2 < text_n ? hex(text[i + 1]) : -1, low = high >= 0 ? hex(text[i + 2]) : -1;
            byte = low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (byte == 0 || n + 1 >= room_n)
            return -EINVAL;
        out[n++] = (char)byte;
    }
    out[n] = '\0';
    return 0;
}

static int take_secret(const char *text, size_t text_n, struct redis_url *url, char *why)
{
    const char *colon = memchr(text, ':', text_n);
    size_t user_n = colon ? (size_t)(colon - text) : text_n;
    if (!colon)
        return refuse(why, "before the @ stands :PASSWORD or USER:PASSWORD");
    if (decode(text, user_n, url->user, sizeof url->user) < 0 || decode(colon + 1, text_n - user_n - 1, url->password, sizeof url->password) < 0)
        return refuse(why, "user or password is too long, or has a % that no two hexadecimal digits follow: write % as %25");
    return 0;
}

static int take_place(const char *text, struct redis_url *url, char *why)
{
    char place[ADDRESS_TEXT_BYTES + 8], address_why[PARSE_WHY_BYTES];
    int64_t database = 0;
    size_t place_n = strcspn(text, "/?#");
    const char *rest = text + place_n;
    int has_port = place_n > 0 && memchr(text, ':', place_n) != NULL && text[place_n - 1] != ']';
    if (place_n == 0 || place_n >= ADDRESS_TEXT_BYTES || *text == ':')
        return refuse(why, "there is no host: write redis://HOST[:PORT]");
    if (has_port)
        snprintf(place, sizeof place, "%.*s", (int)place_n, text);
    else
        snprintf(place, sizeof place, "%.*s:%d", (int)place_n, text, REDIS_PORT);
    if (parse_address(place, &url->address, address_why) < 0)
        return refuse(why, "the host is a name or an address, [V6] in brackets, and the port a number from 1 to 65535");
    if (*rest == '/' && rest[1] && parse_integer(rest + 1, 0, REDIS_DATABASES - 1, &database, address_why) < 0)
        return refuse(why, "behind the host stands the number of a database, as /0, or nothing");
    if (*rest && *rest != '/')
        return refuse(why, "it has no place for a query or a fragment");
    url->database = (unsigned)database;
    return 0;
}

int redis_url_parse(const char *text, struct redis_url *out, char *why)
{
    struct redis_url url = {.database = 0};
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return refuse(why, "it has a blank or another character that no URL has: in a password, write it as %XX (in an ini file %%XX), or use password");
    if (strncasecmp(text, "unix:///", 8) == 0) {
        if (strlen(text + 7) >= sizeof url.path)
            return refuse(why, "the path of a socket has at most 107 characters");
        snprintf(url.path, sizeof url.path, "%s", text + 7);
        *out = url;
        return 0;
    }
    if (strncasecmp(text, "rediss://", 9) == 0)
        return refuse(why, "TLS is not spoken to Redis: write redis://HOST:PORT, and let a tunnel on this machine speak it (stunnel)");
    if (strncasecmp(text, "redis://", 8) != 0)
        return refuse(why, "write redis://[:PASSWORD@]HOST[:PORT][/DB], or unix:///PATH");
    text += 8;
    const char *at = memchr(text, '@', strcspn(text, "/?#"));
    int error = at ? take_secret(text, (size_t)(at - text), &url, why) : 0;
    error = error ? error : take_place(at ? at + 1 : text, &url, why);
    if (!error)
        *out = url;
    return error;
}
