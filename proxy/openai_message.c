/* See openai_message.h. Each message is read once for its members, and copied from where they stand. */
#include "proxy/openai_message.h"

#include "proxy/openai_part.h"

#include <errno.h>

enum {
    CALLS_MAX = 64,
    CALL_NAME_BYTES = 128, /* OpenAI's names have 64 characters at the most: a body does not grow without bound */
};

enum { ROLE, CONTENT, TOOL_CALLS, NAME, TOOL_CALL_ID, REASONING, MESSAGE_N };
static const char *const message_names[] = {"role", "content", "tool_calls", "name", "tool_call_id", "reasoning"};

/* The last tool calls: what answers one of them says its id alone, and Ollama wants the tool's name. Bounded, as every answer
 * looks for its call; agents answer at once. */
struct calls {
    struct {
        struct json_value id, name;
    } items[CALLS_MAX];
    size_t seen_n;
};

static void wrong(struct openai_ask *a, size_t index, const char *member, const char *what)
{
    mistakes_add(&a->mistakes, "messages[%zu]%s: %s", index, member, what);
}

static void wrong_call(struct openai_ask *a, size_t index, size_t call_index, const char *member, const char *what)
{
    mistakes_add(&a->mistakes, "messages[%zu].tool_calls[%zu]%s: %s", index, call_index, member, what);
}

static void write_role(struct openai_ask *a, const struct json_value *role)
{
    json_write_text(&a->w, "{\"role\":");
    if (json_read_is(role, "developer"))
        json_write_text(&a->w, "\"system\"");
    else if (json_read_is(role, "function"))
        json_write_text(&a->w, "\"tool\"");
    else
        json_write_value(&a->w, role);
}

static void write_content(struct openai_ask *a, size_t index, const struct json_value *m)
{
    const struct json_value *content = &m[CONTENT];
    json_write_text(&a->w, ",\"content\":");
    if (content->kind == JSON_ARRAY) {
        openai_parts(a, index, content);
        return;
    }
    if (content->kind == JSON_STRING) {
        json_write_value(&a->w, content);
        return;
    }
    json_write_text(&a->w, "\"\"");
    if (openai_is_there(content))
        wrong(a, index, ".content", "must be a string, or an array of parts");
    else if (!openai_is_there(&m[TOOL_CALLS]))
        wrong(a, index, ".content", "missing; it may be so only where tool_calls are there");
}

/* What stands in `arguments` is an object, written as a string: its escapes are undone. A call without arguments is an empty one. */
static void write_arguments(struct openai_ask *a, size_t index, size_t call_index, const struct json_value *arguments)
{
    size_t before_n = buf_size(a->w.out);
    struct json_value object;
    const char *at;
    if (arguments->kind == JSON_OBJECT || !openai_is_there(arguments)) {
        json_write_bytes(&a->w, arguments->at ? arguments->at : "{}", arguments->at ? arguments->n : 2);
        return;
    }
    ssize_t n = arguments->kind == JSON_STRING ? json_write_decoded(&a->w, json_read_text(arguments), &at) : -EINVAL;
    if (a->w.error)
        return;
    struct json_walk w = {n > 0 ? at : NULL, n > 0 ? at + n : NULL};
    if (n > 0)
        json_space(&w);
    if (n >= 0 && w.at == w.end) {
        buf_truncate(a->w.out, before_n);
        json_write_text(&a->w, "{}");
        return;
    }
    int error = n < 0 ? -EINVAL : json_value(&w, &object);
    if (!error)
        json_space(&w);
    if (error || object.kind != JSON_OBJECT || w.at < w.end)
        wrong_call(a, index, call_index, ".function.arguments", "must be a JSON object, written as a string");
}

static void write_call(struct openai_ask *a, size_t index, size_t call_index, const struct json_value *call, struct calls *calls)
{
    static const char *const names[] = {"id", "function"}, *const function_names[] = {"name", "arguments"};
    struct json_value v[2], function[2];
    json_read_object(call, names, 2, JSON_FOLDED, v);
    json_read_object(&v[1], function_names, 2, JSON_FOLDED, function);
    if (function[0].kind != JSON_STRING)
        wrong_call(a, index, call_index, ".function.name", "must be a string");
    json_write_text(&a->w, call_index ? ",{" : "{");
    if (v[0].kind == JSON_STRING) {
        json_write_text(&a->w, "\"id\":");
        json_write_value(&a->w, &v[0]);
        json_write_text(&a->w, ",");
    } else if (openai_is_there(&v[0])) {
        wrong_call(a, index, call_index, ".id", "must be a string");
    }
    json_write_text(&a->w, "\"function\":{\"name\":");
    json_write_value(&a->w, &function[0]);
    json_write_text(&a->w, ",\"arguments\":");
    write_arguments(a, index, call_index, &function[1]);
    json_write_text(&a->w, "}}");
    if (v[0].kind == JSON_STRING && function[0].kind == JSON_STRING) {
        size_t place = calls->seen_n++ % CALLS_MAX;
        calls->items[place].id = v[0];
        calls->items[place].name = function[0];
    }
}

static void write_calls(struct openai_ask *a, size_t index, const struct json_value *value, struct calls *calls)
{
    struct json_items items;
    struct json_value call;
    if (!openai_is_there(value))
        return;
    if (value->kind != JSON_ARRAY) {
        wrong(a, index, ".tool_calls", "must be an array");
        return;
    }
    json_write_text(&a->w, ",\"tool_calls\":[");
    json_items_init(&items, value);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &call))
        write_call(a, index, items.read_n - 1, &call, calls);
    json_write_text(&a->w, "]");
}

/* The name of the tool that was called under this id, the last one; NULL where nobody called. */
static const struct json_value *called_name(const struct calls *calls, const struct json_value *id)
{
    size_t n = calls->seen_n < CALLS_MAX ? calls->seen_n : CALLS_MAX;
    for (size_t i = 1; i <= n; i++) {
        size_t place = (calls->seen_n - i) % CALLS_MAX;
        const struct json_value *other = &calls->items[place].id, *name = &calls->items[place].name;
        if (other->n == id->n && memcmp(other->at, id->at, id->n) == 0)
            return name->n <= CALL_NAME_BYTES ? name : NULL;
    }
    return NULL;
}

/* Whose answer it is. An Ollama that does not know these names does not read them. */
static void write_answered(struct openai_ask *a, size_t index, const struct json_value *m, const struct calls *calls)
{
    const struct json_value *id = &m[TOOL_CALL_ID], *name = &m[NAME];
    if (!json_read_is(&m[ROLE], "tool") && !json_read_is(&m[ROLE], "function"))
        return;
    if (openai_is_there(id) && id->kind != JSON_STRING) {
        wrong(a, index, ".tool_call_id", "must be a string");
        return;
    }
    if ((name->kind != JSON_STRING || name->n == 2) && id->kind == JSON_STRING)
        name = called_name(calls, id);
    if (name && name->kind == JSON_STRING)
        json_write_member(&a->w, "tool_name", name);
    if (id->kind == JSON_STRING)
        json_write_member(&a->w, "tool_call_id", id);
}

static void write_message(struct openai_ask *a, size_t index, const struct json_value *message, struct calls *calls)
{
    struct json_value m[MESSAGE_N];
    if (message->kind != JSON_OBJECT) {
        wrong(a, index, "", "must be an object with role and content");
        return;
    }
    json_read_object(message, message_names, MESSAGE_N, JSON_FOLDED, m);
    if (m[ROLE].kind != JSON_STRING)
        wrong(a, index, ".role", "must be a string: system, developer, user, assistant or tool");
    write_role(a, &m[ROLE]);
    write_content(a, index, m);
    if (m[REASONING].kind == JSON_STRING)
        json_write_member(&a->w, "thinking", &m[REASONING]);
    write_calls(a, index, &m[TOOL_CALLS], calls);
    write_answered(a, index, m, calls);
    json_write_text(&a->w, "}");
}

void openai_messages(struct openai_ask *a, const struct json_value *messages)
{
    struct calls calls;
    struct json_items items;
    struct json_value message;
    calls.seen_n = 0; /* its places are written before they are read */
    json_items_init(&items, messages);
    json_write_text(&a->w, ",\"messages\":[");
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &message)) {
        json_write_text(&a->w, items.read_n > 1 ? "," : "");
        write_message(a, items.read_n - 1, &message, &calls);
    }
    json_write_text(&a->w, "]");
    if (messages->kind == JSON_ARRAY && items.read_n == 0)
        mistakes_add(&a->mistakes, "messages: empty; at least one is needed");
    else if (messages->kind != JSON_ARRAY)
        mistakes_add(&a->mistakes, "messages: %s", openai_is_there(messages) ? "must be an array" : "missing; it must be an array of messages");
}
