/* See model_list.h. */
#include "proxy/model_list.h"

#include <errno.h>

int model_list_find(const char *json, size_t json_n, struct json_value *models)
{
    static const char *const of_answer[] = {"models"};
    struct json_walk w = {json, json + json_n};
    int error = json_read_members(&w, of_answer, 1, JSON_EXACT, models);
    json_space(&w);
    if (error || w.at != w.end || (models->kind != JSON_ARRAY && models->kind != JSON_NULL)) {
        *models = (struct json_value){.kind = JSON_NULL};
        return -EINVAL;
    }
    return models->kind == JSON_ARRAY ? 0 : -ENOENT;
}

int model_list_begin(struct json_items *items, const char *json, size_t json_n)
{
    struct json_value models;
    int error = model_list_find(json, json_n, &models);
    json_items_init(items, &models);
    return error;
}

int model_list_next(struct json_items *items, struct json_value *entry, char *name, size_t size)
{
    static const char *const of_model[] = {"name"};
    struct json_value item, value;
    while (json_items_next(items, &item)) {
        json_read_object(&item, of_model, 1, JSON_EXACT, &value);
        if (value.kind != JSON_STRING || json_decode(json_read_text(&value), name, size) <= 0)
            continue;
        if (entry)
            *entry = item;
        return 1;
    }
    return 0;
}
