/* See known_model.h. */
#include "proxy/known_model.h"

#include "common/parse.h"
#include "common/json_read.h"

#include <errno.h>
#include <string.h>

enum { NAME_BYTES = 512 };

int known_model_name(const char *path, size_t path_n, char *name, size_t name_n)
{
    static const char prefix[] = "/v1/models/";
    size_t at = sizeof prefix - 1, used_n = 0;
    if (path_n <= at || memcmp(path, prefix, at) != 0)
        return -EINVAL;
    while (at < path_n) {
        int is_encoded = path[at] == '%' && at + 2 < path_n;
        int high = is_encoded ? parse_hex_digit(path[at + 1]) : 0, low = is_encoded ? parse_hex_digit(path[at + 2]) : 0;
        if (high < 0 || low < 0 || used_n + 1 >= name_n)
            return -EINVAL;
        name[used_n++] = is_encoded ? (char)(high * 16 + low) : path[at];
        at += is_encoded ? 3 : 1;
    }
    name[used_n] = '\0';
    return 0;
}

/* The member of the list, but its id. */
static int write_renamed(const struct json_value *model, const struct json_value *id, const char *name, struct buf *out)
{
    int error = buf_append(out, model->at, (size_t)(id->at - model->at));
    error = error ? error : buf_json_string(out, name, strlen(name));
    return error ? error : buf_append(out, id->at + id->n, (size_t)(model->at + model->n - (id->at + id->n)));
}

int known_model_write(const char *list, size_t list_n, const char *name, struct buf *out)
{
    static const char *const data_name = "data", *const id_name = "id";
    struct json_walk w = {list, list + list_n};
    struct json_value data, model, id;
    struct json_items items;
    char listed[NAME_BYTES];
    if (json_read_members(&w, &data_name, 1, JSON_EXACT, &data) < 0)
        return -EINVAL;
    for (json_items_init(&items, &data); json_items_next(&items, &model);) {
        json_read_object(&model, &id_name, 1, JSON_EXACT, &id);
        if (id.kind != JSON_STRING || json_decode(json_read_text(&id), listed, sizeof listed) < 0)
            continue;
        if (!model_name_equal(listed, strlen(listed), name, strlen(name)))
            continue;
        int error = write_renamed(&model, &id, name, out);
        return error || w.at == w.end ? error : buf_append(out, w.at, (size_t)(w.end - w.at)); /* a line end, where the list has one */
    }
    return -ENOENT;
}
