/*
 * See member.h. What a member is asked, by requests of our own, and what its answers are worth: GET /api/ps tells that it is well and what it has
 * loaded, GET /api/tags which models it has. Whatever is wrong with one becomes a sentence for who runs it.
 */
#include "proxy/balance/members_inner.h"

#include "common/log.h"
#include "proxy/model_list.h"

#include <errno.h>
#include <stdio.h>

enum {
    PROBE_BYTES = 256 * 1024,
    LIST_BYTES = 2 << 20,
    LIST_MS = 3000,
    LIST_AGAIN_MS = 1000,
    LOADED_MODELS = 64, /* of which is known that they are loaded */
};

static const char probe_path[] = "/api/ps", list_path[] = "/api/tags";

void member_say(struct member *m, const char *why)
{
    snprintf(m->why, sizeof m->why, "%s", why);
    buf_neutralise(m->why);
}

/* What came of one of our own requests, in words: "" where it has answered well. */
static void judge(const struct member *m, const struct own_answer *a, const char *path, char why[MEMBER_WHY_BYTES])
{
    const char *hint = a->status == 404                       ? ": does Ollama's API begin below this url?"
                       : a->status >= 300 && a->status < 400 ? ": it leads elsewhere, which is not followed: write that url"
                       : a->status == 508                     ? ": this url leads back to a proxy like this one"
                                                              : "";
    *why = '\0';
    if (a->end != FETCH_DONE)
        snprintf(why, MEMBER_WHY_BYTES, "%s", *a->why ? a->why : "no answer");
    else if (a->status == 401 || a->status == 403)
        snprintf(why, MEMBER_WHY_BYTES, "GET %s: status %d: it does not take %s of [backend:%s]", path, a->status,
                 m->row->authorization ? "the key" : "requests without a key: set `key`", m->conf->name);
    else if (a->status != 200)
        snprintf(why, MEMBER_WHY_BYTES, "GET %s: status %d%s", path, a->status, hint);
    else if (a->is_unread)
        snprintf(why, MEMBER_WHY_BYTES, "GET %s: its answer is too long, or encoded", path);
}

/* 0, or -errno: then it is none. */
static int keep(struct buf *kept, const struct own_answer *a)
{
    buf_release(kept);
    return buf_append(kept, a->bytes, a->bytes_n);
}

/* Tells which models are loaded. 0; -EINVAL where it is no answer of Ollama's; -ENOMEM. */
static int note_loaded(struct member *m, const struct own_answer *a)
{
    char texts[LOADED_MODELS][CONTRACT_NAME_BYTES];
    const char *names[LOADED_MODELS];
    struct json_items items;
    size_t names_n = 0;
    int error = model_list_begin(&items, a->bytes, a->bytes_n);
    if (!error)
        error = keep(&m->loaded, a);
    if (error)
        return error;
    for (; names_n < LOADED_MODELS && model_list_next(&items, NULL, texts[names_n], sizeof texts[0]); names_n++)
        names[names_n] = texts[names_n];
    m->all->ops.loaded(m->all->ops.context, m, names, names_n, m->probed_ms);
    return 0;
}

static void on_probed(void *context, const struct own_answer *a)
{
    struct member *m = context;
    char why[MEMBER_WHY_BYTES];
    m->is_probing = 0;
    judge(m, a, probe_path, why);
    if (!*why && note_loaded(m, a) == -EINVAL)
        snprintf(why, sizeof why, "GET %s: what came is no answer of Ollama's: does its API begin below this url?", probe_path);
    own_request_cancel(&m->probe); /* its memory */
    m->probed(m, why);
}

static void note_list(struct member *m, const struct own_answer *a, char why[MEMBER_WHY_BYTES])
{
    struct json_value models;
    judge(m, a, list_path, why);
    if (*why)
        return;
    if (model_list_find(a->bytes, a->bytes_n, &models) < 0)
        snprintf(why, MEMBER_WHY_BYTES, "GET %s: what came is no list of models: does Ollama's API begin below this url?", list_path);
    else if (installed_read(&m->installed, a->bytes, a->bytes_n, m->list_asked_ms) < 0 || keep(&m->tags, a) < 0)
        snprintf(why, MEMBER_WHY_BYTES, "GET %s: out of memory", list_path);
    else
        m->listed_ms = m->list_asked_ms;
}

static void on_listed(void *context, const struct own_answer *a)
{
    struct member *m = context;
    char why[MEMBER_WHY_BYTES];
    m->is_listing = 0;
    note_list(m, a, why);
    own_request_cancel(&m->list); /* its memory */
    m->is_listed |= !*why;
    if (*why && strcmp(why, m->why) != 0) {
        member_say(m, why);
        log_event(LOG_WARNING, "member_unlisted", "backend=%s url=%s reason=\"%s\"", m->name, m->row->origin, m->why);
    }
    members_touch(m);
}

void member_ask(struct member *m)
{
    char path[sizeof m->path + sizeof probe_path];
    if (m->is_probing)
        return;
    m->probed_ms = loop_now_ms(m->all->loop);
    snprintf(path, sizeof path, "%s%s", m->path, probe_path);
    m->is_probing = own_request_start(&m->probe, m->all->tell, path, NULL) == 0;
}

int member_refresh(struct member *m, int64_t older_ms)
{
    char path[sizeof m->path + sizeof list_path];
    int64_t now_ms = loop_now_ms(m->all->loop);
    if (m->is_listing || !m->has_backend || m->is_leaving)
        return m->is_listing;
    if (m->listed_ms >= 0 && now_ms - m->listed_ms < older_ms)
        return 0;
    if (m->list_asked_ms >= 0 && now_ms - m->list_asked_ms < LIST_AGAIN_MS)
        return 0;
    m->list_asked_ms = now_ms;
    m->is_used = 0;
    snprintf(path, sizeof path, "%s%s", m->path, list_path);
    m->is_listing = own_request_start(&m->list, m->all->tell, path, NULL) == 0;
    return m->is_listing;
}

void member_ask_init(struct member *m, void (*probed)(struct member *m, const char *why))
{
    static const struct own_rules list_rules = {.answer_bytes = LIST_BYTES, .limit_ms = LIST_MS};
    struct own_rules probe_rules = {.answer_bytes = PROBE_BYTES, .limit_ms = m->all->conf->balancer.probe_timeout_ms};
    m->probed = probed;
    own_request_init(&m->probe, &m->backend, &probe_rules, on_probed, m);
    own_request_init(&m->list, &m->backend, &list_rules, on_listed, m);
}

void member_ask_cancel(struct member *m)
{
    m->is_probing = m->is_listing = 0;
    own_request_cancel(&m->probe);
    own_request_cancel(&m->list);
}

void member_ask_fini(struct member *m)
{
    own_request_fini(&m->probe);
    own_request_fini(&m->list);
}
