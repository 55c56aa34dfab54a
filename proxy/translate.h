/*
 * translate: another API's requests as Ollama's own, and Ollama's answers as that API's. /v1 is translated here and not by
 * Ollama, as its own translation can neither set options nor tell an error in the middle of a stream.
 *
 * Texts are copied as they stand, escapes included: numbers beyond 2^53 and \u0000 arrive as they were sent. What an answer
 * looks like is in the file of its API.
 */
#ifndef PROXY_TRANSLATE_H
#define PROXY_TRANSLATE_H

#include "common/buf.h"
#include "proxy/route.h"

enum { TRANSLATE_WHY_BYTES = 512, TRANSLATE_ID_BYTES = 32 };

struct translate_ops;

/* One request's. All zero: nothing is translated. */
struct translation {
    const struct translate_ops *ops;
    const char *model;             /* as the client named it; borrowed */
    int64_t created_s;             /* since 1970, for all of its events */
    char id[TRANSLATE_ID_BYTES];   /* `chatcmpl-…`, the same in all of its events */
    int is_stream;
    int is_usage_wanted;           /* "stream_options": {"include_usage": true} */
    int has_begun;                 /* an event of it has been written */
    size_t calls_n;                /* tool calls that were written */
};

struct translate_ops {
    const char *target; /* what Ollama is asked: /api/chat */
    /* The client's body as Ollama's, appended to out; notes what the answer needs. 0; -EINVAL with a text in why
     * (TRANSLATE_WHY_BYTES) that says what is wrong, where, and what would be right: every mistake; -ENOMEM, -EFBIG. */
    int (*request)(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why);
    /* One object of Ollama's answer as the client's, appended to out: events, those that end the stream with the last; or the
     * whole answer. 0, -EINVAL where it is no such object, -ENOMEM, -EFBIG. */
    int (*object)(struct translation *t, const char *json, size_t json_n, struct buf *out);
    /* An event that says nothing, for a stream that waits ([proxy] heartbeat = chunk); NULL where there is none. 0 or -errno. */
    int (*nothing)(struct translation *t, struct buf *out);
};

/* How this API is translated; NULL where it is not. */
const struct translate_ops *translate_ops_of(enum route_api api);

#endif
