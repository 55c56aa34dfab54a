/*
 * See exchange_state.h. Whoever asks for an optimised answer listens to it, and an exchange of its own makes it (exchange_inner.h), once for
 * all who ask for the same while its beginning is still there: of one key, or address, by the same body (exchange_hear.c is how each
 * hears it). With its last listener gone it is cancelled.
 */
#include "proxy/exchange_inner.h"
#include "proxy/exchange_state.h"

#include "common/siphash.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert((int)SIPHASH_BYTES == (int)SHARE_KEY_BYTES, "the key of a share is a hash");
_Static_assert((int)RELAY_HIGH_BYTES == (int)SHARE_HIGH_BYTES && (int)RELAY_LOW_BYTES == (int)SHARE_LOW_BYTES, "the relay waits where the share says so");

/* ---- all of them ---- */

static void tell_all(struct generation *g)
{
    for (struct share_reader *r = g->share.first, *next; r; r = next) {
        next = r->next;
        exchange_hear(r->context);
    }
}

static void review(struct generation *g)
{
    struct loop *loop = g->env->loop;
    share_review(&g->share, loop_now_ms(loop));
    int64_t at_ms = share_next_ms(&g->share, g->env->conf->proxy.share_stall_ms);
    if (!at_ms)
        loop_disarm(loop, &g->stall);
    else if (!timer_is_armed(&g->stall) || g->stall.at_ms != at_ms)
        loop_arm(loop, &g->stall, at_ms);
}

/* … and not from within a call of the inner exchange's. */
static void review_and_go_on(struct generation *g)
{
    review(g);
    if (g->share.state == SHARE_MAKING && g->inner && g->inner->state == EXCHANGE_RELAY && share_pending_bytes(&g->share) <= RELAY_LOW_BYTES)
        relay_drained(&g->inner->relay);
}

static void on_stall(void *context, int64_t now_ms)
{
    struct generation *g = context;
    int64_t stall_ms = g->env->conf->proxy.share_stall_ms;
    for (struct share_reader *r = g->share.first, *next; r; r = next) {
        struct exchange *x = r->context;
        next = r->next;
        if (!share_is_stalled(r, stall_ms, now_ms))
            continue;
        x->code = "share_stall";
        exchange_break_off(x, ACCESS_CLIENT_STALLED, "it was read too slowly, while others waited for more of the same answer ([proxy] share_stall)");
    }
    review_and_go_on(g);
}

/* ---- what the inner exchange tells ---- */

static void spoil(struct generation *g)
{
    share_fail(&g->share, &(struct inner_failure){.status = 500, .text = "out of memory", .lines = "", .ended = ACCESS_FAILED, .is_in_stream = g->share.status != 0});
    loop_defer(g->env->loop, &g->work);
}

static void on_head(void *context, int status, const char *type, const char *lines)
{
    struct generation *g = context;
    if (share_head(&g->share, status, type, lines) < 0)
        spoil(g);
}

static void on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct generation *g = context;
    if (g->share.state != SHARE_MAKING)
        return;
    if (share_append(&g->share, bytes, bytes_n) < 0)
        spoil(g);
    cache_draft_add(&g->draft, bytes, bytes_n);
    tell_all(g);
    review(g);
}

static size_t pending_bytes(void *context)
{
    const struct generation *g = context;
    return share_pending_bytes(&g->share);
}

static void on_failed(void *context, const struct inner_failure *f)
{
    struct generation *g = context;
    if (g->share.state == SHARE_MAKING)
        share_fail(&g->share, f);
    tell_all(g);
    review(g);
}

static void on_done(void *context)
{
    struct generation *g = context;
    if (g->share.state == SHARE_MAKING)
        share_end(&g->share);
    exchange_keep_answer(g);
    tell_all(g);
    review(g);
}

static void on_progress(void *context, const char *text)
{
    struct generation *g = context;
    share_set_progress(&g->share, text);
}

/* ---- its life ---- */

/* Somebody has left. */
static void on_work(void *context)
{
    struct generation *g = context;
    if (g->inner && g->share.state == SHARE_FAILED && g->inner->state != EXCHANGE_END) { /* what it makes can't be kept */
        exchange_let_go(g->inner);
        tell_all(g);
    }
    if (g->users_n > 0) {
        review_and_go_on(g);
        return;
    }
    shares_remove(&g->env->optimizer.shares, &g->share);
    loop_disarm(g->env->loop, &g->stall);
    exchange_free(&g->inner);
    share_fini(&g->share);
    cache_draft_drop(&g->draft);
    cache_release(&g->kept);
    free(g);
}

/* key: NULL: it is for nobody else. */
static struct generation *generation_new(struct env *env, const unsigned char *key)
{
    struct generation *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->env = env;
    g->work = (struct deferred){.fn = on_work, .context = g};
    timer_init(&g->stall, on_stall, g);
    share_init(&g->share, key, (size_t)env->conf->proxy.share_buffer_bytes);
    if (key)
        shares_add(&env->optimizer.shares, &g->share);
    return g;
}

static void join(struct exchange *x, struct generation *g)
{
    x->generation = g;
    g->users_n++;
    share_join(&g->share, &x->reader, x);
}

/* Each key, or NULL: by which others may join, and by which it is kept. */
static void make(struct exchange *x, const unsigned char *share_key, const unsigned char *cache_key)
{
    static const struct inner_sink sink = {NULL, on_head, on_body, pending_bytes, on_failed, on_done, on_progress};
    struct inner_sink to = sink;
    struct generation *g = generation_new(x->env, share_key);
    if (!g) {
        exchange_fail_listening(x);
        return;
    }
    struct buf body = x->body;
    buf_init(&x->body, 0);
    exchange_drop_body(x);
    join(x, g);
    if (cache_key)
        exchange_begin_keeping(g, cache_key);
    to.context = g;
    if (exchange_new_inner(&g->inner, x, x->admission.route, &body, &to) < 0)
        spoil(g); /* who has come meanwhile is told, too */
}

static void join_others(struct exchange *x, struct generation *g, int may_keep)
{
    optimizer_count_add(&x->env->optimizer.stats, OPTIMIZER_DEDUP_HITS, 1);
    exchange_drop_body(x);
    x->is_joiner = 1;
    join(x, g);
    if (!may_keep)
        cache_draft_drop(&g->draft);
}

/* kept is held, and let go with the generation. */
static void tell_kept(struct exchange *x, struct cache_entry *kept)
{
    struct generation *g = generation_new(x->env, NULL);
    if (!g) {
        cache_release(&kept);
        exchange_fail_listening(x);
        return;
    }
    g->kept = kept;
    exchange_drop_body(x);
    join(x, g);
    share_lend(&g->share, kept->bytes, kept->bytes_n);
    if (share_head(&g->share, 200, kept->answer.type, "") < 0)
        exchange_fail_listening(x);
}

/* ---- who shares ---- */

/* For whom, and what: of one key, or of one address that is known, all that decides about the answer. 0; -ENOENT where nobody else can be
 * known to be the same; -ENOMEM. */
static int read_key(const struct exchange *x, unsigned char key[SHARE_KEY_BYTES])
{
    const struct admission *a = &x->admission;
    const struct message *m = x->request;
    unsigned char body[SIPHASH_BYTES];
    struct buf text;
    if (!a->key && (!a->sender.is_known || a->sender.is_forwarded))
        return -ENOENT;
    int place = message_find(m, "x-sidecar-strategy", 0);
    struct span strategy = place >= 0 ? m->fields[place].value : (struct span){0, 0};
    siphash(x->env->optimizer.secret, buf_data(&x->body), buf_size(&x->body), body);
    buf_init(&text, 0);
    int error = buf_printf(&text, "%s %s\n%s\n%.*s\n", a->key ? "key" : "address", a->key ? a->key->name : a->sender.client, a->route->path,
                           (int)strategy.n, message_at(m, strategy));
    error = error ? error : buf_append(&text, body, sizeof body);
    if (!error)
        siphash(x->env->optimizer.secret, buf_data(&text), buf_size(&text), key);
    buf_fini(&text);
    return error;
}

static int may_share(const struct exchange *x)
{
    enum conf_share share = (enum conf_share)x->env->conf->optimizer.share;
    return share == CONF_SHARE_ALL || (share == CONF_SHARE_DETERMINISTIC && exchange_is_deterministic(x));
}

static struct generation *find_generation(const struct exchange *x, const unsigned char *key)
{
    struct share *s = shares_find(&x->env->optimizer.shares, key);
    return s ? (struct generation *)((char *)s - offsetof(struct generation, share)) : NULL;
}

/* Lines of the head whatever comes. Memory is short: without them. */
static void say_in_head(struct exchange *x, int is_joiner)
{
    static const char shared[] = "X-Sidecar-Shared: yes\r\n";
    static const char exposed[] = "Access-Control-Expose-Headers: X-Sidecar-Strategy, X-Sidecar-Tokens, X-Sidecar-Tokens-Saved, X-Sidecar-Cache, X-Sidecar-Shared\r\n";
    if (is_joiner)
        (void)!buf_text(&x->deliver.extra, shared);
    if (exchange_is_cors_ours(x))
        (void)!buf_text(&x->deliver.extra, exposed);
}

void exchange_listen(struct exchange *x)
{
    unsigned char key[SHARE_KEY_BYTES];
    struct cache_entry *kept = NULL;
    int is_shared = may_share(x), may_keep = exchange_may_cache(x);
    if ((is_shared || may_keep) && read_key(x, key) < 0)
        is_shared = may_keep = 0;
    struct generation *g = is_shared ? find_generation(x, key) : NULL;
    if (!g && may_keep && exchange_find_cached(x, key, &kept) < 0) {
        exchange_wait_for_models(x, exchange_listen);
        return;
    }
    exchange_count_held(x, 0);
    exchange_enter(x, EXCHANGE_LISTEN);
    say_in_head(x, g != NULL);
    if (!kept)
        x->deliver.lines[0] = '\0'; /* who makes it tells how long it took */
    if (g)
        join_others(x, g, may_keep);
    else if (kept)
        tell_kept(x, kept);
    else
        make(x, is_shared ? key : NULL, may_keep ? key : NULL);
    if (x->state != EXCHANGE_LISTEN)
        return;
    exchange_look_alike(x);
    exchange_hear(x);
    if (x->state == EXCHANGE_LISTEN)
        exchange_arm(x);
    review_and_go_on(x->generation); /* who stood still alone may be further behind, now that he is not */
}

void exchange_listen_on(struct exchange *x)
{
    struct generation *g = x->generation;
    exchange_hear(x);
    review_and_go_on(g);
}
