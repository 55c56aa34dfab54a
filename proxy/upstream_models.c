/* See upstream_models.h. Nothing else of it is kept: a hosted API tells more of its account than our clients should see. */
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
    const char *next = at->owner ? at->owner + strlen(at->owner) + 1 : buf_data(&m->rows);
    if (next >= end)
        return 0;
    memcpy(&at->created_s, next, sizeof at->created_s);
    memcpy(&at->context_n, next + sizeof at->created_s, sizeof at->context_n);
    at->name = next + sizeof at->created_s + sizeof at->context_n;
    at->owner = at->name + strlen(at->name) + 1;
    return 1;
}

int upstream_models_find(const struct upstream_models *m, const char *name, int is_ollama, struct upstream_model *out)
{
    struct upstream_model at = {.name = NULL};
    while (upstream_models_next(m, &at)) {
        if (is_ollama ? !model_name_equal(at.name, strlen(at.name), name, strlen(name)) : strcmp(at.name, name) != 0)
            continue;
        *out = at;
        return 1;
    }
    return 0;
}

/* The text of a string that is none too long, and has no NUL in it; its length, or -EINVAL. */
static ssize_t read_name(const struct json_value *value, char out[UPSTREAM_NAME_BYTES])
{
    ssize_t n = value->kind == JSON_STRING ? json_decode(json_read_text(value), out, UPSTREAM_NAME_BYTES) : -EINVAL;
    return n > 0 && strlen(out) == (size_t)n ? n : -EINVAL;
}

static int write_row(struct buf *out, const struct upstream_model *model)
{
    int error = buf_append(out, &model->created_s, sizeof model->created_s);
    error = error ? error : buf_append(out, &model->context_n, sizeof model->context_n);
    error = error ? error : buf_append(out, model->name, strlen(model->name) + 1);
    return error ? error : buf_append(out, model->owner, strlen(model->owner) + 1);
}

/* Where there is room for it, and none of its name. 0, or -ENOMEM. */
static int add(struct upstream_models *m, const struct upstream_model *model)
{
    struct upstream_model there;
    if (m->models_n == UPSTREAM_MODELS_N || upstream_models_find(m, model->name, 0, &there))
        return 0;
    size_t before_n = buf_size(&m->rows);
    int error = write_row(&m->rows, model);
    if (error)
        buf_truncate(&m->rows, before_n);
    else
        m->models_n++;
    return error == -EFBIG ? 0 : error;
}

static int add_item(struct upstream_models *m, const struct json_value *item, const char *owner)
{
    static const char *const names[] = {"id", "name", "model", "created", "owned_by", "max_model_len", "meta"}, *const meta_names[] = {"n_ctx_train"};
    struct json_value values[7], context;
    char name[UPSTREAM_NAME_BYTES], owned_by[UPSTREAM_NAME_BYTES];
    json_read_object(item, names, 7, JSON_EXACT, values);
    if (read_name(&values[0], name) < 0 && read_name(&values[1], name) < 0 && read_name(&values[2], name) < 0)
        return 0;
    json_read_object(&values[6], meta_names, 1, JSON_EXACT, &context); /* llama-server's; vLLM has max_model_len */
    uint64_t context_n = json_read_count(values[5].kind == JSON_NUMBER ? &values[5] : &context);
    struct upstream_model model = {.name = name, .owner = read_name(&values[4], owned_by) < 0 ? owner : owned_by, .created_s = json_read_count(&values[3]),
                                   .context_n = context_n};
    return add(m, &model);
}

/* What was made takes the place of what was there; or it is dropped. */
static int replace(struct upstream_models *m, struct upstream_models *made, int error)
{
    struct upstream_models dropped = error ? *made : *m;
    if (!error)
        *m = *made;
    upstream_models_fini(&dropped);
    return error;
}

int upstream_models_narrow(struct upstream_models *m, const struct list *names, const char *owner)
{
    struct upstream_models made;
    struct upstream_model at = {.name = NULL};
    int error = 0;
    upstream_models_init(&made);
    for (size_t i = 0; i < names->items_n && !error; i++) {
        struct upstream_model named = {.name = names->items[i], .owner = owner};
        size_t n = strlen(named.name);
        if (n > 0 && n < UPSTREAM_NAME_BYTES && named.name[n - 1] != '*' && !upstream_models_find(m, named.name, 1, &at))
            error = add(&made, &named);
    }
    for (at = (struct upstream_model){.name = NULL}; !error && upstream_models_next(m, &at);)
        if (conf_names_model(names, at.name, strlen(at.name)))
            error = add(&made, &at);
    return replace(m, &made, error);
}

int upstream_models_read(struct upstream_models *m, const char *json, size_t json_n, const char *owner)
{
    static const char *const names[] = {"data", "models"};
    struct json_walk w = {json, json + json_n};
    struct json_value lists[2], item;
    struct json_items items;
    struct upstream_models read;
    int error = 0;
    if (json_read_members(&w, names, 2, JSON_EXACT, lists) < 0)
        return -EINVAL;
    const struct json_value *data = lists[0].kind == JSON_ARRAY ? &lists[0] : &lists[1]; /* llama-server says both */
    if (data->kind != JSON_ARRAY)
        return -EINVAL;
    upstream_models_init(&read);
    for (json_items_init(&items, data); !error && json_items_next(&items, &item);)
        error = add_item(&read, &item, owner);
    return replace(m, &read, error);
}
