/* See ask_show.h. */
#include "proxy/ask_show.h"

#include "common/json_read.h"
#include "proxy/model_body.h"

#include <errno.h>
#include <string.h>

enum { MODEL, NAME, VERBOSE, SYSTEM, TEMPLATE, OPTIONS, MEMBERS };

static const char *const names[MEMBERS] = {"model", "name", "verbose", "system", "template", "options"};

static size_t name_index(struct json_text name)
{
    size_t i = 0;
    while (i < MEMBERS && json_match(name, names[i]) == JSON_OTHER)
        i++;
    return i;
}

/* Of a member that stands there twice Go takes what each of them says, and of null nothing: Ollama itself is to read that. */
static int read_members(struct json_walk *w, struct json_value values[MEMBERS])
{
    struct json_member m = {.is_last = 0};
    int is_there[MEMBERS] = {0}, got = json_take(w, '{') ? 1 : -EINVAL;
    for (size_t i = 0; i < MEMBERS; i++)
        values[i] = (struct json_value){.kind = JSON_NULL};
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(w, is_first, &m);
        size_t i = got == 1 ? name_index(m.name) : MEMBERS;
        if (i == MEMBERS)
            continue;
        if (is_there[i]++)
            return -EINVAL;
        values[i] = m.value;
    }
    return got < 0 ? got : 0;
}

static int is_string_or_null(const struct json_value *v)
{
    return v->kind == JSON_STRING || v->kind == JSON_NULL;
}

int ask_show_read(struct known_key *key, const char *json, size_t json_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_value values[MEMBERS];
    *key = (struct known_key){.kind = KNOWN_SHOW};
    if (read_members(&w, values) < 0 || !is_string_or_null(&values[MODEL]) || !is_string_or_null(&values[NAME]))
        return -EINVAL;
    if (values[SYSTEM].kind != JSON_NULL || values[TEMPLATE].kind != JSON_NULL || values[OPTIONS].kind != JSON_NULL)
        return -EINVAL;
    if (values[VERBOSE].kind != JSON_NULL && values[VERBOSE].kind != JSON_TRUE && values[VERBOSE].kind != JSON_FALSE)
        return -EINVAL;
    const struct json_value *model = &values[MODEL];
    if (model->kind == JSON_NULL || (model->kind == JSON_STRING && model->n == 2)) /* the name that it had once */
        model = &values[NAME];
    ssize_t n = model->kind == JSON_STRING ? json_decode(json_read_text(model), key->name, sizeof key->name) : -EINVAL;
    if (n < 0 || strlen(key->name) != (size_t)n)
        return -EINVAL;
    key->is_verbose = values[VERBOSE].kind == JSON_TRUE;
    return known_key_is_good(key) ? 0 : -EINVAL;
}

int ask_show_write(const struct known_key *key, struct buf *out)
{
    return model_body_write(out, key->name, key->is_verbose ? ",\"verbose\":true}" : "}");
}
