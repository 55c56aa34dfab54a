/* See model_load.h. */
#include "proxy/model_load.h"

#include "common/json_read.h"
#include "proxy/json_write.h"

#include <errno.h>
#include <stdio.h>

static int request(const char *json, size_t json_n, const char *rest, struct buf *out, char *why)
{
    static const char *const names[] = {"model"};
    struct json_walk walk = {json, json + json_n};
    struct json_value model;
    if (json_read_members(&walk, names, 1, JSON_EXACT, &model) < 0 || model.kind != JSON_STRING || model.n <= 2) {
        snprintf(why, TRANSLATE_WHY_BYTES, "model: missing; the body must be {\"model\": \"NAME\"}");
        return -EINVAL;
    }
    struct json_write w = json_write_begin(out);
    json_write_text(&w, "{\"stream\":false");
    json_write_member(&w, "model", &model);
    json_write_text(&w, rest);
    return json_write_end(&w);
}

static int load(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    (void)t;
    return request(json, json_n, "}", out, why);
}

static int unload(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    (void)t;
    return request(json, json_n, ",\"keep_alive\":0}", out, why);
}

int model_load_answer(struct buf *out, int64_t load_ms)
{
    struct json_write w = json_write_begin(out);
    json_write_text(&w, "{\"status\":\"success\"");
    if (load_ms >= 0)
        json_write_named_number(&w, ",\"load_ms\":", load_ms);
    json_write_text(&w, "}\n");
    return json_write_end(&w);
}

/* It was loaded by a request of our own, or by this one, which tells how long. */
static int loaded(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    static const char *const names[] = {"load_duration"};
    struct json_walk walk = {json, json + json_n};
    struct json_value duration_ns;
    if (json_read_members(&walk, names, 1, JSON_EXACT, &duration_ns) < 0)
        return -EINVAL;
    return model_load_answer(out, t->load_ms + (int64_t)(json_read_count(&duration_ns) / 1000000));
}

static int unloaded(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    struct json_walk walk = {json, json + json_n};
    (void)t;
    return json_take(&walk, '{') ? model_load_answer(out, -1) : -EINVAL;
}

const struct translate_ops model_load_ops = {.target = "/api/generate", .request = load, .object = loaded};
const struct translate_ops model_unload_ops = {.target = "/api/generate", .request = unload, .object = unloaded};
