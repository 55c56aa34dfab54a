/* See shared_call.h. */
#include "proxy/store/shared_call.h"

#include "common/log.h"
#include "proxy/store/script.h"

#include <errno.h>

static const char schema[] = "1"; /* the script's SCHEMA */

void shared_begin(struct shared *s, const char *command)
{
    redis_begin(s->commands);
    redis_add_text(s->commands, "EVALSHA");
    redis_add_text(s->commands, s->sha);
    redis_add_text(s->commands, "1");
    redis_add_text(s->commands, s->conf->prefix);
    redis_add_text(s->commands, schema);
    redis_add_text(s->commands, command);
    redis_add_text(s->commands, s->me);
}

void shared_add_id(struct shared *s, uint64_t id)
{
    char text[SHARED_ID_BYTES];
    shared_id_text(id, text);
    redis_add_text(s->commands, text);
}

/* Too many are under way: Redis is too slow for us. */
void shared_send(struct shared *s, redis_fn *fn)
{
    int error = redis_send(s->commands, fn, s);
    if (error && error != -ENOTCONN)
        redis_refuse(s->commands, strerror(-error));
}

void shared_send_id(struct shared *s, const char *command, uint64_t id)
{
    shared_begin(s, command);
    shared_add_id(s, id);
    shared_send(s, shared_on_grants);
}

int shared_is_good(struct shared *s, const redisReply *reply)
{
    char why[REDIS_WHY_BYTES];
    if (!reply)
        return 0;
    if (reply->type != REDIS_REPLY_ERROR)
        return 1;
    redis_why(reply->str, why);
    if (strncmp(reply->str, "NOSCRIPT", 8) == 0)
        shared_load_script(s);
    else if (strncmp(reply->str, "SIDECAR ARGUMENT", 16) == 0)
        log_event(LOG_WARNING, "redis_odd", "reason=\"%s\"", why);
    else
        redis_refuse(s->commands, why);
    return 0;
}

void shared_refuse(struct shared *s)
{
    redis_refuse(s->commands, "what our script has answered is not understood: does another program use it, or its keys?");
}

/* ---- grants ---- */

/* Whoever can't take one gives it back; where it still waits, all is told anew, as it stands in no line then. */
void shared_on_grant(void *context, const char *replica, uint64_t id, const char *backend)
{
    struct shared *s = context;
    struct shared_entry *e = shared_tickets_find(&s->tickets, id);
    if (s->step != SHARED_READY || (replica && strcmp(replica, s->me) != 0))
        return;
    if (e && e->state == SHARED_SLOT) { /* told twice */
        shared_send_id(s, "ack", id);
        return;
    }
    int is_taken = e && s->ops.granted(s->ops.context, id, backend) == 0 && shared_tickets_set(&s->tickets, id, SHARED_SLOT);
    s->is_forgotten |= e && !is_taken;
    shared_send_id(s, is_taken ? "ack" : "back", id);
}

void shared_on_grants(void *context, const redisReply *reply)
{
    struct shared *s = context;
    if (shared_is_good(s, reply) && shared_read_grants(reply, shared_on_grant, s) < 0)
        shared_refuse(s);
}

/* ---- the script ---- */

static void on_script(void *context, const redisReply *reply)
{
    struct shared *s = context;
    s->is_loading = 0;
    if (!shared_is_good(s, reply))
        return;
    if (reply->type != REDIS_REPLY_STRING || reply->len != SHARED_SHA_BYTES - 1) {
        shared_refuse(s);
        return;
    }
    memcpy(s->sha, reply->str, SHARED_SHA_BYTES);
    if (s->step == SHARED_LOADING)
        s->step = SHARED_JOINING;
    loop_arm(s->loop, &s->beat, loop_now_ms(s->loop));
}

void shared_load_script(struct shared *s)
{
    size_t text_n;
    const char *text = script_text(&text_n);
    if (s->is_loading)
        return;
    s->is_loading = s->is_forgotten = 1;
    redis_begin(s->commands);
    redis_add_text(s->commands, "SCRIPT");
    redis_add_text(s->commands, "LOAD");
    redis_add(s->commands, text, text_n);
    shared_send(s, on_script);
}
