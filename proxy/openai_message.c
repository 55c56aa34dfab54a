/* See openai_message.h. Each message is read once for its members, and copied from where they stand. */
#include "proxy/openai_message.h"

#include "proxy/openai_call.h"
#include "proxy/openai_part.h"

enum { ROLE, CONTENT, TOOL_CALLS, NAME, TOOL_CALL_ID, REASONING, REASONING_CONTENT, THINKING, FUNCTION_CALL, MESSAGE_N };
static const char *const message_names[] = {"role",      "content",           "tool_calls", "name",          "tool_call_id",
                                            "reasoning", "reasoning_content", "thinking",   "function_call"};

enum role { USER, ASSISTANT, SYSTEM, TOOL, CONTROL };
static const char *const role_names[] = {"user", "assistant", "system", "tool", "control"};

/* control is some models' own (Granite's). Who has no role, or another one, is the user. */
static enum role role_of(const struct json_value *role)
{
    static const struct {
        const char *name;
        enum role role;
    } rows[] = {{"user", USER},           {"assistant", ASSISTANT}, {"system", SYSTEM},  {"tool", TOOL},
                {"developer", SYSTEM}, {"function", TOOL},       {"control", CONTROL}};
    for (size_t i = 0; role->kind == JSON_STRING && i < sizeof rows / sizeof *rows; i++)
        if (json_read_is(role, rows[i].name))
            return rows[i].role;
    return USER;
}

/* Whose result it is: the tool's name, else the name of the one that was called under its id. NULL where that is not known. */
static const struct json_value *answered_name(const struct json_value *m, const struct openai_calls *seen)
{
    const struct json_value *name = &m[NAME];
    if ((name->kind != JSON_STRING || name->n == 2) && m[TOOL_CALL_ID].kind == JSON_STRING)
        name = openai_calls_name(seen, &m[TOOL_CALL_ID]);
    return name && name->kind == JSON_STRING ? name : NULL;
}

/* Before a result, for a model that has no place for it. */
static void write_answered_text(struct openai_ask *a, const struct json_value *m, const struct openai_calls *seen)
{
    const struct json_value *name = answered_name(m, seen);
    name = name ? name : &m[TOOL_CALL_ID];
    json_write_text(&a->w, OPENAI_TOOLS_RESULT);
    if (name->kind == JSON_STRING) {
        json_write_text(&a->w, ": ");
        json_write_bytes(&a->w, name->at + 1, name->n - 2);
    }
    json_write_text(&a->w, "]\\n");
}

/* An Ollama that does not know these names does not read them. */
static void write_answered(struct openai_ask *a, const struct json_value *m, const struct openai_calls *seen)
{
    const struct json_value *name = answered_name(m, seen);
    if (name)
        json_write_member(&a->w, "tool_name", name);
    if (m[TOOL_CALL_ID].kind == JSON_STRING)
        json_write_member(&a->w, "tool_call_id", &m[TOOL_CALL_ID]);
}

static void write_thinking(struct openai_ask *a, const struct json_value *m)
{
    for (int i = REASONING; i <= THINKING; i++) {
        if (m[i].kind == JSON_STRING) {
            json_write_member(&a->w, "thinking", &m[i]);
            return;
        }
    }
}

static void write_message(struct openai_ask *a, size_t index, enum role role, const struct json_value *m, struct openai_calls *seen)
{
    int is_text_only = a->t->lacks & TRANSLATE_TOOLS; /* what is called, and what comes of it, is told */
    const struct json_value *calls = &m[openai_is_there(&m[TOOL_CALLS]) ? TOOL_CALLS : FUNCTION_CALL];
    if (role == TOOL)
        a->t->needs |= TRANSLATE_TOOLS;
    json_write_text(&a->w, "{\"role\":\"");
    json_write_text(&a->w, role_names[is_text_only && role == TOOL ? USER : role]);
    json_write_text(&a->w, "\",\"content\":\"");
    if (is_text_only && role == TOOL)
        write_answered_text(a, m, seen);
    int is_behind = openai_parts_text(a, &m[CONTENT], 0);
    if (is_text_only)
        openai_calls_write_text(a, calls, seen, is_behind);
    json_write_text(&a->w, "\"");
    if (m[CONTENT].kind == JSON_ARRAY)
        openai_parts_images(a, index, &m[CONTENT]);
    write_thinking(a, m);
    if (!is_text_only)
        openai_calls_write(a, calls, seen);
    if (!is_text_only && role == TOOL)
        write_answered(a, m, seen);
    json_write_text(&a->w, "}");
}

/* A bare string is what the user says. 0 where it says nothing, or is no message. */
static int read_message(const struct json_value *message, struct json_value *m)
{
    json_read_object(message, message_names, MESSAGE_N, JSON_FOLDED, m);
    if (message->kind == JSON_STRING)
        m[CONTENT] = *message;
    return openai_is_there(&m[ROLE]) || openai_is_there(&m[CONTENT]) || openai_is_there(&m[TOOL_CALLS]);
}

/* 1 where there are words, and they are written now. */
static int write_words(struct openai_ask *a, const struct openai_tools *tools, size_t written_n)
{
    if (!openai_tools_has_words(a, tools))
        return 0;
    json_write_text(&a->w, written_n ? "," : "");
    openai_tools_words(a, tools);
    a->t->has_tool_words = 1;
    return 1;
}

static size_t write_all(struct openai_ask *a, const struct json_value *messages, const struct openai_tools *tools)
{
    struct openai_calls seen;
    struct json_items items;
    struct json_value message, m[MESSAGE_N];
    size_t written_n = 0, said_n = 0;
    int has_words = 1;
    seen.seen_n = 0; /* its places are written before they are read */
    json_items_init(&items, messages);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &message)) {
        if (!read_message(&message, m))
            continue;
        enum role role = role_of(&m[ROLE]);
        if (has_words && role != SYSTEM) {
            written_n += (size_t)write_words(a, tools, written_n);
            has_words = 0;
        }
        json_write_text(&a->w, written_n++ ? "," : "");
        write_message(a, items.read_n - 1, role, m, &seen);
        said_n++;
    }
    if (has_words)
        write_words(a, tools, written_n);
    return said_n;
}

void openai_messages(struct openai_ask *a, const struct json_value *messages, const struct openai_tools *tools)
{
    json_write_text(&a->w, ",\"messages\":[");
    if (messages->kind != JSON_ARRAY)
        mistakes_add(&a->mistakes, "messages: %s", openai_is_there(messages) ? "must be an array" : "missing; it must be an array of messages");
    else if (write_all(a, messages, tools) == 0 && !mistakes_are_many(&a->mistakes))
        mistakes_add(&a->mistakes, "messages: empty; at least one is needed");
    json_write_text(&a->w, "]");
}
