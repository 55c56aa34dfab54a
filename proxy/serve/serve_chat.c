/* See serve_chat.h. */
#include "proxy/serve/serve_chat.h"

#include "proxy/ollama_answer.h"
#include "proxy/ollama_chat.h"

#include <errno.h>

static const struct translate_ops text_ops;

static int chat_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    enum { FLAT = OLLAMA_ASK_N, MESSAGES = FLAT + OLLAMA_FLAT_N, TOOLS, CHAT_N };
    static const char *const names[] = {OLLAMA_ASK_NAMES, OLLAMA_FLAT_NAMES, "messages", "tools"};
    struct json_value v[CHAT_N];
    struct ollama_ask_rules rules = {.flat = &v[FLAT], .max_tokens = "512", .temperature = "0.7", .is_whole = 1};
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, names, CHAT_N, v, out, why) < 0)
        return -EINVAL;
    if (t->lacks & TRANSLATE_TEMPLATE) {
        t->ops = &text_ops;
        rules.no_limit = "null"; /* its API's own default is 16 */
    }
    if (!openai_is_there(&v[MESSAGES]))
        mistakes_add(&a.mistakes, "messages: missing; it must be an array of objects with role and content");
    else if (openai_is_a(&a, &v[MESSAGES], OPENAI_KIND(JSON_ARRAY), "messages", "an array") && ollama_is_empty(&v[MESSAGES]))
        mistakes_add(&a.mistakes, "messages: empty; there is nothing to answer");
    if (ollama_chat_begin(&a, json_n) == 0)
        ollama_chat_write(&a, &rules, &v[MESSAGES], &v[TOOLS]);
    return openai_ask_end(&a);
}

#define ANSWERS                                                                                                                                     \
    .request = chat_request, .said = OLLAMA_SAID_MESSAGE, .object = ollama_answer_object, .end = ollama_answer_end, .fini = ollama_turn_fini, \
    .is_openai = 1, .is_unknown_null = 1

const struct translate_ops serve_chat_ops = {.target = "/v1/chat/completions", ANSWERS};
/* For a model that has no chat template. */
static const struct translate_ops text_ops = {.target = "/v1/completions", ANSWERS};
