/* See generate_answer.h. https://html.spec.whatwg.org/multipage/server-sent-events.html */
#include "proxy/generate_answer.h"

#include "common/json_read.h"
#include "proxy/empty_token.h"
#include "proxy/json_write.h"

#include <errno.h>

static int object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    static const char *const names[] = {"done"};
    struct json_walk walk = {json, json + json_n};
    struct json_write w = json_write_begin(out);
    struct json_value done;
    if (json_read_members(&walk, names, 1, JSON_EXACT, &done) < 0)
        return -EINVAL;
    struct json_value whole = {JSON_OBJECT, json, (size_t)(walk.at - json)};
    json_write_text(&w, "data: ");
    json_write_safely(&w, &whole);
    json_write_text(&w, done.kind == JSON_TRUE ? "\n\ndata: [DONE]\n\n" : "\n\n");
    t->has_begun = 1;
    t->has_ended |= done.kind == JSON_TRUE;
    return json_write_end(&w);
}

static int nothing(struct translation *t, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    json_write_text(&w, "data: ");
    if (!w.error)
        w.error = empty_token(out, 0, t->model, "\n\n");
    return json_write_end(&w);
}

const struct translate_ops generate_answer_ops = {.target = "/api/generate", .object = object, .nothing = nothing};
