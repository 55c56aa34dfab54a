/* See known_ask.h. A backend that takes no connection, or gives no answer, is not asked any more. */
#include "proxy/known_ask.h"

#include "proxy/ask_show.h"

static void ask_next(struct known_ask *a);

static void rest(struct known_ask *a)
{
    own_request_cancel(&a->request);
    loop_disarm(a->backend->loop, &a->timer);
    a->entry = NULL;
}

static void conclude(struct known_ask *a, int is_complete)
{
    rest(a);
    a->fn(a->context, is_complete);
}

static void on_done(void *context, const struct own_answer *got)
{
    struct known_ask *a = context;
    if (got->end != FETCH_DONE) {
        conclude(a, 0);
        return;
    }
    if (got->status == 200 && !got->is_unread)
        known_take(a->known, a->entry, got->type, got->bytes, got->bytes_n);
    else
        known_take_none(a->known, a->entry);
    ask_next(a);
}

static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    conclude(context, 0);
}

/* 0 or -errno: nothing was begun. */
static int ask(struct known_ask *a)
{
    const struct known_key *key = &a->entry->key;
    struct buf body;
    if (key->kind == KNOWN_PATH)
        return own_request_start(&a->request, a->tell, key->name, NULL);
    buf_init(&body, 0);
    int error = ask_show_write(key, &body);
    error = error ? error : own_request_start(&a->request, a->tell, "/api/show", &body);
    buf_fini(&body);
    return error;
}

static void ask_next(struct known_ask *a)
{
    a->entry = known_next(a->known);
    if (!a->entry)
        conclude(a, 1);
    else if (ask(a) < 0)
        loop_arm(a->backend->loop, &a->timer, loop_now_ms(a->backend->loop));
}

void known_ask_init(struct known_ask *a, struct known *known, struct backend *backend, const struct tell *tell)
{
    *a = (struct known_ask){.known = known, .backend = backend, .tell = tell};
    timer_init(&a->timer, on_timer, a);
    own_request_init(&a->request, backend, &(struct own_rules){.answer_bytes = KNOWN_BODY_BYTES}, on_done, a);
}

void known_ask_fini(struct known_ask *a)
{
    if (!a->backend)
        return;
    rest(a);
    own_request_fini(&a->request);
}

void known_ask_start(struct known_ask *a, int64_t limit_ms, known_ask_fn *fn, void *context)
{
    rest(a);
    a->fn = fn;
    a->context = context;
    loop_arm(a->backend->loop, &a->timer, loop_now_ms(a->backend->loop) + limit_ms);
    known_begin_round(a->known);
    ask_next(a);
}
