/*
 * ollama_turn: what one answer to a client of Ollama's needs to remember from one piece of a backend's answer to the next: when it
 * began, how it ended, what was counted, and calls of tools, which come in pieces there and whole at Ollama.
 */
#ifndef PROXY_OLLAMA_TURN_H
#define PROXY_OLLAMA_TURN_H

#include "proxy/json_write.h"
#include "proxy/translation.h"

enum {
    TURN_CALLS_MAX = 64,
    TURN_CALLS_BYTES = 4 << 20, /* of all calls of an answer */
    TURN_REASON_BYTES = 32,
    TURN_STAMP_BYTES = 40,
};

/* A call, gathered. All as it stood between quotes, escapes included, as a piece may end in the middle of a surrogate pair. */
struct ollama_call {
    uint64_t index;
    struct buf id, name, arguments;
};

struct ollama_turn {
    int64_t asked_ms, first_ms;     /* by translation.now_ms; first_ms 0: nothing has come */
    int64_t stamp_s;                /* of stamp: most tokens come within a second that was written before */
    char stamp[TURN_STAMP_BYTES];
    char reason[TURN_REASON_BYTES]; /* why it ended; "": it has not */
    int has_counts;
    uint64_t prompt_n, answer_n;    /* tokens */
    int64_t prompt_ns, answer_ns;   /* what they took by the backend's own word; 0: it does not say */
    struct ollama_call *calls;      /* owned; NULL: none */
    size_t calls_n, calls_bytes;
};

/* The turn of this translation, made where there is none; NULL: no memory. */
struct ollama_turn *ollama_turn_of(struct translation *t);
void ollama_turn_fini(struct translation *t);

/* Now, as Ollama writes it: 2025-07-01T12:00:00.000000000Z. Returns out. */
const char *ollama_turn_stamp(const struct translation *t, char out[TURN_STAMP_BYTES]);

/* Pieces of calls: an array of OpenAI's. 0; -EINVAL with t->fault where there are too many, or too much; -ENOMEM. */
int ollama_turn_gather(struct translation *t, const struct json_value *calls) WARN_UNUSED;
/* `,"tool_calls":[…]` of all calls; nothing where there is none. Those whose arguments were cut are left out where is_cut: the answer's
 * reason says so. 0, -EINVAL with t->fault where arguments are no object. */
int ollama_turn_write(struct translation *t, struct json_write *w, int is_cut) WARN_UNUSED;

#endif
