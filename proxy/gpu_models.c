/*
 * See gpu_models.h. Less than before says nothing: another model may have taken the memory, or a longer context. Nothing at all of any
 * model does; and a model whose options keep it off the GPU is never known.
 */
#include "proxy/gpu_models.h"

#include "common/parse.h"
#include "proxy/model_list.h"

#include <errno.h>
#include <string.h>

static struct gpu_model *find(struct gpu_models *m, const char *name)
{
    for (size_t i = 0; i < m->known_n; i++)
        if (model_name_equal(m->known[i].name, strlen(m->known[i].name), name, strlen(name)))
            return &m->known[i];
    return NULL;
}

static void take_out(struct gpu_models *m, struct gpu_model *model)
{
    size_t behind_n = (size_t)(m->known + m->known_n - (model + 1));
    memmove(model, model + 1, behind_n * sizeof *model);
    m->known_n--;
}

void gpu_models_gap(struct gpu_models *m)
{
    for (size_t i = 0; i < m->known_n; i++)
        m->known[i].is_older = 1;
}

void gpu_models_forget(struct gpu_models *m, const char *name)
{
    struct gpu_model *model = find(m, name);
    if (model)
        take_out(m, model);
}

void gpu_models_forget_all(struct gpu_models *m)
{
    m->known_n = 0;
}

static void know(struct gpu_models *m, const struct gpu_model *seen)
{
    gpu_models_forget(m, seen->name);
    if (m->known_n == GPU_MODELS)
        take_out(m, m->known);
    m->known[m->known_n++] = *seen;
}

/* 1 where the item names a model and says how much of it is on a GPU. */
static int read_item(const struct json_value *item, struct gpu_model *out)
{
    static const char *const names[] = {"model", "size_vram"};
    struct json_value values[2];
    json_read_object(item, names, 2, JSON_EXACT, values);
    *out = (struct gpu_model){.vram_bytes = json_read_count(&values[1])};
    if (values[0].kind != JSON_STRING || values[1].kind != JSON_NUMBER)
        return 0;
    ssize_t n = json_decode(json_read_text(&values[0]), out->name, sizeof out->name);
    return n > 0 && strlen(out->name) == (size_t)n;
}

/* How many; -EINVAL. */
static ssize_t read_all(const char *json, size_t json_n, struct gpu_model seen[GPU_SEEN])
{
    struct json_value item;
    struct json_items items;
    ssize_t seen_n = 0;
    if (model_list_begin(&items, json, json_n) < 0)
        return -EINVAL;
    while (seen_n < GPU_SEEN && json_items_next(&items, &item))
        seen_n += read_item(&item, &seen[seen_n]);
    return seen_n;
}

int gpu_models_see(struct gpu_models *m, const char *json, size_t json_n, struct gpu_model *lost)
{
    struct gpu_model seen[GPU_SEEN], *known;
    ssize_t seen_n = read_all(json, json_n, seen);
    int is_any_there = 0, is_lost = 0;
    if (seen_n < 0)
        return (int)seen_n;
    for (ssize_t i = 0; i < seen_n; i++)
        is_any_there |= seen[i].vram_bytes > 0;
    for (ssize_t i = 0; i < seen_n && !is_lost; i++) {
        known = find(m, seen[i].name);
        is_lost = known && known->is_older && !is_any_there;
        if (is_lost)
            *lost = *known;
        else if (seen[i].vram_bytes > 0)
            know(m, &seen[i]);
        else
            gpu_models_forget(m, seen[i].name);
    }
    if (is_lost)
        gpu_models_forget_all(m);
    return is_lost;
}
