/*
 * translate: another API's requests as Ollama's own, and Ollama's answers as that API's. /v1 is translated here and not by
 * Ollama, as its own translation can neither set options nor tell an error in the middle of a stream. And the other way round,
 * where a backend speaks OpenAI's API.
 *
 * Texts are copied as they stand, escapes included: numbers beyond 2^53 and \u0000 arrive as they were sent. What an answer
 * looks like is in the file of its API.
 */
#ifndef PROXY_TRANSLATE_H
#define PROXY_TRANSLATE_H

#include "proxy/route.h"
#include "proxy/translation.h"

/* How this API is translated for a backend that speaks that one; NULL where it is not: what is asked for passes as it is. */
const struct translate_ops *translate_ops_of(enum route_api api, enum backend_api backend);
/* The same for one that speaks OpenAI's API, and whose model has no chat template, where that is a difference; else NULL. */
const struct translate_ops *translate_ops_of_text(enum route_api api);

#endif
