/* See ask_show.h. */
#include "proxy/ask_show.h"

#include "proxy/json_read.h"

#include <errno.h>
#include <string.h>

enum { MODEL, NAME, VERBOSE, SYSTEM, TEMPLATE, OPTIONS, MEMBERS };

int ask_show_read(struct known_key *key, const char *json, size_t json_n)
{
    static const char *const names[MEMBERS] = {"model", "name", "verbose", "system", "template", "options"};
    struct json_walk w = {json, json + json_n};
    struct json_value values[MEMBERS];
    *key = (struct known_key){.kind = KNOWN_SHOW};
    if (json_read_members(&w, names, MEMBERS, JSON_FOLDED, values) < 0)
        return -EINVAL;
    if (values[SYSTEM].kind != JSON_NULL || values[TEMPLATE].kind != JSON_NULL || values[OPTIONS].kind != JSON_NULL)
        return -EINVAL;
    if (values[VERBOSE].kind != JSON_NULL && values[VERBOSE].kind != JSON_TRUE && values[VERBOSE].kind != JSON_FALSE)
        return -EINVAL;
    const struct json_value *model = &values[MODEL];
    if (model->kind == JSON_NULL || (model->kind == JSON_STRING && model->n == 2)) /* the name that it had once */
        model = &values[NAME];
    if (model->kind != JSON_STRING || json_decode(json_read_text(model), key->name, sizeof key->name) < 0)
        return -EINVAL;
    key->is_verbose = values[VERBOSE].kind == JSON_TRUE;
    return known_key_is_good(key) ? 0 : -EINVAL;
}

int ask_show_write(const struct known_key *key, struct buf *out)
{
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, key->name, strlen(key->name));
    return error ? error : buf_text(out, key->is_verbose ? ",\"verbose\":true}" : "}");
}
