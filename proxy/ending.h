/*
 * ending: what an answer of Ollama's ends with: whether it says that it is done, and the counts that it tells.
 *
 * Of a body that passes by, the last bytes are kept and the first ones of its last line, whatever its length; nothing is
 * parsed before the end. Lines that say themselves that more will follow are most of all: of those nothing is kept.
 */
#ifndef PROXY_ENDING_H
#define PROXY_ENDING_H

#include "common/sys.h"

enum {
    ENDING_HEAD_BYTES = 512,  /* `done_reason` stands before `context`, an array of any size, the counts behind it; message_start */
    ENDING_TAIL_BYTES = 2048, /* a power of two. The last events: the reason, the usage, [DONE] */
    ENDING_REASON_BYTES = 24,
};

enum ending_form {
    ENDING_NONE,   /* nobody wants to know */
    ENDING_NDJSON, /* ollama docs/api.md: the last line has "done": true */
    ENDING_SSE,    /* the OpenAI API: `finish_reason`, then `data: [DONE]` */
    ENDING_JSON,   /* one object */
    ENDING_ERROR,  /* no answer, but why there is none: ending_whole() */
    ENDING_MESSAGES, /* Anthropic's events: the prompt's tokens are in the first one, `message_start`; the rest at the end */
};

/* All zero: nobody wants to know. */
struct ending {
    enum ending_form form;
    uint64_t open_n;   /* lines that said that more will follow: so many tokens, or nearly so */
    int is_line_begun; /* the last line has bytes already */
    size_t head_n;     /* of the last line; of Anthropic's events the first bytes of all */
    size_t tail_n;     /* seen since what was dropped last; the last ENDING_TAIL_BYTES of it are kept */
    char head[ENDING_HEAD_BYTES];
    char tail[ENDING_TAIL_BYTES]; /* a ring: byte i of what was seen is at i % ENDING_TAIL_BYTES */
};

/* What is not known is -1, or "". */
struct ending_facts {
    int is_done;   /* it says that it is complete */
    int has_error; /* it says that it failed */
    char reason[ENDING_REASON_BYTES];
    int64_t prompt_tokens_n, tokens_n;
    int64_t total_ns, load_ns, prompt_ns, eval_ns; /* Ollama's own clock */
};

/* A body of this form begins; what was there before is forgotten. */
void ending_begin(struct ending *e, enum ending_form form);
/* ending_see() where somebody wants to know. */
void ending_keep(struct ending *e, const char *bytes, size_t bytes_n);
/* The next bytes of the body, in pieces of any size: whatever they are, the facts are those of the whole. */
static inline void ending_see(struct ending *e, const char *bytes, size_t bytes_n)
{
    if (e->form != ENDING_NONE)
        ending_keep(e, bytes, bytes_n);
}

/* All of a body that is ENDING_TAIL_BYTES long at the most; 0: it is longer, or there is none. */
size_t ending_whole(const struct ending *e, char out[ENDING_TAIL_BYTES]);

/* What the body ends with, so far. */
void ending_read(const struct ending *e, struct ending_facts *out);

#endif
