/*
 * translation: what one request's translation knows, and what an API's translator can do (translate.h has the list of them).
 */
#ifndef PROXY_TRANSLATION_H
#define PROXY_TRANSLATION_H

#include "common/buf.h"
#include "common/json_walk.h"

enum { TRANSLATE_WHY_BYTES = 1024, TRANSLATE_ID_BYTES = 32, TRANSLATE_FRAME_BYTES = 208 };

struct translate_ops;
struct ollama_turn;
struct repair;

/* A model of a list. */
struct translate_model {
    const char *name;  /* borrowed */
    const char *owner; /* … NULL: what its name says */
    int64_t created_s; /* since 1970; 0: nobody knows */
};

/* What else decides about a list of models; each may be NULL. */
struct translate_models {
    void *context;
    int (*is_listed)(void *context, const char *name); /* whether this client may know of it */
    int (*next)(void *context, size_t nth, struct translate_model *out); /* those that are not Ollama's: 1, or 0 where there is no nth */
};

/* What a model has to be able to for a request: bits. */
enum translate_need {
    TRANSLATE_TOOLS = 1,    /* its template has a place for tools, their calls and their results */
    TRANSLATE_IMAGES = 2,   /* it sees */
    TRANSLATE_THINKING = 4, /* it thinks, where it is asked to */
    TRANSLATE_TEMPLATE = 8, /* it knows what a conversation looks like; without, it goes on with a text. Of a backend that speaks OpenAI's API alone */
};

/* Options that are written though the client has not said them: bits. */
enum translate_unsaid { TRANSLATE_UNSAID_TEMPERATURE = 1, TRANSLATE_UNSAID_TOP_P = 2 };

/* One request's. All zero: nothing is translated. */
struct translation {
    const struct translate_ops *ops;
    const char *model;           /* that it is translated for: as the client named it, or what was chosen for that; borrowed */
    int64_t created_s;           /* since 1970, for all of its events */
    char id[TRANSLATE_ID_BYTES]; /* `chatcmpl-…`, the same in all of its events; what is behind the last dash tells tool calls apart, too. Letters, digits, dashes */
    const char *code;            /* of a request that is refused, for machines, a literal; NULL: invalid_request */
    struct json_text path;       /* of a request that has no body, as it came; borrowed */
    const struct translate_models *models; /* of a list of them; borrowed; NULL: Ollama's, all of them */
    int is_stream;
    int is_usage_wanted; /* "stream_options": {"include_usage": true} */
    int is_base64;       /* "encoding_format": "base64" */
    int is_function_wanted; /* of tools `functions` were sent, their forerunner: a call is a `function_call` then, and only one */
    int is_think_asked;  /* for steps of thinking, which an older Ollama, or a model that does not think, refuses */
    const char *const *hints; /* members of the body that the backend may refuse, as not all know them: it is asked once more without. Groups, each ended by
                               * NULL, the last by one more; each is left out in its turn. NULL: none */
    int is_thinking_dropped; /* "think": false, at Ollama: what the model thinks all the same is not told */
    int has_begun;       /* an event of it has been written */
    int has_ended;       /* … and its last: nothing may come behind it */
    unsigned needs;      /* bits of translate_need that make a difference to this request; the request's translator writes them */
    unsigned lacks;      /* … those that its model is known not to have: its body does without them. Set before it is translated once more */
    unsigned unsaid;     /* bits of translate_unsaid */
    int has_tool_words;  /* the last of the system's first messages tells of tools, and is ours */
    size_t calls_n;      /* tool calls that were written */
    struct repair *repair; /* of calls that the model writes as text; owned; NULL: none are looked for */
    size_t repaired_n;   /* … that were found */
    char frame[TRANSLATE_FRAME_BYTES]; /* what all events of the stream begin with, as it was written last; frame_n 0: nothing yet, or it does not fit */
    uint16_t frame_n, frame_model, frame_model_n; /* … and where in it the model stands */
    uint64_t text_n;     /* characters that were written, where logprobs are counted by them */
    int64_t load_ms;          /* how long it waited for its model to be loaded, before now_ms of its request */
    int64_t began_ms, now_ms; /* the loop's, when created_s began, and as each piece comes: for those that tell how long it took */
    const char *fault;        /* with -EINVAL: what is wrong with the backend's answer, a literal; NULL: nothing to say of it */
    struct ollama_turn *turn; /* owned, and given back by ops->fini */
};

struct translate_ops {
    const char *target; /* what Ollama is asked: /api/chat */
    /* The client's body as Ollama's, appended to out; notes what the answer needs. 0; -EINVAL with a text in why
     * (TRANSLATE_WHY_BYTES) that says what is wrong, where, and what would be right: every mistake; -ENOMEM, -EFBIG. On
     * failure out is as it was. 1: nobody is to be asked, and out is the whole answer. It may put other ops into *t, for this request. NULL: there is no body. */
    int (*request)(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why);
    /* One object of Ollama's answer as the client's, appended to out: events, those that end the stream with the last; or the
     * whole answer. 0, -EINVAL where it is no such object, -ENOENT where the model that was asked for is not in it, -ENOMEM, -EFBIG. On failure out is as it was. */
    int (*object)(struct translation *t, const char *json, size_t json_n, struct buf *out);
    /* An event that says nothing, for a stream that waits ([proxy] heartbeat = chunk); NULL where there is none. 0 or -errno. */
    int (*nothing)(struct translation *t, struct buf *out);

    /* Where the backend speaks OpenAI's API: objects come in events, `[DONE]` as one of them, or as one object whatever was asked for. */
    int is_openai;
    enum { OLLAMA_SAID_MESSAGE, OLLAMA_SAID_RESPONSE } said; /* the member of Ollama's answer for what is said */
    int is_unknown_null; /* what is not known of how an answer was made is null there; else it is left out, or told as well as it is known */
    /* The stream's end was not said: its last object, where it may be over. 0, or as object(). NULL: it is not. */
    int (*end)(struct translation *t, struct buf *out);
    void (*fini)(struct translation *t); /* NULL: nothing is to be given back */
    /* What was held back of a stream that breaks off, as events; NULL: nothing ever is. 0 or -errno. */
    int (*rest)(struct translation *t, struct buf *out);
};

#endif
