/* See last_load.h. */
#include "proxy/last_load.h"

#include "common/parse.h"
#include "common/json_walk.h"
#include "proxy/load_request.h"

#include <errno.h>
#include <string.h>

int last_load_equal(const struct last_load *a, const struct last_load *b)
{
    return strcmp(a->model, b->model) == 0 && a->keep_alive_ms == b->keep_alive_ms && load_options_equal(&a->options, &b->options);
}

int last_load_write(const struct last_load *l, struct buf *out)
{
    int error = load_body_write(l->model, "", &l->options, l->keep_alive_ms, out);
    return error ? error : buf_text(out, "\n");
}

/* One object, and nothing behind it. */
static int is_whole(const char *json, size_t json_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_value value;
    if (json_value(&w, &value) < 0 || value.kind != JSON_OBJECT)
        return 0;
    json_space(&w);
    return w.at == w.end;
}

/* What Ollama would take: numbers of 32 bits, a context of at least a token. */
static int has_good_options(const struct load_options *o)
{
    for (int i = 0; i < LOAD_OPTION_COUNT; i++) {
        if (!load_options_has(o, (unsigned)i))
            continue;
        int64_t least = i == LOAD_NUM_CTX || i == LOAD_NUM_BATCH ? 1 : -1;
        if (o->values[i] < least || o->values[i] > INT32_MAX)
            return 0;
    }
    return 1;
}

int last_load_is_good(const struct last_load *l)
{
    char why[PARSE_WHY_BYTES];
    return parse_model_name(l->model, why) == 0 && has_good_options(&l->options);
}

int last_load_read(struct last_load *out, const char *json, size_t json_n)
{
    struct ask ask;
    *out = (struct last_load){.keep_alive_ms = ASK_KEEP_UNSAID};
    if (!is_whole(json, json_n) || ask_read(&ask, json, json_n) < 0 || ask.is_odd)
        return -EINVAL;
    struct last_load l = {.options = ask.options, .keep_alive_ms = ask.keep_alive_ms};
    memcpy(l.model, ask.model, sizeof l.model);
    if (!last_load_is_good(&l))
        return -EINVAL;
    *out = l;
    return 0;
}
