/* See exchange_alone.h. */
#include "proxy/serve/exchange_alone.h"

#include "proxy/exchange_serve.h"

#include <stdio.h>
#include <string.h>

static int is_show(const struct exchange *x)
{
    return x->admission.route->api == API_SHOW;
}

/* What there is for models of a hub, in the place of this path of Ollama's. */
static const char *instead_of(const char *path)
{
    if (strcmp(path, "/api/pull") == 0)
        return "POST /pull has models of a hub pulled";
    if (strcmp(path, "/api/delete") == 0)
        return "DELETE /models/NAME removes models of a hub";
    return "models of a hub are served, as POST /pull has them";
}

void exchange_fail_alone(struct exchange *x)
{
    const struct route *route = x->admission.route;
    char text[160];
    int is_about_model = is_show(x) || (route->needs_model && route->shape != SHAPE_OTHER);
    int has_model = is_show(x) ? exchange_read_shown(x) == 0 : is_about_model && x->ask.model[0];
    if (has_model) {
        exchange_fail_unshelved(x, x->ask.model);
    } else if (is_about_model) {
        exchange_fail(x, 400, "invalid_request", "it names no model: GET /models lists those that are here");
    } else {
        snprintf(text, sizeof text, "%s is for Ollama, and there is none here: %s", route->path, instead_of(route->path));
        exchange_fail_with(x, 501, "not_implemented", text, "x-should-retry: false\r\n"); /* OpenAI's and Anthropic's clients try a 5xx again */
    }
}
