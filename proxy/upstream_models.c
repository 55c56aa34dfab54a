/* See upstream_models.h. The objects are written anew: a hosted API tells more of its account than our clients should see. */
#include "proxy/upstream_models.h"

#include "common/json_read.h"
#include "common/parse.h"

#include <errno.h>

void upstream_models_init(struct upstream_models *m)
{
    m->models_n = 0;
    buf_init(&m->rows, UPSTREAM_MODELS_BYTES);
}

void upstream_models_fini(struct upstream_models *m)
{
    buf_fini(&m->rows);
}

int upstream_models_next(const struct upstream_models *m, struct upstream_model *at)
{
    const char *end = buf_data(&m->rows) + buf_size(&m->rows);
    const char *next = at->object ? at->object + strlen(at->object) + 1 : buf_data(&m->rows);
    if (next >= end)
        return 0;
    *at = (struct upstream_model){next, next + strlen(next) + 1};
    return 1;
}

int upstream_models_find(const struct upstream_models *m, const char *name, int is_ollama, struct upstream_model *out)
{
    struct upstream_model at = {NULL, NULL};
    while (upstream_models_next(m, &at)) {
        if (is_ollama ? !model_name_equal(at.name, strlen(at.name), name, strlen(name)) : strcmp(at.name, name) != 0)
            continue;
        *out = at;
        return 1;
    }
    return 0;
}

static int write_row(struct buf *out, const char *name, const struct json_value *created, const struct json_value *owner, const char *owner_else)
{
    char owned_by[UPSTREAM_NAME_BYTES];
    ssize_t n = owner->kind == JSON_STRING ? json_decode(json_read_text(owner), owned_by, sizeof owned_by) : -EINVAL;
    int error = buf_append(out, name, strlen(name) + 1);
    error = error ? error : buf_text(out, "{\"id\":");
    error = error ? error : buf_json_string(out, name, strlen(name));
    error = error ? error : buf_printf(out, ",\"object\":\"model\",\"created\":%llu,\"owned_by\":", (unsigned long long)json_read_count(created));
    error = error ? error : n < 0 ? buf_json_string(out, owner_else, strlen(owner_else)) : buf_json_string(out, owned_by, (size_t)n);
    return error ? error : buf_append(out, "}", 2);
}

/* 0, or -ENOMEM. */
static int add(struct upstream_models *m, const struct json_value *item, const char *owner)
{
    static const char *const names[] = {"id", "created", "owned_by"};
    struct json_value values[3];
    struct upstream_model there;
    char name[UPSTREAM_NAME_BYTES];
    json_read_object(item, names, 3, JSON_EXACT, values);
    ssize_t n = values[0].kind == JSON_STRING ? json_decode(json_read_text(&values[0]), name, sizeof name) : -EINVAL;
    if (n <= 0 || strlen(name) != (size_t)n || m->models_n == UPSTREAM_MODELS_N || upstream_models_find(m, name, 0, &there))
        return 0;
    size_t before_n = buf_size(&m->rows);
    int error = write_row(&m->rows, name, &values[1], &values[2], owner);
    if (error)
        buf_truncate(&m->rows, before_n);
    else
        m->models_n++;
    return error == -EFBIG ? 0 : error;
}

int upstream_models_read(struct upstream_models *m, const char *json, size_t json_n, const char *owner)
{
    static const char *const data_name = "data";
    struct json_walk w = {json, json + json_n};
    struct json_value data, item;
    struct json_items items;
    struct upstream_models read;
    int error = 0;
    if (json_read_members(&w, &data_name, 1, JSON_EXACT, &data) < 0 || data.kind != JSON_ARRAY)
        return -EINVAL;
    upstream_models_init(&read);
    for (json_items_init(&items, &data); !error && json_items_next(&items, &item);)
        error = add(&read, &item, owner);
    if (error) {
        upstream_models_fini(&read);
        return error;
    }
    upstream_models_fini(m);
    *m = read;
    return 0;
}
