/* See ollama_prompt.h. Texts are copied as they stand between their quotes, escapes included. */
#include "proxy/ollama_prompt.h"

#include <stdio.h>

static const char *speaker_of(const struct json_value *role)
{
    if (json_read_is(role, "assistant"))
        return "Assistant: ";
    return json_read_is(role, "system") || json_read_is(role, "developer") ? "System: " : "User: ";
}

static void write_content(struct openai_ask *a, const struct json_value *content, const char *name)
{
    static const char *const names[] = {"text"};
    struct json_items parts;
    struct json_value part, text;
    if (content->kind == JSON_STRING) {
        json_write_bytes(&a->w, content->at + 1, content->n - 2);
        return;
    }
    for (json_items_init(&parts, content); json_items_next(&parts, &part);) {
        json_read_object(&part, names, 1, JSON_FOLDED, &text);
        if (text.kind == JSON_STRING)
            json_write_bytes(&a->w, text.at + 1, text.n - 2);
        else
            mistakes_add(&a->mistakes, "%s[%zu]: must be a text, as the model has no chat template", name, parts.read_n - 1);
    }
}

static void write_said(struct openai_ask *a, const struct json_value *message, size_t nth)
{
    static const char *const names[] = {"role", "content", "images", "tool_calls"};
    struct json_value m[4];
    char name[48];
    json_read_object(message, names, 4, JSON_FOLDED, m);
    if (message->kind != JSON_OBJECT)
        mistakes_add(&a->mistakes, "messages[%zu]: must be an object with role and content", nth);
    else if (m[0].kind != JSON_STRING || json_read_is(&m[0], "tool"))
        mistakes_add(&a->mistakes, "messages[%zu].role: must be system, user or assistant, as the model has no chat template", nth);
    if (!ollama_is_empty(&m[2]) || !ollama_is_empty(&m[3]))
        mistakes_add(&a->mistakes, "messages[%zu]: images and tool_calls are not for a model that has no chat template", nth);
    snprintf(name, sizeof name, "messages[%zu].content", nth);
    json_write_text(&a->w, speaker_of(&m[0]));
    if (openai_is_a(a, &m[1], OPENAI_KIND(JSON_STRING) | OPENAI_KIND(JSON_ARRAY), name, "a string, or an array of parts that are texts"))
        write_content(a, &m[1], name);
    json_write_text(&a->w, "\\n");
}

static void write_prompt(struct openai_ask *a, const struct json_value *messages)
{
    struct json_items items;
    struct json_value message;
    json_write_text(&a->w, ",\"prompt\":\"");
    json_items_init(&items, messages);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &message))
        if (message.kind != JSON_NULL)
            write_said(a, &message, items.read_n - 1);
    json_write_text(&a->w, "Assistant: \"");
}

/* Whether the client has said where to stop, in whatever words. */
static int has_stop(const struct openai_ask *a, const struct ollama_ask_rules *rules)
{
    static const char *const names[] = {"stop"};
    struct json_value stop;
    json_read_object(&a->values[OLLAMA_OPTIONS], names, 1, JSON_EXACT, &stop);
    return openai_is_there(&stop) || (rules->flat && openai_is_there(&rules->flat[OLLAMA_FLAT_STOP]));
}

static void write_stop(struct openai_ask *a)
{
    json_write_text(&a->w, ",\"stop\":[\"\\nUser:\"]");
}

void ollama_prompt_conversation(struct openai_ask *a, const struct json_value *stop, const struct json_value *messages)
{
    if (openai_is_there(stop))
        json_write_member(&a->w, "stop", stop);
    else
        write_stop(a);
    write_prompt(a, messages);
}

void ollama_prompt_write(struct openai_ask *a, const struct ollama_ask_rules *rules, const struct json_value *messages, int has_tools)
{
    static const enum ollama_ask_member unknown[] = {OLLAMA_THINK, OLLAMA_LOGPROBS, OLLAMA_TOP_LOGPROBS};
    static const char *const names[] = {OLLAMA_ASK_NAMES};
    if (has_tools)
        mistakes_add(&a->mistakes, "tools: not for a model that has no chat template");
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const struct json_value *value = &a->values[unknown[i]];
        if (openai_is_there(value) && value->kind != JSON_FALSE)
            mistakes_add(&a->mistakes, "%s: not for a model that has no chat template", names[unknown[i]]);
    }
    ollama_ask_write(a, rules);
    if (!has_stop(a, rules))
        write_stop(a);
    write_prompt(a, messages);
}
