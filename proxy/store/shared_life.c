/*
 * See shared.h: beats, and how Redis comes and goes. One connection for commands, one that listens to what is published for us. Nothing is kept that Redis would have to be asked
 * for: when it comes back, or has forgotten, the owner tells all anew.
 */
#include "proxy/store/shared.h"

#include "common/log.h"
#include "proxy/store/shared_tell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { BEAT_MS = 1000, JOURNAL_WANTED_MS = 60 * 1000, JOURNAL_KEPT_MS = 24 * 60 * 60 * 1000 };

enum shared_state shared_state(const struct shared *s)
{
    if (s->step == SHARED_READY)
        return SHARED_UP;
    return s->is_first ? SHARED_FIRST : SHARED_AWAY;
}

uint64_t shared_next_id(struct shared *s)
{
    return s->next_id++;
}

/* ---- beats ---- */

static int64_t beat_ms(const struct shared *s)
{
    int64_t third_ms = s->conf->lease_ms / 3;
    return third_ms < BEAT_MS ? third_ms : BEAT_MS;
}

static void on_lost(void *context, uint64_t id)
{
    struct shared *s = context;
    const struct shared_entry *e = shared_tickets_find(&s->tickets, id);
    if (!e || e->state != SHARED_SLOT)
        return;
    log_event(LOG_WARNING, "lease_lost", "id=%016llx hint=\"this proxy stood still for longer than [redis] lease\"", (unsigned long long)id);
    (void)!shared_tickets_set(&s->tickets, id, SHARED_LOST);
    s->ops.lost(s->ops.context, id);
}

static void on_place(void *context, uint64_t id, size_t place, int64_t wait_ms)
{
    const struct shared *s = context;
    struct shared_entry *e = shared_tickets_find(&s->tickets, id);
    if (e) {
        e->place = place;
        e->wait_ms = wait_ms;
    }
}

static void on_learnt(void *context, const char *backend, const char *model, const char *text)
{
    const struct shared *s = context;
    s->ops.learnt(s->ops.context, backend, model, text);
}

/* What Redis has of us may be of an earlier connection: what waits no more is granted, and handed back; what is held no more ends by itself. */
static void tell_state(struct shared *s, enum shared_step step)
{
    s->step = step;
    s->is_forgotten = s->is_first = 0;
    loop_disarm(s->loop, &s->first);
    shared_drain_all(s); /* before any backend is told: nothing is granted there */
    s->ops.state(s->ops.context, shared_state(s), s->replicas_n);
}

static void become_up(struct shared *s)
{
    *s->why = '\0';
    log_event(LOG_INFO, "redis_up", "replica=%s replicas=%u", s->me, s->replicas_n);
    tell_state(s, SHARED_READY);
}

static void on_beat_reply(void *context, const redisReply *reply)
{
    static const struct shared_beat_ops ops = {on_lost, shared_on_grant, on_place, shared_on_drained, on_learnt};
    struct shared *s = context;
    struct shared_beat beat;
    s->is_beating = 0;
    if (!shared_is_good(s, reply))
        return;
    if (shared_read_beat(reply, &ops, s, &beat) < 0) {
        shared_refuse(s);
        return;
    }
    s->replicas_n = beat.replicas_n;
    s->is_forgotten |= beat.is_new;
    if (beat.settles_ms > 0 && beat.settles_ms < beat_ms(s))
        loop_arm(s->loop, &s->beat, loop_now_ms(s->loop) + beat.settles_ms);
    if (s->step == SHARED_JOINING)
        become_up(s);
    else if (s->step == SHARED_READY && s->is_forgotten)
        tell_state(s, SHARED_READY);
}

static void on_first_over(void *context, int64_t now_ms)
{
    struct shared *s = context;
    (void)now_ms;
    s->is_first = 0;
    s->ops.state(s->ops.context, shared_state(s), s->replicas_n);
}

static void on_pong(void *context, const redisReply *reply)
{
    (void)context;
    (void)reply; /* none in time ends the connection */
}

static const char *key(struct shared *s, const char *behind)
{
    snprintf(s->key, sizeof s->key, "%s%s", s->conf->prefix, behind);
    return s->key;
}

static void on_journal(void *context, const redisReply *reply)
{
    (void)!shared_is_good(context, reply);
}

/* It is kept as long as somebody wants it, and what was written stays for a day. */
static void want_journal(struct shared *s)
{
    redis_begin(s->commands);
    redis_add_text(s->commands, "SET");
    redis_add_text(s->commands, key(s, ":journal:on"));
    redis_add_text(s->commands, "1");
    redis_add_text(s->commands, "PX");
    redis_add_number(s->commands, s->conf->lease_ms + JOURNAL_WANTED_MS);
    shared_send(s, on_journal);
    redis_begin(s->commands);
    redis_add_text(s->commands, "PEXPIRE");
    redis_add_text(s->commands, key(s, ":journal"));
    redis_add_number(s->commands, JOURNAL_KEPT_MS);
    shared_send(s, on_journal);
}

static void send_beat(struct shared *s)
{
    if (s->conf->journal)
        want_journal(s);
    shared_begin(s, "beat");
    redis_add_number(s->commands, s->conf->lease_ms);
    redis_add_number(s->commands, s->is_first);
    for (size_t i = 0; i < SHARED_BUCKETS && s->tickets.slots_n > 0; i++)
        for (const struct shared_entry *e = s->tickets.buckets[i]; e; e = e->next)
            if (e->state == SHARED_SLOT)
                shared_add_id(s, e->id);
    s->is_beating = 1;
    shared_send(s, on_beat_reply);
    redis_begin(s->ears);
    redis_add_text(s->ears, "PING");
    (void)!redis_send(s->ears, on_pong, NULL);
}

static void on_beat(void *context, int64_t now_ms)
{
    struct shared *s = context;
    loop_arm(s->loop, &s->beat, now_ms + beat_ms(s));
    if (!s->is_beating && (s->step == SHARED_JOINING || s->step == SHARED_READY))
        send_beat(s);
}

/* ---- it comes and goes ---- */

static void on_up(void *context)
{
    struct shared *s = context;
    s->step = SHARED_LOADING;
    shared_load_script(s);
}

static void on_down(void *context, const char *why)
{
    struct shared *s = context;
    enum shared_step was = s->step;
    s->step = SHARED_DOWN;
    s->is_loading = s->is_beating = 0;
    loop_disarm(s->loop, &s->beat);
    shared_tickets_fini(&s->tickets);
    if (strcmp(s->why, why) != 0)
        log_event(LOG_WARNING, "redis_away", "reason=\"%s\" replicas=%u hint=\"each proxy goes on with its part of the slots\"", why, s->replicas_n);
    snprintf(s->why, sizeof s->why, "%s", why);
    if (was == SHARED_READY || s->is_first)
        tell_state(s, SHARED_DOWN);
}

static void on_subscribed(void *context, const redisReply *reply)
{
    struct shared *s = context;
    char why[REDIS_WHY_BYTES];
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return;
    redis_why(reply->str, why);
    redis_refuse(s->ears, why);
}

static void on_message(void *context, const char *text, size_t text_n)
{
    (void)!shared_read_message(text, text_n, shared_on_grant, context); /* anybody may publish anything */
}

static void on_ears_up(void *context)
{
    struct shared *s = context;
    char behind[sizeof ":grants:" + SHARED_ID_BYTES];
    snprintf(behind, sizeof behind, ":grants:%s", s->me);
    redis_begin(s->ears);
    redis_add_text(s->ears, "SUBSCRIBE");
    redis_add_text(s->ears, key(s, behind));
    if (redis_send(s->ears, on_subscribed, s) < 0)
        redis_refuse(s->ears, strerror(ENOMEM));
}

/* Grants come with each beat's reply meanwhile. */
static void on_ears_down(void *context, const char *why)
{
    (void)context;
    log_event(LOG_DEBUG, "redis_deaf", "reason=\"%s\"", why);
}

static void name_ourselves(struct shared *s)
{
    uint64_t me;
    sys_random(&me, sizeof me);
    shared_id_text(me, s->me);
    snprintf(s->name, sizeof s->name, "ollama-sidecar-%s", s->me);
    s->next_id = (me & ~(uint64_t)UINT32_MAX) + 1;
}

int shared_new(struct shared **out, struct loop *loop, const struct conf *conf, const struct shared_ops *ops)
{
    struct shared *s = calloc(1, sizeof *s);
    char why[PARSE_WHY_BYTES];
    *out = s;
    if (!s)
        return -ENOMEM;
    s->loop = loop;
    s->conf = &conf->redis;
    s->rules = &conf->balancer;
    s->ops = *ops;
    s->replicas_n = 1;
    name_ourselves(s);
    timer_init(&s->beat, on_beat, s);
    timer_init(&s->first, on_first_over, s);
    s->is_first = 1;
    loop_arm(loop, &s->first, loop_now_ms(loop) + s->conf->timeout_ms);
    s->command_ops = (struct redis_ops){.up = on_up, .down = on_down, .context = s};
    s->ear_ops = (struct redis_ops){.up = on_ears_up, .down = on_ears_down, .message = on_message, .context = s};
    int error = redis_url_parse(s->conf->url, &s->url, why);
    struct redis_site site = {loop, &s->url, s->conf->password, s->name, s->conf->timeout_ms};
    error = error ? error : redis_new(&s->commands, &site, &s->command_ops);
    error = error ? error : redis_new(&s->ears, &site, &s->ear_ops);
    if (error)
        shared_free(out);
    return error;
}

void shared_free(struct shared **shared)
{
    struct shared *s = *shared;
    *shared = NULL;
    if (!s)
        return;
    if (s->step == SHARED_READY) {
        shared_begin(s, "bye");
        (void)!redis_send(s->commands, NULL, NULL);
    }
    s->step = SHARED_DOWN;
    s->is_first = 0;
    loop_disarm(s->loop, &s->beat);
    loop_disarm(s->loop, &s->first);
    redis_free(&s->ears);
    redis_free(&s->commands);
    shared_tickets_fini(&s->tickets);
    free(s->said);
    free(s);
}

int shared_write(const struct shared *s, struct buf *out)
{
    static const char *const names[] = {[SHARED_DOWN] = "away", [SHARED_LOADING] = "joining", [SHARED_JOINING] = "joining", [SHARED_READY] = "up"};
    char place[ADDRESS_TEXT_BYTES + REDIS_PATH_BYTES];
    if (*s->url.path)
        snprintf(place, sizeof place, "%s", s->url.path);
    else
        address_text(&s->url.address, place);
    int error = buf_printf(out, "{\"state\":\"%s\",\"replica\":\"%s\",\"replicas\":%u,\"address\":", names[s->step], s->me, s->replicas_n);
    error = error ? error : buf_json_string(out, place, strlen(place));
    error = error ? error : buf_text(out, ",\"error\":");
    error = error ? error : *s->why ? buf_json_string(out, s->why, strlen(s->why)) : buf_text(out, "null");
    return error ? error : buf_text(out, "}");
}
