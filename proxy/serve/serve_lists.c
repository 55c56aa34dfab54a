/* See serve_lists.h. */
#include "proxy/serve/serve_lists.h"

#include "common/sys.h"
#include "proxy/model_list.h"
#include "proxy/ollama_tags.h"
#include "proxy/openai_models.h"

#include <errno.h>

struct upstream_model serve_lists_model(const struct shelf_model *m)
{
    static const char *const formats[] = {[SHELF_SAFETENSORS] = "safetensors", [SHELF_GGUF] = "gguf", [SHELF_OTHER] = ""};
    struct upstream_model out = {.name = m->name, .owner = m->revision, .format = formats[m->format], .family = m->architecture};
    out.created_s = (uint64_t)openai_models_time(m->pulled_at);
    out.context_n = m->context_n > 0 ? (uint64_t)m->context_n : 0;
    out.size_bytes = m->size_bytes > 0 ? (uint64_t)m->size_bytes : 0;
    out.is_raw = !m->has_chat_template;
    return out;
}

int serve_lists_write_ps(const struct serve *s, const char *list, size_t list_n, int64_t now_s, struct buf *out)
{
    struct serve_running running;
    const struct shelf_model *m;
    struct json_value models, item;
    struct json_items items;
    struct json_write w = json_write_begin(out);
    if (model_list_find(list, list_n, &models) < 0)
        return -EINVAL;
    json_items_init(&items, &models);
    int is_first = !json_items_next(&items, &item);
    const char *place = models.at + models.n - 1;
    json_write_bytes(&w, list, (size_t)(place - list));
    for (size_t i = 0; (m = shelf_at(serve_shelf(s), i)) != NULL; i++) {
        if (!serve_running(s, m->name, &running) || !running.is_ready)
            continue;
        struct upstream_model model = serve_lists_model(m);
        json_write_text(&w, is_first ? "" : ",");
        ollama_tags_write_loaded(&w, &model, running.left_ms < 0 ? -1 : now_s + running.left_ms / 1000);
        is_first = 0;
    }
    json_write_bytes(&w, place, (size_t)(list + list_n - place));
    return json_write_end(&w);
}

static int object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    return serve_lists_write_ps(t->models->context, json, json_n, sys_realtime_ms() / 1000, out);
}

const struct translate_ops serve_ps_ops = {.target = "/api/ps", .object = object};
