/*
 * See exchange_state.h. While Ollama is asleep, or on its way up, what only reads is answered from what is known of it (asleep.h):
 * it wakes nobody and keeps nobody awake. What is not known waits as any request, and wakes it: better late than wrong.
 */
#include "proxy/ask_show.h"
#include "proxy/exchange_serve.h"
#include "proxy/exchange_state.h"
#include "proxy/openai_models.h"
#include "proxy/reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What is asked for, in the words of known.h. 0 or -EINVAL. */
static int read_key(const struct exchange *x, struct known_key *key)
{
    const struct message *m = x->request;
    *key = (struct known_key){.kind = KNOWN_PATH};
    switch (x->admission.route->asleep) {
    case ASLEEP_KNOWN:
        snprintf(key->name, sizeof key->name, "%s", x->admission.route->path);
        return 0;
    case ASLEEP_MODEL:
        snprintf(key->name, sizeof key->name, "/api/tags");
        return 0;
    case ASLEEP_SHOW:
        return message_find(m, "content-encoding", 0) >= 0 ? -EINVAL : ask_show_read(key, buf_data(&x->body), buf_size(&x->body));
    case ASLEEP_WAKES:
    case ASLEEP_LOADED:
    case ASLEEP_UNLOADED:
        break;
    }
    return -EINVAL;
}

void exchange_note_read(struct exchange *x)
{
    struct known_key key;
    if (read_key(x, &key) == 0)
        asleep_note(&x->env->asleep, &key);
}

/* The line of an answer's head that says so. */
static void tell_state(const struct exchange *x, char line[48])
{
    snprintf(line, 48, "X-Sidecar-State: %s\r\n", asleep_name(x->asleep));
}

static void answer(struct exchange *x, const char *type, const char *bytes, size_t bytes_n)
{
    char line[48];
    tell_state(x, line);
    reply_bytes(&x->deliver, 200, type, bytes, bytes_n, line);
    exchange_finish(x, EXCHANGE_CLEAN);
}

/* As it would be told awake (openai_models.h). 1 where it was answered. */
static int answer_models(struct exchange *x, const struct known_entry *tags)
{
    char line[48];
    struct buf out;
    buf_init(&out, 0);
    int error = openai_models_write(&x->answer.translation, tags->body, tags->body_n, &out);
    tell_state(x, line);
    if (error == 0) {
        answer(x, "application/json", buf_data(&out), buf_size(&out));
    } else if (error == -ENOENT) {
        reply_error(&x->deliver, DIALECT_OPENAI, 404, "model_not_found", OPENAI_MODELS_NONE, line);
        exchange_finish(x, EXCHANGE_CLEAN);
    }
    buf_fini(&out);
    return error == 0 || error == -ENOENT;
}

static int answer_known(struct exchange *x)
{
    struct known_key key;
    const struct known_entry *known = read_key(x, &key) == 0 ? asleep_answer(&x->env->asleep, &key) : NULL;
    if (!known)
        return 0;
    if (x->admission.route->asleep == ASLEEP_MODEL)
        return answer_models(x, known);
    answer(x, known->type, known->body, known->body_n);
    return 1;
}

int exchange_answer_asleep(struct exchange *x)
{
    static const char none_loaded[] = "{\"models\":[]}"; /* ProcessResponse of Ollama's api/types.go */
    static const char unloaded[] = "{\"status\":\"success\"}\n"; /* model_load.h */
    enum contract_sleep state = asleep_state(&x->env->asleep, &x->env->gate.view);
    int is_answered = 1;
    if (state == CONTRACT_AWAKE || x->deliver.is_begun) /* a heartbeat has gone: it was waiting before */
        return 0;
    x->asleep = state;
    if (x->admission.route->asleep == ASLEEP_LOADED) {
        if (!exchange_answer_ps(x))
            answer(x, "application/json; charset=utf-8", none_loaded, sizeof none_loaded - 1);
    } else if (x->admission.route->asleep == ASLEEP_UNLOADED) {
        answer(x, "application/json", unloaded, sizeof unloaded - 1);
    } else {
        is_answered = answer_known(x);
    }
    if (!is_answered)
        x->asleep = CONTRACT_AWAKE;
    return is_answered;
}
