/* See ollama_ask.h. */
#include "proxy/ollama_ask.h"

#include "common/keep_alive.h"
#include "proxy/ollama_turn.h"

#include <errno.h>
#include <stdio.h>

_Static_assert((int)OLLAMA_MODEL == (int)OPENAI_MODEL, "openai_ask_model() finds it there");

/* Groups, each ended by NULL, the last by one more. */
static const char *const hints[] = {"reasoning_effort", NULL, "chat_template_kwargs", "top_k", "min_p", "repeat_penalty", "repetition_penalty", NULL, NULL};

/* What an option is. */
enum option_kind { NUMBER, WHOLE, AT_LEAST_0, AT_LEAST_1, TEXTS };

/* Those that only vLLM and llama-server know are among the hints. What is not here, as num_ctx, says how a model is loaded, or is known to
 * nobody else. */
static const struct {
    const char *option, *member, *second; /* second: the same by another server's name */
    enum option_kind kind;
} options[] = {
    {"temperature", "temperature", NULL, NUMBER},
    {"top_p", "top_p", NULL, NUMBER},
    {"frequency_penalty", "frequency_penalty", NULL, NUMBER},
    {"presence_penalty", "presence_penalty", NULL, NUMBER},
    {"seed", "seed", NULL, AT_LEAST_0}, /* below: any */
    {"num_predict", "max_tokens", NULL, AT_LEAST_1}, /* below: no limit */
    {"stop", "stop", NULL, TEXTS},
    {"top_k", "top_k", NULL, WHOLE},
    {"min_p", "min_p", NULL, NUMBER},
    {"repeat_penalty", "repeat_penalty", "repetition_penalty", NUMBER},
};
enum { TEMPERATURE, OPTIONS_N = sizeof options / sizeof *options };

_Static_assert((int)OPTIONS_N == (int)OLLAMA_FLAT_N, "each has its name beside the options");

static void write_raw(struct openai_ask *a, size_t i, const char *number)
{
    if (number)
        json_write_member(&a->w, options[i].member, &(struct json_value){JSON_NUMBER, number, strlen(number)});
}

static void write_twice(struct openai_ask *a, size_t i, const struct json_value *value)
{
    json_write_member(&a->w, options[i].member, value);
    if (options[i].second)
        json_write_member(&a->w, options[i].second, value);
}

static void write_number(struct openai_ask *a, size_t i, const struct json_value *value, const char *no_limit)
{
    double number;
    int is_there = json_read_number(value->at, value->n, &number) == 0;
    if (options[i].kind == NUMBER) {
        write_twice(a, i, value);
        return;
    }
    char text[32]; /* Ollama takes the fraction away */
    int64_t least = options[i].kind == AT_LEAST_1, whole = is_there ? (int64_t)number : 0;
    struct json_value cut = {JSON_NUMBER, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)whole)};
    int is_plain = value->n > 0 && !memchr(value->at, '.', value->n) && !memchr(value->at, 'e', value->n) && !memchr(value->at, 'E', value->n);
    if (options[i].kind == WHOLE || (is_there ? whole >= least : *value->at != '-'))
        json_write_member(&a->w, options[i].member, is_plain || !is_there ? value : &cut);
    else if (options[i].kind == AT_LEAST_1)
        write_raw(a, i, no_limit);
}

/* 1 where it was said, rightly or not. */
static int write_option(struct openai_ask *a, size_t i, const struct json_value *value, const struct ollama_ask_rules *rules)
{
    char name[40];
    int is_list = options[i].kind == TEXTS;
    snprintf(name, sizeof name, "options.%s", options[i].option);
    if (!openai_is_there(value))
        return 0;
    if (!openai_is_a(a, value, is_list ? OPENAI_KIND(JSON_ARRAY) | OPENAI_KIND(JSON_STRING) : OPENAI_KIND(JSON_NUMBER), name,
                     is_list ? "an array of strings" : "a number"))
        return 1;
    if (!is_list)
        write_number(a, i, value, rules->no_limit);
    else if (value->n > 2)
        json_write_member(&a->w, options[i].member, value);
    return 1;
}

/* … beside the options, where it is OpenAI's, with its bounds. */
static int write_flat(struct openai_ask *a, size_t i, const struct json_value *value)
{
    struct json_value number;
    int least = options[i].kind == NUMBER ? OPENAI_ANY_NUMBER : options[i].kind == AT_LEAST_1 ? 1 : -1;
    if (!openai_is_there(value))
        return 0;
    if (options[i].kind != TEXTS) {
        if (openai_is_count(a, value, options[i].member, least, &number))
            write_twice(a, i, &number);
    } else if (openai_is_a(a, value, OPENAI_KIND(JSON_ARRAY) | OPENAI_KIND(JSON_STRING), options[i].member, "a string, or an array of strings") &&
               value->n > 2) {
        json_write_member(&a->w, options[i].member, value);
    }
    return 1;
}

static void write_options(struct openai_ask *a, const struct ollama_ask_rules *rules)
{
    const char *names[OPTIONS_N];
    struct json_value v[OPTIONS_N];
    for (size_t i = 0; i < OPTIONS_N; i++)
        names[i] = options[i].option;
    (void)openai_is_a(a, &a->values[OLLAMA_OPTIONS], OPENAI_KIND(JSON_OBJECT), "options", "an object");
    json_read_object(&a->values[OLLAMA_OPTIONS], names, OPTIONS_N, JSON_EXACT, v);
    for (size_t i = 0; i < OPTIONS_N; i++)
        if (!(rules->flat && write_flat(a, i, &rules->flat[i])) && !write_option(a, i, &v[i], rules))
            write_raw(a, i, i == TEMPERATURE ? rules->temperature : options[i].kind == AT_LEAST_1 ? rules->max_tokens : NULL);
}

static void write_format(struct openai_ask *a)
{
    const struct json_value *format = &a->values[OLLAMA_FORMAT];
    if (!openai_is_there(format) || json_read_is(format, ""))
        return;
    if (json_read_is(format, "json")) {
        json_write_text(&a->w, ",\"response_format\":{\"type\":\"json_object\"}");
    } else if (format->kind == JSON_OBJECT) { /* its name is obligatory, and means nothing */
        json_write_text(&a->w, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":");
        json_write_value(&a->w, format);
        json_write_text(&a->w, "}}");
    } else {
        mistakes_add(&a->mistakes, "format: must be \"json\", or a JSON schema, which is an object");
    }
}

/* Servers do not agree on how to have a model not think: OpenAI and Ollama have the step `none`, vLLM and llama-server a variable of the model's
 * template. */
static void write_think(struct openai_ask *a)
{
    static const char *const steps[] = {"low", "medium", "high"};
    const struct json_value *think = &a->values[OLLAMA_THINK];
    const char *effort = NULL;
    if (!openai_is_there(think) || json_read_is(think, ""))
        return;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (json_read_is(think, steps[i]))
            effort = steps[i];
    if (think->kind == JSON_TRUE)
        effort = "medium";
    else if (think->kind == JSON_FALSE)
        effort = "none";
    else if (json_read_is(think, "max"))
        effort = "high";
    if (!effort) {
        mistakes_add(&a->mistakes, "think: must be true, false, \"low\", \"medium\", \"high\" or \"max\"");
        return;
    }
    a->t->is_thinking_dropped = think->kind == JSON_FALSE;
    json_write_text(&a->w, ",\"reasoning_effort\":\"");
    json_write_text(&a->w, effort);
    json_write_text(&a->w, a->t->is_thinking_dropped ? "\",\"chat_template_kwargs\":{\"enable_thinking\":false}" : "\"");
}

void ollama_ask_write(struct openai_ask *a, const struct ollama_ask_rules *rules)
{
    const struct json_value *v = a->values;
    a->t->hints = hints;
    openai_ask_model(a);
    a->t->is_stream = openai_is_there(&v[OLLAMA_STREAM])
                          ? openai_is_a(a, &v[OLLAMA_STREAM], OPENAI_BOOLEAN, "stream", "true or false") && v[OLLAMA_STREAM].kind == JSON_TRUE
                          : !rules->is_whole;
    json_write_text(&a->w, a->t->is_stream ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : ",\"stream\":false");
    write_options(a, rules);
    write_format(a);
    write_think(a);
    if (openai_is_a(a, &v[OLLAMA_LOGPROBS], OPENAI_BOOLEAN, "logprobs", "true or false") && v[OLLAMA_LOGPROBS].kind == JSON_TRUE)
        json_write_member(&a->w, "logprobs", &v[OLLAMA_LOGPROBS]);
    if (openai_is_a(a, &v[OLLAMA_TOP_LOGPROBS], OPENAI_KIND(JSON_NUMBER), "top_logprobs", "a whole number") && !json_read_is(&v[OLLAMA_TOP_LOGPROBS], ""))
        json_write_member(&a->w, "top_logprobs", &v[OLLAMA_TOP_LOGPROBS]);
}

int ollama_is_empty(const struct json_value *array)
{
    struct json_items items;
    struct json_value item;
    json_items_init(&items, array);
    return !json_items_next(&items, &item);
}

int ollama_ask_nothing(struct openai_ask *a, const char *said)
{
    const struct json_value *keep = &a->values[OLLAMA_KEEP_ALIVE];
    int64_t keep_ms = -1;
    char stamp[TURN_STAMP_BYTES];
    if (openai_is_there(keep) && keep_alive_read(keep->at, keep->n, &keep_ms) < 0)
        mistakes_add(&a->mistakes, "keep_alive: must be a duration such as \"5m\", or a number of seconds");
    openai_ask_model(a);
    json_write_text(&a->w, ",\"created_at\":\"");
    json_write_text(&a->w, ollama_turn_stamp(a->t, stamp));
    json_write_text(&a->w, "\",");
    json_write_text(&a->w, said);
    json_write_text(&a->w, keep_ms == 0 ? ",\"done\":true,\"done_reason\":\"unload\"" : ",\"done\":true,\"done_reason\":\"load\"");
    int error = openai_ask_end(a);
    return error ? error : 1;
}
