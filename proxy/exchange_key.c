/*
 * See exchange_state.h. What the key that a request came with says of it: which models it may use and see, and which heartbeats its
 * clients take. The rest is admit.c's.
 */
#include "proxy/exchange_state.h"
#include "proxy/key_models.h"
#include "proxy/lacks.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 512 };

const struct list *exchange_key_models(const struct exchange *x)
{
    const struct conf_key *key = x->admission.key;
    return key && key->models.items_n > 0 ? &key->models : NULL;
}

/* 404, whether there is such a model or not: that is not the key's business. */
static int refuse_model(struct exchange *x, const char *name)
{
    const char *key = x->admission.key->name;
    char text[400];
    snprintf(text, sizeof text, "model \"%.150s\" is none of those that the key %s may use; [key:%s] models would permit it", name, key, key);
    exchange_fail(x, 404, "model_not_found", text);
    return -1;
}

static int refuse_unread(struct exchange *x)
{
    const char *key = x->admission.key->name;
    char text[300];
    snprintf(text, sizeof text, "the key %s may use some models only ([key:%s] models), and the request does not say which one in a way that is "
             "read here: it needs a JSON body that is not packed, with \"model\"", key, key);
    exchange_fail(x, 403, "not_permitted", text);
    return -1;
}

/* Whether its body has to name a model. */
static int is_of_a_model(const struct route *r)
{
    return r->body == ROUTE_HELD && (r->needs_model || lacks_may(r) || r->asleep == ASLEEP_SHOW || (r->right == RIGHT_MANAGE && r->is_activity));
}

static int check_preset(struct exchange *x, const struct list *models)
{
    const struct list *its = &x->preset->models;
    for (size_t i = 0; i < its->items_n; i++)
        if (!conf_names_model(models, its->items[i], strlen(its->items[i])))
            return refuse_model(x, its->items[i]);
    return 0;
}

int exchange_check_key(struct exchange *x, int is_generated)
{
    const struct list *models = exchange_key_models(x);
    const struct route *route = x->admission.route;
    char name[NAME_BYTES];
    if (!models || (route->api == API_PRESET) != is_generated)
        return 0;
    if (x->preset)
        return check_preset(x, models);
    if (route->path[strlen(route->path) - 1] == '*' && exchange_read_path(x, name, sizeof name) == 0) /* /v1/models/NAME, /models/NAME */
        return conf_names_model(models, name, strlen(name)) ? 0 : refuse_model(x, name);
    if (!is_of_a_model(route))
        return route->path[strlen(route->path) - 1] == '*' ? refuse_unread(x) : 0; /* … and the name can't be read */
    switch (key_models_of(models, buf_data(&x->body), buf_size(&x->body), name, sizeof name)) {
    case KEY_MODELS_ALLOWED:
        return 0;
    case KEY_MODELS_OTHER:
        return refuse_model(x, name);
    case KEY_MODELS_NONE:
        break;
    }
    return refuse_unread(x);
}

const struct list *exchange_shown_models(const struct exchange *x)
{
    static const char *const lists[] = {"/api/tags", "/api/ps", "/v1/models", "/models"};
    const struct list *models = exchange_key_models(x);
    for (size_t i = 0; models && i < sizeof lists / sizeof *lists; i++)
        if (strcmp(x->admission.route->path, lists[i]) == 0)
            return models;
    return NULL;
}

enum conf_heartbeat exchange_heartbeat(const struct exchange *x)
{
    static const enum conf_heartbeat words[] = {[CONF_KEY_HEARTBEAT_COMMENT] = CONF_HEARTBEAT_COMMENT,
                                                [CONF_KEY_HEARTBEAT_CHUNK] = CONF_HEARTBEAT_CHUNK,
                                                [CONF_KEY_HEARTBEAT_OFF] = CONF_HEARTBEAT_OFF};
    const struct conf_key *key = x->admission.key;
    if (x->inner)
        return CONF_HEARTBEAT_OFF;
    return key && key->heartbeat != CONF_KEY_HEARTBEAT_PROXY ? words[key->heartbeat] : (enum conf_heartbeat)x->env->conf->proxy.heartbeat;
}
