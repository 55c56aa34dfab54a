/* See share.h. Knows nothing of clients, nor of who makes the answer. */
#include "proxy/share.h"

#include <errno.h>
#include <stdio.h>

void share_init(struct share *s, const unsigned char key[SHARE_KEY_BYTES], size_t keep_bytes)
{
    *s = (struct share){.is_private = !key, .keep_bytes = key ? keep_bytes : 0};
    if (key)
        memcpy(s->key, key, SHARE_KEY_BYTES);
    buf_init(&s->lines, 0); /* a head has its limit, and a body too: the maker waits */
    buf_init(&s->bytes, 0);
    buf_init(&s->failure_room, 0);
}

void share_fini(struct share *s)
{
    buf_fini(&s->lines);
    buf_fini(&s->bytes);
    buf_fini(&s->failure_room);
}

static uint64_t end_bytes(const struct share *s)
{
    return s->lent ? s->lent_bytes : s->start_bytes + buf_size(&s->bytes);
}

static uint64_t behind_bytes(const struct share *s, const struct share_reader *r)
{
    return end_bytes(s) - r->read_bytes;
}

/* How far one may be behind, at the others' cost of nothing but memory. */
static uint64_t allowed_bytes(const struct share *s)
{
    return s->readers_n > 1 ? s->keep_bytes : 0;
}

static uint64_t slowest_bytes(const struct share *s)
{
    uint64_t least = end_bytes(s);
    for (const struct share_reader *r = s->first; r; r = r->next)
        if (r->read_bytes < least)
            least = r->read_bytes;
    return least;
}

/* What everybody has read, and nobody may still begin with. */
static void forget(struct share *s)
{
    int may_join = s->state == SHARE_MAKING && !s->is_private && s->start_bytes == 0 && buf_size(&s->bytes) <= s->keep_bytes;
    if (may_join || !s->first || s->lent)
        return;
    uint64_t least = slowest_bytes(s);
    buf_consume(&s->bytes, (size_t)(least - s->start_bytes));
    s->start_bytes = least;
    if (buf_size(&s->bytes) == 0 && s->bytes.room_n > SHARE_HIGH_BYTES)
        buf_release(&s->bytes);
}

int share_head(struct share *s, int status, const char *type, const char *lines)
{
    int error = buf_text(&s->lines, lines);
    error = error ? error : buf_append(&s->lines, "", 1);
    if (error)
        return error;
    s->status = status;
    snprintf(s->type, sizeof s->type, "%s", type ? type : "");
    return 0;
}

int share_append(struct share *s, const char *bytes, size_t bytes_n)
{
    return buf_append(&s->bytes, bytes, bytes_n);
}

void share_end(struct share *s)
{
    s->state = SHARE_WHOLE;
}

void share_lend(struct share *s, const char *bytes, size_t bytes_n)
{
    s->lent = bytes;
    s->lent_bytes = bytes_n;
    share_end(s);
}

void share_fail(struct share *s, const struct inner_failure *f)
{
    size_t text_n = strlen(f->text) + 1;
    s->state = SHARE_FAILED;
    s->failure = *f;
    int error = buf_append(&s->failure_room, f->text, text_n);
    error = error ? error : buf_append(&s->failure_room, f->lines, strlen(f->lines) + 1);
    s->failure.text = error ? "out of memory" : buf_data(&s->failure_room);
    s->failure.lines = error ? "" : buf_data(&s->failure_room) + text_n;
}

void share_set_progress(struct share *s, const char *text)
{
    snprintf(s->progress, sizeof s->progress, "%s", text);
    buf_neutralise(s->progress);
}

size_t share_pending_bytes(const struct share *s)
{
    uint64_t behind = end_bytes(s) - slowest_bytes(s), allowed = allowed_bytes(s);
    return behind > allowed ? (size_t)(behind - allowed) : 0;
}

void share_join(struct share *s, struct share_reader *r, void *context)
{
    *r = (struct share_reader){.share = s, .context = context, .next = s->first, .holds_since_ms = -1};
    if (s->first)
        s->first->previous = r;
    s->first = r;
    s->readers_n++;
}

void share_leave(struct share *s, struct share_reader *r)
{
    if (!r->share)
        return;
    if (r->previous)
        r->previous->next = r->next;
    else
        s->first = r->next;
    if (r->next)
        r->next->previous = r->previous;
    *r = (struct share_reader){.holds_since_ms = -1};
    s->readers_n--;
}

const char *share_unread(const struct share *s, const struct share_reader *r, size_t *n)
{
    *n = (size_t)behind_bytes(s, r);
    return (s->lent ? s->lent : buf_data(&s->bytes)) + (r->read_bytes - s->start_bytes);
}

void share_read(struct share_reader *r, size_t n)
{
    r->read_bytes += n;
}

/* Were all too far behind, none of them would be kept waiting by another. */
static int is_anybody_near(const struct share *s, uint64_t near_bytes)
{
    for (const struct share_reader *r = s->first; r; r = r->next)
        if (behind_bytes(s, r) <= near_bytes)
            return 1;
    return 0;
}

void share_review(struct share *s, int64_t now_ms)
{
    uint64_t near_bytes = allowed_bytes(s) + SHARE_LOW_BYTES;
    forget(s);
    size_t pending_bytes = share_pending_bytes(s);
    s->is_held = s->state == SHARE_MAKING && pending_bytes > (s->is_held ? SHARE_LOW_BYTES : SHARE_HIGH_BYTES);
    int is_anybody_held = s->is_held && s->readers_n > 1 && is_anybody_near(s, near_bytes);
    for (struct share_reader *r = s->first; r; r = r->next) {
        if (!is_anybody_held || behind_bytes(s, r) <= near_bytes)
            r->holds_since_ms = -1;
        else if (r->holds_since_ms < 0)
            r->holds_since_ms = now_ms;
    }
}

int64_t share_next_ms(const struct share *s, int64_t stall_ms)
{
    int64_t next_ms = 0;
    for (const struct share_reader *r = s->first; r; r = r->next)
        if (r->holds_since_ms >= 0 && (!next_ms || r->holds_since_ms + stall_ms < next_ms))
            next_ms = r->holds_since_ms + stall_ms;
    return next_ms;
}

int share_is_stalled(const struct share_reader *r, int64_t stall_ms, int64_t now_ms)
{
    return r->holds_since_ms >= 0 && now_ms - r->holds_since_ms >= stall_ms;
}

static size_t bucket_of(const unsigned char *key)
{
    return key[0] % SHARE_BUCKETS;
}

struct share *shares_find(const struct shares *all, const unsigned char key[SHARE_KEY_BYTES])
{
    struct share *s = all->buckets[bucket_of(key)];
    while (s && (memcmp(s->key, key, SHARE_KEY_BYTES) != 0 || s->state != SHARE_MAKING || s->start_bytes > 0))
        s = s->next_same;
    return s;
}

void shares_add(struct shares *all, struct share *s)
{
    struct share **bucket = &all->buckets[bucket_of(s->key)];
    s->next_same = *bucket;
    s->is_listed = 1;
    *bucket = s;
}

void shares_remove(struct shares *all, struct share *s)
{
    if (!s->is_listed)
        return;
    struct share **at = &all->buckets[bucket_of(s->key)];
    while (*at != s)
        at = &(*at)->next_same;
    *at = s->next_same;
    s->is_listed = 0;
}
