/*
 * See exchange_state.h. What is told of who waits, and of the backends: GET /status; and what the owner says of one of those: POST
 * /sidecar/backends/NAME/drain and undrain. Neither wakes Ollama, nor asks it.
 */
#include "proxy/exchange_fleet.h"
#include "proxy/exchange_observe.h"
#include "proxy/exchange_serve.h"
#include "proxy/json_write.h"
#include "proxy/reply.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 256, STATUS_LIMIT_BYTES = 4 << 20 };

static const char no_store[] = "Cache-Control: no-store\r\n"; /* of GET /status; what is below /sidecar/ has it anyway */

/* Before one Ollama there is nothing else to tell. */
static int write_status(const struct exchange *x, struct buf *out)
{
    const struct env *env = x->env;
    if (env->fleet)
        return fleet_write(env->fleet, exchange_key_models(x), out);
    return buf_printf(out, "{\"queue\":{\"waiting\":%zu,\"limit\":%zu}}\n", env->waiting.now_n, env->waiting.limit_n);
}

static void answer_status(void *context)
{
    struct exchange *x = context;
    struct buf out;
    if (exchange_refresh_gpus(x, answer_status) == 0)
        return;
    buf_init(&out, STATUS_LIMIT_BYTES);
    if (write_status(x, &out) < 0 || exchange_write_served(x, &out) < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
    } else {
        reply_json(&x->deliver, 200, buf_data(&out), buf_size(&out), no_store);
        exchange_finish(x, EXCHANGE_CLEAN);
    }
    buf_fini(&out);
}

/* NAME and what is to be done, of a path /sidecar/backends/NAME/WORD, where NAME may have slashes. 0 or -1. */
static int read_path(const struct exchange *x, char name[NAME_BYTES], int *is_drained)
{
    if (exchange_read_path(x, name, NAME_BYTES) < 0)
        return -1;
    char *word = strrchr(name, '/');
    if (!word || word == name)
        return -1;
    *word++ = '\0';
    *is_drained = strcmp(word, "drain") == 0;
    return *is_drained || strcmp(word, "undrain") == 0 ? 0 : -1;
}

static void answer_drained(struct exchange *x, const char *name, int is_drained)
{
    struct buf out;
    buf_init(&out, 0);
    struct json_write w = json_write_begin(&out);
    json_write_text(&w, "{\"backend\":");
    json_write_string(&w, name, strlen(name));
    json_write_text(&w, is_drained ? ",\"drained\":true}\n" : ",\"drained\":false}\n");
    exchange_answer_json(x, json_write_end(&w), &out);
    buf_fini(&out);
}

static void change_member(struct exchange *x)
{
    char name[NAME_BYTES], text[NAME_BYTES + 80];
    int is_drained;
    if (read_path(x, name, &is_drained) < 0) {
        exchange_fail(x, 404, NULL, "no such path; there are /sidecar/backends/NAME/drain and /sidecar/backends/NAME/undrain");
    } else if (!x->env->fleet) {
        exchange_fail(x, 404, "one_backend", "there is one Ollama here, and nothing to drain: several are set up by [backend:NAME] with api = ollama");
    } else if (fleet_drain(x->env->fleet, name, strlen(name), is_drained) < 0) {
        snprintf(text, sizeof text, "there is no backend \"%s\"; GET /status lists them", name);
        exchange_fail(x, 404, "backend_not_found", text);
    } else {
        answer_drained(x, name, is_drained);
    }
}

void exchange_answer_status(struct exchange *x)
{
    if (x->admission.route->kind == ROUTE_STATUS && x->admission.route->api != API_OTHER)
        exchange_observe(x);
    else if (x->admission.route->kind == ROUTE_STATUS)
        answer_status(x);
    else
        change_member(x);
}
