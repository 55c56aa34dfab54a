/* See ollama_chat.h: requests. */
#include "proxy/ollama_chat.h"

#include "proxy/ollama_answer.h"
#include "proxy/ollama_ask.h"
#include "proxy/ollama_image.h"
#include "proxy/ollama_message.h"
#include "proxy/ollama_prompt.h"

#include <errno.h>

enum { ADDED_BYTES = 1024 };

static const struct translate_ops text_ops, text_chat_ops;

/* OpenAI's own default is 16; null is nobody's limit. */
static const struct ollama_ask_rules of_chat, of_text = {.max_tokens = "null", .no_limit = "null"};

/* Mostly enough, so that images are not moved while it grows. */
int ollama_chat_begin(struct openai_ask *a, size_t json_n)
{
    char *room;
    if (json_n + ADDED_BYTES <= buf_left(a->w.out))
        a->w.error = buf_reserve(a->w.out, json_n + ADDED_BYTES, &room);
    if (!a->w.error && !ollama_turn_of(a->t))
        a->w.error = -ENOMEM;
    if (a->t->turn)
        a->t->turn->asked_ms = a->t->now_ms;
    return a->w.error;
}

void ollama_chat_write(struct openai_ask *a, const struct ollama_ask_rules *rules, const struct json_value *messages, const struct json_value *tools)
{
    int has_tools = openai_is_a(a, tools, OPENAI_KIND(JSON_ARRAY), "tools", "an array") && !ollama_is_empty(tools);
    if (a->t->lacks & TRANSLATE_TEMPLATE) {
        ollama_prompt_write(a, rules, messages, has_tools);
        return;
    }
    ollama_ask_write(a, rules);
    if (has_tools)
        json_write_member(&a->w, "tools", tools);
    ollama_messages(a, messages);
}

static int chat_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    enum { MESSAGES = OLLAMA_ASK_N, TOOLS, CHAT_N };
    static const char *const names[] = {OLLAMA_ASK_NAMES, "messages", "tools"};
    struct json_value v[CHAT_N];
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, names, CHAT_N, v, out, why) < 0)
        return -EINVAL;
    (void)openai_is_a(&a, &v[MESSAGES], OPENAI_KIND(JSON_ARRAY), "messages", "an array");
    if (ollama_chat_begin(&a, json_n) == 0 && ollama_is_empty(&v[MESSAGES]))
        return ollama_ask_nothing(&a, "\"message\":{\"role\":\"assistant\",\"content\":\"\"}");
    if (t->lacks & TRANSLATE_TEMPLATE)
        t->ops = &text_chat_ops;
    ollama_chat_write(&a, t->ops == &text_chat_ops ? &of_text : &of_chat, &v[MESSAGES], &v[TOOLS]);
    return openai_ask_end(&a);
}

enum { PROMPT = OLLAMA_ASK_N, SUFFIX, SYSTEM, IMAGES, CONTEXT, RAW, GENERATE_N };
static const char *const generate_names[] = {OLLAMA_ASK_NAMES, "prompt", "suffix", "system", "images", "context", "raw"};

static int has_text(const struct json_value *value)
{
    return value->kind == JSON_STRING && value->n > 2;
}

static void write_conversation(struct openai_ask *a)
{
    const struct json_value *v = a->values;
    json_write_text(&a->w, ",\"messages\":[{\"role\":\"");
    if (has_text(&v[SYSTEM])) {
        json_write_text(&a->w, "system\",\"content\":");
        json_write_value(&a->w, &v[SYSTEM]);
        json_write_text(&a->w, "},{\"role\":\"");
    }
    json_write_text(&a->w, "user\",\"content\":");
    ollama_content(a, &v[PROMPT], &v[IMAGES], "images");
    json_write_text(&a->w, "}]");
}

/* Without a template the system's words stand before the prompt, as at Ollama. */
static void write_prompt(struct openai_ask *a, int is_raw)
{
    const struct json_value *v = a->values;
    if (is_raw || !has_text(&v[SYSTEM]) || !(a->t->lacks & TRANSLATE_TEMPLATE)) {
        json_write_member(&a->w, "prompt", &v[PROMPT]);
        return;
    }
    json_write_text(&a->w, ",\"prompt\":\"");
    json_write_bytes(&a->w, v[SYSTEM].at + 1, v[SYSTEM].n - 2);
    json_write_text(&a->w, "\\n");
    json_write_bytes(&a->w, v[PROMPT].at + 1, v[PROMPT].n - 1);
}

static int generate_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value v[GENERATE_N];
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, generate_names, GENERATE_N, v, out, why) < 0)
        return -EINVAL;
    for (int i = PROMPT; i <= SYSTEM; i++)
        (void)openai_is_a(&a, &v[i], OPENAI_KIND(JSON_STRING), generate_names[i], "a string");
    if (!ollama_is_empty(&v[CONTEXT]))
        mistakes_add(&a.mistakes, "context: tokens of another answer mean nothing to this model's server; send the conversation to /api/chat");
    if (ollama_chat_begin(&a, json_n) == 0 && !has_text(&v[PROMPT]))
        return ollama_ask_nothing(&a, "\"response\":\"\"");
    int is_raw = openai_is_a(&a, &v[RAW], OPENAI_BOOLEAN, "raw", "true or false") && v[RAW].kind == JSON_TRUE;
    if (!is_raw && !has_text(&v[SUFFIX]) && !(t->lacks & TRANSLATE_TEMPLATE)) {
        ollama_ask_write(&a, &of_chat);
        write_conversation(&a);
        return openai_ask_end(&a);
    }
    t->ops = &text_ops;
    ollama_ask_write(&a, &of_text);
    if (!ollama_is_empty(&v[IMAGES]))
        mistakes_add(&a.mistakes, "images: not with %s", is_raw ? "raw" : has_text(&v[SUFFIX]) ? "suffix" : "a model that has no chat template");
    write_prompt(&a, is_raw);
    if (has_text(&v[SUFFIX]))
        json_write_member(&a.w, "suffix", &v[SUFFIX]);
    return openai_ask_end(&a);
}

#define CHAT "/v1/chat/completions"
#define TEXT "/v1/completions"
#define ANSWERS .object = ollama_answer_object, .end = ollama_answer_end, .fini = ollama_turn_fini, .is_openai = 1

const struct translate_ops ollama_chat_ops = {.target = CHAT, .request = chat_request, .said = OLLAMA_SAID_MESSAGE, ANSWERS};
const struct translate_ops ollama_generate_ops = {.target = CHAT, .request = generate_request, .said = OLLAMA_SAID_RESPONSE, ANSWERS};
/* A prompt that is not made a conversation, and a conversation that is made a prompt. */
static const struct translate_ops text_ops = {.target = TEXT, .request = generate_request, .said = OLLAMA_SAID_RESPONSE, ANSWERS};
static const struct translate_ops text_chat_ops = {.target = TEXT, .request = chat_request, .said = OLLAMA_SAID_MESSAGE, ANSWERS};
