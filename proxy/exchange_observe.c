/* See exchange_observe.h. What is asked for, and the answers but for the lines of programs. */
#include "proxy/exchange_observe.h"

#include "proxy/observe/observe.h"
#include "proxy/observe/status.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RETRY_S = 5 };

/* What who asks may do, and why he may not manage. */
static void write_rights(struct exchange *x, struct json_write *w)
{
    const struct admission *a = &x->admission;
    char why[TRUST_WHY_BYTES];
    json_write_named_bool(w, "\"rights\":{\"inference\":", admit_may(&x->env->trust, x->request, a, RIGHT_INFERENCE, why));
    json_write_named_bool(w, ",\"observe\":", admit_may(&x->env->trust, x->request, a, RIGHT_OBSERVE, why));
    int may_manage = admit_may(&x->env->trust, x->request, a, RIGHT_MANAGE, why);
    json_write_named_bool(w, ",\"manage\":", may_manage);
    json_write_named_text(w, ",\"key\":", a->key ? a->key->name : NULL);
    json_write_named_text(w, ",\"why\":", may_manage ? NULL : why);
    json_write_text(w, "}");
}

/* What stands between the braces of an answer. */
typedef void write_members_fn(struct exchange *x, struct json_write *w);

static void write_status(struct exchange *x, struct json_write *w)
{
    write_rights(x, w);
    json_write_text(w, ",");
    status_write(x->env, exchange_key_models(x), w);
}

static void write_requests(struct exchange *x, struct json_write *w)
{
    json_write_text(w, "\"requests\":");
    status_write_requests(x->env, exchange_key_models(x), w);
}

static void write_models(struct exchange *x, struct json_write *w)
{
    json_write_text(w, "\"models\":");
    status_write_models(x->env, exchange_key_models(x), w);
}

static void write_settings(struct exchange *x, struct json_write *w)
{
    json_write_text(w, "\"settings\":");
    w->error = w->error ? w->error : conf_settings(x->env->conf, w->out);
}

static void answer(struct exchange *x, write_members_fn *write_members)
{
    struct buf out;
    buf_init(&out, EXCHANGE_ANSWER_BYTES);
    struct json_write w = json_write_begin(&out);
    json_write_text(&w, "{");
    write_members(x, &w);
    json_write_text(&w, "}\n");
    exchange_answer_json(x, json_write_end(&w), &out);
    buf_fini(&out);
}

static void end(struct exchange *x)
{
    static const char text[] = "the request was cancelled by the operator of this server";
    x->code = "cancelled";
    if (x->deliver.is_begun)
        exchange_break_off(x, ACCESS_CANCELLED, text);
    else
        exchange_fail(x, 410, x->code, text);
}

/* Of several with one name, which clients give them, each: as nobody could tell which of them was meant. How many. */
static size_t cancel_all(struct exchange *x, const char *id)
{
    const struct list *shown = exchange_key_models(x);
    struct live_facts facts;
    size_t cancelled_n = 0;
    for (struct live *one = x->env->observe->live.first; one;) {
        exchange_tell_live(one->exchange, &facts);
        if (strcmp(facts.id, id) != 0 || !status_may_name(shown, facts.model)) {
            one = one->next;
            continue;
        }
        cancelled_n++;
        end(one->exchange);
        one = x->env->observe->live.first; /* what waited for it may have left the list, too */
    }
    return cancelled_n;
}

static void cancel(struct exchange *x)
{
    static const char done[] = "{\"status\":\"success\"}\n";
    char id[ADMIT_ID_BYTES], text[ADMIT_ID_BYTES + 80];
    if (exchange_read_path(x, id, sizeof id) < 0 || cancel_all(x, id) == 0) {
        snprintf(text, sizeof text, "no request of this id is under way; GET /sidecar/requests lists those that are");
        exchange_fail(x, 404, "request_not_found", text);
        return;
    }
    reply_json(&x->deliver, 200, done, sizeof done - 1, NULL);
    exchange_finish(x, EXCHANGE_CLEAN);
}

/* The first event is for who asks alone; the others are everybody's. */
static void begin_events(struct exchange *x)
{
    struct buf hello;
    buf_init(&hello, EXCHANGE_ANSWER_BYTES);
    struct json_write w = json_write_begin(&hello);
    json_write_text(&w, "event: hello\ndata: {");
    write_rights(x, &w);
    json_write_text(&w, "}\n\n");
    if (json_write_end(&w) < 0) {
        exchange_fail(x, 500, NULL, "out of memory");
    } else if (reply_begin(&x->deliver, "text/event-stream") < 0) {
        exchange_finish(x, EXCHANGE_BROKEN);
    } else {
        (void)exchange_show(x, buf_data(&hello), buf_size(&hello));
        x->look->listener = (struct feed_listener){.tell = exchange_show, .context = x, .address = x->admission.sender.client};
        if (feed_enter(x->env->feed, &x->look->listener) < 0)
            exchange_break_off(x, ACCESS_FAILED, "out of memory");
    }
    buf_fini(&hello);
}

/* 1, and it has ended. */
static int refuse_events(struct exchange *x)
{
    char text[320];
    switch (feed_has_room(x->env->feed, x->admission.sender.client)) {
    case 0:
        return 0;
    case -EDQUOT:
        snprintf(text, sizeof text, "%d of the address %s listen to events already: close a page that shows them, or ask GET /sidecar/status", FEED_OF_ADDRESS_MAX,
                 x->admission.sender.client);
        break;
    default:
        snprintf(text, sizeof text, "too many listen to events already: ask GET /sidecar/status");
    }
    exchange_fail_until(x, 503, "too_many_listeners", text, RETRY_S);
    return 1;
}

/* What Ollama and the supervisor say is fresh, or can't be had now: 1; or 0, and fn comes. */
static int is_fresh(struct exchange *x, void (*fn)(void *context))
{
    struct exchange_look *look = x->look;
    look->catalog.fn = look->overseer.fn = fn;
    look->catalog.context = look->overseer.context = x;
    (void)catalog_refresh(x->env->catalog, CATALOG_FRESH_MS, NULL); /* both are asked at once */
    return overseer_refresh(&x->env->overseer, &look->overseer) && catalog_refresh(x->env->catalog, CATALOG_FRESH_MS, &look->catalog);
}

static void go_on(void *context)
{
    struct exchange *x = context;
    if (!is_fresh(x, go_on))
        return;
    switch (x->admission.route->api) {
    case API_SIDECAR_MODELS:
        answer(x, write_models);
        return;
    case API_SIDECAR_EVENTS:
        if (!refuse_events(x))
            begin_events(x);
        return;
    default:
        answer(x, write_status);
    }
}

/* What is about all models at once is not for a key of some. 1, and it has ended. */
static int refuse_narrow_key(struct exchange *x)
{
    char text[320];
    enum route_api api = x->admission.route->api;
    const char *what = api == API_SIDECAR_EVENTS ? "events tell" : api == API_SIDECAR_LOGS ? "lines of programs tell" : api == API_SIDECAR_SETTINGS ? "settings tell" : NULL;
    if (!what || !exchange_key_models(x))
        return 0;
    snprintf(text, sizeof text, "the key %s may see some models only ([key:%s] models), and %s of all: ask GET /sidecar/status", x->admission.key->name,
             x->admission.key->name, what);
    exchange_fail(x, 403, "not_permitted", text);
    return 1;
}

void exchange_observe(struct exchange *x)
{
    if (refuse_narrow_key(x))
        return;
    switch (x->admission.route->api) {
    case API_SIDECAR_SETTINGS:
        answer(x, write_settings);
        return;
    case API_SIDECAR_REQUESTS:
        answer(x, write_requests);
        return;
    case API_SIDECAR_CANCEL:
        cancel(x);
        return;
    case API_SIDECAR_LOGS:
        exchange_answer_logs(x);
        return;
    default:
        if (exchange_begin_look(x) == 0)
            go_on(x);
    }
}
