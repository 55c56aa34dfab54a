/* See ask.h. api/types.go (GenerateRequest, ChatRequest, EmbedRequest, v0.9.5): a null leaves a string as it was, and makes a pointer one that is not set. */
#include "proxy/ask.h"

#include "proxy/json_walk.h"

#include <errno.h>

static int take_model(struct ask *a, const struct json_value *value)
{
    if (value->kind == JSON_NULL)
        return 0;
    a->model[0] = '\0';
    if (value->kind != JSON_STRING)
        return 0;
    ssize_t n = json_decode((struct json_text){value->at + 1, value->n - 2}, a->model, sizeof a->model);
    if (n < 0)
        a->model[0] = '\0';
    return n == -EINVAL ? -EINVAL : 0;
}

static int take_member(struct ask *a, const struct json_member *m)
{
    if (json_match(m->name, "model") != JSON_OTHER)
        return take_model(a, &m->value);
    if (json_match(m->name, "stream") != JSON_OTHER)
        a->is_stream = m->value.kind == JSON_TRUE ? 1 : m->value.kind == JSON_FALSE ? 0 : -1;
    return 0;
}

int ask_read(struct ask *a, const char *json, size_t json_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    *a = (struct ask){.is_stream = -1};
    int got = json_take(&w, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1 && take_member(a, &m) < 0)
            got = -EINVAL;
    }
    if (got < 0)
        *a = (struct ask){.is_stream = -1};
    return got < 0 ? got : 0;
}
