/*
 * openai_call: calls of tools in the messages of a chat, and whose results the others are. Sources: the API reference of
 * /v1/chat/completions, `messages[].tool_calls`, `function_call`; ollama/api/types.go, ToolCall.
 */
#ifndef PROXY_OPENAI_CALL_H
#define PROXY_OPENAI_CALL_H

#include "proxy/openai_ask.h"

enum {
    OPENAI_CALLS_MAX = 64,
    OPENAI_CALL_NAME_BYTES = 128, /* OpenAI's names have 64 characters at the most: a body does not grow without bound */
};

/* The last calls: what answers one of them says its id alone, and Ollama wants the tool's name. Bounded, as every answer looks for its
 * call; agents answer at once. seen_n = 0 at first; the places are written before they are read. */
struct openai_calls {
    struct {
        struct json_value id, name;
    } items[OPENAI_CALLS_MAX];
    size_t seen_n;
};

/* `"tool_calls":[…]` with a comma before it, of an array or of the one call of function_call; nothing where there is none. What is no
 * call is left out. */
void openai_calls_write(struct openai_ask *a, const struct json_value *calls, struct openai_calls *seen);
/* The same as text, a line for each, in an open string; is_behind: something stands there already. */
void openai_calls_write_text(struct openai_ask *a, const struct json_value *calls, struct openai_calls *seen, int is_behind);
/* The name of the tool that was called under this id, the last one; NULL where nobody called. */
const struct json_value *openai_calls_name(const struct openai_calls *seen, const struct json_value *id);

#endif
