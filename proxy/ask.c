/*
 * See ask.h. api/types.go (GenerateRequest, ChatRequest, EmbedRequest, Options.FromMap, v0.9.5): a null leaves a string as it
 * was, and makes a pointer, a list or a map one that is not set.
 */
#include "proxy/ask.h"

#include "common/json_read.h"

#include <errno.h>

static int take_model(struct ask *a, const struct json_value *value)
{
    if (value->kind == JSON_NULL)
        return 0;
    a->model[0] = '\0';
    if (value->kind != JSON_STRING)
        return 0;
    ssize_t n = json_decode((struct json_text){value->at + 1, value->n - 2}, a->model, sizeof a->model);
    if (n < 0)
        a->model[0] = '\0';
    return n == -EINVAL ? -EINVAL : 0;
}

static void take_keep_alive(struct ask *a, const struct json_value *v)
{
    a->keep_alive_ms = ASK_KEEP_UNSAID;
    if (v->kind == JSON_NULL)
        return;
    if ((v->kind != JSON_STRING && v->kind != JSON_NUMBER) || keep_alive_read(v->at, v->n, &a->keep_alive_ms) < 0)
        a->is_odd = 1;
}

static void take_option(struct ask *a, enum load_option option, const struct json_value *v)
{
    double number = v->kind == JSON_TRUE;
    a->options.set &= ~(1u << option);
    a->options.values[option] = 0;
    if (v->kind == JSON_NULL)
        return;
    int is_number = option != LOAD_USE_MMAP;
    if (is_number ? v->kind != JSON_NUMBER || json_read_number(v->at, v->n, &number) < 0
                  : v->kind != JSON_TRUE && v->kind != JSON_FALSE)
        a->is_odd = 1;
    else
        load_options_set(&a->options, option, (int64_t)number); /* cut off, as Go does: 4096.9 is 4096 */
}

/* The walk over the body has found it whole. */
static void take_options(struct ask *a, const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    struct json_member m = {.is_last = 0};
    if (v->kind == JSON_NULL)
        a->options = (struct load_options){.set = 0};
    else if (v->kind != JSON_OBJECT)
        a->is_odd = 1;
    if (v->kind != JSON_OBJECT)
        return;
    for (int is_first = 1; !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0)
        for (int i = 0; i < LOAD_OPTION_COUNT; i++)
            if (json_match(m.name, load_option_name((enum load_option)i)) == JSON_EXACT)
                take_option(a, (enum load_option)i, &m.value);
}

static int is_empty_list(const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    return json_take(&w, ']');
}

static int take_member(struct ask *a, const struct json_member *m)
{
    const struct json_value *v = &m->value;
    if (json_match(m->name, "model") != JSON_OTHER)
        return take_model(a, v);
    if (json_match(m->name, "stream") != JSON_OTHER) {
        a->is_stream = v->kind == JSON_TRUE ? 1 : v->kind == JSON_FALSE ? 0 : -1;
    } else if (json_match(m->name, "options") != JSON_OTHER) {
        take_options(a, v);
    } else if (json_match(m->name, "keep_alive") != JSON_OTHER) {
        take_keep_alive(a, v);
    } else if (json_match(m->name, "prompt") != JSON_OTHER) {
        if (v->kind != JSON_NULL)
            a->has_prompt = v->kind == JSON_STRING && v->n > 2;
    } else if (json_match(m->name, "messages") != JSON_OTHER) {
        a->has_messages = v->kind == JSON_ARRAY && !is_empty_list(v);
    }
    return 0;
}

static const struct ask nothing = {.is_stream = -1, .keep_alive_ms = ASK_KEEP_UNSAID};

int ask_read(struct ask *a, const char *json, size_t json_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    *a = nothing;
    int got = json_take(&w, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got == 1 && take_member(a, &m) < 0)
            got = -EINVAL;
    }
    if (got < 0)
        *a = nothing;
    return got < 0 ? got : 0;
}
