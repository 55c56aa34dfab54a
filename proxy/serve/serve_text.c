/* See serve_text.h. What is asked for beside the conversation goes on as it stands: both APIs have the same words for it. */
#include "proxy/serve/serve_text.h"

#include "proxy/ollama_prompt.h"
#include "proxy/ollama_turn.h"

#include <errno.h>
#include <string.h>

enum { MODEL, STREAM, MESSAGES, STOP, MAX_TOKENS, MAX_COMPLETION_TOKENS, LOGPROBS, TOOLS, FUNCTIONS, ASK_N };
static const char *const ask_names[] = {"model", "stream", "messages", "stop", "max_tokens", "max_completion_tokens", "logprobs", "tools", "functions"};

/* Members that a text has no use for, and those that are written here. */
static const char *const left_out[] = {"model", "prompt", "messages", "stop", "max_tokens", "max_completion_tokens", "logprobs", "top_logprobs", "tools",
                                       "tool_choice", "parallel_tool_calls", "functions", "function_call", "reasoning_effort", "chat_template_kwargs"};

static int is_left_out(struct json_text name)
{
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (json_match(name, left_out[i]) != JSON_OTHER)
            return 1;
    return 0;
}

static void write_others(struct openai_ask *a, struct json_walk body)
{
    struct json_member m = {.is_last = !json_take(&body, '{')};
    for (int is_first = 1; !m.is_last && json_member(&body, is_first, &m) == 1; is_first = 0) {
        if (is_left_out(m.name))
            continue;
        json_write_text(&a->w, ",\"");
        json_write_bytes(&a->w, m.name.at, m.name.n);
        json_write_text(&a->w, "\":");
        json_write_value(&a->w, &m.value);
    }
}

static void refuse_if(struct openai_ask *a, int is_there, const char *name)
{
    if (is_there)
        mistakes_add(&a->mistakes, "%s: not for a model that has no chat template", name);
}

static int request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value v[ASK_N];
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, ask_names, ASK_N, v, out, why) < 0)
        return -EINVAL;
    if (!ollama_turn_of(t))
        a.w.error = -ENOMEM;
    t->is_stream = openai_is_a(&a, &v[STREAM], OPENAI_BOOLEAN, "stream", "true or false") && v[STREAM].kind == JSON_TRUE;
    if (v[MESSAGES].kind != JSON_ARRAY || ollama_is_empty(&v[MESSAGES]))
        mistakes_add(&a.mistakes, "messages: must be an array of objects with role and content");
    refuse_if(&a, !ollama_is_empty(&v[TOOLS]), "tools");
    refuse_if(&a, !ollama_is_empty(&v[FUNCTIONS]), "functions");
    refuse_if(&a, v[LOGPROBS].kind == JSON_TRUE, "logprobs");
    json_write_text(&a.w, "{\"model\":");
    json_write_value(&a.w, &v[MODEL]);
    write_others(&a, (struct json_walk){json, json + json_n});
    json_write_member(&a.w, "max_tokens", &v[openai_is_there(&v[MAX_COMPLETION_TOKENS]) ? MAX_COMPLETION_TOKENS : MAX_TOKENS]); /* null: no limit; its own default is 16 */
    ollama_prompt_conversation(&a, &v[STOP], &v[MESSAGES]);
    return openai_ask_end(&a);
}

/* ---- the answer ---- */

enum { CREATED, CHOICES, USAGE, OBJECT_N };
static const char *const object_names[] = {"created", "choices", "usage"};
enum { INDEX, TEXT, FINISH_REASON, CHOICE_N };
static const char *const choice_names[] = {"index", "text", "finish_reason"};

static void write_choice(struct translation *t, struct json_write *w, const struct json_value *choice)
{
    struct json_value v[CHOICE_N];
    json_read_object(choice, choice_names, CHOICE_N, JSON_EXACT, v);
    json_write_text(w, "{\"index\":");
    if (v[INDEX].kind == JSON_NUMBER)
        json_write_value(w, &v[INDEX]);
    else
        json_write_text(w, "0");
    json_write_text(w, t->is_stream ? ",\"delta\":{" : ",\"message\":{");
    json_write_text(w, t->is_stream && t->has_begun ? "\"content\":" : "\"role\":\"assistant\",\"content\":");
    if (v[TEXT].kind == JSON_STRING)
        json_write_safely(w, &v[TEXT]);
    else
        json_write_text(w, "\"\"");
    json_write_text(w, "},\"logprobs\":null");
    json_write_member(w, "finish_reason", &v[FINISH_REASON]);
    json_write_text(w, "}");
    if (v[FINISH_REASON].kind == JSON_STRING)
        memcpy(t->turn->reason, "stop", sizeof "stop"); /* whatever it was: the stream may end */
}

static void write_object(struct translation *t, struct json_write *w, const struct json_value *v)
{
    struct json_items items;
    struct json_value choice;
    json_write_text(w, t->is_stream ? "data: {\"id\":" : "{\"id\":");
    json_write_string(w, t->id, strlen(t->id));
    json_write_text(w, t->is_stream ? ",\"object\":\"chat.completion.chunk\"" : ",\"object\":\"chat.completion\"");
    json_write_member(w, "created", &v[CREATED]);
    json_write_text(w, ",\"model\":");
    json_write_string(w, t->model, strlen(t->model));
    json_write_text(w, ",\"choices\":[");
    json_items_init(&items, &v[CHOICES]);
    for (int is_first = 1; json_items_next(&items, &choice); is_first = 0) {
        json_write_text(w, is_first ? "" : ",");
        write_choice(t, w, &choice);
    }
    json_write_text(w, "]");
    if (v[USAGE].kind == JSON_OBJECT)
        json_write_member(w, "usage", &v[USAGE]);
    json_write_text(w, t->is_stream ? "}\n\n" : "}");
    t->has_begun = 1;
}

static int write_done(struct translation *t, struct buf *out)
{
    int error = buf_text(out, "data: [DONE]\n\n");
    t->has_ended = !error;
    return error;
}

static int is_done(struct json_walk walk)
{
    json_space(&walk);
    return walk.end - walk.at >= 6 && memcmp(walk.at, "[DONE]", 6) == 0;
}

static int object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    struct json_walk walk = {json, json + json_n};
    struct json_value v[OBJECT_N];
    struct json_write w = json_write_begin(out);
    if (t->is_stream && is_done(walk))
        return write_done(t, out);
    if (json_read_members(&walk, object_names, OBJECT_N, JSON_EXACT, v) < 0 || v[CHOICES].kind != JSON_ARRAY)
        return -EINVAL;
    if (!ollama_turn_of(t))
        return -ENOMEM;
    write_object(t, &w, v);
    return json_write_end(&w);
}

/* Transformers does not say so. */
static int end(struct translation *t, struct buf *out)
{
    return t->turn && *t->turn->reason ? write_done(t, out) : 0;
}

const struct translate_ops serve_text_ops = {.target = "/v1/completions", .request = request, .object = object, .end = end, .fini = ollama_turn_fini, .is_openai = 1};
