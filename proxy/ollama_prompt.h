/*
 * ollama_prompt: a conversation for a model that has no chat template: it becomes one text, which the model goes on with (R1.3).
 *
 *     System: Be brief.
 *     User: Hi!
 *     Assistant:
 *
 * Where nothing is said of where to stop, it stops where the model would go on with the user's words.
 */
#ifndef PROXY_OLLAMA_PROMPT_H
#define PROXY_OLLAMA_PROMPT_H

#include "proxy/ollama_ask.h"

/* From the opening brace on: all that rules and a->values say, and `prompt`. What such a model has no place for is a mistake: tools, images, steps
 * of thinking. */
void ollama_prompt_write(struct openai_ask *a, const struct ollama_ask_rules *rules, const struct json_value *messages, int has_tools);
/* `,"stop":…,"prompt":…` of a conversation of OpenAI's API; stop: where the client wants it to stop, or absent. */
void ollama_prompt_conversation(struct openai_ask *a, const struct json_value *stop, const struct json_value *messages);

#endif
