/*
 * told: what an error of the backend's own is, for machines: its words are told as they are, beside one of OpenAI's codes.
 */
#ifndef PROXY_TOLD_H
#define PROXY_TOLD_H

/* The code of an error with this status and text, a literal: model_not_found, context_length_exceeded; NULL: there is none.
 * Source: ollama server/routes.go and llm/server.go, v0.9.5 and newer; https://platform.openai.com/docs/guides/error-codes. */
const char *told_code(int status, const char *text);

#endif
