/*
 * route: which paths there are, and what each is: the one table that decides what may reach the backend.
 */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "proxy/message.h"

enum route_right { RIGHT_NONE, RIGHT_INFERENCE, RIGHT_OBSERVE, RIGHT_MANAGE };

/* Who answers. */
enum route_kind { ROUTE_BACKEND, ROUTE_HEALTH, ROUTE_LIVE, ROUTE_READY, ROUTE_METRICS, ROUTE_STATUS, ROUTE_MEMBER, ROUTE_SERVE, ROUTE_UI };

/* What is done with a request's body: held whole, or passed on as it comes. */
enum route_body { ROUTE_HELD, ROUTE_STREAMED };

/* The shape of errors. */
enum route_dialect {
    DIALECT_OLLAMA,
    DIALECT_OPENAI,
    DIALECT_ANTHROPIC,
    DIALECT_RESPONSES, /* OpenAI's, within a stream whose events have names; of no route */
    DIALECT_SERVE,     /* the model server's: Ollama's, and the same under `detail`, where clients of FastAPI servers look for it */
};

/* What an answer is to look like: as what a client is kept waiting (answer.h). */
enum route_shape {
    SHAPE_OTHER,  /* no JSON, or nobody knows */
    SHAPE_JSON,   /* one object */
    SHAPE_LINES,  /* objects, a line each, unless the request says "stream": false */
    SHAPE_LINES_ASKED, /* … where it says "stream": true, else one object */
    SHAPE_EVENTS, /* server-sent events where the request says "stream": true, else one object */
};

/* What the request's body says, as far as it is read here. */
enum route_api {
    API_OTHER, API_GENERATE, API_CHAT, API_EMBED, API_EMBED_ONE, API_OPENAI_CHAT, API_OPENAI_TEXT, API_OPENAI_EMBED, API_OPENAI_MODELS, API_PRESET,
    API_TAGS, API_LOADED, API_SHOW, API_SERVE_PULL, API_SERVE_CHAT, API_SERVE_MODELS, API_SERVE_MODEL,
    API_SIDECAR_STATUS, API_SIDECAR_EVENTS, API_SIDECAR_REQUESTS, API_SIDECAR_CANCEL, API_SIDECAR_LOGS, API_SIDECAR_SETTINGS, API_SIDECAR_MODELS,
    API_SIDECAR_LOAD, API_SIDECAR_UNLOAD,
};

/* What a backend speaks. */
enum backend_api { BACKEND_API_OLLAMA, BACKEND_API_OPENAI };

/* What answers a request while Ollama is asleep. */
enum route_asleep {
    ASLEEP_WAKES,  /* Ollama, which is woken by it */
    ASLEEP_KNOWN,  /* what it answered last, by the path */
    ASLEEP_SHOW,   /* … by the model; one that was never asked for wakes it */
    ASLEEP_MODEL,  /* its list of models, or one of it, in the words of another API */
    ASLEEP_LOADED, /* nothing is loaded */
    ASLEEP_UNLOADED, /* … and so there is nothing to unload */
};

struct route {
    const char *path; /* a trailing `*` stands for one or more segments, a trailing `:` for exactly one */
    unsigned methods; /* enum method bits; OPTIONS is added for what the backend, or the model server, answers */
    enum route_kind kind;
    enum route_right right;
    enum route_body body;
    enum route_dialect dialect;
    int is_activity; /* needs model work or changes models: keeps everything awake */
    int needs_model; /* waits at the gate for its own model */
    enum route_asleep asleep;
    enum route_shape shape;
    enum route_api api;
};

enum route_verdict { ROUTE_FOUND, ROUTE_UNKNOWN, ROUTE_WRONG_METHOD, ROUTE_BAD_PATH };

/* *out: the row, set for FOUND and WRONG_METHOD. path: as it came, without the query. */
enum route_verdict route_find(enum method method, const char *path, size_t path_n, const struct route **out);

/* A piece of a path that is plain, decoded and NUL-terminated. 0, or -EINVAL where it is none, or does not fit. */
int route_decode(const char *at, size_t n, char *out, size_t out_n) WARN_UNUSED;

/* Whether its path is below /sidecar/: about this process, and what it runs. */
int route_is_sidecars(const struct route *r);

/* What a sender under this path expects an error to look like, known path or not. */
enum route_dialect route_dialect(const char *path, size_t path_n);

/* What to do without a path that is not there, as a clause; "" where nothing is known. */
const char *route_hint(const char *path, size_t path_n);

/* `GET, HEAD`: for the Allow header. RFC 9110 section 10.2.1 */
void route_allow(const struct route *r, char *out, size_t out_n);

/* The table, for tests and documents. */
const struct route *route_table(size_t *n);

#endif
