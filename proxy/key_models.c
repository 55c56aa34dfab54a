/*
 * See key_models.h. What can't be read is not allowed, and not shown: a reader other than ours may see a model there.
 */
#include "proxy/key_models.h"

#include "common/json_read.h"
#include "proxy/json_write.h"

#include <errno.h>
#include <string.h>

enum { NAME_BYTES = 512 };

/* Where a body has models in it: of each API's paths, all of them. modelfile and path are of Ollamas before 0.5.5, and can be no
 * names of models: they are allowed where all models are. */
static int is_models_member(struct json_text name)
{
    static const char *const names[] = {"model", "name", "from", "source", "destination", "modelfile", "path"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (json_match(name, names[i]) != JSON_OTHER)
            return 1;
    return 0;
}

/* … and where some hosted APIs take more of them, to turn to if the first fails. */
static int is_more_models_member(struct json_text name)
{
    return json_match(name, "models") != JSON_OTHER || json_match(name, "fallbacks") != JSON_OTHER;
}

/* 1 where the value is a name that is listed; it is in name. */
static int is_listed(const struct list *models, const struct json_value *value, char *name, size_t name_n)
{
    ssize_t n = value->kind == JSON_STRING ? json_decode(json_read_text(value), name, name_n) : -EINVAL;
    if (n < 0)
        *name = '\0';
    return n > 0 && conf_names_model(models, name, (size_t)n);
}

static int is_empty(const struct json_value *value)
{
    return value->kind == JSON_NULL || (value->kind == JSON_STRING && value->n == 2);
}

/* 1 where all in an array are; what is none has other models. */
static int are_listed(const struct list *models, const struct json_value *value, char *name, size_t name_n)
{
    struct json_items items;
    struct json_value item;
    if (value->kind != JSON_ARRAY)
        return is_empty(value) || is_listed(models, value, name, name_n);
    for (json_items_init(&items, value); json_items_next(&items, &item);)
        if (!is_listed(models, &item, name, name_n))
            return 0;
    return 1;
}

enum key_models_found key_models_of(const struct list *models, const char *json, size_t json_n, char *name, size_t name_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    enum key_models_found found = KEY_MODELS_NONE;
    int got = json_take(&w, '{') ? 1 : -EINVAL;
    *name = '\0';
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1 && is_more_models_member(m.name) && !are_listed(models, &m.value, name, name_n))
            return KEY_MODELS_OTHER;
        if (got != 1 || !is_models_member(m.name) || is_empty(&m.value))
            continue;
        if (!is_listed(models, &m.value, name, name_n))
            return KEY_MODELS_OTHER;
        found = KEY_MODELS_ALLOWED;
    }
    return got < 0 ? KEY_MODELS_NONE : found;
}

/* An entry of a list is called model and name by Ollama, id by OpenAI. */
static int is_shown(const struct list *models, const struct json_value *entry)
{
    static const char *const names[] = {"model", "name", "id"};
    struct json_value values[3];
    char name[NAME_BYTES];
    int listed_n = 0;
    json_read_object(entry, names, 3, JSON_EXACT, values);
    for (int i = 0; i < 3; i++) {
        if (is_empty(&values[i]))
            continue;
        if (!is_listed(models, &values[i], name, sizeof name))
            return 0;
        listed_n++;
    }
    return listed_n > 0;
}

static void write_shown(const struct list *models, struct json_write *w, const struct json_value *array)
{
    struct json_items items;
    struct json_value entry;
    int is_first = 1;
    json_write_text(w, "[");
    for (json_items_init(&items, array); json_items_next(&items, &entry);) {
        if (!is_shown(models, &entry))
            continue;
        json_write_text(w, is_first ? "" : ",");
        json_write_value(w, &entry);
        is_first = 0;
    }
    json_write_text(w, "]");
}

int key_models_show(const struct list *models, const char *json, size_t json_n, struct buf *out)
{
    struct json_walk walk = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    struct json_write w = json_write_begin(out);
    const char *written = json; /* up to here */
    int got = json_take(&walk, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&walk, is_first, &m);
        if (got != 1 || m.value.kind != JSON_ARRAY || (json_match(m.name, "models") == JSON_OTHER && json_match(m.name, "data") == JSON_OTHER))
            continue;
        json_write_bytes(&w, written, (size_t)(m.value.at - written));
        write_shown(models, &w, &m.value);
        written = m.value.at + m.value.n;
    }
    json_write_bytes(&w, written, (size_t)(json + json_n - written));
    if (got < 0)
        w.error = -EINVAL;
    return json_write_end(&w);
}
