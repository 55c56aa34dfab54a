/* See shared_reply.h. The forms: balance/1_known.lua, "Replies". */
#include "proxy/store/shared_reply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { REPLICAS_MOST = 100000, BEAT_PARTS = 8, WAIT_MOST_MS = 1000000000 };

void shared_id_text(uint64_t id, char out[SHARED_ID_BYTES])
{
    snprintf(out, SHARED_ID_BYTES, "%016llx", (unsigned long long)id);
}

int shared_id_parse(const char *text, size_t text_n, uint64_t *out)
{
    uint64_t id = 0;
    if (text_n != SHARED_ID_BYTES - 1)
        return -EINVAL;
    for (size_t i = 0; i < text_n; i++) {
        char c = text[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return -EINVAL;
        id = id << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = id;
    return 0;
}

/* An array of at least that many. */
static int is_array(const redisReply *r, size_t elements_n)
{
    return r->type == REDIS_REPLY_ARRAY && r->elements >= elements_n;
}

/* The text of a row's column; NULL: it is none, or has a NUL in it. */
static const char *text_at(const redisReply *row, size_t i)
{
    const redisReply *r = row->element[i];
    return r->type == REDIS_REPLY_STRING && strlen(r->str) == r->len ? r->str : NULL;
}

static int id_at(const redisReply *row, size_t i, uint64_t *id)
{
    const char *text = text_at(row, i);
    return text ? shared_id_parse(text, strlen(text), id) : -EINVAL;
}

static int number_at(const redisReply *row, size_t i, int64_t most, int64_t *out)
{
    const redisReply *r = row->element[i];
    if (r->type != REDIS_REPLY_INTEGER || r->integer < 0 || r->integer > most)
        return -EPROTO;
    *out = r->integer;
    return 0;
}

int shared_read_grants(const redisReply *reply, shared_grant_fn *fn, void *context)
{
    if (!is_array(reply, 0))
        return -EPROTO;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *row = reply->element[i];
        uint64_t id;
        if (!is_array(row, 3) || !text_at(row, 0) || id_at(row, 1, &id) < 0 || !text_at(row, 2))
            return -EPROTO;
        fn(context, text_at(row, 0), id, text_at(row, 2));
    }
    return 0;
}

int shared_read_backend(const redisReply *reply, shared_grant_fn *fn, void *context, int *is_differing)
{
    int64_t differs;
    if (!is_array(reply, 2) || number_at(reply, 1, 1, &differs) < 0)
        return -EPROTO;
    *is_differing = (int)differs;
    return shared_read_grants(reply->element[0], fn, context);
}

int shared_read_message(const char *text, size_t text_n, shared_grant_fn *fn, void *context)
{
    uint64_t id;
    size_t id_n = SHARED_ID_BYTES - 1;
    if (text_n < id_n + 2 || text[id_n] != ' ' || strlen(text) != text_n || shared_id_parse(text, id_n, &id) < 0)
        return -EPROTO;
    fn(context, NULL, id, text + id_n + 1);
    return 0;
}

static int read_lost(const redisReply *lost, const struct shared_beat_ops *ops, void *context)
{
    uint64_t id;
    for (size_t i = 0; i < lost->elements; i++) {
        if (id_at(lost, i, &id) < 0)
            return -EPROTO;
        ops->lost(context, id);
    }
    return 0;
}

static int read_missed(const redisReply *row, const struct shared_beat_ops *ops, void *context)
{
    uint64_t id;
    if (!is_array(row, 2) || id_at(row, 0, &id) < 0 || !text_at(row, 1))
        return -EPROTO;
    ops->grant(context, NULL, id, text_at(row, 1));
    return 0;
}

static int read_place(const redisReply *row, const struct shared_beat_ops *ops, void *context)
{
    uint64_t id;
    int64_t place, wait_ms;
    if (!is_array(row, 3) || id_at(row, 0, &id) < 0 || number_at(row, 1, INT32_MAX, &place) < 0 || number_at(row, 2, WAIT_MOST_MS, &wait_ms) < 0)
        return -EPROTO;
    ops->place(context, id, (size_t)place, wait_ms);
    return 0;
}

static int read_drained(const redisReply *row, const struct shared_beat_ops *ops, void *context)
{
    int64_t is_drained;
    if (!is_array(row, 2) || !text_at(row, 0) || number_at(row, 1, 1, &is_drained) < 0)
        return -EPROTO;
    ops->drained(context, text_at(row, 0), (int)is_drained);
    return 0;
}

/* What was dropped for being one too many has no text. */
static int read_learnt(const redisReply *row, const struct shared_beat_ops *ops, void *context)
{
    if (!is_array(row, 2) || !text_at(row, 0) || !text_at(row, 1))
        return -EPROTO;
    if (row->elements > 2 && text_at(row, 2))
        ops->learnt(context, text_at(row, 0), text_at(row, 1), text_at(row, 2));
    return 0;
}

typedef int read_row_fn(const redisReply *row, const struct shared_beat_ops *ops, void *context);
static read_row_fn *const readers[] = {read_missed, read_place, read_drained, read_learnt};

int shared_read_beat(const redisReply *reply, const struct shared_beat_ops *ops, void *context, struct shared_beat *out)
{
    int64_t replicas_n, is_new;
    if (!is_array(reply, BEAT_PARTS) || number_at(reply, 0, REPLICAS_MOST, &replicas_n) < 0 || number_at(reply, 6, 1, &is_new) < 0 ||
        number_at(reply, 7, WAIT_MOST_MS, &out->settles_ms) < 0)
        return -EPROTO;
    for (size_t i = 1; i <= 5; i++)
        if (!is_array(reply->element[i], 0))
            return -EPROTO;
    out->replicas_n = replicas_n > 0 ? (unsigned)replicas_n : 1;
    out->is_new = (int)is_new;
    int error = read_lost(reply->element[1], ops, context);
    for (size_t i = 0; i < sizeof readers / sizeof *readers && !error; i++)
        for (size_t j = 0; j < reply->element[2 + i]->elements && !error; j++)
            error = readers[i](reply->element[2 + i]->element[j], ops, context);
    return error;
}
