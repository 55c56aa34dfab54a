/*
 * ollama_image: images as Ollama has them, base64 in an array, as parts of a message's content, with addresses that are data URIs
 * (RFC 2397). Sources: ollama docs/api.md; the API reference of /v1/chat/completions, `image_url`.
 */
#ifndef PROXY_OLLAMA_IMAGE_H
#define PROXY_OLLAMA_IMAGE_H

#include "proxy/openai_ask.h"

/* Content that is a text and images: `"text"`, or an array of parts where there are images. text: a string, or none. where: their
 * place, for mistakes, as messages[2].images. */
void ollama_content(struct openai_ask *a, const struct json_value *text, const struct json_value *images, const char *where);

#endif
