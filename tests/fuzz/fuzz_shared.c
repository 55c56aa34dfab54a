/* What the script in Redis answers, as RESP: whatever it holds, what is told of it has the right form. */
#include "proxy/store/reader.h"
#include "proxy/store/redis_why.h"
#include "proxy/store/shared_reply.h"

#include <stdlib.h>
#include <string.h>

static void check(int is_right)
{
    if (!is_right)
        abort();
}

static void on_lost(void *context, uint64_t id)
{
    (void)context;
    (void)id;
}

static void on_grant(void *context, const char *replica, uint64_t id, const char *backend)
{
    uint64_t again;
    char text[SHARED_ID_BYTES];
    (void)context;
    (void)replica;
    shared_id_text(id, text);
    check(shared_id_parse(text, strlen(text), &again) == 0 && again == id && backend != NULL);
}

static void on_place(void *context, uint64_t id, size_t place, int64_t wait_ms)
{
    (void)context;
    (void)id;
    check(place <= INT32_MAX && wait_ms >= 0);
}

static void on_drained(void *context, const char *backend, int is_drained)
{
    (void)context;
    check(backend != NULL && (is_drained == 0 || is_drained == 1));
}

static void on_learnt(void *context, const char *backend, const char *model, const char *text)
{
    (void)context;
    check(backend && model && text);
}

static void read_reply(const redisReply *reply)
{
    static const struct shared_beat_ops ops = {on_lost, on_grant, on_place, on_drained, on_learnt};
    struct shared_beat beat;
    int is_differing;
    if (shared_read_beat(reply, &ops, NULL, &beat) == 0)
        check(beat.replicas_n >= 1 && (beat.is_new == 0 || beat.is_new == 1) && beat.settles_ms >= 0);
    if (shared_read_backend(reply, on_grant, NULL, &is_differing) == 0)
        check(is_differing == 0 || is_differing == 1);
    (void)!shared_read_grants(reply, on_grant, NULL);
    if (reply->type == REDIS_REPLY_ERROR) {
        char why[REDIS_WHY_BYTES];
        redis_why(reply->str, why);
        check(!strpbrk(why, "\"\r\n\x1b"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader_bounds bounds;
    redisReader *reader = reader_new(&bounds);
    void *reply = NULL;
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK)
        while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
            read_reply(reply);
            freeReplyObject(reply);
        }
    redisReaderFree(reader);
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    (void)!shared_read_message(text, size, on_grant, NULL);
    free(text);
    return 0;
}
