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

int openai_is_number(const struct json_value *value, struct json_value *out)
{
    *out = *value;
    if (value->kind != JSON_STRING)
        return value->kind == JSON_NUMBER;
    struct json_text text = json_read_text(value);
    struct json_walk w = {text.at, text.at + text.n};
    return json_value(&w, out) == 0 && out->kind == JSON_NUMBER && out->n == text.n;
}

static int has_one_of(const struct json_value *number, const char *wanted)
{
    for (size_t i = 0; i < number->n; i++)
        if (strchr(wanted, number->at[i]))
            return 1;
    return 0;
}

/* Ollama would take a fraction away, or refuse it. */
int openai_is_count(struct openai_ask *a, const struct json_value *value, const char *name, int least, struct json_value *out)
{
    const char *what = least == OPENAI_ANY_NUMBER ? "a number" : "a whole number";
    if (!openai_is_there(value))
        return 0;
    if (!openai_is_number(value, out))
        mistakes_add(&a->mistakes, "%s: must be %s, not %s", name, what, json_kind_name(value->kind));
    else if (least > OPENAI_ANY_NUMBER && has_one_of(out, ".eE"))
        mistakes_add(&a->mistakes, "%s: must be a whole number", name);
    else if (least > 0 && (*out->at == '-' || !has_one_of(out, "123456789")))
        mistakes_add(&a->mistakes, "%s: must be at least 1; where there is to be no limit, leave it out", name);
    else
        return 1;
    return 0;
}

void openai_ask_one(struct openai_ask *a, const struct json_value *value, const char *name)
{
    struct json_value number;
    if (!openai_is_count(a, value, name, 1, &number) || (number.n == 1 && *number.at == '1'))
        return;
    mistakes_add(&a->mistakes, "%s: must be 1, as one answer is made; send a request for each", name);
    if (a->mistakes.found_n == 1)
        a->t->code = "unsupported_value";
}

/* In this order; what they are when they are not there. */
static const struct {
    unsigned char member;
    signed char least;
    const char *name, *option, *otherwise;
} rows[] = {
    {OPENAI_TEMPERATURE, OPENAI_ANY_NUMBER, "temperature", "temperature", "1.0"},
    {OPENAI_TOP_P, OPENAI_ANY_NUMBER, "top_p", "top_p", "1.0"},
    {OPENAI_FREQUENCY_PENALTY, OPENAI_ANY_NUMBER, "frequency_penalty", "frequency_penalty", ""},
    {OPENAI_PRESENCE_PENALTY, OPENAI_ANY_NUMBER, "presence_penalty", "presence_penalty", ""},
    {OPENAI_SEED, -1, "seed", "seed", NULL},
    {OPENAI_MAX_TOKENS, 1, "max_tokens", "num_predict", NULL},
    {OPENAI_MAX_COMPLETION_TOKENS, 1, "max_completion_tokens", "num_predict", NULL},
    {OPENAI_TOP_K, -1, "top_k", "top_k", NULL},
    {OPENAI_MIN_P, OPENAI_ANY_NUMBER, "min_p", "min_p", NULL},
    {OPENAI_REPEAT_PENALTY, OPENAI_ANY_NUMBER, "repeat_penalty", "repeat_penalty", NULL},
    {OPENAI_NUM_CTX, 1, "num_ctx", "num_ctx", NULL},
};
enum { ROWS_N = sizeof rows / sizeof *rows };

/* What the last one was is seen in what has been written. */
static void write_option(struct openai_ask *a, const char *name)
{
    const char *written = buf_data(a->w.out);
    size_t n = buf_size(a->w.out);
    json_write_text(&a->w, n > 0 && written[n - 1] == '{' ? "\"" : ",\"");
    json_write_text(&a->w, name);
    json_write_text(&a->w, "\":");
}

/* 1 where one is there, even a wrong one. */
static int write_number(struct openai_ask *a, size_t row)
{
    const struct json_value *value = &a->values[rows[row].member];
    struct json_value number;
    if (rows[row].member == OPENAI_MAX_TOKENS && openai_is_there(&a->values[OPENAI_MAX_COMPLETION_TOKENS]))
        return 1; /* the older of two names for one thing */
    if (!openai_is_there(value))
        return 0;
    if (openai_is_count(a, value, rows[row].name, rows[row].least, &number)) {
        write_option(a, rows[row].option);
        json_write_value(&a->w, &number);
    }
    return 1;
}

static void write_preset(struct openai_ask *a, size_t row, const char *penalty)
{
    const char *preset = rows[row].otherwise;
    preset = preset && !*preset ? penalty : preset;
    if (!preset)
        return;
    write_option(a, rows[row].option);
    json_write_text(&a->w, preset);
}

/* Where Ollama's own options are sent too, they may say it. */
static void note_unsaid(struct openai_ask *a)
{
    a->t->unsaid |= openai_is_there(&a->values[OPENAI_TEMPERATURE]) ? 0 : TRANSLATE_UNSAID_TEMPERATURE;
    a->t->unsaid |= openai_is_there(&a->values[OPENAI_TOP_P]) ? 0 : TRANSLATE_UNSAID_TOP_P;
}

/* One text or several; Ollama wants a list. An empty one would end every answer before it begins. */
static void write_stop(struct openai_ask *a)
{
    const struct json_value *stop = &a->values[OPENAI_STOP];
    struct json_items items;
    struct json_value item = *stop;
    size_t written_n = 0;
    if (!openai_is_a(a, stop, OPENAI_KIND(JSON_STRING) | OPENAI_KIND(JSON_ARRAY), "stop", "a string, or an array of strings"))
        return;
    write_option(a, "stop");
    json_write_text(&a->w, "[");
    json_items_init(&items, stop);
    while (stop->kind == JSON_ARRAY ? !mistakes_are_many(&a->mistakes) && json_items_next(&items, &item) : written_n == 0 && item.n > 2) {
        if (openai_is_there(&item) && item.kind != JSON_STRING)
            mistakes_add(&a->mistakes, "stop[%zu]: must be a string, not %s", items.read_n - 1, json_kind_name(item.kind));
        if (item.kind != JSON_STRING || item.n == 2)
            continue;
        json_write_text(&a->w, written_n++ ? "," : "");
        json_write_value(&a->w, &item);
    }
    json_write_text(&a->w, "]");
}

/* Ollama's own options as they stand: what this API has a name for comes behind them, and the last one counts. */
static void write_own_options(struct openai_ask *a)
{
    const struct json_value *options = &a->values[OPENAI_OPTIONS];
    if (!openai_is_a(a, options, OPENAI_KIND(JSON_OBJECT), "options", "an object"))
        return;
    struct json_walk w = {options->at + 1, options->at + options->n - 1};
    const char *written = buf_data(a->w.out);
    json_space(&w);
    if (w.at == w.end)
        return;
    json_write_text(&a->w, buf_size(a->w.out) > 0 && written[buf_size(a->w.out) - 1] == '{' ? "" : ",");
    json_write_bytes(&a->w, w.at, (size_t)(w.end - w.at));
}

/* Where they say nothing, temperature and top_p are OpenAI's 1, and not what the model's own parameters say. */
void openai_ask_options(struct openai_ask *a, const char *penalty)
{
    int has_own = openai_is_there(&a->values[OPENAI_OPTIONS]);
    if (!has_own)
        note_unsaid(a);
    json_write_text(&a->w, ",\"options\":{");
    for (size_t i = 0; has_own && i < ROWS_N; i++)
        if (!openai_is_there(&a->values[rows[i].member]))
            write_preset(a, i, penalty);
    if (has_own)
        write_own_options(a);
    for (size_t i = 0; i < ROWS_N; i++)
        if (!write_number(a, i) && !has_own)
            write_preset(a, i, penalty);
    write_stop(a);
    json_write_text(&a->w, "}");
}

void openai_ask_load_options(struct openai_ask *a)
{
    if (!openai_is_there(&a->values[OPENAI_OPTIONS]) && !openai_is_there(&a->values[OPENAI_NUM_CTX]))
        return;
    json_write_text(&a->w, ",\"options\":{");
    write_own_options(a);
    write_number(a, ROWS_N - 1);
    json_write_text(&a->w, "}");
}

int openai_ask_end(struct openai_ask *a)
{
    json_write_text(&a->w, "}");
    if (mistakes_end(&a->mistakes) > 0)
        a->w.error = -EINVAL;
    return json_write_end(&a->w);
}
