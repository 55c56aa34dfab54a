/* See ollama_chat.h: requests. */
#include "proxy/ollama_chat.h"

#include "proxy/ollama_answer.h"
#include "proxy/ollama_ask.h"
#include "proxy/ollama_image.h"
#include "proxy/ollama_message.h"

#include <errno.h>

enum { ADDED_BYTES = 1024 };

static const struct translate_ops text_ops;

/* Mostly enough, so that images are not moved while it grows. */
static int begin(struct openai_ask *a, size_t json_n)
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

static int is_empty(const struct json_value *array)
{
    struct json_items items;
    struct json_value item;
    json_items_init(&items, array);
    return !json_items_next(&items, &item);
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
    if (begin(&a, json_n) == 0 && is_empty(&v[MESSAGES]))
        return ollama_ask_nothing(&a, "\"message\":{\"role\":\"assistant\",\"content\":\"\"}");
    ollama_ask_write(&a, NULL);
    if (openai_is_a(&a, &v[TOOLS], OPENAI_KIND(JSON_ARRAY), "tools", "an array") && !is_empty(&v[TOOLS]))
        json_write_member(&a.w, "tools", &v[TOOLS]);
    ollama_messages(&a, &v[MESSAGES]);
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

static int generate_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value v[GENERATE_N];
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, generate_names, GENERATE_N, v, out, why) < 0)
        return -EINVAL;
    for (int i = PROMPT; i <= SYSTEM; i++)
        (void)openai_is_a(&a, &v[i], OPENAI_KIND(JSON_STRING), generate_names[i], "a string");
    if (!is_empty(&v[CONTEXT]))
        mistakes_add(&a.mistakes, "context: tokens of another answer mean nothing to this model's server; send the conversation to /api/chat");
    if (begin(&a, json_n) == 0 && !has_text(&v[PROMPT]))
        return ollama_ask_nothing(&a, "\"response\":\"\"");
    int is_raw = openai_is_a(&a, &v[RAW], OPENAI_BOOLEAN, "raw", "true or false") && v[RAW].kind == JSON_TRUE;
    if (!is_raw && !has_text(&v[SUFFIX])) {
        ollama_ask_write(&a, NULL);
        write_conversation(&a);
        return openai_ask_end(&a);
    }
    t->ops = &text_ops;
    ollama_ask_write(&a, "null"); /* OpenAI's own default is 16; null is nobody's limit */
    if (!is_empty(&v[IMAGES]))
        mistakes_add(&a.mistakes, "images: not with %s", is_raw ? "raw" : "suffix");
    json_write_member(&a.w, "prompt", &v[PROMPT]);
    if (has_text(&v[SUFFIX]))
        json_write_member(&a.w, "suffix", &v[SUFFIX]);
    return openai_ask_end(&a);
}

#define CHAT "/v1/chat/completions"
#define ANSWERS .object = ollama_answer_object, .end = ollama_answer_end, .fini = ollama_turn_fini, .is_openai = 1

const struct translate_ops ollama_chat_ops = {.target = CHAT, .request = chat_request, .said = OLLAMA_SAID_MESSAGE, ANSWERS};
const struct translate_ops ollama_generate_ops = {.target = CHAT, .request = generate_request, .said = OLLAMA_SAID_RESPONSE, ANSWERS};
/* A prompt that is not made a conversation. */
static const struct translate_ops text_ops = {.target = "/v1/completions", .request = generate_request, .said = OLLAMA_SAID_RESPONSE, ANSWERS};
