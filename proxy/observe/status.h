/*
 * status: the object of GET /sidecar/status, from what the rooms of this process know (docs/status-api.md). It asks nobody.
 */
#ifndef PROXY_OBSERVE_STATUS_H
#define PROXY_OBSERVE_STATUS_H

#include "proxy/json_write.h"

enum {
    STATUS_TEXT_BYTES = 240, /* of any text of a client's, a backend's or a program's */
    STATUS_LIVE_MAX = 64,
    STATUS_RECENT_MAX = 32,
    STATUS_MODELS_MAX = 512,
};

struct env;
struct list;

/* Its members, one behind the other, without braces. shown: the models that may be named; NULL: all. */
void status_write(struct env *env, const struct list *shown, struct json_write *w);
/* Parts of it: the values of its members `requests`, `models` and `pulls`. */
void status_write_requests(struct env *env, const struct list *shown, struct json_write *w);
void status_write_models(struct env *env, const struct list *shown, struct json_write *w);
void status_write_pulls(struct env *env, const struct list *shown, struct json_write *w);
/* An event of it, whole: `event: status` and the object. 0 or -errno. */
int status_write_event(void *env, struct buf *out) WARN_UNUSED;
/* Another number where something of it has changed that is not only time; what Ollama has is asked for again then. */
uint64_t status_look(void *env);

/* `,"name":` and a text as it may be shown: cut, null where it is empty. */
void status_write_text(struct json_write *w, const char *before, const char *text, size_t text_n);
/* Whether this model may be named. */
int status_may_name(const struct list *shown, const char *model);

#endif
