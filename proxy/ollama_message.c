/*
 * See ollama_message.h. Ollama's clients may call a tool without an id, and answer by its name, or by nothing but their order; the other API
 * wants the id in both places. Where there is none it is made from the call's number: nine letters and digits, as some servers insist on.
 */
#include "proxy/ollama_message.h"

#include "proxy/ollama_image.h"

#include <stdio.h>

enum { CALLS_MAX = 64, ID_BYTES = 32 };

enum { ROLE, CONTENT, IMAGES, TOOL_CALLS, TOOL_NAME, TOOL_CALL_ID, MESSAGE_N };
static const char *const message_names[] = {"role", "content", "images", "tool_calls", "tool_name", "tool_call_id"};

/* The last calls that were made, and which of them was answered. */
struct calls {
    struct {
        struct json_value id, name; /* id: may be none */
        size_t number;
        int is_answered;
    } items[CALLS_MAX];
    size_t seen_n;
};

static void write_made_up(struct openai_ask *a, size_t number)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "\"call%05zu\"", number % 100000);
    json_write_text(&a->w, id);
}

static void write_call(struct openai_ask *a, size_t index, size_t call_index, const struct json_value *call, struct calls *calls)
{
    static const char *const names[] = {"id", "function"}, *const function_names[] = {"name", "arguments"};
    struct json_value v[2], function[2];
    size_t number = calls->seen_n++, place = number % CALLS_MAX;
    json_read_object(call, names, 2, JSON_FOLDED, v);
    json_read_object(&v[1], function_names, 2, JSON_FOLDED, function);
    if (function[0].kind != JSON_STRING)
        mistakes_add(&a->mistakes, "messages[%zu].tool_calls[%zu].function.name: must be a string", index, call_index);
    if (openai_is_there(&function[1]) && function[1].kind != JSON_OBJECT)
        mistakes_add(&a->mistakes, "messages[%zu].tool_calls[%zu].function.arguments: must be an object", index, call_index);
    calls->items[place].id = v[0].kind == JSON_STRING && v[0].n > 2 ? v[0] : (struct json_value){.kind = JSON_NULL};
    calls->items[place].name = function[0];
    calls->items[place].number = number;
    calls->items[place].is_answered = 0;
    json_write_text(&a->w, call_index ? ",{\"id\":" : "{\"id\":");
    if (calls->items[place].id.at)
        json_write_value(&a->w, &v[0]);
    else
        write_made_up(a, number);
    json_write_text(&a->w, ",\"type\":\"function\",\"function\":{\"name\":");
    json_write_value(&a->w, &function[0]);
    json_write_text(&a->w, ",\"arguments\":");
    json_write_string(&a->w, function[1].at ? function[1].at : "{}", function[1].at ? function[1].n : 2);
    json_write_text(&a->w, "}}");
}

static void write_calls(struct openai_ask *a, size_t index, const struct json_value *value, struct calls *calls)
{
    struct json_items items;
    struct json_value call;
    char name[48];
    snprintf(name, sizeof name, "messages[%zu].tool_calls", index);
    if (!openai_is_a(a, value, OPENAI_KIND(JSON_ARRAY), name, "an array"))
        return;
    json_items_init(&items, value);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &call)) {
        json_write_text(&a->w, items.read_n == 1 ? ",\"tool_calls\":[" : "");
        write_call(a, index, items.read_n - 1, &call, calls);
    }
    json_write_text(&a->w, items.read_n ? "]" : "");
}

static int is_same(const struct json_value *a, const struct json_value *b)
{
    return a->kind == JSON_STRING && b->kind == JSON_STRING && a->n == b->n && memcmp(a->at, b->at, a->n) == 0;
}

/* The call that a tool's message answers: by its id; else the first of its name that nobody has answered; else the first such of any name,
 * where it names none. */
static size_t find_answered(const struct calls *calls, const struct json_value *id, const struct json_value *name)
{
    size_t kept_n = calls->seen_n < CALLS_MAX ? calls->seen_n : CALLS_MAX;
    for (size_t number = calls->seen_n - kept_n; number < calls->seen_n; number++) {
        size_t i = number % CALLS_MAX;
        if (id->kind == JSON_STRING ? is_same(&calls->items[i].id, id)
                                    : !calls->items[i].is_answered && (name->kind != JSON_STRING || is_same(&calls->items[i].name, name)))
            return i;
    }
    return CALLS_MAX;
}

static void write_answered(struct openai_ask *a, const struct json_value *m, struct calls *calls)
{
    static const struct json_value none = {.kind = JSON_NULL};
    const struct json_value *id = m[TOOL_CALL_ID].kind == JSON_STRING && m[TOOL_CALL_ID].n > 2 ? &m[TOOL_CALL_ID] : &none;
    if (!json_read_is(&m[ROLE], "tool"))
        return;
    size_t i = find_answered(calls, id, &m[TOOL_NAME]);
    if (i < CALLS_MAX)
        calls->items[i].is_answered = 1;
    if (i < CALLS_MAX && calls->items[i].id.at)
        id = &calls->items[i].id;
    json_write_text(&a->w, ",\"tool_call_id\":");
    if (id->at)
        json_write_value(&a->w, id);
    else
        write_made_up(a, i < CALLS_MAX ? calls->items[i].number : calls->seen_n);
}

static void write_message(struct openai_ask *a, size_t index, const struct json_value *message, struct calls *calls)
{
    struct json_value m[MESSAGE_N];
    char name[48];
    json_read_object(message, message_names, MESSAGE_N, JSON_FOLDED, m);
    snprintf(name, sizeof name, "messages[%zu]%s", index, message->kind == JSON_OBJECT ? ".role" : "");
    if (message->kind != JSON_OBJECT)
        mistakes_add(&a->mistakes, "%s: must be an object with role and content", name);
    else if (m[ROLE].kind != JSON_STRING)
        mistakes_add(&a->mistakes, "%s: must be a string: system, user, assistant or tool", name);
    json_write_text(&a->w, "{\"role\":");
    json_write_value(&a->w, &m[ROLE]);
    snprintf(name, sizeof name, "messages[%zu].content", index);
    (void)openai_is_a(a, &m[CONTENT], OPENAI_KIND(JSON_STRING), name, "a string");
    json_write_text(&a->w, ",\"content\":");
    snprintf(name, sizeof name, "messages[%zu].images", index);
    ollama_content(a, &m[CONTENT], &m[IMAGES], name);
    write_calls(a, index, &m[TOOL_CALLS], calls);
    write_answered(a, m, calls);
    json_write_text(&a->w, "}");
}

void ollama_messages(struct openai_ask *a, const struct json_value *messages)
{
    struct calls calls;
    struct json_items items;
    struct json_value message;
    size_t written_n = 0;
    calls.seen_n = 0; /* its places are written before they are read */
    json_items_init(&items, messages);
    json_write_text(&a->w, ",\"messages\":[");
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &message)) {
        if (message.kind == JSON_NULL)
            continue;
        json_write_text(&a->w, written_n++ ? "," : "");
        write_message(a, items.read_n - 1, &message, &calls);
    }
    json_write_text(&a->w, "]");
}
