/*
 * openai_tools: the tools of a chat, and which of them may be called. Sources: the API reference of /v1/chat/completions, `tools`,
 * `tool_choice`, `functions`, `function_call`; ollama/api/types.go, Tool.
 *
 * A model whose template has no place for tools is told of them in words, and how to call one, in the form in which
 * openai_call.h writes the calls of the past. Ollama would refuse the request.
 */
#ifndef PROXY_OPENAI_TOOLS_H
#define PROXY_OPENAI_TOOLS_H

#include "proxy/openai_ask.h"

/* What the words begin with, and what stands before the list: a line of JSON for each tool. */
#define OPENAI_TOOLS_BEGIN "You can call tools. To call one, write a block of just this form"
#define OPENAI_TOOLS_END "These are the tools, with the JSON schemas of their arguments:"

/* … and what stands before a result, which is a message of the user's then. */
#define OPENAI_TOOLS_RESULT "[tool result"

struct openai_tools {
    struct json_value list; /* tools, else functions; JSON_NULL: none, or none may be called */
    struct json_value only; /* the name of the one that must be called; JSON_NULL: any */
    int is_required;        /* one must be called */
    int is_as_sent;         /* each of the list is as Ollama wants it */
    size_t usable_n;
};

/* What is sent of them, each of which may be absent. */
struct openai_tools_sent {
    const struct json_value *tools, *tool_choice, *functions, *function_call;
};

/* What of it may be called; mistakes are told. */
void openai_tools_read(struct openai_ask *a, struct openai_tools *tools, const struct openai_tools_sent *sent);
/* `"tools":[…]` with a comma before it, where the model takes them. */
void openai_tools_write(struct openai_ask *a, const struct openai_tools *tools);
/* Whether the model has to be told something in words; and that, as a message of the role system. */
int openai_tools_has_words(const struct openai_ask *a, const struct openai_tools *tools);
void openai_tools_words(struct openai_ask *a, const struct openai_tools *tools);

#endif
