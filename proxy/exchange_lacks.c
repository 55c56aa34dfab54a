/* See exchange_state.h. A backend that does not have the path that it was asked for: 501, in words. */
#include "proxy/exchange_fleet.h"
#include "proxy/exchange_state.h"
#include "proxy/json_scan.h"
#include "proxy/lacks.h"

#include <stdio.h>

enum { VERSION_BYTES = 32 };

/* As far as it is known without asking: ` (version 0.9.5)`, or "". */
static void write_version(const struct exchange *x, char *out, size_t out_n)
{
    static const struct known_key key = {.kind = KNOWN_PATH, .name = "/api/version"};
    struct known *known = x->env->asleep.known;
    const struct known_entry *entry = known && !x->upstream ? known_find(known, &key) : NULL;
    char version[VERSION_BYTES];
    *out = '\0';
    if (entry && entry->body && json_scan_string(entry->body, entry->body_n, "version", version, sizeof version) > 0)
        snprintf(out, out_n, " (version %s)", version);
}

int exchange_lacks_path(struct exchange *x)
{
    char text[768], version[VERSION_BYTES + 16];
    const struct route *route = x->admission.route;
    const char *name = exchange_backend_name(x);
    if (!lacks_may(route) || !lacks_path(x->answer.status, buf_data(&x->answer.in), buf_size(&x->answer.in)))
        return 0;
    write_version(x, version, sizeof version);
    snprintf(text, sizeof text, "the backend %s%sat %s%s does not have %s%s", name ? name : "", name ? " " : "", x->relay.fetch.backend->host,
             version, route->path, lacks_advice(route->path));
    exchange_fail_with(x, 501, "not_implemented", text, "x-should-retry: false\r\n"); /* OpenAI's and Anthropic's clients try a 5xx again */
    return 1;
}
