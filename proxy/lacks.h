/*
 * lacks: whether an error says that a backend does not know a path at all, and what its client can do then. Some APIs came late: an
 * older Ollama, and many other servers, have neither /v1/responses nor /v1/messages. Pure.
 */
#ifndef PROXY_LACKS_H
#define PROXY_LACKS_H

#include "proxy/route.h"

/* Whether a path is one that not every backend has, and that is passed on as it is. */
static inline int lacks_may(const struct route *route)
{
    return route->api == API_OTHER && route->dialect != DIALECT_OLLAMA && (route->methods & METHOD_POST);
}

/* Whether the body of an answer with this status is about the path (or its method), and not about a model, or something else that the request
 * names: as text, or in one of the shapes that gin, FastAPI, llama-server, OpenAI and LM Studio give it. */
int lacks_path(int status, const char *body, size_t body_n);

/* What to do without this path of the table of routes; "" where nothing is known. Versions by Ollama's release notes. */
const char *lacks_advice(const char *path);

#endif
