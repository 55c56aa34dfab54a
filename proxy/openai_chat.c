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
    RESPONSE_FORMAT,
    REASONING,
    REASONING_EFFORT,
    LOGPROBS,
    TOP_LOGPROBS,
    CHAT_N,
};
static const char *const names[] = {OPENAI_ASK_NAMES, "messages", "tools", "response_format", "reasoning", "reasoning_effort", "logprobs", "top_logprobs"};

enum { ADDED_BYTES = 1024 };

/* The schema as it stands: Ollama makes a grammar of it. It may be absent. */
static void write_schema(struct openai_ask *a, const struct json_value *json_schema)
{
    static const char *const schema_names[] = {"schema"};
    struct json_value schema;
    if (json_schema->kind != JSON_OBJECT)
        mistakes_add(&a->mistakes, "response_format.json_schema: must be an object with a schema");
    json_read_object(json_schema, schema_names, 1, JSON_FOLDED, &schema);
    if (openai_is_a(a, &schema, OPENAI_KIND(JSON_OBJECT), "response_format.json_schema.schema", "an object"))
        json_write_member(&a->w, "format", &schema);
}

static void write_format(struct openai_ask *a, const struct json_value *format)
{
    static const char *const format_names[] = {"type", "json_schema"};
    struct json_value v[2];
    if (!openai_is_a(a, format, OPENAI_KIND(JSON_OBJECT), "response_format", "an object"))
        return;
    json_read_object(format, format_names, 2, JSON_FOLDED, v);
    if (json_read_is(&v[0], "json_object")) {
        json_write_text(&a->w, ",\"format\":\"json\"");
    } else if (json_read_is(&v[0], "json_schema")) {
        write_schema(a, &v[1]);
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
    struct json_value effort = a->values[REASONING_EFFORT];
    const char *name = "reasoning_effort";
    if (openai_is_a(a, &a->values[REASONING], OPENAI_KIND(JSON_OBJECT), "reasoning", "an object")) {
        json_read_object(&a->values[REASONING], reasoning_names, 1, JSON_FOLDED, &effort);
        name = "reasoning.effort";
    }
    if (!openai_is_there(&effort) || json_read_is(&effort, ""))
        return;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (json_read_is(&effort, rows[i].effort)) {
            json_write_text(&a->w, ",\"think\":");
            json_write_text(&a->w, rows[i].think);
            a->t->is_think_asked = i > 0;
            return;
        }
    }
    mistakes_add(&a->mistakes, "%s: must be none, minimal, low, medium, high, xhigh or max", name);
}

static void write_copied(struct openai_ask *a, int member, unsigned kinds, const char *what)
{
    const struct json_value *value = &a->values[member];
    if (openai_is_a(a, value, kinds, names[member], what))
        json_write_member(&a->w, names[member], value);
}

static int chat_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value values[CHAT_N];
    struct openai_ask a;
    char *room;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, names, CHAT_N, values, out, why) < 0)
        return -EINVAL;
    if (json_n + ADDED_BYTES <= buf_left(out)) /* mostly enough, so that images are not moved while it grows */
        a.w.error = buf_reserve(out, json_n + ADDED_BYTES, &room);
    openai_ask_model(&a);
    openai_ask_stream(&a);
    openai_ask_keep_alive(&a);
    openai_ask_options(&a, NULL);
    write_format(&a, &values[RESPONSE_FORMAT]);
    write_think(&a);
    write_copied(&a, LOGPROBS, OPENAI_BOOLEAN, "true or false");
    write_copied(&a, TOP_LOGPROBS, OPENAI_KIND(JSON_NUMBER), "a whole number");
    write_copied(&a, TOOLS, OPENAI_KIND(JSON_ARRAY), "an array");
    if (openai_is_there(&values[TOOLS]) && !wants_json(&values[RESPONSE_FORMAT]))
        t->repair = repair_new(&values[TOOLS]);
    openai_messages(&a, &values[MESSAGES]);
    return openai_ask_end(&a);
}

const struct translate_ops openai_chat_ops = {
    .target = "/api/chat", .request = chat_request, .object = openai_chat_object, .nothing = openai_chat_nothing, .rest = openai_chat_rest, .fini = openai_repair_fini};
