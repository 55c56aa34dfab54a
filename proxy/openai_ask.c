/* See openai_ask.h. Numbers are copied as they stand, of however many digits. */
#include "proxy/openai_ask.h"

#include <errno.h>

int openai_is_a(struct openai_ask *a, const struct json_value *value, unsigned kinds, const char *name, const char *what)
{
    if (!openai_is_there(value))
        return 0;
    if (OPENAI_KIND(value->kind) & kinds)
        return 1;
    mistakes_add(&a->mistakes, "%s: must be %s, not %s", name, what, json_kind_name(value->kind));
    return 0;
}

int openai_ask_read(struct openai_ask *a, struct translation *t, struct json_text body, const char *const *names,
                    size_t names_n, struct json_value *values, struct buf *out, char *why)
{
    struct json_walk w = {body.at, body.at + body.n};
    *a = (struct openai_ask){.t = t, .values = values, .w = json_write_begin(out)};
    mistakes_init(&a->mistakes, why, TRANSLATE_WHY_BYTES);
    if (json_read_members(&w, names, names_n, JSON_FOLDED, values) == 0)
        return 0;
    mistakes_add(&a->mistakes, "the body is no JSON object: what stands at byte %zu does not belong there, or is missing",
                 (size_t)(w.at - body.at));
    return -EINVAL;
}

void openai_ask_model(struct openai_ask *a)
{
    const struct json_value *model = &a->values[OPENAI_MODEL];
    if (!openai_is_there(model))
        mistakes_add(&a->mistakes, "model: missing; it must be the name of a model, as GET /v1/models lists them");
    else if (openai_is_a(a, model, OPENAI_KIND(JSON_STRING), "model", "a string") && model->n == 2)
        mistakes_add(&a->mistakes, "model: empty; it must be the name of a model, as GET /v1/models lists them");
    json_write_text(&a->w, "{\"model\":");
    json_write_value(&a->w, model);
}

static void read_stream_options(struct openai_ask *a)
{
    static const char *const names[] = {"include_usage"};
    const struct json_value *options = &a->values[OPENAI_STREAM_OPTIONS];
    struct json_value usage;
    if (!openai_is_a(a, options, OPENAI_KIND(JSON_OBJECT), "stream_options", "an object"))
        return;
    json_read_object(options, names, 1, JSON_FOLDED, &usage);
    a->t->is_usage_wanted = openai_is_a(a, &usage, OPENAI_BOOLEAN, "stream_options.include_usage", "true or false") &&
                            usage.kind == JSON_TRUE;
}

void openai_ask_stream(struct openai_ask *a)
{
    const struct json_value *stream = &a->values[OPENAI_STREAM];
    a->t->is_stream = openai_is_a(a, stream, OPENAI_BOOLEAN, "stream", "true or false") && stream->kind == JSON_TRUE;
    read_stream_options(a);
    json_write_text(&a->w, a->t->is_stream ? ",\"stream\":true" : ",\"stream\":false");
}

void openai_ask_keep_alive(struct openai_ask *a)
{
    const struct json_value *keep = &a->values[OPENAI_KEEP_ALIVE];
    if (openai_is_a(a, keep, OPENAI_KIND(JSON_STRING) | OPENAI_KIND(JSON_NUMBER), "keep_alive", "a duration such as \"5m\", or a number of seconds"))
        json_write_member(&a->w, "keep_alive", keep);
}

/* A whole number: Ollama would take the fraction away, or refuse it. */
static void write_whole(struct openai_ask *a, const char *option, const char *name, const struct json_value *value)
{
    if (!openai_is_a(a, value, OPENAI_KIND(JSON_NUMBER), name, "a whole number"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        if (strchr(".eE", value->at[i])) {
            mistakes_add(&a->mistakes, "%s: must be a whole number", name);
            return;
        }
    }
    json_write_member(&a->w, option, value);
}

static void write_number(struct openai_ask *a, const char *name, const struct json_value *value, const char *otherwise)
{
    if (openai_is_a(a, value, OPENAI_KIND(JSON_NUMBER), name, "a number")) {
        json_write_member(&a->w, name, value);
    } else if (otherwise && !openai_is_there(value)) {
        struct json_value preset = {JSON_NUMBER, otherwise, strlen(otherwise)};
        json_write_member(&a->w, name, &preset);
    }
}

/* One text or several; Ollama wants a list. */
static void write_stop(struct openai_ask *a)
{
    const struct json_value *stop = &a->values[OPENAI_STOP];
    struct json_items items;
    struct json_value item;
    if (!openai_is_a(a, stop, OPENAI_KIND(JSON_STRING) | OPENAI_KIND(JSON_ARRAY), "stop", "a string, or an array of strings"))
        return;
    json_items_init(&items, stop);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &item))
        if (item.kind != JSON_STRING)
            mistakes_add(&a->mistakes, "stop[%zu]: must be a string, not %s", items.read_n - 1, json_kind_name(item.kind));
    json_write_text(&a->w, ",\"stop\":");
    if (stop->kind == JSON_STRING)
        json_write_text(&a->w, "[");
    json_write_value(&a->w, stop);
    if (stop->kind == JSON_STRING)
        json_write_text(&a->w, "]");
}

/* Where they say nothing, temperature and top_p are OpenAI's 1, and not what the model's own parameters say. */
void openai_ask_options(struct openai_ask *a, const char *penalty)
{
    const struct json_value *v = a->values;
    json_write_text(&a->w, ",\"options\":{\"temperature\":");
    const struct json_value *temperature = &v[OPENAI_TEMPERATURE];
    if (openai_is_a(a, temperature, OPENAI_KIND(JSON_NUMBER), "temperature", "a number"))
        json_write_value(&a->w, temperature);
    else
        json_write_text(&a->w, "1.0");
    write_number(a, "top_p", &v[OPENAI_TOP_P], "1.0");
    write_number(a, "frequency_penalty", &v[OPENAI_FREQUENCY_PENALTY], penalty);
    write_number(a, "presence_penalty", &v[OPENAI_PRESENCE_PENALTY], penalty);
    write_whole(a, "seed", "seed", &v[OPENAI_SEED]);
    if (openai_is_there(&v[OPENAI_MAX_COMPLETION_TOKENS])) /* the newer of two names for one thing */
        write_whole(a, "num_predict", "max_completion_tokens", &v[OPENAI_MAX_COMPLETION_TOKENS]);
    else
        write_whole(a, "num_predict", "max_tokens", &v[OPENAI_MAX_TOKENS]);
    write_stop(a);
    json_write_text(&a->w, "}");
}

int openai_ask_end(struct openai_ask *a)
{
    json_write_text(&a->w, "}");
    if (mistakes_end(&a->mistakes) > 0)
        a->w.error = -EINVAL;
    return json_write_end(&a->w);
}
