/* See installed.h. To find a name costs no memory and no decoding: it is done for each request that a preset serves. */
#include "proxy/installed.h"

#include "common/json_read.h"
#include "common/parse.h"

#include <errno.h>
#include <string.h>

enum { NAME_BYTES = 512 };

void installed_init(struct installed *i)
{
    i->names_n = 0;
    i->is_cut = 0;
    i->fresh_until_ms = 0;
    buf_init(&i->names, INSTALLED_NAMES_BYTES);
}

void installed_fini(struct installed *i)
{
    buf_fini(&i->names);
}

void installed_doubt(struct installed *i)
{
    i->fresh_until_ms = 0;
}

void installed_forget(struct installed *i)
{
    i->names_n = 0;
    i->is_cut = 0;
    i->fresh_until_ms = 0;
    buf_release(&i->names);
}

int installed_is_listed(const struct installed *i, const char *model)
{
    size_t model_n = strlen(model);
    uint32_t hash = model_name_hash(model, model_n);
    for (size_t k = 0; k < i->names_n; k++) {
        const char *name = buf_data(&i->names) + i->places[k];
        if (i->hashes[k] == hash && model_name_equal(name, strlen(name), model, model_n))
            return 1;
    }
    return 0;
}

enum installed_verdict installed_look(const struct installed *i, const char *model, int64_t now_ms)
{
    if (installed_is_listed(i, model))
        return INSTALLED_YES;
    if (!installed_is_fresh(i, now_ms))
        return INSTALLED_UNKNOWN;
    return i->is_cut ? INSTALLED_YES : INSTALLED_NO;
}

/* 0 or -ENOMEM. What has no room is not known. */
static int add(struct installed *i, const struct json_value *value)
{
    char name[NAME_BYTES];
    if (value->kind != JSON_STRING)
        return 0;
    ssize_t n = json_decode(json_read_text(value), name, sizeof name);
    if (n <= 0 || strlen(name) != (size_t)n || installed_is_listed(i, name))
        return 0;
    size_t place = buf_size(&i->names);
    int error = i->names_n == INSTALLED_MODELS ? -EFBIG : buf_append(&i->names, name, (size_t)n + 1);
    if (error == -EFBIG)
        i->is_cut = 1;
    if (error)
        return error == -EFBIG ? 0 : error;
    i->hashes[i->names_n] = model_name_hash(name, (size_t)n);
    i->places[i->names_n++] = (uint32_t)place;
    return 0;
}

int installed_read(struct installed *i, const char *json, size_t json_n, int64_t asked_ms)
{
    static const char *const of_answer[] = {"models"}, *const of_model[] = {"name", "model"};
    struct json_walk w = {json, json + json_n};
    struct json_value list, model, values[2];
    struct json_items items;
    if (json_read_members(&w, of_answer, 1, JSON_EXACT, &list) < 0 || list.kind != JSON_ARRAY)
        return -EINVAL;
    installed_forget(i);
    for (json_items_init(&items, &list); json_items_next(&items, &model);) {
        json_read_object(&model, of_model, 2, JSON_EXACT, values);
        if (add(i, &values[0]) < 0 || add(i, &values[1]) < 0) {
            installed_forget(i);
            return -ENOMEM;
        }
    }
    i->fresh_until_ms = asked_ms + INSTALLED_FRESH_MS;
    return 0;
}
