/*
 * openai_message: the messages of a chat as Ollama's own. Source: the API reference of /v1/chat/completions, `messages`;
 * ollama/openai/openai.go.
 *
 * A message stays one message: its text parts become one text, a blank line between them, and its images stand beside it.
 * Ollama makes a message of each part and puts the blank lines between them itself, where the model's template is one of its
 * old kind. What is none is left out, so that nothing that an agent sends fails.
 */
#ifndef PROXY_OPENAI_MESSAGE_H
#define PROXY_OPENAI_MESSAGE_H

#include "proxy/openai_tools.h"

/* `"messages":[…]`, with a comma before it; what the model has to be told of its tools stands behind the first messages of the system. */
void openai_messages(struct openai_ask *a, const struct json_value *messages, const struct openai_tools *tools);

#endif
