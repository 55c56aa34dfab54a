/* Paths: what route.c lets pass can be read in one way only, by a backend that decodes it too. */
#include "proxy/route.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Percent signs and all, as a server would; the length. */
static size_t decode(const char *path, size_t n, char *out)
{
    size_t out_n = 0;
    for (size_t i = 0; i < n; i++) {
        int is_escape = path[i] == '%' && i + 2 < n && hex(path[i + 1]) >= 0 && hex(path[i + 2]) >= 0;
        out[out_n++] = is_escape ? (char)(hex(path[i + 1]) * 16 + hex(path[i + 2])) : path[i];
        i += is_escape ? 2 : 0;
    }
    return out_n;
}

static int is_found(enum route_verdict verdict)
{
    return verdict == ROUTE_FOUND || verdict == ROUTE_WRONG_METHOD;
}

/* The page's own path may end with a slash; no backend reads it. */
static void must_be_plain(const struct route *route, const char *path, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)path[i];
        size_t segment_n = 0;
        if (c <= 0x20 || c >= 0x7f || c == '\\' || c == ';' || c == '%')
            abort();
        if (c != '/')
            continue;
        while (i + 1 + segment_n < n && path[i + 1 + segment_n] != '/')
            segment_n++;
        if ((segment_n == 0 && n > 1 && !(route->kind == ROUTE_UI && i + 1 == n)) || (segment_n == 1 && path[i + 1] == '.') ||
            (segment_n == 2 && path[i + 1] == '.' && path[i + 2] == '.'))
            abort();
    }
}

/* What is found is found under its decoded name as well, as the same: decoding changes nothing, once or twice. */
static void check(enum method method, const char *path, size_t n)
{
    const struct route *route, *again;
    char *plain = malloc(n + 1);
    enum route_verdict verdict = route_find(method, path, n, &route);
    if (!plain)
        return;
    if (is_found(verdict) != (route != NULL))
        abort();
    if (is_found(verdict)) {
        size_t plain_n = decode(path, n, plain);
        must_be_plain(route, plain, plain_n);
        if (*plain != '/' || (plain_n >= 6 && memcmp(plain, "/debug", 6) == 0))
            abort();
        enum route_verdict verdict_again = route_find(method, plain, plain_n, &again);
        if (verdict_again != ROUTE_BAD_PATH && (verdict_again != verdict || again != route)) /* `"` may be escaped only */
            abort();
    }
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_DELETE, METHOD_OPTIONS, METHOD_OTHER};
    if (size < 1)
        return 0;
    size_t n = size - 1;
    char *path = malloc(n ? n : 1); /* of its own, so that a look beyond it is seen */
    if (!path)
        return 0;
    memcpy(path, data + 1, n);
    check(methods[data[0] % (sizeof methods / sizeof *methods)], path, n);
    (void)route_dialect(path, n);
    free(path);
    return 0;
}
