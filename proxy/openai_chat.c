/* See openai_chat.h: requests. */
#include "proxy/openai_chat.h"

#include "proxy/openai_chat_answer.h"
#include "proxy/openai_message.h"
#include "proxy/openai_repair.h"
#include "proxy/repair.h"

#include <errno.h>

enum {
    MESSAGES = OPENAI_ASK_N,
    TOOLS,
    TOOL_CHOICE,
    FUNCTIONS,
    FUNCTION_CALL,
    RESPONSE_FORMAT,
    REASONING,
    REASONING_EFFORT,
    THINK,
    LOGPROBS,
    TOP_LOGPROBS,
    CHAT_N,
};
static const char *const names[] = {OPENAI_ASK_NAMES,   "messages",  "tools",            "tool_choice", "functions", "function_call",
                                    "response_format", "reasoning", "reasoning_effort", "think",       "logprobs",  "top_logprobs"};

enum { ADDED_BYTES = 1024 };

/* The schema as it stands: Ollama makes a grammar of it, and keeps to it strictly always. It is inside of json_schema, or beside its
 * type as in the Responses API. */
static void write_schema(struct openai_ask *a, const struct json_value *inside, const struct json_value *beside)
{
    static const char *const schema_names[] = {"schema"};
    const char *name = inside->kind == JSON_OBJECT ? "response_format.json_schema.schema" : "response_format.schema";
    struct json_value schema = *beside;
    if (inside->kind == JSON_OBJECT)
        json_read_object(inside, schema_names, 1, JSON_FOLDED, &schema);
    if (openai_is_a(a, &schema, OPENAI_KIND(JSON_OBJECT), name, "an object"))
        json_write_member(&a->w, "format", &schema);
    else if (!openai_is_there(&schema))
        mistakes_add(&a->mistakes, "response_format.json_schema: must be an object with a schema");
}

static void write_format(struct openai_ask *a, const struct json_value *format)
{
    static const char *const format_names[] = {"type", "json_schema", "schema"};
    struct json_value v[3];
    if (!openai_is_a(a, format, OPENAI_KIND(JSON_OBJECT), "response_format", "an object"))
        return;
    json_read_object(format, format_names, 3, JSON_FOLDED, v);
    if (json_read_is(&v[0], "json_object")) {
        json_write_text(&a->w, ",\"format\":\"json\"");
    } else if (json_read_is(&v[0], "json_schema")) {
        write_schema(a, &v[1], &v[2]);
    } else if (!json_read_is(&v[0], "text")) {
        mistakes_add(&a->mistakes, "response_format.type: must be text, json_object or json_schema");
    }
}

/* Whether the answer is to be JSON: a call may look just like it. */
static int wants_json(const struct json_value *format)
{
    static const char *const format_names[] = {"type"};
    struct json_value type;
    json_read_object(format, format_names, 1, JSON_FOLDED, &type);
    return json_read_is(&type, "json_object") || json_read_is(&type, "json_schema");
}

/* A hint: a model that does not think, or an Ollama that knows no steps, does without it. */
static void ask_to_think(struct openai_ask *a, const char *think, size_t think_n)
{
    int is_hint = *think != 'f'; /* false is none */
    if (is_hint)
        a->t->needs |= TRANSLATE_THINKING;
    a->t->is_think_asked = is_hint && !(a->t->lacks & TRANSLATE_THINKING);
    if (is_hint && !a->t->is_think_asked)
        return;
    json_write_text(&a->w, ",\"think\":");
    json_write_bytes(&a->w, think, think_n);
}

/* OpenAI's steps, and those of others, as the nearest of Ollama's. */
static void write_think(struct openai_ask *a)
{
    static const struct {
        const char *effort, *think;
    } rows[] = {
        {"none", "false"},   {"minimal", "\"low\""}, {"low", "\"low\""},   {"medium", "\"medium\""},
        {"high", "\"high\""}, {"max", "\"max\""},     {"xhigh", "\"max\""}, {"ultra", "\"max\""},
    };
    static const char *const reasoning_names[] = {"effort"};
    struct json_value effort = a->values[REASONING_EFFORT], other;
    const char *name = "reasoning_effort";
    if (openai_is_a(a, &a->values[REASONING], OPENAI_KIND(JSON_OBJECT), "reasoning", "an object")) {
        json_read_object(&a->values[REASONING], reasoning_names, 1, JSON_FOLDED, &other);
        if (openai_is_there(&other)) { /* else it says other things, such as a summary */
            effort = other;
            name = "reasoning.effort";
        }
    }
    if (!openai_is_there(&effort) || json_read_is(&effort, "")) {
        const struct json_value *think = &a->values[THINK];
        if (openai_is_a(a, think, OPENAI_BOOLEAN | OPENAI_KIND(JSON_STRING), "think", "true, false or a step such as \"low\""))
            ask_to_think(a, think->at, think->n);
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (json_read_is(&effort, rows[i].effort)) {
            ask_to_think(a, rows[i].think, strlen(rows[i].think));
            return;
        }
    }
    mistakes_add(&a->mistakes, "%s: must be none, minimal, low, medium, high, xhigh or max", name);
}

static void write_logprobs(struct openai_ask *a)
{
    struct json_value number;
    if (openai_is_a(a, &a->values[LOGPROBS], OPENAI_BOOLEAN, "logprobs", "true or false"))
        json_write_member(&a->w, "logprobs", &a->values[LOGPROBS]);
    if (openai_is_count(a, &a->values[TOP_LOGPROBS], "top_logprobs", -1, &number))
        json_write_member(&a->w, "top_logprobs", &number);
}

static int chat_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value values[CHAT_N];
    struct openai_ask a;
    struct openai_tools tools;
    char *room;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, names, CHAT_N, values, out, why) < 0)
        return -EINVAL;
    if (json_n + ADDED_BYTES <= buf_left(out)) /* mostly enough, so that images are not moved while it grows */
        a.w.error = buf_reserve(out, json_n + ADDED_BYTES, &room);
    openai_ask_model(&a);
    openai_ask_stream(&a);
    openai_ask_one(&a, &values[OPENAI_ANSWERS], "n");
    openai_ask_keep_alive(&a);
    openai_ask_options(&a, NULL);
    write_format(&a, &values[RESPONSE_FORMAT]);
    write_think(&a);
    write_logprobs(&a);
    openai_tools_read(&a, &tools, &(struct openai_tools_sent){&values[TOOLS], &values[TOOL_CHOICE], &values[FUNCTIONS], &values[FUNCTION_CALL]});
    openai_tools_write(&a, &tools);
    repair_free(&t->repair); /* of the first time, where it is translated once more */
    if (openai_is_there(&tools.list) && !wants_json(&values[RESPONSE_FORMAT]))
        t->repair = repair_new(&tools.list);
    openai_messages(&a, &values[MESSAGES], &tools);
    return openai_ask_end(&a);
}

const struct translate_ops openai_chat_ops = {
    .target = "/api/chat", .request = chat_request, .object = openai_chat_object, .nothing = openai_chat_nothing, .rest = openai_chat_rest, .fini = openai_repair_fini};
